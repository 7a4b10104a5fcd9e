"""Gradients of large steps by several threads, each of which has some of the rows or of the models.

OpenMP's threads meet in every operation, and spin until the last one is there: beside a busy process a step
took two to four times as long on both of two cores as on one, and beside two, 200 times. These meet once a
step, and sleep until then.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch

from skae._computing import SideBySide
from skae.objectives.batch import Batch
from skae.objectives.penalties.revival import Watched
from skae.training.batches import joined_rows, padded
from skae.training.steps import Terms

# Multiply-adds of the largest operation of a step of one model from which two threads shorten it, each with
# half of the rows.
ROWS_FROM = 6_000_000
# From here on, as many threads as there are. Two parts of smaller steps are made on any machine, and computed
# one after the other where there is one thread: with other parts, numbers would differ in their last digits.
_ALL_FROM = 24_000_000
# Rows of a part at least: fewer take longer, a row.
_LEAST_ROWS = 128
# Numbers of the gradients of all parts, at most: 256 MiB of float32.
_MOST_NUMBERS = 2**26
# Multiply-adds of the largest operation of a step of several models, all of them together, from which threads
# shorten it, and of those of one thread, at least.
MEMBERS_FROM, _LEAST_WORK = 4_000_000, 2_000_000


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


def row_parts(n_rows: int, row_work: int, n_parameters: int, n_threads: int) -> int:
    """Return the number of parts of the rows of a step of much work; 1 where OpenMP's serve better."""
    n_parts = 2
    if n_rows * row_work >= _ALL_FROM:
        n_parts = min(n_threads, n_rows // _LEAST_ROWS)
        if 2 * n_parts < n_threads:
            return 1
        n_parts = max(2, min(n_parts, _MOST_NUMBERS // n_parameters))
    return min(n_parts, n_rows)


def member_parts(n_members: int, work: int, n_threads: int) -> int:
    """Return the number of parts of the models of a step of much work; 1 where OpenMP's serve better."""
    # A model alone is computed by other operations, whose last digits differ.
    n_parts = min(n_threads, n_members // 2, work // _LEAST_WORK)
    return 1 if work >= _ALL_FROM and 2 * n_parts < n_threads else max(1, n_parts)


class DividedRows:
    """Terms and gradient of one model in steps of much work, whose rows are divided between threads.

    Parameters
    ----------
    new_gradient : callable
        Takes a table (1, n_parameters), and returns what computes terms and puts the gradient there.
    gradients : tensor of shape (1, n_parameters)
        Where the gradient goes.
    """

    def __init__(self, new_gradient: Callable[[torch.Tensor], Gradient], gradients: torch.Tensor) -> None:
        self.new_gradient = new_gradient
        self.gradients = gradients
        self.side_by_side = SideBySide()
        self.parts: list[Gradient] = []
        self.tables = gradients[:0]

    def __call__(self, batches: Sequence[Batch], n_parts: int) -> tuple[Terms, Watched]:
        """Compute the terms, (1,) each, and the gradient; nothing is noted."""
        (batch,) = batches
        cuts = _cuts(len(batch.target), n_parts)
        return self._mean(cuts, batch.weight, lambda part, rows: part([rows_of(batch, rows)]))

    def joined(self, batch: Batch, n_parts: int) -> tuple[Terms, Watched]:
        """Compute the same of a batch with an axis of models, (1, n, n_features)."""
        inputs, target, weight, *_ = batch

        def terms_of(part: Gradient, rows: slice) -> tuple[Terms, Watched]:
            of_rows = None if weight is None else weight[:, rows]
            return part.joined(Batch(inputs[:, rows], target[:, rows], of_rows))

        return self._mean(_cuts(target.shape[1], n_parts), None if weight is None else weight[0], terms_of)

    def _mean(
        self,
        cuts: Sequence[slice],
        weight: torch.Tensor | None,
        terms_of: Callable[[Gradient, slice], tuple[Terms, Watched]],
    ) -> tuple[Terms, Watched]:
        """Return the means of the terms of parts, and put that of their gradients where it goes."""
        if len(self.parts) < len(cuts):
            self._close_parts()
            self.tables = self.gradients.new_empty(len(cuts), self.gradients.shape[1])
            self.parts = [self.new_gradient(table.unsqueeze(0)) for table in self.tables]
        calls = [partial(terms_of, *each) for each in zip(self.parts, cuts, strict=False)]
        found = [terms for terms, _ in self.side_by_side(calls)]
        shares = self._shares(cuts, weight)
        torch.mv(self.tables[: len(cuts)].T, shares, out=self.gradients[0])
        return {name: torch.cat([terms[name] for terms in found]).dot(shares)[None] for name in found[0]}, ()

    def _shares(self, cuts: Sequence[slice], weight: torch.Tensor | None) -> torch.Tensor:
        """Return what each part is of all by the weight of its rows or cells, (n_parts,)."""
        n_rows = cuts[-1].stop
        shares = self.gradients.new_tensor([(rows.stop - rows.start) / n_rows for rows in cuts])
        if weight is None:
            return shares
        sums = torch.stack([weight[rows].sum() for rows in cuts])
        total = sums.sum()
        # Where none has any, what does not depend on rows still counts.
        return torch.where(total > 0, sums / total, shares)

    def rest(self) -> None:
        """End the threads, until the next step."""
        self.side_by_side.close()

    def close(self) -> None:
        """End training."""
        self.rest()
        self._close_parts()

    def _close_parts(self) -> None:
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
    """

    def __init__(self, new_gradient: Callable[[slice], Callable[..., Terms]], n_members: int) -> None:
        self.new_gradient = new_gradient
        self.n_members = n_members
        self.side_by_side = SideBySide()
        self.parts: dict[int, list[tuple[slice, Callable[..., Terms]]]] = {}

    def __call__(self, batches: Sequence[Batch], n_parts: int) -> tuple[Terms, Watched]:
        """Compute the terms, (n_models,) each, and the gradients; nothing is noted."""
        return self.joined(Batch(*joined_rows(padded(batches))), n_parts)

    def joined(self, batch: Batch, n_parts: int) -> tuple[Terms, Watched]:
        """Compute the same of a batch of all models, (n_models, n, n_features)."""
        if n_parts not in self.parts:
            # As long as all steps are of about the same number of rows, there is one division.
            self.parts = {n_parts: [(own, self.new_gradient(own)) for own in _cuts(self.n_members, n_parts)]}
        inputs, target, weight, *_ = batch
        calls = [
            partial(part, inputs[own], target[own], None if weight is None else weight[own])
            for own, part in self.parts[n_parts]
        ]
        found = self.side_by_side(calls)
        # Terms that weigh nothing in all models of a part are not computed there.
        names = dict.fromkeys(name for terms in found for name in terms)
        nothing = [torch.zeros_like(terms["reconstruction"]) for terms in found]
        return {
            name: torch.cat([terms.get(name, none) for terms, none in zip(found, nothing, strict=True)])
            for name in names
        }, ()

    def rest(self) -> None:
        """End the threads, until the next step."""
        self.side_by_side.close()

    def close(self) -> None:
        """End training."""
        self.rest()


def _cuts(n: int, n_parts: int) -> list[slice]:
    """Divide a number into parts of about the same size."""
    ends = [n * place // n_parts for place in range(n_parts + 1)]
    return [slice(*each) for each in itertools.pairwise(ends)]


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a prepared batch."""
    weight, filled, there, labels = (
        None if table is None else table[rows]
        for table in (batch.weight, batch.filled, batch.there, batch.labels)
    )
    draws = {name: None if table is None else table[rows] for name, table in batch.draws.items()}
    inputs, target = batch.inputs[rows], batch.target[rows]
    return Batch(inputs, target, weight, draws, batch.coefficients, filled, there, labels)
