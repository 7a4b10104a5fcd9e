"""All candidates and folds of a search, fitted together.

Each evaluation is rehearsed: its fit runs until it comes to an autoencoder that has not been trained. These
are trained together, and so on until none is left. Then scikit-learn runs the evaluation for good, and finds
that the steps up to the last autoencoder are fitted.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.utils import get_tags
from sklearn.utils.parallel import delayed

from skae._containers import is_sparse
from skae.estimators._checks import check_apart
from skae.estimators.base import BaseAutoencoder, Job, fit_together
from skae.selection._fits import Failure, Fit, fit_step, given, settled, take_over
from skae.selection._places import Path, Place, Step, places, signatures, unfitted
from skae.selection._tasks import Call, Result, Runner, Task, are_understood, has_callbacks

# What tells a fit from all others: the fold, the path, and the signature of the place.
Key: TypeAlias = tuple[int, Path, Hashable]
# Numbers that jobs which are handed over at once hold: half a GiB in float32.
_MOST_NUMBERS = 2**27
# What an autoencoder holds beside its rows: weights of the default size, gradients, moments and copies, those
# of the outer layers for each column.
_OF_WEIGHTS, _OF_WEIGHTS_A_COLUMN = 100_000, 1_000


class Plan(NamedTuple):
    """What the steps of a candidate up to its last autoencoder are told apart by.

    Parameters
    ----------
    signatures : dict of tuple of str to object
        By path, in the order of their fits.
    trained : list of tuple of str
        The paths of autoencoders. Empty if the candidate is left to scikit-learn.
    """

    signatures: dict[Path, Hashable]
    trained: list[Path]

    @property
    def front(self) -> Hashable:
        """What steps that are no autoencoders are told apart by."""
        return tuple(item for item in self.signatures.items() if item[0] not in self.trained)


class Evaluation(NamedTuple):
    """A candidate on a fold.

    Parameters
    ----------
    number : int
        Where its result belongs.
    task : Task
        What scikit-learn wants to be done.
    plan : Plan
        That of the candidate.
    """

    number: int
    task: Task
    plan: Plan

    def key(self, path: Path) -> Key:
        """Return what tells the fit at a path from all others."""
        return self.task.fold, path, self.plan.signatures[path]

    @property
    def keys(self) -> dict[Path, Key]:
        """All fits up to the last autoencoder."""
        return {path: self.key(path) for path in self.plan.signatures}


class _Over(BaseException):
    """Ends a rehearsal, and is no error that anyone may handle."""


class StackedRuns:
    """Runs the tasks of a search, in the place of a `Parallel`.

    Parameters
    ----------
    parallel : Parallel
        scikit-learn's. It spreads over processes what can be spread.
    """

    def __init__(self, parallel: Runner) -> None:
        self.parallel = parallel
        self._fits: dict[Key, Fit] = {}
        # Training rows by fold, as arguments of `fit`, so that those of all candidates are the same objects.
        self._rows: dict[int, tuple[tuple[object, ...], dict[str, object]]] = {}

    def __call__(self, calls: Iterable[Call]) -> list[Result]:
        """Run tasks and return their results, in their order."""
        calls = list(calls)
        stacked = self._planned([Task(call) for call in calls]) if are_understood(calls) else []
        results: dict[int, Result] = {}
        users = Counter(key for one in stacked for key in one.keys.values())
        left = users.copy()
        for chunk in _chunks(stacked):
            self._train(chunk)
            results |= self._finished(chunk, users)
            left.subtract(key for one in chunk for key in one.keys.values())
            self._fits = {key: fit for key, fit in self._fits.items() if left[key]}
            self._rows = {}
        others = [number for number in range(len(calls)) if number not in results]
        results |= zip(others, self.parallel(calls[number] for number in others), strict=True)
        return [results[number] for number in range(len(calls))]

    def _planned(self, tasks: list[Task]) -> list[Evaluation]:
        """Return what can be stacked, ordered so that few steps in front are kept at a time."""
        plans: dict[int, Plan] = {}
        for task in tasks:
            if task.candidate not in plans:
                plans[task.candidate] = _plan(task)
        evaluations = [
            Evaluation(number, task, plans[task.candidate])
            for number, task in enumerate(tasks)
            if plans[task.candidate].trained
        ]
        fronts: dict[Hashable, int] = {}
        wholes: dict[Hashable, int] = {}
        for one in evaluations:
            fronts.setdefault(one.plan.front, len(fronts))
            wholes.setdefault(tuple(one.plan.signatures.items()), len(wholes))
        return sorted(
            evaluations,
            key=lambda one: (
                fronts[one.plan.front],
                one.task.fold,
                wholes[tuple(one.plan.signatures.items())],
            ),
        )

    # ------------------------------------------------------------------ up to the last autoencoder

    def _train(self, chunk: Sequence[Evaluation]) -> None:
        """Fit the steps of evaluations up to their last autoencoder, each step once."""
        waiting = list(chunk)
        while waiting:
            jobs: dict[Key, Job] = {}
            waiting = [one for one in waiting if self._is_waiting(one, jobs)]
            if jobs:
                self._fits |= self._trained(jobs)

    def _is_waiting(self, one: Evaluation, jobs: dict[Key, Job]) -> bool:
        """Return whether an evaluation waits for an autoencoder, which is then among the jobs."""
        if set(one.keys.values()) <= self._fits.keys():
            return False
        missing = [key for path in one.plan.trained if (key := one.key(path)) not in self._fits]
        # Where all are trained, steps beside them are left.
        if not missing or missing[0] not in jobs:
            self._rehearse(one, jobs)
        return bool(missing) and missing[0] in jobs

    def _rehearse(self, one: Evaluation, jobs: dict[Key, Job]) -> None:
        """Run a fit up to an autoencoder that is not trained, and make it a job."""

        def answer(
            place: Place, method: str, X: ArrayLike, y: object, params: Mapping[str, ArrayLike]
        ) -> object:
            key = one.key(place.path)
            if key not in self._fits:
                if isinstance(place.estimator, BaseAutoencoder):
                    jobs[key] = Job(unfitted(place.estimator), X, y, params)
                    raise _Over
                self._fits[key] = fit_step(place, method, X, y, params)
            return self._fits[key].give(place.estimator)

        def fit(root: Step, *args: object, **params: object) -> None:
            args, params = self._rows.setdefault(one.task.fold, (args, params))
            take_over(root, answer)
            with settled(root, is_quiet=True):
                root.fit(*args, **params)
            raise _Over

        try:
            one.task.run(fit, rehearsal=True)
        except _Over:
            pass
        except Exception:
            # It is raised again when the evaluation is run for good, where `error_score` says what to do.
            return

    def _trained(self, jobs: Mapping[Key, Job]) -> dict[Key, Fit]:
        """Train autoencoders, spread over processes."""
        keys = list(jobs)
        check_apart([job.estimator.checkpoint for job in jobs.values()])
        n_parts = min(len(keys), effective_n_jobs(self.parallel.n_jobs))
        if n_parts < 2:
            return dict(zip(keys, _fit_part([*jobs.values()]), strict=True))
        # Each process gets candidates of all kinds, so that none ends much later than the others.
        parts = [keys[first::n_parts] for first in range(n_parts)]
        done = self.parallel(delayed(_fit_part)([jobs[key] for key in part]) for part in parts)
        return {
            key: fit
            for part, fits in zip(parts, done, strict=True)
            for key, fit in zip(part, fits, strict=True)
        }

    # ------------------------------------------------------------------ what stands behind, and scores

    def _finished(self, chunk: Sequence[Evaluation], users: Mapping[Key, int]) -> dict[int, Result]:
        """Run evaluations for good, and share the time of a fit among those that use it."""
        needed = [
            {path: self._fits[key] for path, key in one.keys.items() if key in self._fits} for one in chunk
        ]
        results = self.parallel(
            delayed(_finish)(one.task, fits) for one, fits in zip(chunk, needed, strict=True)
        )
        for one, fits, result in zip(chunk, needed, results, strict=True):
            result["fit_time"] += sum(fit.seconds / users[one.key(path)] for path, fit in fits.items())
        return {one.number: result for one, result in zip(chunk, results, strict=True)}


def _plan(task: Task) -> Plan:
    try:
        root = task.estimator()
        # Callbacks of steps would hear of rehearsals, and kernels are cut by rows and columns.
        is_alone = has_callbacks(root) or get_tags(root).input_tags.pairwise
        found = [] if is_alone else places(root)
        told = signatures(root, found, task.parameters)
    except Exception:
        # scikit-learn says what is wrong when it sets the parameters or fits.
        return Plan({}, [])
    return Plan(told, [place.path for place in found if place.is_coder])


def _chunks(evaluations: list[Evaluation]) -> Iterator[list[Evaluation]]:
    """Yield evaluations such that what their autoencoders hold stays within bounds."""
    if not evaluations:
        return
    most = max(1, _MOST_NUMBERS // _n_numbers(evaluations[0].task.X))
    chunk: list[Evaluation] = []
    jobs: set[Key] = set()
    for one in evaluations:
        further = {one.key(path) for path in one.plan.trained}
        if chunk and len(jobs | further) > most:
            yield chunk
            chunk, jobs = [], set()
        chunk.append(one)
        jobs |= further
    yield chunk


def _n_numbers(X: ArrayLike) -> int:
    """Return about how many numbers the training of an autoencoder holds."""
    n_cells = X.nnz if is_sparse(X) else math.prod(np.shape(X))
    n_columns = math.prod(np.shape(X)[1:])
    return n_cells + _OF_WEIGHTS_A_COLUMN * n_columns + _OF_WEIGHTS


def _fit_part(jobs: Sequence[Job]) -> list[Fit]:
    """Train autoencoders in this process; the time is shared by what each of them counted."""
    start = time.perf_counter()
    errors = fit_together(jobs)
    seconds = time.perf_counter() - start
    counted = [0.0 if error else job.estimator.fit_time_ for job, error in zip(jobs, errors, strict=True)]
    total = math.fsum(counted)
    shares = [one / total for one in counted] if total else [1 / len(jobs)] * len(jobs)
    return [
        Fit(job.estimator, "fit", None, error and Failure(error), seconds * share)
        for job, error, share in zip(jobs, errors, shares, strict=True)
    ]


def _finish(task: Task, fits: Mapping[Path, Fit]) -> Result:
    """Fit what stands behind the last autoencoder, and score."""

    def fit(root: Step, *args: object, **params: object) -> object:
        take_over(root, given(fits))
        with settled(root, is_quiet=False):
            return root.fit(*args, **params)

    return task.run(fit)
