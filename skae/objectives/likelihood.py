"""Likelihoods of cells: what a decoder says of a table whose columns may be of several kinds."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from skae.objectives.reconstruction import LINKS, Reconstruction

# A deviation of a thousandth of the data's: below it, a likelihood rewards rounding.
_LOWEST_LOG_VARIANCE = math.log(1e-6)
_LARGEST_EXPONENT = 30.0


class Likelihood(Reconstruction):
    """Mean negative log-likelihood of cells, in nats.

    "gaussian" columns are centred and divided by one overall scale, as the inputs are; all others are in the
    units of the data. The cells of a group of "categorical" columns hold one ``1`` among zeros; a group's
    log-likelihood is shared out to the cell that does.

    Parameters
    ----------
    kinds : sequence of str
        A key of `KINDS` for each column.
    groups : sequence of int
        Number of the group of each column; only "categorical" ones share a group.
    link : str
        Key of `LINKS`: between output and mean of gaussian columns.
    variance : float or None
        Variance of gaussian columns, in squared units of the scaled rows. None learns it.
    per_feature : bool
        Whether each column has a variance of its own.
    centre, scale : tensor of shape (n_features,) and float
        Where the data's units lie in those of the network's inputs.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        groups: Sequence[int],
        link: str,
        variance: float | None,
        per_feature: bool,
        centre: torch.Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(_not_by_cell, link, False, centre, scale)
        self.kinds = tuple(kinds)
        self.parts = [Part(KINDS[kind], columns) for kind, columns in _by_kind(kinds, groups)]
        is_gaussian = torch.tensor([kind == "gaussian" for kind in kinds])
        # An identity link leaves means in the units of the inputs, any other in those of the data.
        self.register_buffer("is_scaled", is_gaussian & (link == "identity"), persistent=False)
        self.is_learnt = variance is None and bool(is_gaussian.any())
        start = torch.zeros(len(kinds) if per_feature else 1) + math.log(
            1.0 if variance is None else variance
        )
        if self.is_learnt:
            self.log_variance = nn.Parameter(start)
        else:
            self.register_buffer("log_variance", start)

    is_scaled: torch.Tensor
    log_variance: torch.Tensor

    @property
    def is_centred(self) -> bool:
        """Whether all columns are centred and scaled."""
        return bool(self.is_scaled.all())

    @property
    def centred(self) -> bool | torch.Tensor:
        """The same for each column."""
        return True if self.is_centred else self.is_scaled

    def start(self, variances: torch.Tensor) -> None:
        """Set a learnt variance to what each column (n_features,) leaves unexplained."""
        if self.is_learnt:
            with torch.no_grad():
                found = variances if self.log_variance.numel() > 1 else variances[self._gaussian()].mean()
                # As if a thousandth were left at least: the fit itself may go on from there.
                self.log_variance.copy_(found.clamp_min(1e-3).log())

    def noise(self) -> torch.Tensor:
        """Give the variance of each column, (n_features,), in squared units of the scaled rows."""
        variance = self.log_variance.clamp_min(_LOWEST_LOG_VARIANCE).exp()
        return variance.expand(len(self.kinds))

    def target(self, rows: torch.Tensor) -> torch.Tensor:
        """Give the target for centred and scaled rows."""
        if self.is_centred:
            return rows
        return torch.where(self.is_scaled, rows, rows * self.scale + self.centre)

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Apply the link of each column."""
        return self._by_part(lambda part, columns: part.kind.mean(self, output[:, columns], part), output)

    def cells(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Give the negative log-likelihood of each cell, (n, n_features)."""
        return self._by_part(
            lambda part, columns: part.kind.cells(self, output[:, columns], target[:, columns], part), output
        )

    def squares(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Give the squared error of each cell, (n, n_features), in squared units of the scaled rows."""
        squared = (self.mean(output) - target).square()
        return squared if self.is_centred else torch.where(self.is_scaled, squared, squared / self.scale**2)

    def sample(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw cells for means, both in the units of the target."""
        return self._by_part(
            lambda part, columns: part.kind.sample(self, mean[:, columns], part, generator), mean
        )

    def log_volume(self) -> float:
        """Give what turns log-densities of targets into those of the data, in nats a row."""
        return float(self.is_scaled.sum()) * math.log(self.scale)

    def _gaussian(self) -> torch.Tensor:
        return torch.tensor([kind == "gaussian" for kind in self.kinds], device=self.is_scaled.device)

    def variance_of(self, part: "Part") -> torch.Tensor:
        """Give the variance of the columns of a part, in the units of the target."""
        found = self.noise()[part.columns]
        return found if self.link == "identity" else found * self.scale**2

    def _by_part(self, function: Callable[["Part", Any], torch.Tensor], like: torch.Tensor) -> torch.Tensor:
        if len(self.parts) == 1:
            return function(self.parts[0], slice(None))
        result = torch.empty_like(like)
        for part in self.parts:
            # Not in place on a view: what was written has a gradient.
            result = result.index_copy(1, part.columns.to(like.device), function(part, part.columns))
        return result


class Part(NamedTuple):
    """The columns of one kind; categorical ones are one group."""

    kind: "Kind"
    columns: torch.Tensor


class Kind(NamedTuple):
    """One kind of column: each function takes the likelihood, its columns of a table, and the part."""

    mean: Callable[[Likelihood, torch.Tensor, Part], torch.Tensor]
    cells: Callable[[Likelihood, torch.Tensor, torch.Tensor, Part], torch.Tensor]
    sample: Callable[[Likelihood, torch.Tensor, Part, torch.Generator], torch.Tensor]
    lowest: float
    highest: float


def _not_by_cell(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError("Likelihoods go by column.")


def _by_kind(kinds: Sequence[str], groups: Sequence[int]) -> list[tuple[str, torch.Tensor]]:
    """Collect columns: all of a kind together, categorical ones by group."""
    members: dict[tuple[str, int], list[int]] = {}
    for column, (kind, group) in enumerate(zip(kinds, groups, strict=True)):
        members.setdefault((kind, int(group) if kind == "categorical" else -1), []).append(column)
    return [(kind, torch.tensor(columns)) for (kind, _), columns in members.items()]


def _gaussian_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return LINKS[whole.link].mean(output)


def _gaussian_cells(
    whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part
) -> torch.Tensor:
    variance = whole.variance_of(part)
    squared = (LINKS[whole.link].mean(output) - target).square()
    return 0.5 * (squared / variance + (2 * math.pi * variance).log())


def _gaussian_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    return mean + whole.variance_of(part).sqrt() * noise


def _bernoulli_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return output.sigmoid()


def _bernoulli_cells(
    whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part
) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def _bernoulli_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    return (torch.rand(mean.shape, generator=generator, dtype=mean.dtype) < mean).to(mean)


def _poisson_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return output.clamp(max=_LARGEST_EXPONENT).exp()


def _poisson_cells(whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part) -> torch.Tensor:
    target = target.clamp(min=0.0)  # rounding of counts that were centred and scaled
    log_mean = output.clamp(max=_LARGEST_EXPONENT)
    return log_mean.exp() - target * log_mean + torch.lgamma(target + 1)


def _poisson_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    return torch.poisson(mean, generator=generator)


def _categorical_mean(whole: Likelihood, output: torch.Tensor, part: Part) -> torch.Tensor:
    return output.softmax(1)


def _categorical_cells(
    whole: Likelihood, output: torch.Tensor, target: torch.Tensor, part: Part
) -> torch.Tensor:
    return -target * output.log_softmax(1)


def _categorical_sample(
    whole: Likelihood, mean: torch.Tensor, part: Part, generator: torch.Generator
) -> torch.Tensor:
    chosen = torch.multinomial(mean, 1, generator=generator)
    return torch.zeros_like(mean).scatter(1, chosen, 1.0)


KINDS: dict[str, Kind] = {
    "gaussian": Kind(_gaussian_mean, _gaussian_cells, _gaussian_sample, -math.inf, math.inf),
    "bernoulli": Kind(_bernoulli_mean, _bernoulli_cells, _bernoulli_sample, 0.0, 1.0),
    "poisson": Kind(_poisson_mean, _poisson_cells, _poisson_sample, 0.0, math.inf),
    "categorical": Kind(_categorical_mean, _categorical_cells, _categorical_sample, 0.0, 1.0),
}
