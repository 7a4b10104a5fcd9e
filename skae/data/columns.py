"""What the columns of a source are, learnt from a sample of its rows and from one row of each category."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from skae._containers import is_pandas, take_column, take_rows
from skae._typing import Dense
from skae.data.inside import keys_of, n_sampled, rows_at_once
from skae.data.joining import Parts
from skae.data.sources import RowSource
from skae.tables import Columns, Options, Validation, read_training

# Makes what validates rows of given weights, (n_samples,) or None.
Learning = Callable[[np.ndarray | None], Validation]


def learn_columns(
    source: RowSource, options: Options, learning: Learning, weight: np.ndarray | None, seed: int
) -> Columns:
    """Learn the columns of a source: of numbers from the first rows, of several kinds in one pass.

    Parameters
    ----------
    source : RowSource
    options : Options
        What the estimator says of its columns.
    learning : callable
        Makes what validates training rows, from their weights.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.
    seed : int
        Of the sample.

    Returns
    -------
    columns : Columns
        Whose categories are those of all rows. Scaling is that of the sample, until `Columns.settle`.

    Raises
    ------
    ValueError
        If rows cannot be read; it says in which block.
    """
    columns = first_columns(source, options, learning)
    if columns.is_plain:
        return columns
    examples = Examples(source, columns)
    starts = np.cumsum([0, *source.lengths])
    for block, length in enumerate(source.lengths):
        own = None if weight is None else weight[starts[block] : starts[block] + length]
        examples.add(source, block, keys_of(block, length, seed), own)
    return examples.columns(options, learning)


def first_columns(source: RowSource, options: Options, learning: Learning) -> Columns:
    """Learn the columns from the first rows, all that plain numbers need; takes what `learn_columns` does."""
    block = next(block for block, length in enumerate(source.lengths) if length)
    first = next(source.read_block(block, rows_at_once(source, int(np.prod(source.shape[1:])))))
    try:
        return read_training(first, options, learning(None), 1)[0]
    except (ValueError, TypeError) as error:
        raise source.at_place(block, error) from error


class Examples:
    """Rows drawn at random, and beside them one row of each category, which weighs nothing.

    Parameters
    ----------
    source : RowSource
        Says how many rows are drawn.
    columns : Columns
        From `first_columns`.
    highest : float, default=1.0
        Keys from which on no row is drawn.
    """

    def __init__(self, source: RowSource, columns: Columns, highest: float = 1.0) -> None:
        self.max_bytes, self.n_features = source.max_bytes, source.shape[1]
        categorical = [j for j in range(columns.n_features) if columns.holds_categories(j)]
        self.seen: dict[int, set[object]] = {j: set() for j in categorical}
        self.highest = highest
        self.parts: list[tuple[Dense, np.ndarray, np.ndarray]] = []
        self.examples: list[Dense] = []

    @property
    def n_rows(self) -> int:
        """How many rows are drawn: fewer, the more columns there are inside."""
        n_inside = self.n_features + sum(map(len, self.seen.values()))
        return n_sampled(self.max_bytes, 2 * n_inside)

    def add(self, source: RowSource, block: int, keys: np.ndarray, weight: np.ndarray | None) -> None:
        """Draw from a block, whose rows have keys and weights, both (n,)."""
        place = 0
        for table in source.read_block(block, rows_at_once(source, int(np.prod(source.shape[1:])))):
            part = slice(place, place + table.shape[0])
            self._add_piece(table, keys[part], None if weight is None else weight[part])
            place = part.stop

    def empty(self) -> Examples:
        """Return the same with nothing drawn."""
        other = copy.copy(self)
        other.seen, other.parts, other.examples = {j: set() for j in self.seen}, [], []
        return other

    def merge(self, other: Examples) -> None:
        """Take over what was drawn of other rows."""
        self.highest = min(self.highest, other.highest)
        for example in other.examples:
            self._note(example)
        self.parts += other.parts
        self._shrink_if_long()

    def columns(self, options: Options, learning: Learning) -> Columns:
        """Return what the columns are; takes what `learn_columns` does."""
        table, weights = self.drawn()
        return read_training(table, options, learning(weights), 2)[0]

    def _add_piece(self, table: Dense, keys: np.ndarray, weight: np.ndarray | None) -> None:
        counted = np.ones(len(keys)) if weight is None else weight
        if is_pandas(table):
            self._note(table)
        taken = np.flatnonzero((keys < self.highest) & (counted > 0))
        self.parts.append((take_rows(table, taken), keys[taken], counted[taken]))
        self._shrink_if_long()

    def _note(self, table: Dense) -> None:
        """Keep one row of each category that was not seen before."""
        rows = np.unique([row for j in self.seen for row in self._new(j, table)]).astype(int)
        if len(rows):
            self.examples.append(take_rows(table, rows))

    def _shrink_if_long(self) -> None:
        if sum(len(part[1]) for part in self.parts) > 2 * self.n_rows:
            self.parts = [self._least()]

    def _new(self, j: int, table: Dense) -> list[np.intp]:
        """Return the first row of each category of a column that was not seen before."""
        column, seen = take_column(table, j), self.seen[j]
        rows = [row for row in np.flatnonzero(~column.duplicated()) if column.iloc[row] not in seen]
        seen.update(column.iloc[rows])
        return rows

    def _least(self) -> tuple[Dense, np.ndarray, np.ndarray]:
        """Return the rows of the least keys, with keys and weights."""
        tables = Parts(sum(len(part[1]) for part in self.parts))
        for table, _, _ in self.parts:
            tables.add(table)
        keys = np.concatenate([part[1] for part in self.parts])
        order = np.argsort(keys, kind="stable")[: self.n_rows]
        if len(order) == self.n_rows:
            self.highest = float(keys[order[-1]])
        weights = np.concatenate([part[2] for part in self.parts])
        return take_rows(tables.joined(), order), keys[order], weights[order]

    def drawn(self) -> tuple[Dense, np.ndarray]:
        """Return the rows, and their weights."""
        table, _, weights = self._least()
        n_examples = sum(len(example) for example in self.examples)
        tables = Parts(len(weights))
        for part in (table, *self.examples):
            tables.add(part)
        return tables.joined(), np.concatenate([weights, np.zeros(n_examples)])
