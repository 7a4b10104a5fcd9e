"""Checks of numbers: how many rows, components and units there may be, and how large values are."""

from collections.abc import Iterable
from numbers import Integral
from typing import TypeGuard

import numpy as np

# Of a network. Training holds each four times (gradient and two moments): 16 GB in float32.
MOST_WEIGHTS = 10**9
# Of a layer: what a batch of 1,024 rows makes of them then takes 4 GB.
MOST_UNITS = 10**6
# Squares of larger values, summed over a table, may overflow float64.
LARGEST_VALUE = 1e100
# Sums of weights between these, and of their products with squares, stay within float32.
_LARGEST_WEIGHT, _SMALLEST_WEIGHT = 1e12, 1e-12
# A row that weighs less than this share of another one changes nothing.
_LEAST_SHARE = 1e-30
# Of a table that is drawn: 80 GB in float64.
MOST_CELLS = 10**10


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_count(value: object, name: str, least: int = 1, most: int | None = None, beside: str = "") -> int:
    """Check that a value is a whole number in a range.

    Parameters
    ----------
    value : object
        What the user passed.
    name : str
        Name of the argument.
    least : int, default=1
        The smallest number.
    most : int, optional
        The largest one.
    beside : str, default=""
        What else the argument may be, for the sentence.

    Returns
    -------
    value : int

    Raises
    ------
    ValueError
        If it is a bool, a float, text or anything else, or lies outside.
    """
    if is_integer(value) and least <= value and (most is None or value <= most):
        return int(value)
    # An upper end of ten digits is only said to whom it concerns.
    is_above = is_integer(value) and value > least
    wanted = (
        f"of at least {least}"
        if most is None or (most > MOST_UNITS and not is_above)
        else f"in {least} to {most}"
    )
    raise ValueError(f"{name} must be a whole number {wanted}{beside}; got {value!r}.")


def check_draws(value: object, name: str, n_cells: int) -> int:
    """Check how many rows or tables are to be drawn, before memory is taken for them.

    Parameters
    ----------
    value : object
        What the user passed.
    name : str
        Name of the argument.
    n_cells : int
        Cells of each of them.

    Returns
    -------
    value : int

    Raises
    ------
    ValueError
        If it is no whole number of at least 1, or there would be more than 10,000,000,000 cells.
    """
    return check_count(value, name, most=max(1, MOST_CELLS // max(n_cells, 1)))


def check_sizes(sizes: object, name: str) -> tuple[int, ...]:
    """Check the numbers of units of layers.

    Parameters
    ----------
    sizes : iterable of int
        What the user passed; there may be none.
    name : str
        Name of the parameter.

    Returns
    -------
    sizes : tuple of int

    Raises
    ------
    ValueError
        If they are no whole numbers between 1 and 1,000,000.
    """
    listed = tuple(sizes) if isinstance(sizes, Iterable) and not isinstance(sizes, (str, bytes)) else None
    if listed is None or not all(is_integer(size) and 1 <= size <= MOST_UNITS for size in listed):
        raise ValueError(
            f"{name} must hold whole numbers of at least 1 and at most {MOST_UNITS:,}, one a layer; "
            f"got {sizes!r}."
        )
    return tuple(int(size) for size in listed)


def check_weights_fit(n_weights: int) -> None:
    """Refuse networks that no memory would hold, before any of it is taken.

    Parameters
    ----------
    n_weights : int
        Number of weights of the network.

    Raises
    ------
    ValueError
        If there are more than 1,000,000,000.
    """
    if n_weights > MOST_WEIGHTS:
        raise ValueError(
            f"A network of these sizes has {n_weights:.3g} weights, which take {16e-9 * n_weights:.3g} GB of "
            f"memory in training; more than {MOST_WEIGHTS:,} are refused. Lower n_components or the sizes of "
            "the layers (hidden_layer_sizes, channels or hidden_size)."
        )


def check_moderate(X: np.ndarray) -> None:
    """Refuse tables of values whose squares would overflow.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Floats; NaN are left out.

    Raises
    ------
    ValueError
        If a value is infinite or lies beyond 1e100.
    """
    # Of both ends, since absolute values would be a table of their own.
    largest = max(float(np.nanmax(X, initial=0.0)), -float(np.nanmin(X, initial=0.0)))
    if np.isinf(largest):
        raise ValueError(
            "X contains infinity. Drop these rows, or put NaN in its place: missing values are taken as they "
            "are."
        )
    if largest > LARGEST_VALUE:
        raise ValueError(
            f"X holds values up to {largest:.3g}; beyond {LARGEST_VALUE:.0e} their squares overflow. "
            "Divide the columns by a unit that suits them, e.g. with StandardScaler."
        )


def moderate(weights: np.ndarray) -> np.ndarray:
    """Return weights of rows in a unit in which their sums neither overflow nor vanish.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,)
        At least 0, and not all 0.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        As they are where the largest lies between 1e-12 and 1e12; else divided by it, and 0 below 1e-30.
    """
    largest = weights.max(initial=0.0)
    if largest == 0 or _SMALLEST_WEIGHT <= largest <= _LARGEST_WEIGHT:
        return weights
    weights = weights / largest
    return np.where(weights < _LEAST_SHARE, 0.0, weights)
