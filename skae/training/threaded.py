"""Gradients of large steps by several threads, each of which has some of the rows or of the models.

OpenMP's threads meet in every operation, and spin until the last one is there: beside a busy process a step
took two to four times as long on both of two cores as on one, and beside two, 200 times. These meet once a
step, and sleep until then.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch

from skae._computing import SideBySide
from skae.objectives.batch import Batch
from skae.objectives.penalties.revival import Watched
from skae.training.steps import Terms

# Multiply-adds of the largest operation of a step of one model from which two threads shorten it, each with
# half of the rows.
ROWS_FROM = 6_000_000
# From here on, as many threads as there are. Two parts of smaller steps are made on any machine, and computed
# one after the other where there is one thread: with other parts, numbers would differ in their last digits.
_ALL_FROM = 24_000_000
# Rows of a part at least: fewer take longer, a row.
_LEAST_ROWS = 128
# The same of a step of several models, each of which has the numbers that it has beside all others.
MEMBERS_FROM = 4_000_000
# What each thread has of that at least.
_LEAST_WORK = 2_000_000


class Gradient(Protocol):
    """Computes terms and gradients of models."""

    def __call__(self, batches: Sequence[Batch]) -> tuple[Terms, Watched]:
        """Compute the terms of each model, (n_models,) each, and the gradients; return notes as well."""
        ...

    def joined(self, batch: Batch) -> tuple[Terms, Watched]:
        """Compute the same of a batch of all models, (n_models, n, n_features)."""
        ...

    def close(self) -> None:
        """End training."""
        ...


class DividedRows:
    """Terms and gradient of one model in steps of much work, whose rows are divided between threads.

    Parameters
    ----------
    new_gradient : callable
        Takes a table (1, n_parameters), and returns what computes terms and puts the gradient there.
    gradients : tensor of shape (1, n_parameters)
        Where the gradient goes.
    row_work : int
        Multiply-adds of the largest operation on one row.
    """

    def __init__(
        self, new_gradient: Callable[[torch.Tensor], Gradient], gradients: torch.Tensor, row_work: int
    ) -> None:
        self.new_gradient = new_gradient
        self.gradients = gradients
        self.row_work = row_work
        self.side_by_side = SideBySide()
        self.parts: list[Gradient] = []
        self.tables = gradients[:0]
        self.cuts: dict[int, _Cut] = {}

    def __call__(self, batches: Sequence[Batch]) -> tuple[Terms, Watched]:
        """Compute the terms, (1,) each, and the gradient; nothing is noted."""
        (batch,) = batches
        return self._mean(batch.target, batch.weight, lambda part, rows: part([rows_of(batch, rows)]))

    def joined(self, batch: Batch) -> tuple[Terms, Watched]:
        """Compute the same of a batch with an axis of models, (1, n, n_features)."""
        inputs, target, weight, *_ = batch

        def terms_of(part: Gradient, rows: slice) -> tuple[Terms, Watched]:
            of_rows = None if weight is None else weight[:, rows]
            return part.joined(Batch(inputs[:, rows], target[:, rows], of_rows))

        return self._mean(target[0], None if weight is None else weight[0], terms_of)

    def _mean(
        self,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        terms_of: Callable[[Gradient, slice], tuple[Terms, Watched]],
    ) -> tuple[Terms, Watched]:
        """Return the means of the terms of parts, and put that of their gradients where it goes."""
        cut = self._cut(len(target))
        n_parts = len(cut.rows)
        if len(self.parts) < n_parts:
            self.tables = self.gradients.new_empty(n_parts, self.gradients.shape[1])
            self.parts = [self.new_gradient(table.unsqueeze(0)) for table in self.tables]
        calls = [partial(terms_of, *each) for each in zip(self.parts, cut.rows, strict=False)]
        found = [terms for terms, _ in self.side_by_side(calls)]
        shares = cut.shares if weight is None else cut.weighed(weight)
        torch.mv(self.tables[:n_parts].T, shares, out=self.gradients[0])
        return {name: torch.cat([terms[name] for terms in found]).dot(shares)[None] for name in found[0]}, ()

    def _cut(self, n_rows: int) -> "_Cut":
        """Return how so many rows are divided."""
        if n_rows not in self.cuts:
            most = self.side_by_side.n_threads if n_rows * self.row_work >= _ALL_FROM else 2
            rows = _cuts(n_rows, min(n_rows, max(2, min(most, n_rows // _LEAST_ROWS))))
            shares = [(each.stop - each.start) / n_rows for each in rows]
            self.cuts[n_rows] = _Cut(rows, self.gradients.new_tensor(shares))
        return self.cuts[n_rows]

    def close(self) -> None:
        """End the threads."""
        self.side_by_side.close()
        for gradient in self.parts:
            gradient.close()


class DividedMembers:
    """Terms and gradients of several models in steps of much work, divided between threads.

    Parameters
    ----------
    new_gradient : callable
        Takes a slice of the models, and returns what computes their terms from inputs, target and weight,
        (n_models, n_rows, ...) each, and writes their gradients.
    n_members : int
        Number of models.
    work : int
        Multiply-adds of the largest operation of a step of all of them.
    """

    def __init__(
        self, new_gradient: Callable[[slice], Callable[..., Terms]], n_members: int, work: int
    ) -> None:
        self.side_by_side = SideBySide()
        # A model alone is computed by other operations, whose last digits differ.
        n_parts = max(1, min(self.side_by_side.n_threads, n_members // 2, work // _LEAST_WORK))
        self.parts = [(members, new_gradient(members)) for members in _cuts(n_members, n_parts)]

    def __call__(
        self, inputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
    ) -> Terms:
        """Compute the terms, (n_models,) each, and the gradients."""
        calls = [
            partial(part, inputs[own], target[own], None if weight is None else weight[own])
            for own, part in self.parts
        ]
        found = self.side_by_side(calls)
        return {name: torch.cat([terms[name] for terms in found]) for name in found[0]}

    def close(self) -> None:
        """End the threads."""
        self.side_by_side.close()


class _Cut(NamedTuple):
    """How rows are divided, and what each part is of them, (n_parts,)."""

    rows: Sequence[slice]
    shares: torch.Tensor

    def weighed(self, weight: torch.Tensor) -> torch.Tensor:
        """Return what each part is of all by the weight of its rows or cells; the same where none has any."""
        sums = torch.stack([weight[rows].sum() for rows in self.rows])
        total = sums.sum()
        return torch.where(total > 0, sums / total, self.shares)


def _cuts(n: int, n_parts: int) -> list[slice]:
    """Divide a number into parts of about the same size."""
    ends = [n * place // n_parts for place in range(n_parts + 1)]
    return [slice(*each) for each in itertools.pairwise(ends)]


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a prepared batch, without a target for them."""
    weight, filled, there = (
        None if table is None else table[rows] for table in (batch.weight, batch.filled, batch.there)
    )
    draws = {name: None if table is None else table[rows] for name, table in batch.draws.items()}
    inputs, target = batch.inputs[rows], batch.target[rows]
    return Batch(inputs, target, weight, draws, batch.coefficients, filled, there)
