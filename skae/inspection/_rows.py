"""What displays know of estimators and of rows: the model behind a pipeline, names, samples, images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae._containers import (
    as_passed,
    as_rows,
    dense_columns,
    is_foreign,
    is_pandas,
    names_of,
    readable,
    take_column,
)
from skae._containers import take_rows as take
from skae._counts import check_count, is_integer
from skae._typing import Table, Transformer
from skae.networks.architecture import Architecture, architecture_in
from skae.tables.cells import as_numbers, is_missing, is_number, values_of

if TYPE_CHECKING:
    from pandas import Index

# All draws of rows for pictures are the same ones every time.
_SEED = 0


class Reached(NamedTuple):
    """The last step of what was passed, and the rows that reach it."""

    model: Any  # whatever has transform
    X: Table  # as the last step takes them
    names: list[str]  # of their columns
    units: str  # how to call the units of these columns


def fitted_model(estimator: Any, display: str) -> Any:
    """Return the model behind searches and pipelines, fitted.

    Parameters
    ----------
    estimator : object
        Estimator, Pipeline, or a search that holds one.
    display : str
        Who asks, for the messages.

    Returns
    -------
    model : object

    Raises
    ------
    TypeError
        If it is a class, or ends in nothing.
    NotFittedError
        If it was not fitted.
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"{display} needs a fitted estimator; got the class {estimator.__name__}. Make one and fit it."
        )
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return fitted_model(estimator.best_estimator_, display)
    if isinstance(estimator, Pipeline):
        last = estimator.steps[-1][1]
        if last is None or isinstance(last, str):
            raise TypeError(f"{display} needs a Pipeline that ends in a reducer; the last step is {last!r}.")
        return fitted_model(last, display)
    return estimator


def reach(estimator: Any, X: ArrayLike | Table, display: str, most: int | None = None) -> Reached:
    """Return the model behind searches and pipelines, and rows as they reach it.

    Parameters
    ----------
    estimator : object
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows in the units that the whole of it takes.
    display : str
        Who asks, for the messages.
    most : int, optional
        How many rows to keep, drawn at random, the same ones every time.

    Returns
    -------
    reached : Reached

    Raises
    ------
    TypeError
        If the model cannot transform.
    """
    model = fitted_model(estimator, display)
    if not hasattr(model, "transform"):
        raise TypeError(
            f"{display} needs an estimator with transform; got {type(model).__name__}, which has none. Pass "
            "an autoencoder, PCA, or a Pipeline that ends in one."
        )
    rows = as_rows(X)
    if most is not None:
        rows = take(rows, drawn(n_rows(rows), most))
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    steps = []
    names = _names_of(rows, model)
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        before = estimator[:-1]
        steps = [step for _, step in estimator.steps[:-1] if step is not None and not isinstance(step, str)]
        rows = before.transform(rows)
        names = _names_after(before, rows) or (
            names if len(names) == _n_columns(rows) else _names_of(rows, None)
        )
    units = f"units behind {type(steps[-1]).__name__}" if steps else "units of X"
    return Reached(model, rows, names, units)


def _n_columns(X: Table) -> int:
    return math.prod(X.shape[1:])


def _names_of(X: Table, model: object) -> list[str]:
    names = names_of(X)
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    if names is None or len(names) != _n_columns(X):
        return numbered("column", _n_columns(X))
    return [name if isinstance(name, str) else f"column {name}" for name in names]


def _names_after(before: Any, X: Table) -> list[str] | None:
    """Return the names that earlier steps give to their columns, where they know them."""
    found = names_of(X)
    if found is not None:
        return [str(name) for name in found]
    if not hasattr(before[0], "feature_names_in_"):
        # Made-up names would say less than numbers of columns.
        return None
    try:
        names = [str(name) for name in before.get_feature_names_out()]
    except (AttributeError, ValueError):
        return None
    return names if len(names) == _n_columns(X) else None


def numbered(what: str, n: int) -> list[str]:
    """Return names that are numbers, such as ``"column 0"``."""
    return [f"{what} {number}" for number in range(n)]


def component_names(model: Any, n_components: int) -> list[str]:
    """Return the names of components: those of the estimator, unless they only repeat its class."""
    default = [f"{type(model).__name__.lower()}{number}" for number in range(n_components)]
    try:
        names = [str(name) for name in model.get_feature_names_out()]
    except (AttributeError, ValueError, TypeError):
        names = default
    if names == default or len(names) != n_components:
        return numbered("component", n_components)
    return names


def n_rows(X: Table) -> int:
    """Return the number of rows of a table, sparse or not."""
    return int(X.shape[0])


def drawn(n: int, most: int, random: np.random.RandomState | None = None) -> np.ndarray:
    """Return positions of rows, in order: all, or as many as wanted, drawn at random."""
    if n <= most:
        return np.arange(n)
    random = np.random.RandomState(_SEED) if random is None else random
    return np.sort(random.choice(n, most, replace=False))


