"""What is computed of each partition of a dask collection, when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skae._containers import is_pandas
from skae._typing import Dense
from skae.dask._distributed import Array, Frame, Lazy, Table, arrays, delayed, frames
from skae.dask.partitions import Part, make_part
from skae.data.blockwise import share_explained, sums_of_squares
from skae.estimators import BaseAutoencoder

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def is_collection(X: object) -> TypeIs[Table]:
    """Whether rows are an array or a DataFrame of dask."""
    return is_array(X) or isinstance(X, frames.DataFrame)


def is_array(X: object) -> TypeIs[Array]:
    """Whether X is an array of dask."""
    return isinstance(X, arrays.Array)


def is_frame(X: object) -> TypeIs[Frame]:
    """Whether X is a DataFrame of dask."""
    return isinstance(X, frames.DataFrame)


def is_column(X: object) -> TypeIs[Table]:
    """Whether X is an array of dask, or a column of a DataFrame of dask."""
    return is_array(X) or isinstance(X, frames.Series)


def whole_rows(X: Array) -> Array:
    """Return an array each chunk of which holds whole rows."""
    if any(n > 1 for n in X.numblocks[1:]):
        return X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    return X


def delayed_parts(X: Table, sample_weight: object = None) -> list[Lazy[Part]]:
    """Return the partitions of a collection, and of weights beside them, as `Part`s to be computed.

    Raises
    ------
    TypeError
        If weights are no collection of dask.
    ValueError
        If they have another number of partitions.
    """
    tables = np.ravel((whole_rows(X) if is_array(X) else X).to_delayed())
    part = delayed(make_part)
    if sample_weight is None:
        return [part(table) for table in tables]
    if not is_column(sample_weight):
        raise TypeError(
            f"sample_weight is a {type(sample_weight).__name__}; rows of dask need weights of dask, an array "
            "or a column with the partitions of X."
        )
    weights = np.ravel(sample_weight.to_delayed())
    if len(weights) != len(tables):
        raise ValueError(
            f"sample_weight has {len(weights)} partitions, X has {len(tables)}. Partition both alike, e.g. "
            "by rechunk or repartition."
        )
    return [part(table, weight) for table, weight in zip(tables, weights, strict=True)]


# ---------------------------------------------------------------------- results by partition


def transformed(estimator: BaseAutoencoder, X: Table) -> Table:
    """Return codes of rows: an array of an array, a DataFrame with the index of X of a DataFrame."""
    names = [str(name) for name in estimator.get_feature_names_out()]
    if is_array(X):
        tried = estimator.transform(np.zeros((1, *X.shape[1:]), dtype=X.dtype))
        return _of_array(estimator, "transform", whole_rows(X), tried)
    if is_frame(X):
        return _of_frame(estimator, "transform", X, estimator.transform(_row_like(estimator, X)), names)
    raise TypeError(f"X is a {type(X).__name__}, no array or DataFrame of dask.")


def given_back(estimator: BaseAutoencoder, Z: Table) -> Table:
    """Return rows of codes: as `inverse_transform` does, an array of an array for columns of numbers."""
    if is_array(Z):
        tried = estimator.inverse_transform(np.zeros((1, *Z.shape[1:]), dtype=Z.dtype))
        return _of_array(estimator, "inverse_transform", whole_rows(Z), tried)
    if is_frame(Z):
        code = np.zeros((1, len(Z.columns)), dtype=np.result_type(*Z.dtypes))
        tried = estimator.inverse_transform(code)
        # What `feature_names_in_` holds, where there are names.
        names = estimator._columns.names_of(np.arange(tried.shape[1])) if not is_pandas(tried) else []
        return _of_frame(estimator, "inverse_transform", Z, tried, names)
    raise TypeError(f"X is a {type(Z).__name__}, no array or DataFrame of dask.")


def scored(estimator: BaseAutoencoder, X: Table, sample_weight: object) -> float:
    """Return what `score` does; partitions are added up where they lie."""
    inside, sums_of = delayed(_identity)(estimator), delayed(_sums)
    sums = [sums_of(inside, part) for part in delayed_parts(X, sample_weight)]
    missed, total = delayed(_added)(sums).compute()
    return share_explained(missed, total)


def _identity(estimator: BaseAutoencoder) -> BaseAutoencoder:
    """Return it: a task, so that it is sent once and not with each partition."""
    return estimator


def _of_array(estimator: BaseAutoencoder, method: str, X: Array, tried: Dense) -> Table:
    """Apply a method to each chunk; `tried` is what it gave for one row."""
    held = delayed(_identity)(estimator)
    if not is_pandas(tried):
        shape, dtype = tried.shape[1:], tried.dtype
        return X.map_blocks(
            _array_of,
            held,
            method,
            dtype,
            shape,
            dtype=dtype,
            chunks=(X.chunks[0], *((size,) for size in shape)),
            drop_axis=list(range(1, X.ndim)),
            new_axis=list(range(1, tried.ndim)),
            meta=np.empty((0,) * tried.ndim, dtype=dtype),
        )
    meta, frame_of = tried.iloc[:0], delayed(_frame_of)
    tables = [frame_of(block, held, method, meta) for block in np.ravel(X.to_delayed())]
    found: Table = frames.from_delayed(tables, meta=meta, verify_meta=False)
    return found


def _of_frame(
    estimator: BaseAutoencoder, method: str, X: Frame, tried: Dense, names: Sequence[object]
) -> Table:
    """Apply a method to each partition; `tried` is what it gave for one row."""
    meta = tried if is_pandas(tried) else pd.DataFrame(np.asarray(tried), columns=list(names))
    meta = meta.iloc[:0].set_axis(X._meta.index, axis=0)
    return X.map_partitions(_frame_of, delayed(_identity)(estimator), method, meta, meta=meta)


def _applied(estimator: BaseAutoencoder, method: str, rows: Dense) -> Dense:
    return estimator.transform(rows) if method == "transform" else estimator.inverse_transform(rows)


def _array_of(
    block: np.ndarray, estimator: BaseAutoencoder, method: str, dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
    if not len(block):
        return np.empty((0, *shape), dtype=dtype)
    return np.asarray(_applied(estimator, method, block), dtype=dtype)


def _frame_of(table: Dense, estimator: BaseAutoencoder, method: str, meta: pd.DataFrame) -> pd.DataFrame:
    if not len(table):
        return meta.copy()
    # Names of codes mean nothing to the estimator.
    rows = table.to_numpy() if is_pandas(table) and method == "inverse_transform" else table
    found = _applied(estimator, method, rows)
    frame = found if is_pandas(found) else pd.DataFrame(np.asarray(found), columns=meta.columns)
    return frame.set_axis(table.index, axis=0) if is_pandas(table) else frame


def _row_like(estimator: BaseAutoencoder, X: Frame) -> Dense:
    """Return one row with the columns of X, to see what is computed of it."""
    back = estimator.inverse_transform(np.zeros((1, len(estimator.get_feature_names_out()))))
    if is_pandas(back):
        return back
    return pd.DataFrame(np.zeros((1, len(X.columns))), columns=X.columns).astype(X.dtypes.to_dict())


def _sums(estimator: BaseAutoencoder, part: Part) -> tuple[float, float]:
    if not len(part.table):
        return 0.0, 0.0
    return sums_of_squares(estimator._inside, [part.table], part.weight)


def _added(sums: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(missed for missed, _ in sums), sum(total for _, total in sums)
