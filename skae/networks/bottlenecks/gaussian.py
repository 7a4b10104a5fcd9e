"""Codes that are drawn from a normal distribution a row."""

from typing import NamedTuple

import torch
from torch import nn

from skae._random import normal
from skae.networks.bottlenecks.base import Bottleneck

# Deviations of codes between e^-6 and e^3: what lies beyond is a step gone wrong.
_LOWEST, _HIGHEST = -12.0, 6.0


class Posterior(NamedTuple):
    """The normal distribution of the code of each row, independent over components."""

    mean: torch.Tensor  # (n, n_components)
    log_variance: torch.Tensor  # (n, n_components)

    def divergence(self) -> torch.Tensor:
        """Return the Kullback-Leibler divergence from the standard normal, in nats, (n, n_components)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def moments(self) -> torch.Tensor:
        """Return divergences, means and squared means, for averages over rows, (n, 3 * n_components)."""
        return torch.cat([self.divergence(), self.mean, self.mean.double().square()], 1)


class Gaussian(Bottleneck):
    """Draw codes about their mean; a user gets the mean.

    The encoder's output holds the means first, then the logarithms of the variances, which are
    about an offset that is learnt, one a component.

    Parameters
    ----------
    n_components : int
        Number of components.
    n_draws : int, default=1
        Codes drawn a row and step.
    """

    # A mean and a variance.
    n_inputs = 2

    def __init__(self, n_components: int, n_draws: int = 1) -> None:
        super().__init__()
        self.n_components = n_components
        self.n_draws = n_draws
        self.divides = n_draws == 1
        self.n_kept = n_components
        self.offset = nn.Parameter(torch.zeros(n_components))

    def posterior(self, pre: torch.Tensor) -> Posterior:
        """Split what the encoder put out, (n, 2 * n_components)."""
        mean, log_variance = pre.chunk(2, dim=1)
        log_variance = (log_variance + self.offset).clamp(_LOWEST, _HIGHEST)
        return Posterior(mean[:, : self.n_kept], log_variance[:, : self.n_kept])

    def draw(self, n_rows: int, generator: torch.Generator) -> torch.Tensor:
        """Draw standard normal noise, (n_draws * n_rows, n_components)."""
        shape = (self.n_draws * n_rows, self.n_kept)
        return normal(shape, generator)

    def forward(self, pre: torch.Tensor, draw: torch.Tensor | None = None) -> torch.Tensor:
        """Return one code for each row of noise: all rows by the first draw, then by the next."""
        if draw is None:
            return self.read(pre)
        mean, log_variance = self.posterior(pre)
        deviation = (log_variance / 2).exp()
        times = len(draw) // len(mean)
        return mean.repeat(times, 1) + deviation.repeat(times, 1) * draw

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Return the means."""
        return pre[:, : self.n_kept]

    def keep(self, n_components: int) -> None:
        """Forget all but the first components."""
        self.n_kept = n_components
