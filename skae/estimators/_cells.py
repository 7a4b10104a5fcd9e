"""Cells and columns of tables as users have them: DataFrames, and arrays of numbers or of anything."""

from typing import Any

import numpy as np

from skae._extras import import_extra


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for nothing: None, NaN, NaT or pandas' NA."""
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))
    )


def column_of(X: Any, j: int) -> Any:
    """Give one column of a DataFrame or array."""
    return X.iloc[:, j] if hasattr(X, "iloc") else X[:, j]


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Give numbers as float64, NaN where something is missing."""
    if values.dtype == object:
        values = np.array([np.nan if is_missing(value) else value for value in values], dtype=object)
    return values.astype(np.float64)


def values_of(column: Any) -> np.ndarray:
    """Give the values of a column as an array: numbers as they are, anything else as objects."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return np.asarray(column)
    if is_number(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(column, dtype=object)


def missing_cells(table: Any) -> np.ndarray:
    """Tell which cells of a DataFrame or array are missing."""
    if hasattr(table, "iloc"):
        return table.isna().to_numpy()
    if table.dtype.kind in "US":
        return np.zeros(table.shape, dtype=bool)
    if table.dtype == object:
        return np.array([[is_missing(value) for value in row] for row in table])
    return np.isnan(table)


def fill(table: Any, decoded: Any) -> Any:
    """Give a table whose missing cells are taken from another one."""
    missing = missing_cells(table)
    if not hasattr(table, "iloc"):
        decoded = decoded.to_numpy() if hasattr(decoded, "iloc") else decoded
        return np.where(missing, decoded, table).astype(table.dtype, copy=False)
    if not hasattr(decoded, "iloc"):
        return np.where(missing, decoded, table.to_numpy(dtype=decoded.dtype))
    filled = table.copy()
    for j, name in enumerate(table.columns):
        if missing[:, j].any():
            column = column_of(table, j).copy()
            column[missing[:, j]] = column_of(decoded, j).to_numpy()[missing[:, j]]
            filled[name] = column
    return filled


def is_number(dtype: Any) -> bool:
    """Tell whether a column of a DataFrame holds numbers, truth values among them."""
    kind = getattr(dtype, "kind", None)
    return kind in "biuf" if kind is not None and not hasattr(dtype, "categories") else False


def as_frame(X: Any) -> Any:
    """Give a DataFrame of pandas for one of polars that holds more than numbers; anything else as it is."""
    if not (hasattr(X, "get_column") and hasattr(X, "dtypes")) or hasattr(X, "iloc"):
        return X
    if all(dtype.is_numeric() or str(dtype) == "Boolean" for dtype in X.dtypes):
        return X
    pandas = import_extra("pandas", "pandas", "A DataFrame of polars with text")
    return pandas.DataFrame({name: X.get_column(name).to_list() for name in X.columns})
