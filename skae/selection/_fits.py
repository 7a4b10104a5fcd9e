"""Fits that are taken over: scikit-learn calls `fit` of a step, and gets what has been fitted before."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import NamedTuple, Protocol, TypeAlias

from joblib import Memory
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_memory

from skae.selection._places import Path, Place, Step, holds_coder, is_container, places, steps_of, unfitted

# Answers a call of `fit` or `fit_transform` of a place, from its name, rows, targets and further arguments.
Answer: TypeAlias = Callable[[Place, str, ArrayLike, object, Mapping[str, ArrayLike]], object]


class Failure:
    """What a fit raised, to be raised again wherever its result is asked for."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self._origin: TracebackType | None = error.__traceback__

    def raise_again(self) -> None:
        # Each time an error is raised, the way that it takes is added to the one before.
        raise self.error.with_traceback(self._origin)

    def __getstate__(self) -> dict[str, object]:
        # Frames cannot be sent to other processes.
        return {"error": self.error, "_origin": None}


class Fit(NamedTuple):
    """A fit that was done.

    Parameters
    ----------
    estimator : estimator
        Fitted, unless it failed.
    method : {"fit", "fit_transform"}
        What was called.
    output : object
        What `fit_transform` returned.
    failure : Failure or None
        What it raised.
    seconds : float
        Time that it took.
    """

    estimator: Step
    method: str
    output: object
    failure: Failure | None
    seconds: float

    def give(self, estimator: Step) -> object:
        """Make an estimator equal to the fitted one, and return what the method returned."""
        if self.failure is not None:
            self.failure.raise_again()
        vars(estimator).update(vars(self.estimator))
        return estimator if self.method == "fit" else self.output


def fit_step(place: Place, method: str, X: ArrayLike, y: object, params: Mapping[str, ArrayLike]) -> Fit:
    """Fit a copy of a step that is no autoencoder.

    Rows are copied, since steps may change them in place, and others get the same ones.
    """
    start, estimator = time.perf_counter(), unfitted(place.estimator)
    try:
        called = _cache(place.memory).cache(_call)(estimator, method, copy.deepcopy(X), y, dict(params))
        if not isinstance(called, Called):
            raise TypeError(
                f"The memory of a Pipeline returned a {type(called).__name__} for what it was to cache. Pass "
                "the name of a directory or a joblib.Memory."
            )
    except Exception as error:
        return Fit(estimator, method, None, Failure(error), time.perf_counter() - start)
    return Fit(called.estimator, method, called.output, None, time.perf_counter() - start)


class Cache(Protocol):
    """A `joblib.Memory`."""

    def cache(self, function: Callable[..., object], /) -> Callable[..., object]:
        """Return a function that remembers what it returned."""
        ...


def _cache(memory: str | Memory | None) -> Cache:
    return check_memory(memory)


class Called(NamedTuple):
    """A fitted estimator and what its method returned; None for `fit`, which returns the estimator."""

    estimator: Step
    output: object


def _call(estimator: Step, method: str, X: ArrayLike, y: object, params: dict[str, ArrayLike]) -> Called:
    output = getattr(estimator, method)(X, y, **params)
    return Called(estimator, None if method == "fit" else output)


# ---------------------------------------------------------------------- taking over


def take_over(root: Step, answer: Answer) -> None:
    """Let the places of an estimator be fitted by someone else, once.

    What stands there stays what it is, and only its methods are hidden by attributes of the instance, until
    one of them is called: containers, scorers and metadata routing see the estimators that they expect.

    Parameters
    ----------
    root : estimator
        Not fitted.
    answer : callable
        Called instead of `fit` and `fit_transform` of each place.
    """
    for place in places(root):
        hidden = {"fit": _hiding("fit", place, answer)}
        if not place.is_coder and hasattr(place.estimator, "fit_transform"):
            # That of an autoencoder calls `fit` and then `transform`.
            hidden["fit_transform"] = _hiding("fit_transform", place, answer)
        # A ColumnTransformer fits clones of its steps.
        vars(place.estimator).update(hidden, __sklearn_clone__=lambda step=place.estimator: step)


def _hiding(method: str, place: Place, answer: Answer) -> Callable[..., object]:
    def call(X: ArrayLike, y: object = None, **params: ArrayLike) -> object:
        for name in ("fit", "fit_transform", "__sklearn_clone__"):
            vars(place.estimator).pop(name, None)
        return answer(place, method, X, y, params)

    return call


@contextlib.contextmanager
def settled(root: Step, is_quiet: bool) -> Iterator[None]:
    """Let containers fit their steps here and now, since what is taken over is known to this process only.

    Parameters
    ----------
    root : estimator
        The outermost one.
    is_quiet : bool
        Whether containers keep silent.
    """
    before = [(container, dict(vars(container))) for container in _containers(root)]
    for container, settings in before:
        # What steps in front are cached by is asked for where they are fitted.
        changed = {"memory": None} if isinstance(container, Pipeline) else {"n_jobs": 1}
        vars(container).update(changed, verbose=not is_quiet and settings["verbose"])
    try:
        yield
    finally:
        for container, settings in before:
            vars(container).update(
                {name: settings[name] for name in ("memory", "n_jobs", "verbose") if name in settings}
            )


def _containers(estimator: object) -> Iterator[Step]:
    if isinstance(estimator, Step) and is_container(estimator) and holds_coder(estimator):
        yield estimator
        for _, step in steps_of(estimator):
            yield from _containers(step)


# ---------------------------------------------------------------------- the fit that counts


def given(fits: Mapping[Path, Fit]) -> Answer:
    """Return what answers with fits that were done, and fits what is not among them."""

    def answer(place: Place, method: str, X: ArrayLike, y: object, params: Mapping[str, ArrayLike]) -> object:
        fit = fits.get(place.path)
        if fit is None or fit.method != method:
            return getattr(place.estimator, method)(X, y, **params)
        if isinstance(place.estimator, CallbackSupportMixin):
            return _as_task(place.estimator, lambda: fit.give(place.estimator), X, y)
        return fit.give(place.estimator)

    return answer


@with_callbacks
def _as_task(estimator: CallbackSupportMixin, fit: Callable[[], object], X: ArrayLike, y: object) -> object:
    """Fit, and have callbacks hear of it as of one task with nothing inside."""
    data = {"X": X, "y": X if y is None else y}
    context = estimator._init_callback_context()
    context.call_on_fit_task_begin(estimator=estimator, **data)
    output = fit()
    # The estimator is fitted: nothing has to be set on its copies.
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=dict, **data)
    return output
