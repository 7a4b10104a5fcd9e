"""What users say column by column: levels and groups, by position or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._counts import is_integer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def positions(
    columns: Sequence[object], names: Sequence[object] | None, n_features: int, what: str
) -> list[int]:
    """Return the positions of columns that are named or numbered.

    Parameters
    ----------
    columns : sequence of names or int
        Whole numbers are positions. Names are text as a rule, tuples where columns have several levels.
    names : sequence, optional
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
        If a column is not there or named twice, or a number may mean two of them.
    """
    places = {name: index for index, name in enumerate(() if names is None else names)}
    found = [_position(column, places, n_features, what) for column in columns]
    if len(set(found)) < len(found):
        twice = next(column for k, column in enumerate(columns) if found[k] in found[:k])
        raise ValueError(f"{what} has a column in two places: {twice!r}. Name each column once.")
    return found


def _position(column: Any, places: dict[object, int], n_features: int, what: str) -> int:
    """Return the position of one column, given those of all names."""
    is_position = is_integer(column) and 0 <= column < n_features
    try:
        named = None if isinstance(column, (bool, np.bool_)) else places.get(column)
    except TypeError:  # a list, say
        named = None
    if is_position and named is not None and named != column:
        raise ValueError(
            f"{what} names column {column!r}, which is the position of one column and the name of that at "
            f"position {named}. Give X names that are text."
        )
    if named is not None:
        return named
    if is_position:
        return int(column)
    listed = f"the columns {list(places)[:10]}" if places else f"columns 0 to {n_features - 1}, unnamed"
    raise ValueError(
        f"{what} names column {column!r}, but X has {listed}. Give names, or positions as whole numbers."
    )


def per_column(
    value: ArrayLike | Mapping[object, float],
    names: Sequence[str] | None,
    n_features: int,
    what: str,
    highest: float,
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
        values[positions(list(value), names, n_features, what)] = _numbers(list(value.values()), what)
    else:
        given = _numbers(value, what)
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


def text_per_column(
    value: str | Sequence[str] | Mapping[str | int, str],
    names: Sequence[str] | None,
    n_features: int,
    what: str,
    allowed: Iterable[str],
    default: str,
) -> list[str]:
    """Spread one of several texts, a sequence of them, or a dict by column over all columns.

    Parameters
    ----------
    value : str, sequence of str of length n_features, or dict
        What the user passed.
    names : sequence of str, optional
        The names of the columns.
    n_features : int
        Number of columns.
    what : str
        The parameter, for messages.
    allowed : iterable of str
        What each may be.
    default : str
        That of columns that a dict does not name.

    Returns
    -------
    values : list of str

    Raises
    ------
    ValueError
        If a column is not there, or a text is not allowed.
    """
    if isinstance(value, str):
        values = [value] * n_features
    elif isinstance(value, Mapping):
        values = [default] * n_features
        for column, text in zip(positions(list(value), names, n_features, what), value.values(), strict=True):
            values[column] = text
    elif len(value) == n_features:
        values = [str(text) for text in value]
    else:
        raise ValueError(
            f"{what} has {len(value)} entries; give one for all columns, one for "
            f"each of the {n_features} columns of X, or a dict by column."
        )
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"{what} must be one of {sorted(allowed)}; got {unknown[0]!r}.")
    return values


def _groups(groups: Iterable[Iterable[object]] | None, what: str) -> list[list[object]]:
    """Return groups of columns as lists, checked."""
    if groups is None:
        return []
    listed = None if isinstance(groups, (str, bytes, Mapping)) else list(groups)
    if listed is None or any(
        isinstance(group, (str, bytes, Mapping)) or not isinstance(group, Iterable) for group in listed
    ):
        raise ValueError(f"{what} must be a list of lists of columns; got {groups!r}.")
    return [list(group) for group in listed]


def _numbers(value: ArrayLike, what: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} must be a number, one for each column, or a dict of numbers by column; got {value!r}."
        ) from error


def group_numbers(
    groups: Sequence[Sequence[object]] | None, names: Sequence[str] | None, n_features: int, what: str
) -> np.ndarray:
    """Assign numbers from 0 on to groups of columns; each column outside of them is a group of its own.

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
    members = _groups(groups, what)
    found = iter(positions([column for group in members for column in group], names, n_features, what))
    for group in members:
        places = [next(found) for _ in group]
        leader[places] = places[0] if places else 0
    return np.unique(leader, return_inverse=True)[1].astype(np.int64)
