"""What the dtype of a column can hold, and how values that were computed are put back into it.

Knows dtypes of numpy, and those of pandas and Arrow by their attributes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import Index


def is_whole(dtype: object) -> bool:
    """Whether a dtype is of whole numbers."""
    return getattr(dtype, "kind", None) in ("i", "u")


def within(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return finite floats as another dtype, rounded and clipped to what it can hold.

    Parameters
    ----------
    values : ndarray of float
        Finite.
    dtype : dtype
        Of floats, integers or truth values, which are true from a half on.

    Returns
    -------
    values : ndarray of `dtype`
    """
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return np.clip(values, limits.min, limits.max).astype(dtype)
    limits = np.iinfo(dtype)
    whole = np.maximum(np.round(values), float(limits.min))
    # The largest whole number of 64 bits is none of the floats: the one next to it lies outside.
    above = whole >= float(limits.max)
    found = np.where(above, 0.0, whole).astype(dtype)
    found[above] = limits.max
    return found


def cast_back(values: np.ndarray, dtype: Any) -> Any:
    """Return values as a Series of the dtype of their column.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Floats, or values of the dtype as objects; None where nothing is known.
    dtype : dtype
        Of numpy, pandas or Arrow. Numbers are rounded and clipped to its range; where it is of categories
        that are numbers, they become the nearest one.

    Returns
    -------
    column : Series of `dtype`
    """
    import pandas

    is_float = values.dtype.kind == "f"
    if hasattr(dtype, "categories"):
        values = _nearest(values, dtype.categories) if is_float else values
        return pandas.Series(pandas.Categorical(values, dtype=dtype))
    if is_float and getattr(dtype, "kind", "O") in "biuf":
        plain = getattr(dtype, "subtype", getattr(dtype, "numpy_dtype", dtype))
        return pandas.Series(within(values, np.dtype(plain))).astype(dtype)
    if is_float and hasattr(dtype, "pyarrow_dtype") and hasattr(dtype.pyarrow_dtype, "scale"):
        values = _decimals(values, dtype.pyarrow_dtype.precision, dtype.pyarrow_dtype.scale)
    if values.dtype == object:
        # Not by way of a Series of objects: pandas would make text of Arrow of them, which not all text is.
        return pandas.Series(values.tolist(), dtype=dtype)
    return pandas.Series(values).astype(dtype)


def _nearest(values: np.ndarray, categories: Index) -> np.ndarray:
    """Return the category next to each value, for categories that are numbers, as objects."""
    levels = np.asarray(categories, dtype=object)
    numbers = levels.astype(np.float64)
    order = np.argsort(numbers)
    between = (numbers[order][1:] + numbers[order][:-1]) / 2
    return levels[order][np.searchsorted(between, values)]


def _decimals(values: np.ndarray, precision: int, scale: int) -> np.ndarray:
    """Return decimals of `scale` places, of at most `precision` digits."""
    most = Decimal(f"{'9' * precision}E{-scale}")
    found = np.empty(len(values), dtype=object)
    found[:] = [max(-most, min(most, Decimal(f"{value:.{max(scale, 0)}f}"))) for value in values]
    return found
