"""Cells and columns of tables as users have them: DataFrames, and arrays of numbers or of anything."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from skae._containers import is_pandas, readable, take_column
from skae._typing import Column, Dense
from skae.tables.dtypes import cast_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame, Series

# numpy counts durations among its integers.
_MOMENTS = (np.datetime64, np.timedelta64)


def is_missing(value: object) -> bool:
    """Whether a value stands for nothing: None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, _MOMENTS) and bool(np.isnat(value))


def is_real(kind: type) -> bool:
    """Whether a type is of numbers or truth values, no dates among them."""
    return issubclass(kind, (Real, Decimal, bool, np.bool_)) and not issubclass(kind, _MOMENTS)


def as_dense(X: Any) -> Dense | None:
    """Return a table whose cells can be filled: a DataFrame of pandas or an array; None for a sparse one."""
    X = readable(X)
    if issparse(X):
        return None
    if hasattr(X, "iloc"):
        return X
    X = np.asarray(X)
    is_text = X.dtype.kind in "US" or (
        X.dtype == object and any(isinstance(value, str) for value in X.ravel())
    )
    return X if is_text or X.dtype in (np.float32, np.float64) else as_numbers(X.ravel()).reshape(X.shape)


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Return numbers as float64, NaN where something is missing.

    Raises
    ------
    TypeError, ValueError
        If there is anything that is no number: a date, say, for which numpy has one.
    """
    if values.dtype.names is not None:
        raise TypeError(
            f"A record of the fields {', '.join(values.dtype.names)} is no number. Pass a table, "
            "a column for each field, such as pandas.DataFrame(X)."
        )
    if values.dtype != object:
        return values.astype(np.float64)
    values = np.array([np.nan if is_missing(value) else value for value in values.tolist()], dtype=object)
    odd = [kind for kind in set(map(type, values)) if not (is_real(kind) or issubclass(kind, str))]
    if odd:
        raise TypeError(f"{odd[0].__name__} is no number")
    try:
        return values.astype(np.float64)
    except OverflowError as error:
        raise ValueError("a whole number is too large for float64") from error


def values_of(column: Any) -> np.ndarray:
    """Return the values of a column as an array: numbers as they are, anything else as objects."""
    dtype = column.dtype
    if is_plain(dtype):
        return np.asarray(column)
    if is_number(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(column, dtype=object)


def missing_cells(table: Dense) -> np.ndarray:
    """Return which cells of a DataFrame or array are missing."""
    if is_pandas(table):
        missing = table.isna().to_numpy()
        for j, dtype in enumerate(table.dtypes):
            if not isinstance(dtype, np.dtype) and is_number(dtype):
                # Columns of pandas and Arrow tell NaN, as divisions leave it, from what is missing.
                missing[:, j] |= np.isnan(values_of(take_column(table, j)))
        return missing
    if table.dtype.kind in "biuUS":
        return np.zeros(table.shape, dtype=bool)
    if table.dtype == object:
        return np.array([is_missing(value) for value in table.ravel().tolist()], bool).reshape(table.shape)
    return np.isnan(table)


def with_gaps(table: Dense, value: object) -> Dense:
    """Return a table in which cells that hold a value are missing, in columns that can hold what is missing.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n_samples, n_features)
        Left as it is. Arrays of text become arrays of objects, whole numbers of a DataFrame nullable ones.
    value : object
        What stands for a missing cell, beside what always does.

    Returns
    -------
    table : DataFrame or ndarray of shape (n_samples, n_features)
    """
    if not is_pandas(table):
        table = table.astype(object) if table.dtype.kind in "UST" else table.copy()
        if not is_missing(value):
            table[_equal(table, value)] = np.nan
        return table
    columns = [take_column(table, j) for j in range(table.shape[1])]
    if is_missing(value):
        return table
    for j, column in enumerate(columns):
        marked = _equal(np.asarray(column) if is_plain(column.dtype) else np.asarray(column, object), value)
        if marked.any():
            columns[j] = _nullable(column).mask(marked)
    return joined(columns, table)


def _equal(values: np.ndarray, value: Any) -> np.ndarray:
    """Return which of several values equal one, of whatever type."""
    if values.dtype == object:
        found = (not is_missing(one) and bool(one == value) for one in values.ravel().tolist())
        return np.fromiter(found, bool, values.size).reshape(values.shape)
    if not is_real(type(value)):
        return np.zeros(values.shape, dtype=bool)
    try:
        return np.asarray(values == float(value))
    except OverflowError:  # larger than any float
        return np.zeros(values.shape, dtype=bool)


def _nullable(column: Series) -> Series:
    """Return a column of whole numbers or truth values in a dtype that may miss some; others as they are."""
    dtype = column.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biu":
        return column
    return column.astype(
        "boolean" if dtype.kind == "b" else dtype.name.replace("int", "Int").replace("u", "U")
    )


def joined(columns: Iterable[Column], like: DataFrame, names: Sequence[str] | np.ndarray = ()) -> DataFrame:
    """Return a DataFrame of columns with the labels of another one, and names for those it has not.

    Names are padded with empty text to as many levels as the labels have.
    """
    import pandas

    labels = like.columns
    if len(names) and labels.nlevels > 1:
        rest = [""] * (labels.nlevels - 1)
        added = pandas.MultiIndex.from_tuples([(name, *rest) for name in names], names=labels.names)
        labels = labels.append(added)
    elif len(names):
        labels = labels.append(pandas.Index(names, name=labels.name))
    # At once, since hundreds that are put in one by one take long.
    return pandas.DataFrame(dict(enumerate(columns)), index=like.index).set_axis(labels, axis=1)


def with_index_of(rows: Any, back: Any) -> Any:
    """Return a new DataFrame with the index of the rows it comes from, anything else as it is."""
    return back.set_axis(rows.index) if hasattr(back, "iloc") and hasattr(rows, "iloc") else back


def fill(table: Dense, decoded: Dense) -> Dense:
    """Return a table whose missing cells are taken from another one, in the dtypes of the table.

    Parameters
    ----------
    table : DataFrame or ndarray of shape (n_samples, n_features)
        Left as it is.
    decoded : DataFrame or ndarray of shape (n_samples, n_features)
        Rows without gaps, in the dtypes of training.

    Returns
    -------
    filled : DataFrame or ndarray of shape (n_samples, n_features)
        A DataFrame where both are.
    """
    missing = missing_cells(table)
    if not is_pandas(table):
        decoded = decoded.to_numpy() if is_pandas(decoded) else decoded
        # What is no number does not go into an array of numbers, even if that misses everything.
        dtype = table.dtype if decoded.dtype != object else object
        return np.where(missing, decoded, table).astype(dtype, copy=False)
    if not is_pandas(decoded):
        return np.where(missing, decoded, table.to_numpy(dtype=decoded.dtype, na_value=np.nan))
    columns = [
        _filled(take_column(table, j), take_column(decoded, j), missing[:, j])
        if missing[:, j].any()
        else take_column(table, j)
        for j in range(table.shape[1])
    ]
    return joined(columns, table)


def _filled(column: Any, decoded: Any, missing: np.ndarray) -> Series:
    """Return a column whose missing cells come from another one, in its own dtype if they fit."""
    dtype = column.dtype
    if hasattr(dtype, "fill_value"):
        # Sparse columns cannot be written to.
        return _filled(column.sparse.to_dense(), decoded, missing).astype(dtype)
    values = decoded[missing]
    if hasattr(dtype, "categories"):
        found = values.dropna().unique()
        column = column.cat.add_categories([one for one in found if one not in dtype.categories])
    elif is_number(dtype) and is_number(values.dtype):
        if dtype != values.dtype:
            values = cast_back(values_of(values).astype(np.float64), dtype)
    elif dtype.kind != "O" and not (is_text(dtype) and all(isinstance(one, str) for one in values)):
        if missing.all():
            # A dtype of nothing but gaps, as of floats that are NaN.
            return decoded.set_axis(column.index)
        column = column.astype(object)
    column = column.copy()
    column[missing] = values.array if is_number(values.dtype) else np.asarray(values, dtype=object)
    return column


def is_text(dtype: object) -> bool:
    """Whether a column of a DataFrame has a dtype for text alone."""
    return getattr(dtype, "kind", None) == "U" or issubclass(getattr(dtype, "type", object), str)


def is_plain(dtype: object) -> bool:
    """Whether a dtype is one of numpy's of numbers."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def is_number(dtype: object) -> bool:
    """Whether a column of a DataFrame holds numbers or booleans."""
    kind = getattr(dtype, "kind", None)
    return kind in "biuf" if kind is not None and not hasattr(dtype, "categories") else False