def spread_out(n: int, most: int) -> np.ndarray:
    """Return positions of rows at equal distances, so that sorted tables are seen as a whole."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def chosen(n: int, rows: int | ArrayLike | None, most: int) -> np.ndarray:
    """Return positions of rows that were asked for: a number of them, a list, or None for `most`."""
    if rows is None:
        return spread_out(n, most)
    if is_integer(rows):
        return spread_out(n, check_count(rows, "rows", beside=", or a list of positions"))
    given = np.atleast_1d(np.asarray(rows))
    wanted = np.flatnonzero(given) if given.dtype == bool and len(given) == n else given
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or len(wanted) == 0:
        raise ValueError(f"rows must be a number of rows or a list of positions; got {rows!r}.")
    if wanted.min() < -n or wanted.max() >= n:
        raise ValueError(f"rows must be positions from 0 to {n - 1}; got {wanted.min()} to {wanted.max()}.")
    return wanted % n


def labels_of(X: object) -> Index | None:
    """Return the index of a DataFrame of pandas, else None: that of lists and tensors is something else."""
    return X.index if is_pandas(X) else None


def like(found: np.ndarray, X: Any) -> Table:
    """Return numbers in the library and the precision of rows, where they are not of numpy."""
    is_single = is_foreign(X) and str(X.dtype).endswith("float32")
    return as_passed(found.astype(np.float32) if is_single else found, X)


def as_values(y: object) -> np.ndarray:
    """Return a value for each row as an array: numbers as they are, anything else as objects."""
    if isinstance(y, (list, tuple)):
        return np.asarray(y)
    y = readable(y)
    return values_of(y) if hasattr(y, "iloc") and hasattr(y, "dtype") else np.asarray(y)


def codes(model: Transformer, X: Table) -> np.ndarray:
    """Return codes as a dense table (n_samples, n_components) of float64."""
    found = readable(model.transform(X))
    found = found.toarray() if issparse(found) else np.asarray(found)
    return found.astype(np.float64).reshape(len(found), -1)


def reconstruct(model: Any, X: Table, display: str) -> Table:
    """Return the reconstructions of rows, in the container of the model."""
    if hasattr(model, "reconstruct"):
        return model.reconstruct(X)
    return decoder(model, display)(model.transform(X))


def decoder(model: Any, display: str) -> Callable[[Table], Table]:
    """Return the method that turns codes back into rows."""
    if not hasattr(model, "inverse_transform"):
        raise TypeError(
            f"{display} needs an estimator with inverse_transform; got {type(model).__name__}, which has "
            "none. Pass an autoencoder, PCA, or a Pipeline that ends in one."
        )
    return model.inverse_transform


def tables(*given: object) -> tuple[list[np.ndarray], np.ndarray]:
    """Return tables with the same columns as numbers, and which columns were numbers.

    Parameters
    ----------
    *given : array-like of shape (n_samples, n_features)
        Tables; DataFrames, sparse ones and ones of text among them. What has more than two dimensions is
        flattened row by row.

    Returns
    -------
    tables : list of ndarray of shape (n_samples, n_features)
        In float64, NaN where a cell is missing. Text stands as its position among the sorted values.
    is_number : ndarray of bool of shape (n_features,)
    """
    dense = [_dense(table) for table in given]
    if all(isinstance(table, np.ndarray) and table.dtype.kind in "biuf" for table in dense):
        return [table.astype(np.float64) for table in dense], np.ones(dense[0].shape[1], dtype=bool)
    n_columns = dense[0].shape[1]
    found = [np.empty(table.shape) for table in dense]
    is_numeric = np.ones(n_columns, dtype=bool)
    for j in range(n_columns):
        columns = [_values(table, j) for table in dense]
        is_numeric[j] = not any(_is_text(column) for column in columns)
        columns = [as_numbers(column) for column in columns] if is_numeric[j] else _positions(columns)
        for table, column in zip(found, columns, strict=True):
            table[:, j] = column
    return found, is_numeric


def _dense(table: Any) -> Any:
    """Return a DataFrame of pandas as it is, and anything else as an array with two dimensions."""
    table = dense_columns(readable(table))
    if hasattr(table, "iloc"):
        kinds = [is_number(dtype) for dtype in table.dtypes]
        return table if not all(kinds) else np.column_stack([_values(table, j) for j in range(len(kinds))])
    table = table.toarray() if issparse(table) else np.asarray(table)
    return table.reshape(len(table), -1)


def _values(table: Table, j: int) -> np.ndarray:
    return values_of(take_column(table, j))


def _is_text(column: np.ndarray) -> bool:
    """Whether a column holds anything but numbers; numerals in quotes are text."""
    if column.dtype.kind in "biuf":
        return False
    return any(not isinstance(value, Number) and not is_missing(value) for value in column)


def _positions(columns: list[np.ndarray]) -> list[np.ndarray]:
    """Return each value's position among the sorted values of all columns, NaN where it is missing."""
    texts = [np.array([None if is_missing(value) else str(value) for value in column]) for column in columns]
    levels = sorted({text for column in texts for text in column if text is not None})
    known = {level: position for position, level in enumerate(levels)}
    return [np.array([np.nan if text is None else known[text] for text in column]) for column in texts]


