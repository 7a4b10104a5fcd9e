"""Reconstruction losses by cell, and the links from a network's output to units of the data."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

_LARGEST_EXPONENT = 30.0


class Link(NamedTuple):
    """A map from a network's output to values of the data, and the values it can reach."""

    mean: Callable[[torch.Tensor], torch.Tensor]
    lowest: float
    highest: float


def _identity(output: torch.Tensor) -> torch.Tensor:
    return output


def _exp(output: torch.Tensor) -> torch.Tensor:
    # Clamped: one step of the optimiser must not be able to overflow float32.
    return output.clamp(max=_LARGEST_EXPONENT).exp()


LINKS: dict[str, Link] = {
    "identity": Link(_identity, -math.inf, math.inf),
    "logistic": Link(torch.sigmoid, 0.0, 1.0),
    "tanh": Link(torch.tanh, -1.0, 1.0),
    "relu": Link(torch.relu, 0.0, math.inf),
    "softplus": Link(functional.softplus, 0.0, math.inf),
    "exp": Link(_exp, 0.0, math.inf),
}


class Reconstruction(nn.Module):
    """Mean of a loss over cells, between what a network puts out and a target.

    With the "identity" link outputs and targets are centred and divided by one overall
    scale, so that the loss means the same in any units. Every other link fixes the units
    (probabilities, counts), and so outputs and targets are in those of the data.

    Parameters
    ----------
    cell : callable
        The loss by cell: takes output and target, gives (n, n_features).
    link : str
        Name of the link, a key of `LINKS`.
    from_output : bool, default=False
        Whether `cell` takes the output before the link, as is stable for likelihoods.
    centre, scale : tensor of shape (n_features,) and float
        Where the data's units lie in those of the network's inputs.
    """

    centre: torch.Tensor

    def __init__(
        self,
        cell: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        link: str,
        from_output: bool = False,
        centre: torch.Tensor | float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.link = link
        self.from_output = from_output
        self.register_buffer("centre", torch.as_tensor(centre, dtype=torch.float32))
        self.scale = scale

    def move_centre(self, shift: torch.Tensor) -> None:
        """Take rows that lie about another centre, (n_features,) in units of the centred and scaled rows."""
        self.centre = self.centre + (shift * self.scale).to(self.centre)

    @property
    def is_centred(self) -> bool:
        """Whether outputs and targets are centred and scaled, as the inputs are."""
        return self.link == "identity" and not self.from_output

    @property
    def centred(self) -> bool | torch.Tensor:
        """The same for each column, (n_features,), where columns differ."""
        return self.is_centred

    @property
    def is_squared_error(self) -> bool:
        """Whether the loss of each cell is its squared error, with nothing between output and target."""
        return self.cell is _squared_error and self.is_centred

    def target(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the target for centred and scaled rows."""
        if self.is_centred:
            return rows
        return rows * self.scale + self.centre

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        """Apply the link."""
        return LINKS[self.link].mean(output)

    def cells(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of each cell, (n, n_features)."""
        return self.cell(output if self.from_output else self.mean(output), target)

    def sample(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw cells about their means; the means themselves, where the loss belongs to no distribution."""
        return mean

    def squares(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the squared error of each cell, (n, n_features), in squared units of the scaled rows."""
        squared = (self.mean(output) - target).square()
        return squared if self.is_centred else squared / self.scale**2


class Loss(NamedTuple):
    """What a loss by name stands for, and the data and links it goes with."""

    cell: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    links: tuple[str, ...]  # the first is its own
    lowest: float = -math.inf
    highest: float = math.inf
    from_output: bool = False


def _squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).square()


def _absolute_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).abs()


def _huber(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    # Twice torch's, so that small errors count as in the squared error.
    return 2 * functional.huber_loss(output, target, reduction="none")


def _binary_crossentropy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def _poisson(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    # Deviance: zero for a perfect reconstruction, which the negative log-likelihood is not.
    target = target.clamp(min=0.0)  # rounding of counts that were centred and scaled
    log_mean = output.clamp(max=_LARGEST_EXPONENT)
    return 2 * (torch.xlogy(target, target) - target * log_mean - target + log_mean.exp())


_ANY_LINK = ("identity", "logistic", "tanh", "relu", "softplus", "exp")

LOSSES: dict[str, Loss] = {
    "squared_error": Loss(_squared_error, _ANY_LINK),
    "absolute_error": Loss(_absolute_error, _ANY_LINK),
    "huber": Loss(_huber, _ANY_LINK),
    "binary_crossentropy": Loss(_binary_crossentropy, ("logistic",), 0.0, 1.0, from_output=True),
    "poisson": Loss(_poisson, ("exp",), 0.0, math.inf, from_output=True),
}
