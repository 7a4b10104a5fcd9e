"""What is computed of each row, block by block: methods of estimators that take a source for their rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from skae._typing import Dense
from skae.data.joining import Found, Parts
from skae.data.sources import RowSource, as_source
from skae.tables import Columns

Owner = TypeVar("Owner")
Result = TypeVar("Result", bound="Found | tuple[Found, ...]")
Settings = ParamSpec("Settings")
Method = Callable[Concatenate[Owner, ArrayLike, Settings], Result]


class Inside(Protocol):
    """Rows as a fitted estimator sees them, their codes, and rows back."""

    columns: Columns
    centre: np.ndarray

    def rows(self, X: ArrayLike) -> np.ndarray:
        """Return rows inside."""
        ...

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of rows inside."""
        ...

    def back(self, codes: np.ndarray) -> np.ndarray:
        """Return rows inside of codes."""
        ...


def by_blocks(method: Method[Owner, Settings, Result]) -> Method[Owner, Settings, Result]:
    """Let a method whose result has one row for each of X take sources, too, and join what it gives."""

    @functools.wraps(method)
    def computed(self: Owner, X: ArrayLike, *arguments: Settings.args, **settings: Settings.kwargs) -> Result:
        source = None if type(X) is np.ndarray else as_source(X)
        if source is None:
            return method(self, X, *arguments, **settings)
        parts = Parts(source.shape[0])
        for piece in source.read():
            parts.add(method(self, piece, *arguments, **settings))
        return parts.joined()

    return computed


def explained(inside: Inside, source: RowSource, weight: np.ndarray | None) -> float:
    """Return the share of the variance of the rows of a source that comes back, as `score` does.

    Parameters
    ----------
    inside : Inside
        Of a fitted estimator.
    source : RowSource
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.

    Returns
    -------
    score : float
    """
    return share_explained(*sums_of_squares(inside, source.read(), weight))


def sums_of_squares(
    inside: Inside, pieces: Iterable[Dense], weight: np.ndarray | None
) -> tuple[float, float]:
    """Return what is not given back of some rows, and what there is, as sums of squares over all cells.

    Parameters
    ----------
    inside : Inside
        Of a fitted estimator.
    pieces : iterable of ndarray or DataFrame of shape (n_piece, n_features)
    weight : ndarray of shape (n_samples,) or None
        Weights of rows.

    Returns
    -------
    missed, total : float
    """
    missed = total = 0.0
    start = 0
    for piece in pieces:
        rows = inside.rows(piece)
        back = inside.back(inside.codes(rows))
        share = np.ones(len(rows)) if weight is None else weight[start : start + len(rows)]
        errors = inside.columns.errors_by_cell(piece, rows, back)
        deviations = inside.columns.deviations_by_cell(piece, rows, inside.centre)
        missed += float(share @ np.nansum(errors, axis=1))
        total += float(share @ np.nansum(deviations, axis=1))
        start += len(rows)
    return missed, total


def share_explained(missed: float, total: float) -> float:
    """Return the share of squares that is given back; without any, 1 if nothing is missed, else 0."""
    if total > 0:
        return 1 - missed / total
    return 1.0 if missed == 0 else 0.0
