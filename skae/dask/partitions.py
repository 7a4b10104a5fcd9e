"""Partitions of a dask collection: what each of them is to a worker, and what is found of all in one pass.

What is found of a partition is small, and is joined by a tree of tasks where the partitions lie.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import is_pandas, is_sparse
from skae._typing import Dense
from skae.dask._distributed import Client, Future
from skae.data.columns import Examples, first_columns
from skae.data.inside import Inside, Measured, Measuring, keys_of, merged, n_sampled
from skae.data.joining import Parts
from skae.data.sources import RowSource
from skae.estimators import BaseAutoencoder
from skae.estimators._checks import Validation, check_weights

# Parts that a task joins.
_JOINED = 8
# Times the share of a partition in the sample that is drawn of it, so that few draws fall short.
_MORE = 1.1
Result = TypeVar("Result")


class Part(NamedTuple):
    """One partition."""

    table: Dense  # (n_rows, ...)
    weight: np.ndarray | None  # (n_rows,) of rows


class Shape(NamedTuple):
    """What is known of the collection."""

    lengths: list[int]  # rows of each partition
    row: tuple[int, ...]  # what follows the number of rows
    max_bytes: int  # see `DaskTransformer`

    @property
    def n_rows(self) -> int:
        """Number of all rows."""
        return sum(self.lengths)


def make_part(table: Dense, weight: ArrayLike | None = None) -> Part:
    """Join rows and weights of a partition; runs on a worker.

    Raises
    ------
    TypeError
        If the rows are sparse.
    ValueError
        If there are not as many weights as rows, or they cannot be used.
    """
    if is_sparse(table):
        raise TypeError(
            f"A partition of X is a {type(table).__name__}; dense arrays or DataFrames of pandas are wanted. "
            "Pass X.map_blocks(lambda part: part.toarray())."
        )
    table = table if is_pandas(table) else np.asarray(table)
    if weight is None:
        return Part(table, None)
    own = np.asarray(weight, dtype=np.float64)
    if own.shape != (len(table),):
        raise ValueError(
            f"sample_weight has a partition of shape {own.shape} where X has {len(table)} rows. Partition "
            "both alike, e.g. by rechunk or repartition."
        )
    if own.any():
        check_weights(own, table, np.float64)
    return Part(table, own)


class PartRows(RowSource):
    """Rows of some partitions, by their number among all of the collection.

    Parameters
    ----------
    parts : mapping of int to Part
    shape : Shape
        Of the whole collection; partitions that are not among the parts count as empty.
    """

    def __init__(self, parts: Mapping[int, Part], shape: Shape) -> None:
        lengths = [len(parts[block].table) if block in parts else 0 for block in range(len(shape.lengths))]
        super().__init__(shape.row[0], lengths, shape.max_bytes)
        self.shape = (sum(lengths), *shape.row)
        self.parts = parts
        n_bytes = 4 * self.shape[0] * int(np.prod(shape.row))
        self.keeps_rows = n_bytes <= shape.max_bytes

    def pieces(self, block: int, n_rows: int) -> Iterator[Dense]:
        """Read a partition, see `RowSource`."""
        if block in self.parts:
            table = self.parts[block].table
            for start in range(0, len(table), n_rows):
                rows = slice(start, start + n_rows)
                yield table.iloc[rows] if is_pandas(table) else table[rows]

    def place(self, block: int) -> str:
        """Return what a partition is called in errors."""
        return f"Partition {block}"

    def inside(self, estimator: BaseAutoencoder) -> Inside:
        """Return the rows as an estimator sees them that has learnt what columns there are."""
        weights = [self.parts[block].weight for block in sorted(self.parts)]
        given = [weight for weight in weights if weight is not None]
        weight = np.concatenate(given) if given else None
        return Inside(self, estimator._columns, Validation(estimator, False), weight)


class Ready(NamedTuple):
    """An estimator that has learnt its columns, and what was found of all rows."""

    estimator: BaseAutoencoder
    measured: Measured


# ---------------------------------------------------------------------- tasks on workers


def n_rows_of(part: Part) -> int:
    """Count the rows of a partition."""
    return len(part.table)


def learn_first(estimator: BaseAutoencoder, part: Part, shape: Shape, block: int) -> BaseAutoencoder:
    """Return an estimator that knows the columns of a partition."""
    learnt = copy.deepcopy(estimator)
    source = PartRows({block: part}, shape)
    learnt._columns = first_columns(source, learnt._options(), partial(Validation, learnt, True))
    return learnt


def is_plain(estimator: BaseAutoencoder) -> bool:
    """Whether there is nothing more to learn of the columns."""
    return estimator._columns.is_plain


def find_examples(first: BaseAutoencoder, part: Part, shape: Shape, block: int, seed: int) -> Examples:
    """Draw rows of a partition, and one of each category."""
    source = PartRows({block: part}, shape)
    share = _share(n_sampled(shape.max_bytes, 2 * int(np.prod(shape.row))), shape)
    examples = Examples(source, first._columns, share)
    examples.add(source, block, keys_of(block, shape.lengths[block], seed), part.weight)
    return examples


def join_examples(parts: Sequence[Examples]) -> Examples:
    """Join what was drawn of several partitions."""
    total = parts[0].empty()
    for part in parts:
        total.merge(part)
    return total


def learn_columns(estimator: BaseAutoencoder, examples: Examples) -> BaseAutoencoder:
    """Return an estimator that knows the columns of all partitions."""
    learnt = copy.deepcopy(estimator)
    learnt._columns = examples.columns(learnt._options(), partial(Validation, learnt, True))
    return learnt


def measure_part(learnt: BaseAutoencoder, part: Part, shape: Shape, block: int, seed: int) -> Measuring:
    """Go over the rows of a partition once."""
    inside = PartRows({block: part}, shape).inside(learnt)
    n_inside = learnt._columns.n_inside
    n_drawn = n_sampled(shape.max_bytes, n_inside)
    found = Measuring(n_inside, n_drawn, _share(n_drawn, shape))
    found.add(inside, block, seed, learnt._check_gaps)
    return found


def get_ready(learnt: BaseAutoencoder, measuring: Measuring, shape: Shape) -> Ready:
    """Return what training begins with."""
    learnt = copy.deepcopy(learnt)
    if not sum(measuring.counts.values()):
        raise ValueError("sample_weight is zero for every row, so that there is nothing to learn from.")
    counts = [measuring.counts.get(block, 0) for block in range(len(shape.lengths))]
    return Ready(learnt, measuring.measured(learnt._columns)._replace(counts=counts))


def counts_of(ready: Ready) -> list[int]:
    """Return the rows of each partition that weigh anything."""
    return ready.measured.counts


def fit_whole(estimator: BaseAutoencoder, parts: Sequence[Part]) -> BaseAutoencoder:
    """Fit to all rows on one worker."""
    fitted = copy.deepcopy(estimator)
    filled = [part for part in parts if len(part.table)]
    tables = Parts(sum(len(part.table) for part in filled))
    for part in filled:
        tables.add(part.table)
    weights = [part.weight for part in filled if part.weight is not None]
    return fitted.fit(tables.joined(), sample_weight=np.concatenate(weights) if weights else None)


def _share(n_drawn: int, shape: Shape) -> float:
    """Return the key below which about as many rows of all lie as are drawn, and a few more."""
    return min(1.0, _MORE * n_drawn / max(1, shape.n_rows))


# ---------------------------------------------------------------------- from the client


def join_all(
    client: Client, join: Callable[[Sequence[Result]], Result], parts: Sequence[Future[Result]]
) -> Future[Result]:
    """Join the results of tasks by a tree of tasks."""
    while len(parts) > 1:
        groups = [list(parts[start : start + _JOINED]) for start in range(0, len(parts), _JOINED)]
        parts = [client.submit(join, group, pure=False) for group in groups]
    return parts[0]


def measure_all(
    client: Client, learnt: Future[BaseAutoencoder], parts: Sequence[Future[Part]], shape: Shape, seed: int
) -> Future[Ready]:
    """Go over all rows once, each partition where it lies; return a `Ready` that stays there."""
    found = [
        client.submit(measure_part, learnt, parts[block], shape, block, seed, pure=False)
        for block in filled_of(shape)
    ]
    return client.submit(get_ready, learnt, join_all(client, merged, found), shape, pure=False)


def examine_all(
    client: Client,
    estimator: BaseAutoencoder,
    first: Future[BaseAutoencoder],
    parts: Sequence[Future[Part]],
    shape: Shape,
    seed: int,
) -> Future[BaseAutoencoder]:
    """Learn the columns of all partitions, categories among them."""
    found = [
        client.submit(find_examples, first, parts[block], shape, block, seed, pure=False)
        for block in filled_of(shape)
    ]
    return client.submit(learn_columns, estimator, join_all(client, join_examples, found), pure=False)


def filled_of(shape: Shape) -> list[int]:
    """List the partitions that have rows."""
    return [block for block, length in enumerate(shape.lengths) if length]
