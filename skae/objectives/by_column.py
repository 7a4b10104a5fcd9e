"""Losses of tables whose columns are of several kinds: each kind has its loss, its link and its draws."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from skae.objectives.reconstruction import LOSSES, Reconstruction

LARGEST_EXPONENT = 30.0


class Kind(NamedTuple):
    """One kind of column: each function takes the reconstruction, its columns of a table, and the part."""

    mean: Callable[..., torch.Tensor]
    cells: Callable[..., torch.Tensor]
    sample: Callable[..., torch.Tensor]
    lowest: float = -math.inf
    highest: float = math.inf
    is_scaled: bool = False  # whether targets are centred and scaled, as the inputs are


class Part(NamedTuple):
    """The columns of one kind; categorical ones of one width of groups, the first of each group first."""

    kind: Kind
    columns: torch.Tensor
    width: int = 1  # columns of a group


class ByColumn(Reconstruction):
    """Base of reconstructions that go by column.

    Parameters
    ----------
    known : dict of str to Kind
        The kinds there are.
    kinds : sequence of str
        A key of `known` for each column.
    groups : sequence of int
        Number of the group of each column; only "categorical" ones share a group.
    link : str
        Key of `LINKS`: between output and mean of scaled columns.
    centre, scale : tensor of shape (n_features,) and float
        Where the data's units lie in those of the network's inputs.
    """

    is_scaled: torch.Tensor
    order: torch.Tensor
    back: torch.Tensor

    def __init__(
        self,
        known: Mapping[str, Kind],
        kinds: Sequence[str],
        groups: Sequence[int],
        link: str,
        centre: torch.Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(_not_by_cell, link, False, centre, scale)
        self.kinds = tuple(kinds)
        self.parts = [Part(known[kind], columns, width) for kind, columns, width in _by_kind(kinds, groups)]
        self.sizes = [len(part.columns) for part in self.parts]
        # Columns are put in the order of the parts and back, once each, whatever the number of parts.
        order = torch.cat([part.columns for part in self.parts])
        self.is_in_order = bool((order == torch.arange(len(kinds))).all())
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        # An identity link leaves means in the units of the inputs, any other in those of the data.
        is_scaled = torch.tensor([known[kind].is_scaled and link == "identity" for kind in kinds])
        self.register_buffer("is_scaled", is_scaled, persistent=False)
        # Once: a graph that is recorded of the decoder must not ask what a tensor holds.
        self.is_all_scaled = bool(is_scaled.all())

    @property
    def is_centred(self) -> bool:
        """Whether all columns are centred and scaled."""
        return self.is_all_scaled

    @property
    def centred(self) -> bool | torch.Tensor:
        """The same for each column."""
        return True if self.is_centred else self.is_scaled

    def target(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the target for centred and scaled rows."""
        if self.is_centred:
            return rows
        return torch.where(self.is_scaled, rows, rows * self.scale + self.centre)

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Apply the link of each column."""
        return self._by_part(lambda part, columns: part.kind.mean(self, columns, part), output)

    def cells(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of each cell, (n, n_features)."""
        return self._by_part(
            lambda part, columns, wanted: part.kind.cells(self, columns, wanted, part), output, target
        )

    def squares(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the squared error of each cell, (n, n_features), in squared units of the scaled rows."""
        squared = (self.mean(output) - target).square()
        return squared if self.is_centred else torch.where(self.is_scaled, squared, squared / self.scale**2)

    def sample(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw cells for means, both in the units of the target."""
        return self._by_part(lambda part, columns: part.kind.sample(self, columns, part, generator), mean)

    def _by_part(self, function: Callable[..., torch.Tensor], *tables: torch.Tensor) -> torch.Tensor:
        """Apply a function to the columns of each part of tables, all (n, n_features)."""
        if not self.is_in_order:
            tables = tuple(_taken(table, self.order) for table in tables)
        pieces = zip(*(table.split(self.sizes, dim=1) for table in tables), strict=True)
        results = [function(part, *columns) for part, columns in zip(self.parts, pieces, strict=True)]
        whole = results[0] if len(results) == 1 else torch.cat(results, dim=1)
        return whole if self.is_in_order else _taken(whole, self.back)


class Mixed(ByColumn):
    """Losses by column, each over what the best constant leaves, so that no kind drowns the others.

    Parameters
    ----------
    kinds : sequence of str
        A key of `COLUMN_KINDS` for each column.
    groups : sequence of int
        Number of the group of each column; only "categorical" ones share a group.
    weights : tensor of shape (n_features,)
        Factor of the loss of each column.
    loss : str
        Key of `LOSSES`: the loss of numeric columns.
    centre, scale : tensor of shape (n_features,) and float
        Where the data's units lie in those of the network's inputs.
    """

    weights: torch.Tensor

    def __init__(
        self,
        kinds: Sequence[str],
        groups: Sequence[int],
        weights: torch.Tensor,
        loss: str,
        centre: torch.Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(COLUMN_KINDS, kinds, groups, "identity", centre, scale)
        self.loss = loss
        self.register_buffer("weights", weights.float())

    def cells(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss of each cell, (n, n_features)."""
        return self.weights * super().cells(output, target)


def _not_by_cell(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError("These losses go by column.")


def _taken(table: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    # Backwards, `gather` takes half the time of `index_select`, and a third of that of `table[:, columns]`.
    return table.gather(1, columns.expand(table.shape[0], -1))


def _by_kind(kinds: Sequence[str], groups: Sequence[int]) -> list[tuple[str, torch.Tensor, int]]:
    """Return the columns of each kind; of categorical ones those of each width of groups, and the width.

    Of a handful of parts, each is a few operations, and there are as many as there are kinds and widths: an
    operation a group takes a time that is quadratic in the groups.
    """
    members: dict[tuple[str, int], list[int]] = {}
    for column, (kind, group) in enumerate(zip(kinds, groups, strict=True)):
        members.setdefault((kind, int(group) if kind == "categorical" else -1), []).append(column)
    parts: dict[tuple[str, int], list[list[int]]] = {}
    for (kind, _), columns in members.items():
        parts.setdefault((kind, len(columns) if kind == "categorical" else 1), []).append(columns)
    # All first columns of the groups lie side by side, then all second ones: softmax is fastest like that.
    return [(kind, torch.tensor(columns).T.flatten(), width) for (kind, width), columns in parts.items()]


def _groups(columns: torch.Tensor, part: Part) -> torch.Tensor:
    """Return the columns of a part as (n, width of a group, number of groups)."""
    return columns.unflatten(1, (part.width, -1))


def _numeric_mean(whole: Mixed, output: torch.Tensor, part: Part) -> torch.Tensor:
    return output


def _numeric_cells(whole: Mixed, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    return LOSSES[whole.loss].cell(output, target)


def _numeric_sample(whole: Mixed, mean: torch.Tensor, part: Part, generator: torch.Generator) -> torch.Tensor:
    return mean


def binary_mean(whole: ByColumn, output: torch.Tensor, part: Part) -> torch.Tensor:
    """Return probabilities."""
    return output.sigmoid()


def binary_cells(whole: ByColumn, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    """Return the negative log-likelihood of zeros and ones."""
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def binary_sample(
    whole: ByColumn, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    """Draw zeros and ones."""
    return (torch.rand(mean.shape, generator=generator, dtype=mean.dtype) < mean).to(mean)


def categorical_mean(whole: ByColumn, output: torch.Tensor, part: Part) -> torch.Tensor:
    """Return probabilities of the columns of each group."""
    return _groups(output, part).softmax(1).flatten(1)


def categorical_cells(
    whole: ByColumn, output: torch.Tensor, target: torch.Tensor, part: Part
) -> torch.Tensor:
    """Return the negative log-likelihood, at the cell that holds the one."""
    return -target * _groups(output, part).log_softmax(1).flatten(1)


def categorical_sample(
    whole: ByColumn, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    """Draw one of the columns of each group."""
    shares = _groups(mean, part)
    chosen = torch.multinomial(shares.mT.reshape(-1, part.width), 1, generator=generator)
    chosen = chosen.view(len(mean), 1, -1)
    return torch.zeros_like(shares).scatter(1, chosen, 1.0).flatten(1)


# Counts lie in tables as log(1 + count), which networks read more easily; the output is the logarithm of
# the expected count, and so the mean of a cell is log(1 + exp(output)).


def count_mean(whole: ByColumn, output: torch.Tensor, part: Part) -> torch.Tensor:
    """Return log(1 + expected count)."""
    return functional.softplus(output.clamp(max=LARGEST_EXPONENT))


def _count_cells(whole: ByColumn, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    count = target.expm1().clamp(min=0.0)
    log_mean = output.clamp(max=LARGEST_EXPONENT)
    return 2 * (torch.xlogy(count, count) - count * log_mean - count + log_mean.exp())


def count_sample(whole: ByColumn, mean: torch.Tensor, part: Part, generator: torch.Generator) -> torch.Tensor:
    """Draw log(1 + count) from Poisson distributions."""
    return torch.poisson(mean.expm1(), generator=generator).log1p()


COLUMN_KINDS: dict[str, Kind] = {
    "numeric": Kind(_numeric_mean, _numeric_cells, _numeric_sample, is_scaled=True),
    "binary": Kind(binary_mean, binary_cells, binary_sample, 0.0, 1.0),
    "categorical": Kind(categorical_mean, categorical_cells, categorical_sample, 0.0, 1.0),
    "count": Kind(count_mean, _count_cells, count_sample, 0.0, math.inf),
}
