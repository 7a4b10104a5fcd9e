"""Rows on a device, and the batches of an epoch: anything with `epoch(generator)` and `n_batches`."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np
import torch
from sklearn.model_selection import KFold
from torch.nn import functional

from skae._random import normal
from skae.objectives.batch import Batch
from skae.training.plan import N_FOLDS

# Rows of a part, where what is computed of all rows would need a copy of them.
CHUNK = 8192
# Numbers of a table of which an epoch may take a copy: 4 MiB of float32.
_FEW = 2**20
# The same of several models together: 128 MiB, and as much again with noise.
_FEW_TOGETHER = 2**25


class Rows(NamedTuple):
    """Rows on the device, centred and scaled."""

    target: torch.Tensor  # (n_rows, n_features) what the decoder should give back
    inputs: torch.Tensor | None = None  # what the encoder sees of them, where that is something else
    weight: torch.Tensor | None = None  # (n_rows, 1) of rows; None: all one
    labels: torch.Tensor | None = None  # (n_rows, n_outputs) what codes are to tell; NaN: not known

    @property
    def seen(self) -> torch.Tensor:
        """What the encoder sees."""
        return self.target if self.inputs is None else self.inputs

    @property
    def has_gaps(self) -> bool:
        """Whether any cell is NaN."""
        tables = (self.target,) if self.inputs is None else (self.target, self.inputs)
        return any(bool(part.isnan().any()) for table in tables for part in table.split(CHUNK))

    def take(self, index: Any) -> "Rows":
        """Select some."""
        inputs = None if self.inputs is None else self.inputs[index]
        weight = None if self.weight is None else self.weight[index]
        return Rows(self.target[index], inputs, weight, None if self.labels is None else self.labels[index])

    def about(self, centre: torch.Tensor) -> "Rows":
        """Centre anew."""
        moved = None if self.inputs is None else self.inputs - centre
        return self._replace(target=self.target - centre, inputs=moved)

    def drawn(self, generator: torch.Generator) -> torch.Tensor:
        """Return as many rows of the target, drawn by their weights; all of them without weights."""
        if self.weight is None:
            return self.target
        positions = self.weight[:, 0].cumsum(0) / self.weight.sum()
        draws = torch.rand(len(positions), generator=generator).to(positions)
        return self.target[torch.searchsorted(positions, draws).clamp_max(len(positions) - 1)]

    def scaled(self) -> torch.Tensor:
        """Return the target times the roots of weights, whose PCA is that of the weighted rows."""
        return self.target if self.weight is None else self.target * (self.weight / self.weight.mean()).sqrt()

    def mean(self) -> torch.Tensor:
        """Return the mean of each column over the cells that are there, 0 where none is."""
        if self.weight is None:
            return self.target.nanmean(0).nan_to_num()
        weight = self.weight * ~self.target.isnan()
        return (weight * self.target.nan_to_num()).sum(0) / weight.sum(0).clamp_min(torch.finfo().tiny)


def average(rows: Rows, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Average, over rows by their weight, what a function gives for each of them.

    Parameters
    ----------
    rows : Rows
    function : callable
        Takes what the encoder sees of some rows, on the CPU; gives (n, k).

    Returns
    -------
    mean : tensor of shape (k,), float64
    """
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    with torch.inference_mode():
        for start in range(0, len(rows.target), CHUNK):
            part = rows.take(slice(start, start + CHUNK))
            values = function(part.seen.cpu()).double()
            weight = torch.ones(len(values), dtype=torch.float64)
            if part.weight is not None:
                weight = part.weight[:, 0].double().cpu()
            total, count = total + weight @ values, count + float(weight.sum())
    return total / count


