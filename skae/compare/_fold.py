"""One reducer on one split: fitted, timed and measured."""

from __future__ import annotations

import contextlib
import inspect
import pickle
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_regressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.manifold import trustworthiness
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from skae._containers import readable
from skae._typing import Reducer, Table, Transformer
from skae.compare._measures import columns, downstream_columns
from skae.inspection._rows import n_rows, tables, take
from skae.metrics import continuity, variance_explained_score

if TYPE_CHECKING:
    from skae.compare._downstream import Judge, Target

# Rows from which on models on the codes may take several threads.
_MANY_ROWS = 20_000


class Fold(NamedTuple):
    """A split, and what all reducers share on it."""

    training: np.ndarray
    held_out: np.ndarray
    where: str  # how messages call it
    preprocessing: Transformer | None  # fitted on the training rows
    seed: int  # of the sample for neighbourhoods


class Task(NamedTuple):
    """How to measure, the same for all reducers and splits."""

    target: Target
    n_neighbors: int | None
    max_rows: int
    raises: bool  # whether a reducer that fails ends everything


class Measured(NamedTuple):
    """Result of one reducer on one split."""

    measures: dict[str, float]
    error: str | None


def fitted(estimator: object, X: Table, y: np.ndarray | None, is_classes: bool) -> tuple[Any, float]:
    """Fit a clone, with y if there is one and `fit` takes it; return it, and the seconds of `fit`."""
    # Whatever is no estimator of scikit-learn is copied as it is.
    copy: Any = clone(estimator, safe=False)
    takes_y = y is not None and "y" in inspect.signature(copy.fit).parameters
    if takes_y and is_classes and hasattr(copy, "__sklearn_tags__") and is_regressor(copy):
        # Partial least squares and its relatives would take numbers of classes for quantities.
        y = LabelBinarizer().fit_transform(y).astype(np.float64)
    # Not all of them give themselves back.
    start = time.perf_counter()
    copy.fit(X, y) if takes_y else copy.fit(X)
    return copy, time.perf_counter() - start


def evaluate(name: str, reducer: Reducer, fold: Fold, X: Table, y: np.ndarray | None, task: Task) -> Measured:
    """Fit a reducer on the training rows of a split, and measure it on the held-out rows.

    Parameters
    ----------
    name : str
        Name of the reducer, for messages.
    reducer : estimator
        Cloned before it is fitted.
    fold : Fold
        The split.
    X, y : table and ndarray or None
        All rows.
    task : Task
        What to measure.

    Returns
    -------
    measures : dict
        By name, with `n_components`; NaN where there is nothing to measure, or the reducer fails.
    error : str or None
        What it failed with, and where.

    Raises
    ------
    RuntimeError
        If the reducer fails, and the task says so.
    """
    judges = task.target.judges
    names = [judge.name for judge in judges]
    found = dict.fromkeys(("n_components", *columns(names)), np.nan)
    try:
        measures, codes = _measured(reducer, fold, X, y, task)
    except Exception as error:
        # Whatever a reducer raises, users need to know which one it was.
        said = _failure(error, name, fold.where, "Its measures are NaN.", task.raises)
        return Measured(found, said)
    found.update(measures)
    said = None
    for column, judge in zip(downstream_columns(names), judges, strict=False):
        try:
            with _few_threads(len(fold.training)):
                found[column] = _predicted(judge, codes, fold, y)
        except Exception as error:
            # The other measures are not the worse for a model that cannot be fitted.
            where = f"{fold.where}, {judge.name}"
            said = said or _failure(error, name, where, "The score of this model is NaN.", task.raises)
    return Measured(found, said)


def _few_threads(n_rows: int) -> contextlib.AbstractContextManager[object]:
    """Let scikit-learn's own loops run in one thread on tables that are not large.

    Boosting makes thousands of parallel loops there, whose threads wait for each other: beside a busy process
    two folds of iris took a minute instead of a second.
    """
    return threadpool_limits(1, "openmp") if n_rows < _MANY_ROWS else contextlib.nullcontext()


def _failure(error: Exception, name: str, where: str, so: str, raises: bool) -> str:
    """Return what went wrong, after a warning, or raise."""
    what = f"{where}: {type(error).__name__}: {error}"
    message = f"{name!r} failed on {what}"
    if raises:
        raise RuntimeError(
            f"{message}\nLeave error_score at NaN to compare the others all the same."
        ) from error
    warnings.warn(f"{message}\n{so}", FitFailedWarning, stacklevel=3)
    return what


