"""Checks of a comparison, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from skae._containers import as_rows, readable
from skae._counts import check_count, is_integer
from skae._typing import Reducer, Table
from skae.inspection._rows import n_rows

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator

Split = tuple[np.ndarray, np.ndarray]


def named_reducers(reducers: object) -> list[tuple[str, Reducer]]:
    """Return reducers with names, all different.

    Parameters
    ----------
    reducers : dict, or sequence of estimators or of tuples (name, estimator)
        As the user passed them.

    Returns
    -------
    named : list of tuple (name, estimator)

    Raises
    ------
    TypeError
        If something is not a reducer, or a name is not text.
    ValueError
        If there is none, or a name comes twice.
    """
    wanted = "a dict of estimators by name, or a list of estimators or of tuples (name, estimator)"
    if isinstance(reducers, str) or hasattr(reducers, "fit") or not isinstance(reducers, Iterable):
        shown = reducers.__name__ if isinstance(reducers, type) else type(reducers).__name__
        raise TypeError(f"reducers must be {wanted}; got {shown}. Put a single reducer into a list.")
    given = list(reducers.items()) if isinstance(reducers, Mapping) else list(reducers)
    if not given:
        raise ValueError(f"reducers must be {wanted}; got none. Pass at least one.")
    pairs = [tuple(one) if isinstance(one, (tuple, list)) else (None, one) for one in given]
    for pair in pairs:
        if len(pair) != 2 or not (pair[0] is None or isinstance(pair[0], str)):
            raise TypeError(
                f"A reducer with a name must be a tuple (name, estimator), name a str; got {pair!r}."
            )
        _check_reducer(*pair)
    names = [name for name, _ in pairs if name is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Names of reducers must differ; got {twice[0]!r} more than once. Rename one.")
    taken = set(names)
    return [(name if name is not None else _new_name(reducer, taken), reducer) for name, reducer in pairs]


def _check_reducer(name: str | None, reducer: object) -> None:
    if isinstance(reducer, type):
        raise TypeError(
            f"Reducers must be estimators; got the class {reducer.__name__}. Pass an instance of it."
        )
    lacking = [method for method in ("fit", "transform") if not hasattr(reducer, method)]
    if lacking:
        called = repr(name) if name is not None else type(reducer).__name__
        raise TypeError(
            f"{called} has no {' and no '.join(lacking)}. A reducer needs fit and transform, because "
            "it is measured on rows that it was not fitted on."
        )


def _new_name(reducer: object, taken: set[str]) -> str:
    """Make a name that is not taken, and take it."""
    name = _described(reducer)
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    taken.add(free)
    return free


def _described(reducer: object) -> str:
    """Name a reducer by its class and the size of its code, a Pipeline by its steps."""
    if isinstance(reducer, Pipeline):
        steps = [step for _, step in reducer.steps if step is not None and not isinstance(step, str)]
        return " + ".join(map(_described, steps)) or "Pipeline"
    size = getattr(reducer, "n_components", None)
    return type(reducer).__name__ + ("" if size is None else f"({size})")


def checked_rows(X: object) -> Table:
    """Return X as something whose rows can be chosen.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        A DataFrame, a sparse table and an array stay as they are.

    Returns
    -------
    X : ndarray, DataFrame or sparse table

    Raises
    ------
    ValueError
        If it has no columns, or fewer than four rows.
    """
    X = as_rows(X)
    if len(X.shape) < 2:
        raise ValueError(
            f"X must have rows and columns; got shape {tuple(X.shape)}. Use X.reshape(-1, 1) for one column."
        )
    if n_rows(X) < 4 or 0 in X.shape:
        raise ValueError(f"X must have at least 4 rows, and columns; got shape {tuple(X.shape)}.")
    return X


def checked_target(y: object, n: int) -> np.ndarray:
    """Return classes or numbers as an array.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        One value a row.
    n : int
        How many rows there are.

    Returns
    -------
    y : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If it has another length or shape, or gaps.
    """
    target = np.asarray(y if isinstance(y, (list, tuple)) else readable(y))
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim != 1:
        raise ValueError(
            f"y must have one value for each row; got shape {target.shape}. Compare one target at a time."
        )
    if len(target) != n:
        raise ValueError(f"y must have a value for each of the {n} rows of X; got {len(target)}.")
    if target.dtype == object:
        gaps = [value is None or type(value).__name__ == "NAType" or value != value for value in target]
        target = target if any(gaps) else np.array(target.tolist())
    else:
        gaps = np.not_equal(target, target)
    if np.any(gaps):
        raise ValueError(
            f"y must have no missing values; got {int(np.sum(gaps))}. Leave out the rows without a value."
        )
    return target


def are_classes(y: np.ndarray) -> bool:
    """Whether y holds classes: floats are numbers, unless there are only two of them."""
    return y.dtype.kind != "f" or len(np.unique(y)) <= 2


def checked_splits(
    cv: Any, X: Table, y: np.ndarray | None, is_classes: bool, random: np.random.RandomState
) -> list[Split]:
    """Return training and held-out positions, one pair for each split.

    Parameters
    ----------
    cv : int, splitter, iterable of pairs or None
        As the user passed it.
    X, y : table and ndarray
        What is split.
    is_classes : bool
        Whether shares of classes are kept, where the splits are made here.
    random : RandomState
        Shuffles the rows, where the splits are made here.

    Returns
    -------
    splits : list of tuple (training, held_out)

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If there are too few rows, or positions that are not there.
    """
    n = n_rows(X)
    if cv is None or is_integer(cv):
        pairs = list(_folds(5 if cv is None else int(cv), n, y if is_classes else None, random).split(X, y))
    elif not isinstance(cv, (str, bool)) and hasattr(cv, "split"):
        pairs = list(cv.split(X, y))
    elif isinstance(cv, Iterable) and not isinstance(cv, str):
        pairs = list(cv)
    else:
        raise TypeError(
            "cv must be a number of folds, a splitter of scikit-learn, or a list of pairs (training, "
            f"held_out); got {cv!r}."
        )
    if not pairs:
        raise ValueError("cv must hold at least one split; got none.")
    return [_positions(pair, n) for pair in pairs]


def _folds(
    n_folds: int, n: int, classes: np.ndarray | None, random: np.random.RandomState
) -> BaseCrossValidator:
    if not 2 <= n_folds <= n:
        raise ValueError(
            f"cv must be from 2 to {n}, the number of rows; got {n_folds}. For a single split pass "
            "[(training, held_out)]."
        )
    if classes is None:
        return KFold(n_folds, shuffle=True, random_state=random)
    values, counts = np.unique(classes, return_counts=True)
    if counts.min() < n_folds:
        raise ValueError(
            f"Each class of y must have at least {n_folds} rows, one for each fold; "
            f"{values[counts.argmin()].item()!r} has {counts.min()}. If y are numbers, pass them as floats; "
            "else merge rare classes, lower cv, or pass a splitter such as KFold."
        )
    return StratifiedKFold(n_folds, shuffle=True, random_state=random)


def _positions(pair: object, n: int) -> Split:
    if isinstance(pair, np.ndarray) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
        raise ValueError(
            "Each split of cv must be a pair (training, held_out) of positions; "
            f"got {type(pair).__name__}. A single split is passed as [(training, held_out)]."
        )
    found = []
    for part, what in zip(pair, ("training", "held-out"), strict=True):
        rows = np.atleast_1d(np.asarray(part))
        if rows.dtype == bool and rows.shape == (n,):
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or len(rows) < 2 or rows.dtype.kind not in "iu":
            raise ValueError(f"The {what} rows of a split must be at least two positions; got {part!r}.")
        if rows.min() < 0 or rows.max() >= n:
            raise ValueError(
                f"The {what} rows of a split must be positions from 0 to {n - 1}; got {rows.min()} to "
                f"{rows.max()}."
            )
        found.append(rows)
    return found[0], found[1]


def check_neighbours(n_neighbors: int | None, max_rows: int, splits: list[Split]) -> None:
    """Check that there are enough held-out rows for neighbourhoods.

    Parameters
    ----------
    n_neighbors : int or None
        As the user passed it.
    max_rows : int
        Likewise.
    splits : list of tuple (training, held_out)
        Positions.

    Raises
    ------
    ValueError
        If they are not whole numbers, or the rows too few.
    """
    for name, value in (("n_neighbors", n_neighbors), ("max_rows", max_rows)):
        if value is not None or name != "n_neighbors":
            check_count(value, name)
    fewest = min(len(held_out) for _, held_out in splits)
    n = min(fewest, int(max_rows))
    if n_neighbors is not None and 2 * n_neighbors >= n:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs more than {2 * n_neighbors} held-out rows in each split, and "
            f"as many max_rows; got {fewest} and {max_rows}. Lower n_neighbors to {math.ceil(n / 2) - 1}, or "
            "to None, which leaves neighbourhoods out; or hold out more rows."
        )