class Batches(Protocol):
    """What the loop needs to know about data."""

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows of an epoch."""
        ...

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
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
        Weights of rows; equal by default.
    n_rows : int, optional
        Rows of an epoch: the first so many in the order that is drawn for it; all by default.
    labels : tensor of shape (n_rows, n_outputs), optional
        What codes are to tell.
    """

    def __init__(
        self,
        rows: torch.Tensor,
        batch_size: int,
        shuffle: bool = True,
        inputs: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
        n_rows: int | None = None,
        labels: torch.Tensor | None = None,
    ) -> None:
        self.rows = rows
        self.inputs = inputs
        self.weight = weight
        self.labels = labels
        self.n_rows = len(rows) if n_rows is None else n_rows
        self.n_batches = -(-self.n_rows // batch_size)
        self.is_weighted = weight is not None
        self.shuffle = shuffle and (self.n_batches > 1 or self.n_rows < len(rows))

    @property
    def is_small(self) -> bool:
        """Whether an epoch may take a copy of the table."""
        return self.rows.numel() <= _FEW

    def order(self, generator: torch.Generator) -> torch.Tensor | None:
        """Draw the order of rows in an epoch, (n_rows,); None where they are taken as they lie."""
        if not self.shuffle:
            return None
        return torch.randperm(len(self.rows), generator=generator)[: self.n_rows].to(self.rows.device)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Go over all rows once."""
        rows = Rows(self.rows, self.inputs, self.weight, self.labels)
        order = self.order(generator)
        if order is None:
            yield from self._cut(rows)
            return
        if self.is_small:
            # One selection for all batches: on small tables, each costs as much as a product of matrices.
            yield from self._cut(rows.take(order))
            return
        for index in order.tensor_split(self.n_batches):
            part = rows.take(index)
            yield Batch(part.seen, part.target, part.weight, labels=part.labels)

    def _cut(self, rows: Rows) -> Iterator[Batch]:
        """Cut rows into batches, in the order in which they lie."""
        target = rows.target.tensor_split(self.n_batches)
        inputs = target if rows.inputs is None else rows.inputs.tensor_split(self.n_batches)
        weight = itertools.repeat(None) if rows.weight is None else rows.weight.tensor_split(self.n_batches)
        batches = map(Batch, inputs, target, weight)
        if rows.labels is None:
            return batches
        labels = rows.labels.tensor_split(self.n_batches)
        return (batch._replace(labels=part) for batch, part in zip(batches, labels, strict=True))


class Noise(NamedTuple):
    """What is added to the inputs of a model in training."""

    deviation: float
    generator: torch.Generator


def can_join(batches: Sequence[Batches]) -> TypeGuard[Sequence[InMemory]]:
    """Whether `epoch_together` goes over the rows of several models, in little memory."""
    small = [each for each in batches if isinstance(each, InMemory) and each.is_small]
    if len(small) < len(batches) or len({(each.n_rows, each.n_batches) for each in small}) > 1:
        return False
    return sum(each.rows.numel() for each in small) <= _FEW_TOGETHER


def epoch_together(
    batches: Sequence[InMemory], orders: Sequence[torch.Generator], noises: Sequence[Noise]
) -> Iterator[Batch]:
    """Go over the rows of several models once, each in an order and with noise of its own.

    Rows are selected, noise is drawn and tables are stacked once for the whole epoch: in each step of a small
    network and for each model, any of these costs as much as a product of matrices.

    Parameters
    ----------
    batches : sequence of InMemory
        That `can_join`; all with weights, or none.
    orders : sequence of torch.Generator
        Sources of the order of rows.
    noises : sequence of Noise
        What is added to what the encoders see.

    Returns
    -------
    batches : iterator of Batch
        Inputs and target are (n_models, n, n_features), weights (n_models, n, 1).
    """
    first = batches[0]
    target = first.rows.new_empty(len(batches), first.n_rows, first.rows.shape[1])
    is_noisy = any(noise.deviation for noise in noises)
    sees_more = is_noisy or any(each.inputs is not None for each in batches)
    inputs = torch.empty_like(target) if sees_more else None
    weight = None if first.weight is None else first.weight.new_empty(*target.shape[:2], 1)
    for number, (each, generator, noise) in enumerate(zip(batches, orders, noises, strict=True)):
        order = each.order(generator)
        own = _select(each.rows, order, target[number])
        if weight is not None and each.weight is not None:
            _select(each.weight, order, weight[number])
        if inputs is not None:
            seen = own if each.inputs is None else _select(each.inputs, order, torch.empty_like(own))
            drawn = inputs[number].normal_(generator=noise.generator) if noise.deviation else 0.0
            torch.add(seen, drawn, alpha=noise.deviation, out=inputs[number])
    targets = target.tensor_split(first.n_batches, 1)
    seen_by = targets if inputs is None else inputs.tensor_split(first.n_batches, 1)
    weights = itertools.repeat(None) if weight is None else weight.tensor_split(first.n_batches, 1)
    return map(Batch, seen_by, targets, weights)


def noisy_epoch(batches: Batches, order: torch.Generator, noise: Noise) -> Iterator[Batch]:
    """Go over the rows of one model once, with noise: the batches that it has in `epoch_together`."""
    alone = [batches]
    if can_join(alone):
        for inputs, target, weight, *_ in epoch_together(alone, [order], [noise]):
            yield Batch(inputs[0], target[0], None if weight is None else weight[0])
        return
    for batch in batches.epoch(order):
        if noise.deviation:
            drawn = normal(batch.inputs.shape, noise.generator, batch.inputs.dtype)
            batch = batch._replace(inputs=torch.add(batch.inputs, drawn, alpha=noise.deviation))
        yield batch


def _select(rows: torch.Tensor, order: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
    """Put rows in an order, or as they lie, into a place."""
    return out.copy_(rows) if order is None else torch.index_select(rows, 0, order, out=out)


class Fold(NamedTuple):
    """Rows that are trained on and rows that judge, both about the mean of the former."""

    rows: Rows
    held: Rows
    centre: torch.Tensor  # (n_features,)


def folds(rows: Rows, random: np.random.RandomState) -> Iterator[Fold]:
    """Cut rows into five folds, each of which is held out once.

    Parameters
    ----------
    rows : Rows
        All rows.
    random : RandomState
        Draws the folds.

    Yields
    ------
    fold : Fold
    """
    cuts = KFold(N_FOLDS, shuffle=True, random_state=random).split(np.arange(len(rows.target)))
    for training, held_out in cuts:
        kept, held = (rows.take(torch.from_numpy(part)) for part in (training, held_out))
        centre = kept.mean()
        yield Fold(kept.about(centre), held.about(centre), centre)


def joined(batches: Sequence[Batch]) -> Batch:
    """Stack prepared batches: each tensor gets an axis of members in front."""
    first, as_tensor = batches[0], batches[0].inputs.new_tensor
    batches = padded(batches)
    return Batch(
        *joined_rows(batches),
        {name: _together([batch.draws[name] for batch in batches]) for name in drawn(first)},
        {name: as_tensor([float(b.coefficients[name]) for b in batches]) for name in first.coefficients},
        filled=None if first.filled is None else _together([batch.filled for batch in batches]),
        there=None if first.there is None else _together([batch.there for batch in batches]),
        labels=None if first.labels is None else _together([batch.labels for batch in batches]),
    )


def joined_rows(batches: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Stack inputs, target and weight of batches of the same number of rows."""
    target = _together([batch.target for batch in batches])
    is_same = all(batch.inputs is batch.target for batch in batches)
    inputs = target if is_same else _together([batch.inputs for batch in batches])
    weight = None if batches[0].weight is None else _together([batch.weight for batch in batches])
    return inputs, target, weight


def drawn(batch: Batch) -> list[str]:
    """List the seats that draw anything."""
    return [name for name, value in batch.draws.items() if value is not None]


def padded(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Let batches end in rows of weight zero that are shorter than others."""
    n_rows = max(len(batch.target) for batch in batches)
    if all(len(batch.target) == n_rows for batch in batches):
        return batches
    return [_with_n_rows(batch, n_rows) for batch in batches]


def _with_n_rows(batch: Batch, n_rows: int) -> Batch:
    """Return a batch of so many rows, the last of them of weight zero."""
    weight = batch.target.new_ones(len(batch.target), 1) if batch.weight is None else batch.weight
    more = (0, 0, 0, n_rows - len(weight))
    tables = {"inputs": batch.inputs, "target": batch.target, "weight": weight}
    if batch.filled is not None and batch.there is not None:
        tables |= {"filled": batch.filled, "there": batch.there}
    return batch._replace(**{name: functional.pad(table, more) for name, table in tables.items()})


def _together(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
    there = [tensor for tensor in tensors if tensor is not None]
    # One needs no copy.
    return torch.stack(there) if len(there) > 1 else there[0].unsqueeze(0)
