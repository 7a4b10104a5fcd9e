"""A critic that tells codes from draws of a prior, and an encoder that learns to fool it."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty
from skae.objectives.priors import Prior

_JUDGED_ROWS = 1000


def _reversed(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the same, with a gradient that is multiplied by minus a factor (Ganin and Lempitsky 2015)."""
    values = x.detach()
    return values - factor * (x - values)


def energy_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared energy distance of two samples, without bias (Szekely and Rizzo 2013).

    Parameters
    ----------
    x : tensor of shape (n, k)
    y : tensor of shape (m, k)

    Returns
    -------
    distance : scalar tensor
        Zero in expectation where both have one distribution.
    """
    within_x = torch.cdist(x, x).sum() / max(1, len(x) * (len(x) - 1))
    within_y = torch.cdist(y, y).sum() / max(1, len(y) * (len(y) - 1))
    return 2 * torch.cdist(x, y).mean() - within_x - within_y


class Adversary(Penalty):
    """Cross-entropy of a critic of codes, whose gradient reaches the encoder reversed.

    The critic tells codes from draws of the prior. Both learn in the same step, by the same optimiser: the
    gradient that reaches the encoder is reversed, and weighed, on its way. Held-out rows are judged by the
    energy distance of their codes from the prior, since a critic's loss says nothing about which epoch is
    better.

    Parameters
    ----------
    weight : float
        What the encoder's gradient is multiplied by.
    n_components : int
        Width of the code.
    prior : callable
        Takes numbers of rows and components and a generator.
    n_units : int, default=64
        Units of each of the critic's two hidden layers.
    penalty : float, default=1.0
        Weight of the squared gradient of the critic at codes and draws (Mescheder et al. 2018), which keeps
        it from growing steep, and the game from cycling.
    """

    judges = True
    # The encoder's gradient is weighed by `weight`; the critic learns from the first step.
    warm_up = 0.0

    def __init__(
        self, weight: float, n_components: int, prior: Prior, n_units: int = 64, penalty: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = weight
        self.n_components = n_components
        self.prior = prior
        self.penalty = penalty
        # The same first critic for every fit: it has forgotten where it began long before the end.
        generator = torch.Generator().manual_seed(0)
        layers: list[nn.Module] = []
        for n_in, n_out in ((n_components, n_units), (n_units, n_units), (n_units, 1)):
            linear = cast(nn.Linear, skip_init(nn.Linear, n_in, n_out))
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.SiLU()]
        self.critic = nn.Sequential(*layers[:-1])

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw from the prior, (n, n_components)."""
        return self.prior(len(rows), self.n_components, generator)

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return a scalar: the critic's loss in training, the energy distance on held-out rows."""
        drawn = passed.draw
        code = passed.code
        if drawn is None:
            part = code[:_JUDGED_ROWS]
            generator = torch.Generator(part.device).manual_seed(0)
            return self.weight * energy_distance(part, self.draw(part, generator).to(part))
        code = _reversed(code, self.weight)
        logits = self.critic(torch.cat([code, drawn]))[:, 0]
        truth = torch.cat([logits.new_zeros(len(code)), logits.new_ones(len(drawn))])
        weight = passed.batch.weight
        if weight is not None:
            # A row weighs as much as its observed cells do on average, and all of them as much as the draws.
            rows = weight.mean(1)
            weight = torch.cat([rows / rows.mean().clamp_min(1e-12), rows.new_ones(len(drawn))])
        loss = functional.binary_cross_entropy_with_logits(logits, truth, weight)
        return loss + self.penalty * self._steepness(torch.cat([code.detach(), drawn]))

    def _steepness(self, points: torch.Tensor) -> torch.Tensor:
        """Return half the mean squared gradient of the critic by points (n, n_components).

        Written out: torch's vectorised map takes no call of autograd.
        """
        weights, biases = (
            [value for value in self.critic.parameters() if value.ndim == ndim] for ndim in (2, 1)
        )
        slopes: list[torch.Tensor] = []
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            before = functional.linear(points, weight, bias)
            share = before.sigmoid()
            points = before * share
            slopes.append(share + points * (1 - share))
        gradient = weights[-1]
        for weight, slope in zip(reversed(weights[:-1]), reversed(slopes), strict=True):
            gradient = (gradient * slope) @ weight
        return gradient.square().sum(1).mean() / 2
