"""What users say column by column: levels and groups, by position or by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def positions(columns: Sequence[Any], names: Sequence[str] | None, n_features: int, what: str) -> list[int]:
    """Give the positions of columns that are named or numbered.

    Parameters
    ----------
    columns : sequence of str or int
    names : sequence of str, optional
        The names of all columns, where there are any.
    n_features : int
        Number of columns.
    what : str
        The parameter, for the message.

    Returns
    -------
    positions : list of int

    Raises
    ------
    ValueError
        If a column is not there.
    """
    known = {} if names is None else {name: index for index, name in enumerate(names)}
    found = []
    for column in columns:
        index = known.get(column) if isinstance(column, str) else int(column)
        if index is None or not 0 <= index < n_features:
            listed = f"the columns {list(known)[:10]}" if known else f"columns 0 to {n_features - 1}, unnamed"
            raise ValueError(f"{what} names column {column!r}, but X has {listed}.")
        found.append(index)
    return found


def per_column(
    value: Any, names: Sequence[str] | None, n_features: int, what: str, highest: float
) -> np.ndarray:
    """Spread a number, an array, or a dict by column over all columns; columns not named get 0.

    Parameters
    ----------
    value : float, array-like of shape (n_features,) or dict
    names : sequence of str, optional
        The names of the columns.
    n_features : int
        Number of columns.
    what : str
        The parameter, for messages.
    highest : float
        Largest value allowed; the least is 0.

    Returns
    -------
    values : ndarray of shape (n_features,)

    Raises
    ------
    ValueError
        If a column is not there, or a value is not allowed.
    """
    if isinstance(value, Mapping):
        values = np.zeros(n_features)
        values[positions(list(value), names, n_features, what)] = list(value.values())
    else:
        given = np.asarray(value, dtype=float)
        if given.shape not in ((), (n_features,)):
            raise ValueError(
                f"{what} has shape {given.shape}; give one number, one for each of the {n_features} columns "
                "of X, or a dict by column."
            )
        values = np.broadcast_to(given, n_features).copy()
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= highest):
        limit = "at least 0" if np.isinf(highest) else f"in [0, {highest:g}]"
        raise ValueError(f"{what} must be {limit}; got {value!r}.")
    return values


def group_numbers(
    groups: Sequence[Sequence[Any]] | None, names: Sequence[str] | None, n_features: int, what: str
) -> np.ndarray:
    """Give each group of columns a number from 0 on; each column that is in none is a group of its own.

    Parameters
    ----------
    groups : sequence of sequences of str or int, optional
    names : sequence of str, optional
        The names of the columns.
    n_features : int
        Number of columns.
    what : str
        The parameter, for messages.

    Returns
    -------
    numbers : int64 ndarray of shape (n_features,)

    Raises
    ------
    ValueError
        If a column is not there, or in two groups.
    """
    leader = np.arange(n_features)
    seen: set[int] = set()
    for group in groups or ():
        members = positions(group, names, n_features, what)
        if len(set(members)) < len(members) or seen & set(members):
            raise ValueError(f"{what} has a column in two places: {group!r}.")
        seen |= set(members)
        leader[members] = members[0] if members else 0
    return np.unique(leader, return_inverse=True)[1].astype(np.int64)
