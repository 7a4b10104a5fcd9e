"""Checks of whole numbers: how many rows, components, units and weights there may be."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

# Of a network. Training holds each four times (gradient and two moments): 16 GB in float32.
MOST_WEIGHTS = 10**9
# Of a layer: what a batch of 1,024 rows makes of them then takes 4 GB.
MOST_UNITS = 10**6


def is_integer(value: Any) -> bool:
    """Return whether a value is a whole number and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_count(value: Any, name: str, least: int = 1, most: int | None = None, beside: str = "") -> int:
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
    wanted = f"of at least {least}" if most is None else f"in {least} to {most}"
    raise ValueError(f"{name} must be a whole number {wanted}{beside}; got {value!r}.")


def check_sizes(sizes: Any, name: str) -> tuple[int, ...]:
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