def deviations(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each column over its observed cells; 0 where none is."""
    there = ~np.isnan(table)
    n_there = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, table, 0.0).sum(axis=0) / n_there
    squares = np.where(there, table - means, 0.0) ** 2
    spread = np.sqrt(squares.sum(axis=0) / n_there)
    # What is left of a constant column is rounding.
    return means, np.where(spread > 1e-12 * np.maximum(np.abs(means), 1e-300), spread, 0.0)


def loadings(model: object, X: Table, spread: np.ndarray) -> np.ndarray | None:
    """Return what `components_` says of a model that says how linear its codes are.

    Parameters
    ----------
    model : object
    X : array-like of shape (n_samples, n_features)
        Rows as they reach it.
    spread : ndarray of shape (n_components,)
        Standard deviations of their codes.

    Returns
    -------
    slopes : ndarray of shape (n_components, n_features) or None
        In deviations of the code by one of the column; 0 where either is constant. None where there is
        nothing of the kind, or not by these columns.
    """
    components = getattr(model, "components_", None)
    if (
        components is None
        or getattr(model, "linearity_", None) is None
        or getattr(model, "scaling", None) == "quantile"
    ):
        return None
    (table,), is_number = tables(X)
    if not is_number.all() or components.shape[1] != table.shape[1]:
        return None
    found = components * deviations(table)[1]
    return np.where(spread > 0, 1.0, 0.0)[:, None] * found / np.where(spread > 0, spread, 1.0)[:, None]


def as_percent(share: float) -> str:
    """Write a share in percent: whole ones, but never 100 for what is less than all."""
    return "100 %" if share == 1 else f"{min(99, round(100 * float(share)))} %"


def in_deviations(table: np.ndarray, means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return a table in standard deviations of its columns; constant ones are only centred."""
    return (table - means) / np.where(spread > 0, spread, 1.0)


def check_component(component: object, n_components: int) -> int:
    """Check the number of a component."""
    return check_count(component, "component", 0, n_components - 1)


def kind_of_rows(X: Table, model: object, image_shape: Sequence[int] | None) -> str:
    """Return what rows are: "images", "sequences" or "table"."""
    kind = _architecture(model).row_kind
    return "images" if kind == "table" and (image_shape is not None or len(X.shape) > 2) else kind


def _architecture(model: object) -> Architecture:
    """Return the architecture of a model, which may be of any kind; one that says nothing if it has none."""
    return architecture_in(getattr(model, "network", None)) or Architecture()


def images(rows: Any, model: object, image_shape: Sequence[int] | None) -> np.ndarray:
    """Return rows as images (n, height, width) or (n, height, width, 3).

    Parameters
    ----------
    rows : array-like
        Flat rows, or arrays of images: (n, height, width), or (n, channels, height, width).
    model : object
        May know the shape by its network.
    image_shape : tuple of int, optional
        ``(height, width)`` or ``(height, width, channels)``, for flat rows.

    Returns
    -------
    pictures : ndarray
        One channel of its own if there are neither one nor three.

    Raises
    ------
    ValueError
        If the shape does not fit, or is not known.
    """
    rows = readable(rows)
    rows = np.asarray(rows.toarray() if issparse(rows) else rows, dtype=np.float64)
    if rows.ndim == 4:
        # Channels come first in torch, and last where they are few and last.
        pictures = rows if rows.shape[-1] in (1, 3) and rows.shape[1] not in (1, 3) else _channels_last(rows)
    elif rows.ndim == 3:
        pictures = rows
    else:
        shape = image_shape if image_shape is not None else _known_shape(model, rows.shape[1])
        if shape is None:
            raise ValueError("Rows are flat, so that images need image_shape=(height, width).")
        shape = tuple(int(side) for side in shape)
        if len(shape) not in (2, 3) or math.prod(shape) != rows.shape[1]:
            raise ValueError(
                f"image_shape={shape} holds {math.prod(shape)} values, but rows have {rows.shape[1]}: it "
                "must be (height, width) or (height, width, channels)."
            )
        pictures = rows.reshape(len(rows), *shape)
    if pictures.ndim == 4 and pictures.shape[-1] != 3:
        return pictures[..., 0] if pictures.shape[-1] == 1 else pictures.mean(axis=-1)
    return pictures


def _channels_last(rows: np.ndarray) -> np.ndarray:
    return np.moveaxis(rows, 1, -1)


def _known_shape(model: object, n_columns: int) -> tuple[int, ...] | None:
    architecture = _architecture(model)
    return architecture.row_shape(n_columns) if architecture.row_kind == "images" else None


def sequences(rows: object, model: object) -> np.ndarray:
    """Return sequences (n, steps, values of a step) of rows that are flat or have this shape already."""
    rows = np.asarray(readable(rows), dtype=np.float64)
    if rows.ndim > 2:
        return rows
    architecture, n_columns = _architecture(model), rows.shape[1]
    n_steps = architecture.row_shape(n_columns)[0] if architecture.row_kind == "sequences" else n_columns
    return rows.reshape(len(rows), n_steps, -1)
