"""Where the rows of an epoch come from: anything with `epoch(generator)` and `n_batches`."""

import itertools
from collections.abc import Iterator
from typing import Protocol

import torch

from skae.objectives.batch import Batch


class Batches(Protocol):
    """What the loop needs to know about data."""

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        ...

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Go over all rows once, in an order drawn from the generator."""
        ...


class InMemory:
    """Rows that lie on the device as one tensor or two; each batch is a selection by index.

    There is no loader: for networks of this size, collating rows one by one costs
    several times what the network does.

    Parameters
    ----------
    rows : tensor of shape (n_rows, n_features)
        Centred and scaled rows, the target.
    batch_size : int
        Upper bound of the rows of a batch. Batches of an epoch differ by one row at
        most, so that no step rests on a small remainder.
    shuffle : bool, default=True
        False keeps the order, for solvers that use all rows at once.
    inputs : tensor of shape (n_rows, n_features), optional
        What the encoder sees of each row; the row itself by default.
    weight : tensor of shape (n_rows, 1), optional
        Weights of rows; all alike by default.
    """

    def __init__(
        self,
        rows: torch.Tensor,
        batch_size: int,
        shuffle: bool = True,
        inputs: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
    ) -> None:
        self.rows = rows
        self.inputs = inputs
        self.weight = weight
        self.n_batches = -(-len(rows) // batch_size)
        self.shuffle = shuffle and self.n_batches > 1

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Go over all rows once."""
        if not self.shuffle:
            seen = self.rows if self.inputs is None else self.inputs
            tables = (seen, self.rows) if self.weight is None else (seen, self.rows, self.weight)
            parts = (table.tensor_split(self.n_batches) for table in tables)
            yield from itertools.starmap(Batch, zip(*parts, strict=True))
            return
        order = torch.randperm(len(self.rows), generator=generator).to(self.rows.device)
        for index in order.tensor_split(self.n_batches):
            part = self.rows[index]
            weight = None if self.weight is None else self.weight[index]
            yield Batch(part if self.inputs is None else self.inputs[index], part, weight)
