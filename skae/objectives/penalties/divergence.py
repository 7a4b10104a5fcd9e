"""What keeps the distributions of codes near the standard normal."""

import torch

from skae.objectives.batch import Pass, n_cells
from skae.objectives.penalties.base import Penalty


class Divergence(Penalty):
    """Kullback-Leibler divergence of the code of a row from the standard normal, over its number of cells.

    Over the cells because the loss is a mean over cells: the sum of both is the negative evidence lower
    bound a cell (Kingma and Welling 2014).

    Parameters
    ----------
    coefficient : float
        What it is multiplied by after the warm-up.
    free_bits : float, default=0.0
        Nats of each component that cost nothing (Kingma et al. 2016): its mean over rows counts
        from there on.
    warm_up : float, default=0.1
        Share of the training over which the coefficient rises from zero.
    """

    judges = True
    divides = True

    def __init__(self, coefficient: float, free_bits: float = 0.0, warm_up: float = 0.1) -> None:
        super().__init__(coefficient)
        self.free_bits = free_bits
        self.warm_up = warm_up
        # Free bits are those of the batch.
        self.divides = type(self).divides and not free_bits

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row; a scalar with free bits, which are those of the batch."""
        divergence = passed.network.bottleneck.posterior(passed.pre).divergence()
        cells = n_cells(passed.batch)
        if not self.free_bits:
            return divergence.sum(1) / cells
        weight = passed.batch.weight
        rows = torch.ones_like(divergence[:, :1]) if weight is None else weight.mean(1, keepdim=True)
        mean = (rows * divergence).sum(0) / rows.sum()
        return mean.clamp_min(self.free_bits).sum() / cells.float().mean()
