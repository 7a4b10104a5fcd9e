"""The one file that knows how scikit-learn's searches evaluate their candidates.

`BaseSearchCV.fit` hands `_run_search` a function that evaluates candidates. It makes one task for each
candidate and fold, a call of `_fit_and_score` with a clone of the estimator, and has them run by its
`Parallel`, which is the one thing that is replaced here: splitting, routing, scores, errors, callbacks,
results and the final fit stay scikit-learn's own. The other ways are a copy of `BaseSearchCV.fit`, which
would have to follow every change of it, and an estimator in disguise, which scorers would see.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import NamedTuple, Protocol, TypeAlias, TypedDict

from numpy.typing import ArrayLike
from sklearn.base import clone

from skae.selection._places import Step, unfitted


class Result(TypedDict):
    """What is used of the result of a task."""

    fit_time: float


class Settings(TypedDict):
    """What is used of the arguments of a task."""

    parameters: dict[str, object]
    candidate_progress: tuple[int, int]
    split_progress: tuple[int, int]
    callback_ctx: object
    error_score: object
    verbose: int


# A call, its arguments by position (estimator, X and y), and those by name.
Call: TypeAlias = tuple[Callable[..., Result], tuple[Step, ArrayLike, object], Settings]
Run: TypeAlias = Callable[[Iterable[Call]], list[Result]]


class Runner(Protocol):
    """A `Parallel` of joblib."""

    n_jobs: int

    def __call__(self, calls: Iterable[object], /) -> list:
        """Run calls, in processes or one by one, and return what they return."""
        ...


class Task(NamedTuple):
    """The fit and the scores of one candidate on one fold."""

    call: Call

    @property
    def candidate(self) -> int:
        """Number of the candidate."""
        return self.call[2]["candidate_progress"][0]

    @property
    def fold(self) -> int:
        """Number of the fold."""
        return self.call[2]["split_progress"][0]

    @property
    def parameters(self) -> dict[str, object]:
        """What the search has chosen."""
        return self.call[2]["parameters"]

    @property
    def X(self) -> ArrayLike:
        """All rows, of every fold."""
        return self.call[1][1]

    def estimator(self) -> Step:
        """Return the candidate, not fitted."""
        return unfitted(self.call[1][0]).set_params(
            **{name: clone(value, safe=False) for name, value in self.parameters.items()}
        )

    def run(self, fit: Callable[..., object], rehearsal: bool = False) -> Result:
        """Fit and score.

        Parameters
        ----------
        fit : callable
            Called with the estimator and the arguments of its `fit`, instead of it.
        rehearsal : bool, default=False
            Whether to run on a copy of the estimator, silent, and to raise all errors.

        Returns
        -------
        result : dict
            Scores and times.
        """
        function, (estimator, X, y), settings = self.call
        if rehearsal:
            estimator = unfitted(estimator)
            settings = Settings(**{**settings, "callback_ctx": None, "error_score": "raise", "verbose": 0})

        def instead(*args: object, **params: object) -> object:
            del vars(estimator)["fit"]
            return fit(estimator, *args, **params)

        vars(estimator)["fit"] = instead
        # Without what scikit-learn puts around calls in processes: this one runs in one of them.
        return inspect.unwrap(function)(estimator, X, y, **settings)


def has_callbacks(estimator: Step) -> bool:
    """Return whether the user has set callbacks of an estimator or of one inside."""
    inside = [estimator, *estimator.get_params(deep=True).values()]
    return any("_skl_callbacks" in vars(one) for one in inside if hasattr(one, "__dict__"))


def replace_parallel(evaluate_candidates: FunctionType, replaced: Callable[[Runner], Run]) -> None:
    """Let a search run its tasks in another way.

    Parameters
    ----------
    evaluate_candidates : function
        What `_run_search` is handed. If it has no `parallel`, nothing is replaced, and the search runs as it
        ever did.
    replaced : callable
        Gets scikit-learn's `Parallel`, and returns what is called with the tasks in its place.
    """
    names = evaluate_candidates.__code__.co_freevars
    if "parallel" in names:
        cell = (evaluate_candidates.__closure__ or ())[names.index("parallel")]
        cell.cell_contents = replaced(cell.cell_contents)


def are_understood(calls: list[Call]) -> bool:
    """Return whether calls are the ones that are known here."""
    return all(
        len(args) == 3 and Settings.__required_keys__ <= settings.keys() for _, args, settings in calls
    )