class _Codes(NamedTuple):
    """Codes of a split, as tables of float64; none of the training rows where nobody asks for them."""

    training: np.ndarray | None
    held_out: np.ndarray


def _measured(
    reducer: Reducer, fold: Fold, X: Table, y: np.ndarray | None, task: Task
) -> tuple[dict[str, float], _Codes]:
    before = fold.preprocessing
    training, held_out = (
        rows if before is None else before.transform(rows)
        for rows in (take(X, fold.training), take(X, fold.held_out))
    )
    y_training = None if y is None else y[fold.training]
    model, fit_seconds = fitted(reducer, training, y_training, task.target.is_classes)
    start = time.perf_counter()
    codes = model.transform(held_out)
    transform_seconds = time.perf_counter() - start
    flat = _flat(codes, n_rows(held_out))
    found = {
        "n_components": float(flat.shape[1]),
        "variance_explained": _explained(model, training, held_out, codes),
        **_neighbourhoods(held_out, flat, fold.seed, task),
        "fit_seconds": fit_seconds,
        "transform_seconds": transform_seconds,
        "size": _size(model),
    }
    codes_training = _flat(model.transform(training), n_rows(training)) if task.target.judges else None
    return found, _Codes(codes_training, flat)


def _predicted(judge: Judge, codes: _Codes, fold: Fold, y: np.ndarray | None) -> float:
    """Return how well a model predicts y of held-out rows from their codes."""
    if y is None:
        return np.nan
    model: Any = clone(judge.model)
    model.fit(codes.training, y[fold.training])
    return float(judge.score(model, codes.held_out, y[fold.held_out]))


def _flat(codes: Any, n: int) -> np.ndarray:
    """Return codes as a dense table of float64."""
    codes = readable(codes)
    table = np.asarray(codes.toarray() if issparse(codes) else codes, dtype=np.float64)
    if table.ndim == 0 or len(table) != n or table.size == 0:
        raise ValueError(f"transform must give a code for each of {n} rows; got shape {table.shape}.")
    if not np.isfinite(table).all():
        raise ValueError("transform gave codes that are NaN or infinite.")
    return table.reshape(n, -1)


def _explained(model: Transformer, training: Table, held_out: Table, codes: object) -> float:
    """Return the variance explained, NaN for text and for reducers without an inverse."""
    back = _back(model, codes)
    if back is None:
        return np.nan
    (rows, rows_back), is_number = tables(held_out, back)
    if rows.shape != rows_back.shape:
        raise ValueError(f"inverse_transform must give rows of shape {rows.shape}; got {rows_back.shape}.")
    if not is_number.all():
        return np.nan
    (rows_training,), _ = tables(training)
    with warnings.catch_warnings():
        # Columns without any value have no mean, and any will do.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nan_to_num(np.nanmean(rows_training, axis=0))
    return variance_explained_score(rows, rows_back, mean=mean)


def _back(model: Any, codes: object) -> Any:
    if not hasattr(model, "inverse_transform"):
        return None
    try:
        return model.inverse_transform(codes)
    except (NotFittedError, NotImplementedError):
        # KernelPCA has the method, and says only here that it was not asked to learn the way back.
        return None


def _neighbourhoods(held_out: Table, codes: np.ndarray, seed: int, task: Task) -> dict[str, float]:
    """Return trustworthiness and continuity."""
    found = {"trustworthiness": np.nan, "continuity": np.nan}
    if task.n_neighbors is None:
        return found
    # In random order: among equal codes, neighbours are taken in the order of rows, which may mean something.
    chosen = check_random_state(seed).permutation(len(codes))[: task.max_rows]
    (rows,), is_number = tables(take(held_out, chosen))
    if not is_number.all() or not np.isfinite(rows).all():
        return found
    codes = codes[chosen]
    found["trustworthiness"] = float(trustworthiness(rows, codes, n_neighbors=task.n_neighbors))
    found["continuity"] = continuity(rows, codes, n_neighbors=task.n_neighbors)
    return found


def _size(model: object) -> float:
    """Return the size of the pickled reducer in bytes, NaN if it cannot be pickled."""
    try:
        return float(len(pickle.dumps(model)))
    except Exception:
        # Pickling runs code of anybody's, which may raise anything; a size is not worth failing for.
        return np.nan
