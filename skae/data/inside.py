"""Rows of a source as a network sees them: what is learnt of them in one pass, and the blocks of training."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from skae._counts import check_moderate
from skae.data.sources import RowSource
from skae.networks.principal_axes import axes_of_products
from skae.tables import Columns, Scaling, Validation, read
from skae.training.streamed import Stream

# Columns up to which all products of two columns are summed up: 32 MiB of float64.
_MOST_COLUMNS = 2048
# Columns up to which they are computed in float64, as for rows in memory.
_EXACT_COLUMNS = 512
# Rows that fits start from and are judged by, at most and at least.
_MOST_SAMPLED, _FEWEST_SAMPLED = 200_000, 1000
# Share of the bytes of training that these take on top.
_SAMPLE_SHARE = 4
# Pieces of what is mixed at a time, at least, and the most bytes of one.
_PIECES, _PIECE_BYTES = 16, 2**21
_TINY = np.finfo(np.float64).tiny


class Piece(NamedTuple):
    """Some rows of a block."""

    rows: np.ndarray  # (n, n_inside)
    weight: np.ndarray | None  # (n,) above 0
    places: np.ndarray  # (n,) in the block


@dataclasses.dataclass(frozen=True)
class Inside:
    """Rows of a source inside; those that weigh nothing are left out.

    Parameters
    ----------
    source : RowSource
    columns : Columns
        Those of the source, from `skae.tables.read_training`.
    validate : Validation
        How rows are validated.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.
    """

    source: RowSource
    columns: Columns
    validate: Validation
    weight: np.ndarray | None = None

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Number of the first row of each block, and of all rows, (n_blocks + 1,)."""
        return np.cumsum([0, *self.source.lengths])

    @property
    def n_rows_at_once(self) -> int:
        """Rows of a piece."""
        return rows_at_once(self.source, self.columns.n_inside)

    @property
    def n_mixed(self) -> int:
        """Rows that half of the bytes of training hold."""
        return max(64, self.source.max_bytes // (8 * self.columns.n_inside))

    def pieces(self, block: int) -> Iterator[Piece]:
        """Read a block from its first row to its last.

        Parameters
        ----------
        block : int

        Yields
        ------
        piece : Piece
        """
        place = 0
        for table in self.source.read_block(block, self.n_rows_at_once):
            try:
                rows = read(self.columns, table, self.validate)
            except (ValueError, TypeError) as error:
                raise self.source.at_place(block, error) from error
            places = np.arange(place, place + len(rows))
            place += len(rows)
            weight = None
            if self.weight is not None:
                weight = self.weight[self.starts[block] + places]
                kept = weight > 0
                rows, weight, places = rows[kept], weight[kept], places[kept]
            if len(rows):
                yield Piece(rows, weight, places)


class Sample:
    """Rows drawn at random from a stream of them: those of the least of random keys.

    Parameters
    ----------
    n_rows : int
        How many, at most.
    highest : float, default=1.0
        Keys from which on no row is taken.
    """

    def __init__(self, n_rows: int, highest: float = 1.0) -> None:
        self.n_rows = n_rows
        self.highest = highest
        self.parts: list[tuple[np.ndarray, Piece, np.ndarray]] = []

    def add(self, keys: np.ndarray, piece: Piece, block: int) -> None:
        """Draw from a piece, whose rows have keys (n,)."""
        taken = keys < self.highest
        if not taken.any():
            return
        weight = None if piece.weight is None else piece.weight[taken]
        drawn = Piece(piece.rows[taken], weight, piece.places[taken])
        self.parts.append((keys[taken], drawn, np.full(len(drawn.rows), block)))
        self._shrink_if_long()

    def merge(self, other: Sample) -> None:
        """Take over what was drawn of other rows."""
        self.highest = min(self.highest, other.highest)
        self.parts += other.parts
        self._shrink_if_long()

    def _shrink_if_long(self) -> None:
        if sum(len(part[0]) for part in self.parts) > 2 * self.n_rows:
            self._shrink()

    def _shrink(self) -> None:
        """Keep the rows of the least keys, in the order of these."""
        if not self.parts:
            return
        keys = np.concatenate([part[0] for part in self.parts])
        order = np.argsort(keys, kind="stable")[: self.n_rows]
        if len(order) == self.n_rows:
            self.highest = float(keys[order[-1]])
        pieces = [part[1] for part in self.parts]
        weights = [piece.weight for piece in pieces if piece.weight is not None]
        drawn = Piece(
            np.concatenate([piece.rows for piece in pieces])[order],
            np.concatenate(weights)[order] if weights else None,
            np.concatenate([piece.places for piece in pieces])[order],
        )
        self.parts = [(keys[order], drawn, np.concatenate([part[2] for part in self.parts])[order])]

    def drawn(self) -> tuple[Piece, np.ndarray]:
        """Return the rows, in random order, and the block of each."""
        self._shrink()
        return self.parts[0][1], self.parts[0][2]


class Moments:
    """Means, squares and products of columns over a stream of rows (Chan, Golub and LeVeque 1983).

    Each piece is centred by its own mean first, so that a large offset costs no digits.

    Parameters
    ----------
    n_columns : int

    Attributes
    ----------
    total : ndarray of shape (n_columns,)
        Sums of the weights of the cells that are there.
    centre : ndarray of shape (n_columns,)
        Means of the cells that are there.
    squares : ndarray of shape (n_columns,)
        Sums of weights times squared deviations.
    products : ndarray of shape (n_columns, n_columns) or None
        Sums of weights times products of deviations; None with gaps, or beyond 2,048 columns.
    """

    def __init__(self, n_columns: int) -> None:
        self.total, self.centre, self.squares = (np.zeros(n_columns) for _ in range(3))
        self.products = np.zeros((n_columns, n_columns)) if n_columns <= _MOST_COLUMNS else None
        self.lowest, self.highest = np.full(n_columns, np.nan), np.full(n_columns, np.nan)
        self.has_gaps, self.has_whole_weights, self.total_weight = False, True, 0.0

    def add(self, rows: np.ndarray, weight: np.ndarray | None) -> None:
        """Take note of rows (n, n_columns), and of their weights (n,)."""
        self.lowest = np.fmin(self.lowest, np.fmin.reduce(rows, axis=0))
        self.highest = np.fmax(self.highest, np.fmax.reduce(rows, axis=0))
        if np.isnan(rows.sum(dtype=np.float64)):
            self.has_gaps, self.products = True, None
            there = ~np.isnan(rows)
            share = np.ones(len(rows)) if weight is None else weight
            counts = share @ there
            means = share @ np.where(there, rows, 0.0) / np.maximum(counts, _TINY)
            deviations = np.where(there, rows - means, 0.0)
        elif weight is None:
            counts = np.full(rows.shape[1], float(len(rows)))
            means = np.asarray(np.mean(rows, axis=0, dtype=np.float64))
            deviations = rows - means
        else:
            counts = np.full(rows.shape[1], weight.sum())
            means = weight @ rows / counts
            deviations = rows - means
        if weight is not None:
            self.has_whole_weights &= bool((weight == np.round(weight)).all())
            self.total_weight += float(weight.sum())
            deviations *= np.sqrt(weight)[:, None]
        self._merge(counts, means, deviations)

    def merge(self, other: Moments) -> None:
        """Take note of the rows that other moments are of."""
        self.lowest = np.fmin(self.lowest, other.lowest)
        self.highest = np.fmax(self.highest, other.highest)
        self.has_gaps |= other.has_gaps
        self.has_whole_weights &= other.has_whole_weights
        self.total_weight += other.total_weight
        total = self.total + other.total
        change = other.centre - self.centre
        factor = self.total * other.total / np.maximum(total, _TINY)
        self.squares = self.squares + other.squares + change**2 * factor
        if self.products is None or other.products is None:
            self.products = None
        else:
            # All columns have the same rows, where products are known.
            self.products = self.products + other.products + np.outer(change, change) * factor[0]
        self.centre = self.centre + change * other.total / np.maximum(total, _TINY)
        self.total = total

    @property
    def by_column(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each column, NaN where no row has a value."""
        total = np.where(self.total > 0, self.total, np.nan)
        return np.where(self.total > 0, self.centre, np.nan), self.squares / total

    def rescale(self, change: Scaling) -> None:
        """Take rows that are shifted and divided, column by column."""
        shift, factor = change.shift, change.factor
        self.centre, self.squares = (self.centre - shift) / factor, self.squares / factor**2
        self.lowest, self.highest = (self.lowest - shift) / factor, (self.highest - shift) / factor
        if self.products is not None:
            self.products = self.products / np.outer(factor, factor)

    def products_without(self, held: Piece, centre: np.ndarray) -> np.ndarray | None:
        """Return the mean products of the columns of all rows but some, about a centre.

        Parameters
        ----------
        held : Piece
            The rows that are left out.
        centre : ndarray of shape (n_columns,)

        Returns
        -------
        products : ndarray of shape (n_columns, n_columns) or None
            None where they are not known.
        """
        if self.products is None:
            return None
        shift = self.centre - centre
        weight = np.ones(len(held.rows)) if held.weight is None else held.weight
        deviations = (held.rows - centre) * np.sqrt(weight)[:, None]
        total = self.total[0]
        products = self.products + total * np.outer(shift, shift) - deviations.T @ deviations
        return products / (total - weight.sum())

    def _merge(self, counts: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> None:
        total = self.total + counts
        change = means - self.centre
        factor = self.total * counts / np.maximum(total, _TINY)
        if self.products is None:
            self.squares += np.einsum("ij,ij->j", deviations, deviations) + change**2 * factor
        else:
            if len(change) > _EXACT_COLUMNS:
                deviations = deviations.astype(np.float32)
            self.products += deviations.T @ deviations
            self.products += np.outer(change, change) * factor[0]
            self.squares = self.products.diagonal().copy()
        self.centre = self.centre + change * counts / np.maximum(total, _TINY)
        self.total = total


class Measured(NamedTuple):
    """What one pass over all rows has found."""

    moments: Moments
    n_rows: int  # of positive weight
    counts: list[int]  # the same for each block
    sample: Piece  # in random order
    blocks: np.ndarray  # the block of each row of the sample
    n_workers: int = 1  # processes that train together

    @property
    def extremes(self) -> np.ndarray:
        """Least and largest value of each column, (2, n_inside)."""
        return np.stack([self.moments.lowest, self.moments.highest])

    @property
    def like_all(self) -> np.ndarray:
        """A table of the shape of all rows, (n_rows, n_inside), that takes no memory."""
        return np.broadcast_to(0.0, (self.n_rows, len(self.moments.centre)))

    @property
    def frame(self) -> tuple[np.ndarray, float]:
        """Mean of each column, and of the squared deviations of all cells that are there."""
        moments = self.moments
        return moments.centre, float(moments.squares.sum()) / max(float(moments.total.sum()), _TINY)

    @property
    def weight_unit(self) -> float:
        """What weights are divided by: shares by their mean, repetitions by nothing."""
        weight = self.sample.weight
        is_whole = weight is None or self.moments.has_whole_weights
        return 1.0 if is_whole else float(self.moments.total_weight) / self.n_rows

    def weights_like(self, rows: torch.Tensor) -> torch.Tensor | None:
        """Return the weights of the sample in this unit, (n, 1), in the dtype of rows and on their device."""
        weight = self.sample.weight
        return None if weight is None else torch.from_numpy(weight / self.weight_unit)[:, None].to(rows)

    def stream(
        self, inside: Inside, n_held: int, centre: np.ndarray, scale: float, n_components: int
    ) -> Stream:
        """Return the rows that are trained on: all but the last ones of the sample.

        Parameters
        ----------
        inside : Inside
            What was measured.
        n_held : int
            Rows of the sample that are held out.
        centre : ndarray of shape (n_inside,)
        scale : float
        n_components : int
            Axes of PCA that are wanted.

        Returns
        -------
        stream : Stream
        """
        (rows, weight, places), first = self.sample, len(self.blocks) - n_held
        held = Piece(rows[first:], None if weight is None else weight[first:], places[first:])
        blocks = self.blocks[first:]
        left_out = {int(block): np.sort(held.places[blocks == block]) for block in np.unique(blocks)}
        lengths = [max(0, count - len(left_out.get(block, ()))) for block, count in enumerate(self.counts)]
        training = TrainingBlocks(inside, lengths, left_out, centre, scale, self.weight_unit)
        products, axes = self.moments.products_without(held, centre), None
        if products is not None:
            axes = axes_of_products(torch.from_numpy(products / scale**2), n_components)
        has_gaps, n_training = self.moments.has_gaps, self.n_rows - n_held
        keeps_rows = inside.source.keeps_rows
        return Stream(training, inside.n_mixed, self.n_rows, has_gaps, axes, n_training, keeps_rows)

    def of(self, blocks: Sequence[int], n_workers: int) -> Measured:
        """Return the same with rows of some blocks alone to be trained on, as one process of several does."""
        own = set(blocks)
        counts = [count if block in own else 0 for block, count in enumerate(self.counts)]
        return self._replace(counts=counts, n_workers=n_workers)


def rows_at_once(source: RowSource, n_columns: int) -> int:
    """Return how many rows of a source are read at once: few, but not so few that each costs much time."""
    return max(64, min(source.max_bytes // (8 * _PIECES), _PIECE_BYTES) // (4 * n_columns))


def n_sampled(max_bytes: int, n_inside: int) -> int:
    """Return how many rows lie in memory, to start from and to judge by."""
    return max(_FEWEST_SAMPLED, min(_MOST_SAMPLED, max_bytes // (_SAMPLE_SHARE * 4 * n_inside)))


def keys_of(block: int, length: int, seed: int) -> np.ndarray:
    """Return a random number for each row of a block, the same ones whenever it is read, (length,)."""
    return np.random.default_rng([seed, block]).random(length)


def measure(inside: Inside, seed: int, check: Callable[[np.ndarray], None]) -> Measured:
    """Go over all rows once.

    Parameters
    ----------
    inside : Inside
    seed : int
        Of the sample.
    check : callable
        Takes rows inside, and refuses what cannot be trained on.

    Returns
    -------
    measured : Measured

    Raises
    ------
    ValueError
        If rows cannot be read or trained on; it says in which block.
    """
    measuring = Measuring(
        inside.columns.n_inside, n_sampled(inside.source.max_bytes, inside.columns.n_inside)
    )
    for block in range(len(inside.source.lengths)):
        measuring.add(inside, block, seed, check)
    return measuring.measured(inside.columns)


class Measuring:
    """What has been found of some blocks on the way through all of them.

    Parameters
    ----------
    n_inside : int
        Columns.
    n_sampled : int
        Rows that are drawn, at most.
    highest : float, default=1.0
        Keys from which on no row is drawn.
    """

    def __init__(self, n_inside: int, n_sampled: int, highest: float = 1.0) -> None:
        self.moments = Moments(n_inside)
        self.sample = Sample(n_sampled, highest)
        self.counts: dict[int, int] = {}

    def add(self, inside: Inside, block: int, seed: int, check: Callable[[np.ndarray], None]) -> None:
        """Read a block; takes what `measure` does."""
        keys = keys_of(block, inside.source.lengths[block], seed)
        self.counts[block] = 0
        for piece in inside.pieces(block):
            try:
                check_moderate(piece.rows)
                check(piece.rows)
            except ValueError as error:
                raise inside.source.at_place(block, error) from error
            self.moments.add(piece.rows, piece.weight)
            self.sample.add(keys[piece.places], piece, block)
            self.counts[block] += len(piece.rows)

    def merge(self, other: Measuring) -> None:
        """Take over what was found of other blocks."""
        self.moments.merge(other.moments)
        self.sample.merge(other.sample)
        self.counts |= other.counts

    def measured(self, columns: Columns) -> Measured:
        """Return what was found of all blocks; scale columns by it, where they are to be scaled."""
        moments, counts = self.moments, [self.counts[block] for block in sorted(self.counts)]
        drawn, blocks = self.sample.drawn()
        change = columns.settle(*moments.by_column)
        if change is not None:
            moments.rescale(change)
            rows = (drawn.rows - change.shift) / change.factor
            drawn = drawn._replace(rows=rows.astype(drawn.rows.dtype))
        return Measured(moments, sum(counts), counts, drawn, blocks)


def merged(parts: Sequence[Measuring]) -> Measuring:
    """Return what was found of all blocks, from what was found of some each; these stay as they are."""
    first = parts[0]
    total = Measuring(len(first.moments.centre), first.sample.n_rows, first.sample.highest)
    for part in parts:
        total.merge(part)
    return total


@dataclasses.dataclass(frozen=True)
class TrainingBlocks:
    """The blocks that are trained on, centred and scaled; see `skae.training.streamed.Blocks`.

    Parameters
    ----------
    inside : Inside
    lengths : sequence of int
        Rows of each block that are trained on.
    left_out : dict of int to ndarray
        Places of those that are not, by block.
    centre : ndarray of shape (n_inside,)
    scale : float
    weight_unit : float
        What weights are divided by.
    """

    inside: Inside
    lengths: Sequence[int]
    left_out: Mapping[int, np.ndarray]
    centre: np.ndarray
    scale: float
    weight_unit: float

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return self.inside.weight is not None

    @property
    def n_open(self) -> int:
        """How many blocks may be read side by side."""
        return self.inside.source.n_open

    def pieces(self, block: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Read a block: some rows (n, n_inside) at a time, and their weights (n,)."""
        left_out = self.left_out.get(block)
        for rows, weight, places in self.inside.pieces(block):
            rows = (rows - self.centre) / self.scale
            weight = None if weight is None else weight / self.weight_unit
            if left_out is not None:
                kept = ~np.isin(places, left_out, assume_unique=True)
                rows, weight = rows[kept], None if weight is None else weight[kept]
            yield rows, weight
