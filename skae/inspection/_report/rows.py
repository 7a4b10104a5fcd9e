"""The rows of a report: checked, sampled, taken through a Pipeline, and as they are shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from skae._containers import as_rows, dense_columns, is_pandas, readable, to_pandas
from skae._counts import is_integer
from skae._typing import RandomState, Table
from skae.estimators import BaseAutoencoder
from skae.estimators._checks import check_is_fitted
from skae.inspection._rows import take
from skae.networks.architecture import architecture_in

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame
    from sklearn.base import BaseEstimator
    from torch import Tensor

__all__ = ["Rows", "check_path", "check_points", "cut", "names_of", "read_rows"]

MOST_ROWS = 100_000
# Tables of errors and of what came back are as large as the rows: 160 MB each.
MOST_CELLS = 20_000_000
# Each is an element of the page; beyond, pointing at them is slow.
MOST_POINTS = 10_000
# Names stand in many places of the page.
LONGEST_NAME = 120


class Rows(NamedTuple):
    """Rows as they reach the autoencoder, and as they are shown."""

    model: BaseAutoencoder
    steps: list[Pipeline]  # what stands before it in a Pipeline
    inner: np.ndarray | DataFrame | Tensor  # as they reach the autoencoder
    shown: np.ndarray | DataFrame  # (n, n_features), an array or a DataFrame
    in_own_units: bool  # whether shown are the columns of X, not what the steps made of them
    names: list[str]
    labels: list[object]  # what each row is called
    y: np.ndarray | None
    y_name: str
    n_given: int


def cut(text: str, longest: int) -> str:
    """Return a text, without its end where it is too long for a page."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def check_path(path: object) -> Path:
    """Return the path of the page.

    Parameters
    ----------
    path : path-like
        As the user gave it.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ValueError
        If its folder is not there, or if it is anything but a file or a link to one.
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ValueError(f"path must name a file, e.g. 'report.html'; got {path!r}.")
    found = Path(os.fsdecode(path))
    if "\0" in str(found):
        raise ValueError(f"path must name a file; got a zero byte in {str(found)!r}.")
    if not found.parent.is_dir():
        raise ValueError(
            f"The folder {str(found.parent)!r} of path={str(found)!r} does not exist. Create it first."
        )
    if found.is_dir():
        raise ValueError(f"path={str(found)!r} is a folder. Name a file in it, e.g. 'report.html'.")
    if found.exists() and not found.is_file():
        raise ValueError(
            f"path={str(found)!r} is no file but a device, pipe or socket, which a page cannot replace. Name "
            "a file, e.g. 'report.html'."
        )
    if found.is_symlink() and not found.exists():
        raise ValueError(f"path={str(found)!r} is a broken link. Remove it, or name a file.")
    return found


def check_points(max_points: object) -> int:
    """Return the number of rows that are drawn at most.

    Parameters
    ----------
    max_points : int
        As the user gave it.

    Returns
    -------
    max_points : int

    Raises
    ------
    ValueError
        If a browser could not draw as many, or if there are too few to see anything.
    """
    if not is_integer(max_points) or not 10 <= int(max_points) <= MOST_POINTS:
        raise ValueError(f"max_points must be a whole number from 10 to {MOST_POINTS:,}; got {max_points!r}.")
    return int(max_points)


def read_rows(
    estimator: BaseEstimator, X: ArrayLike | Table, y: ArrayLike | None, random_state: RandomState
) -> Rows:
    """Check what the user passed, sample its rows, and take them to the autoencoder.

    Parameters
    ----------
    estimator : BaseAutoencoder, Pipeline or search
        Fitted.
    X : array-like or DataFrame
        Rows.
    y : array-like of shape (n_samples,), optional
        A value for each.
    random_state : int, RandomState instance or None
        Of the sample.

    Returns
    -------
    rows : Rows

    Raises
    ------
    ValueError
        If X or y cannot be used.
    TypeError
        If the estimator is no autoencoder.
    """
    estimator = _best(estimator)
    model, steps = _model_and_steps(estimator)
    table = _as_table(X)
    n_given = table.shape[0]
    if n_given < 2:
        raise ValueError(f"A report needs at least 2 rows; X has {n_given}.")
    values = _checked_y(y, n_given)
    width = max(model.n_features_in_, model._inside.columns.n_inside)
    if issparse(table) and not steps:
        _check_dense(n_given, width)
    limit = min(MOST_ROWS, max(2, MOST_CELLS // width))
    chosen = np.arange(n_given)
    if n_given > limit:
        chosen = np.sort(check_random_state(random_state).permutation(n_given)[:limit])
    outer = take(table, chosen)
    inner, shown, is_own, names = _columns(estimator, model, steps, outer)
    labels = np.asarray(table.index, dtype=object)[chosen] if is_pandas(table) else chosen
    return Rows(
        model,
        steps,
        inner,
        shown,
        is_own,
        [cut(name, LONGEST_NAME) for name in names],
        list(labels),
        None if values is None else values[chosen],
        cut(str(getattr(y, "name", None) or "y"), LONGEST_NAME),
        n_given,
    )


def names_of(table: Table, model: object, n_columns: int) -> list[str]:
    """Return what the columns are called.

    Parameters
    ----------
    table : DataFrame or ndarray
        Rows; images and sequences as they are.
    model : object
        May know the names.
    n_columns : int
        Number of columns.

    Returns
    -------
    names : list of str
    """
    if is_pandas(table):
        return [str(name) for name in table.columns]
    known = getattr(model, "feature_names_in_", None)
    if known is not None and len(known) == n_columns:
        return [str(name) for name in known]
    shape = table.shape[1:]
    if len(shape) > 1 and int(np.prod(shape)) == n_columns:
        places = np.column_stack(np.unravel_index(np.arange(n_columns), shape))
        return ["cell " + ", ".join(map(str, place)) for place in places.tolist()]
    return [f"column {j}" for j in range(n_columns)]


def _best(estimator: Any) -> Any:
    """Return what a search found, anything else as it is."""
    if hasattr(estimator, "best_estimator_"):
        return _best(estimator.best_estimator_)
    if hasattr(estimator, "refit"):
        check_is_fitted(estimator)
        raise ValueError(
            f"This {type(estimator).__name__} has refit=False, so that there is no fitted estimator to "
            "report on. Search with refit=True, or fit its estimator with best_params_."
        )
    return estimator


def _model_and_steps(estimator: BaseEstimator) -> tuple[BaseAutoencoder, list[Pipeline]]:
    steps: list[Pipeline] = []
    model = estimator
    while isinstance(model, Pipeline):
        if len(model.steps) > 1:
            steps.append(model[:-1])
        model = _best(model.steps[-1][1])
    if not isinstance(model, BaseAutoencoder):
        raise TypeError(
            "A report is about an autoencoder of skae, or a Pipeline or search that ends in one; "
            f"got {type(model).__name__}. Of an ensemble, pass one of its estimators_."
        )
    check_is_fitted(model, "network_")
    return model, steps


def _as_table(X: Any) -> Any:
    """Return an array, a DataFrame of pandas, a sparse matrix or a tensor whose rows can be chosen."""
    if hasattr(X, "iloc") and X.ndim != 2:
        raise ValueError("X is one column; pass a table, e.g. X.to_frame().")
    X = dense_columns(to_pandas(as_rows(X)))
    if issparse(X):
        return X.tocsr()
    if X.ndim < 2:
        raise ValueError(f"X must be a table of rows and columns; got an array of shape {tuple(X.shape)}.")
    return X


def _checked_y(y: object, n_rows: int) -> np.ndarray | None:
    if y is None:
        return None
    values = np.asarray(y if isinstance(y, (list, tuple)) else readable(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or len(values) != n_rows:
        raise ValueError(
            f"y must have one value for each of the {n_rows:,} rows of X; got an array of shape "
            f"{values.shape}."
        )
    return values


def _check_dense(n_rows: int, n_columns: int) -> None:
    if n_rows * n_columns > MOST_CELLS:
        raise ValueError(
            f"X is sparse, and its {n_rows:,} x {n_columns:,} cells are too many to be made dense: a report "
            f"shows single cells, and takes up to {MOST_CELLS:,}. Pass fewer rows."
        )


def _columns(
    estimator: BaseEstimator, model: BaseAutoencoder, steps: list[Pipeline], outer: Any
) -> tuple[Any, Any, bool, list[str]]:
    """Return rows as they reach the autoencoder, as they are shown, and the names of their columns."""
    inner = outer
    for step in steps:
        inner = step.transform(inner)
    # Steps may have been told to give DataFrames of polars.
    inner = to_pandas(inner)
    if issparse(inner):
        _check_dense(*inner.shape)
        inner = inner.toarray()
    n_columns = model.n_features_in_
    shown = inner if hasattr(inner, "iloc") else _flattened(np.asarray(readable(inner)), model)
    names = names_of(inner, model, shown.shape[1])
    if not steps:
        return inner, shown, True, names
    if len(outer.shape) == 2 and outer.shape[1] == n_columns:
        before = names_of(outer, estimator, n_columns)
        after = _names_after(steps, before)
        if after is None or after == before:
            outer = outer.toarray() if issparse(outer) else readable(outer)
            return inner, outer, True, before
        return inner, shown, False, after
    after = _names_after(steps, None)
    return inner, shown, False, after if after is not None and len(after) == n_columns else names


def _flattened(table: np.ndarray, model: BaseAutoencoder) -> np.ndarray:
    """Return images and sequences as rows, by way of the architecture that takes them."""
    if table.ndim == 2:
        return table
    architecture = architecture_in(model.network)
    if architecture is None or not architecture.takes_arrays:
        raise ValueError(
            f"X has shape {table.shape}, but this {type(model).__name__} was fitted on rows of "
            f"{model.n_features_in_} columns. Flatten it: X.reshape(len(X), -1)."
        )
    return architecture.to_rows(table)


def _names_after(steps: list[Pipeline], names: list[str] | None) -> list[str] | None:
    """Return what the steps call their columns, None where they do not say."""
    found: Any = None if names is None else np.asarray(names, dtype=object)
    for step in steps:
        try:
            found = step.get_feature_names_out(found)
        except (AttributeError, NotImplementedError, TypeError, ValueError):
            return None
    return [str(name) for name in found]
