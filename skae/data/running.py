"""What a stream of rows has been like so far, in constant memory, and which columns have moved since.

Knows no estimator and no network. Works on columns inside, numbers with NaN where a cell is missing.
"""

from typing import NamedTuple

import numpy as np

# Rows that are judged together, at least: of a few, one that lies far out looks like all of them.
_FEWEST = 100
# How far a mean has to move, in standard deviations of the column and of the difference of two means: large
# enough to matter, and beyond what samples of rows in random order differ by.
_LARGE, _CERTAIN = 0.5, 8.0
# Standard deviation of whether a cell is missing, at least, so that the first gap is no news.
_GAPS = 0.5
_TINY = np.finfo(np.float64).tiny
_WHAT = ("mean", "spread", "missing cells")


class DriftWarning(UserWarning):
    """Rows of a stream are unlike those before them: a column has moved, or holds a category not seen."""


class Series(NamedTuple):
    """Moments of cells, of their distances from the mean, and of whether they are missing.

    Each is of shape (3, n_columns).
    """

    n_rows: np.ndarray  # rows of equal weight that tell as much
    weight: np.ndarray  # sums of weights
    mean: np.ndarray
    squares: np.ndarray  # sums of weights times squared deviations

    @property
    def variance(self) -> np.ndarray:
        """Mean squared deviations."""
        return self.squares / np.maximum(self.weight, _TINY)

    def joined(self, other: "Series") -> "Series":
        """Return the moments of both together (Chan, Golub and LeVeque 1983)."""
        weight = self.weight + other.weight
        share = other.weight / np.maximum(weight, _TINY)
        change = other.mean - self.mean
        squares = self.squares + other.squares + change**2 * self.weight * share
        return Series(self.n_rows + other.n_rows, weight, self.mean + change * share, squares)


class Running(NamedTuple):
    """A stream so far; never changed."""

    before: Series
    recent: Series  # rows that are too few to be judged
    told: np.ndarray  # (n_columns,) whether it was said that a column has moved
    unknown: tuple[int, ...] = ()  # columns of the user's of which it was said that they hold a new category

    @property
    def frame(self) -> tuple[np.ndarray, float]:
        """Mean of each column, and of the squared deviations of all cells that are there."""
        cells = self.before.joined(self.recent)
        return cells.mean[0], float(cells.squares[0].sum() / max(float(cells.weight[0].sum()), _TINY))


class News(NamedTuple):
    """A column that has moved."""

    column: int
    what: str
    before: float
    now: float


def begin(rows: np.ndarray, weight: np.ndarray | None) -> Running:
    """Begin with the first rows of a stream.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
    weight : ndarray of shape (n_rows,), optional

    Returns
    -------
    running : Running
    """
    about = np.zeros(rows.shape[1])
    first = measure(rows, weight, measure(rows, weight, about).mean[0])
    return Running(first, _nothing(rows.shape[1]), np.zeros(rows.shape[1], dtype=bool))


def go_on(rows: np.ndarray, weight: np.ndarray | None, centre: np.ndarray, scale: float, n: int) -> Running:
    """Begin with rows that follow others, of which a fit has left the means and one scale.

    Their spread is taken to be that of the rows at hand, in proportion.

    Parameters
    ----------
    rows, weight
        As for `begin`.
    centre : ndarray of shape (n_columns,)
        Means of the rows before.
    scale : float
        Root mean square of their deviations.
    n : int
        Number of them.

    Returns
    -------
    running : Running
        Without the rows at hand.
    """
    like = begin(rows, weight).before
    variance, mean = like.variance.copy(), like.mean.copy()
    mean[0] = centre
    whole = variance[0].mean()
    variance[0] = variance[0] * (scale**2 / whole) if whole > 0 else scale**2
    count = np.full_like(mean, float(n))
    before = Series(count, count, mean, variance * n)
    return Running(before, _nothing(rows.shape[1]), np.zeros(rows.shape[1], dtype=bool))


def measure(rows: np.ndarray, weight: np.ndarray | None, about: np.ndarray) -> Series:
    """Return the moments of rows (n_rows, n_columns) of weights (n_rows,), distances from given means."""
    deviations = np.subtract(rows, about, dtype=np.float64)
    there = None
    if np.isnan(deviations.sum()):
        there = ~np.isnan(deviations)
        deviations = np.where(there, deviations, 0.0)
    share = np.ones(len(rows)) if weight is None else weight
    total = float(share.sum())
    n_like = total**2 / max(float(share @ share), _TINY)
    known = np.full(rows.shape[1], total) if there is None else share @ there
    least = np.maximum(known, _TINY)
    shift, distance = share @ deviations / least, share @ np.abs(deviations) / least
    squares = share @ np.square(deviations)
    gaps = 1 - known / max(total, _TINY)
    count = np.stack([n_like * (1 - gaps), n_like * (1 - gaps), np.full_like(gaps, n_like)])
    return Series(
        count,
        np.stack([known, known, np.full_like(gaps, total)]),
        np.stack([about + shift, distance, gaps]),
        np.maximum(
            [squares - known * shift**2, squares - known * distance**2, total * gaps * (1 - gaps)], 0.0
        ),
    )


def add(running: Running, rows: np.ndarray, weight: np.ndarray | None) -> tuple[Running, list[News]]:
    """Take note of further rows, and tell which columns have moved.

    A column has moved where the mean of the recent rows' cells, of their distances from the mean so far, or
    of whether they are missing differs by half a standard deviation, and by eight of the difference. The
    deviation is the larger one of the recent rows and of those before: a few rows far out are not enough.

    Parameters
    ----------
    running : Running
    rows, weight
        As for `begin`.

    Returns
    -------
    running : Running
    news : list of News
        Of columns that were not told of before.
    """
    part = measure(rows, weight, running.before.mean[0])
    recent = running.recent.joined(part)
    if recent.n_rows[2].min() < _FEWEST:
        return running._replace(recent=recent), []
    before = running.before
    moved = _has_moved(before, recent) & ~running.told
    news = [
        News(int(column), _WHAT[what], float(before.mean[what, column]), float(recent.mean[what, column]))
        for column in np.flatnonzero(moved.any(axis=0))
        for what in np.flatnonzero(moved[:, column])[:1]
    ]
    told = running.told | moved.any(axis=0)
    empty = _nothing(rows.shape[1])
    return running._replace(before=before.joined(recent), recent=empty, told=told), news


def _has_moved(before: Series, recent: Series) -> np.ndarray:
    """Return which means have moved, (3, n_columns)."""
    deviation = np.sqrt(np.maximum(before.variance, recent.variance))
    deviation[2] = np.maximum(deviation[2], _GAPS)
    # Of columns without any value, nothing is known.
    known = (before.n_rows > 0) & (recent.n_rows > 0)
    count = 1 / np.maximum(before.n_rows, _TINY) + 1 / np.maximum(recent.n_rows, _TINY)
    change = np.abs(recent.mean - before.mean)
    # What is left of constant columns is rounding of their values.
    rounding = 1e-6 * np.abs(before.mean[0])
    with np.errstate(over="ignore"):
        least = np.maximum(np.maximum(_LARGE, _CERTAIN * np.sqrt(count)) * deviation, rounding)
    return known & (change > least)


def _nothing(n_columns: int) -> Series:
    return Series(*np.zeros((4, 3, n_columns)))
