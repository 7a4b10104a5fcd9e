"""Penalties on how much and how often codes are used. Codes are in units of a row's typical norm."""

import torch

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty


class ActivityL1(Penalty):
    """Sum of the absolute codes of a row, over the root of the number of columns.

    A row of centred and scaled cells has a norm of about that root, so the sum is in units of
    rows, and the coefficient means the same for any number of columns, components and rows.

    Parameters
    ----------
    coefficient : float
        What it is multiplied by after the warm-up.
    """

    # Belongs to what held-out rows judge: without it, the least sparse epoch would be the best.
    judges = True
    ignores_zeros = True
    divides = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        return passed.code.abs().sum(1) / passed.batch.inputs.shape[1] ** 0.5


class ActivityL2(ActivityL1):
    """Sum of the squared codes of a row, over the number of columns."""

    divides = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        return passed.code.square().sum(1) / passed.batch.inputs.shape[1]


class ActivityKL(ActivityL1):
    """Kullback-Leibler divergence of how often codes are on from a target, mean over components.

    Parameters
    ----------
    coefficient : float
        What it is multiplied by after the warm-up.
    target : float
        Wanted mean of each code over rows, in (0, 1).
    """

    ignores_zeros = False

    def __init__(self, coefficient: float, target: float) -> None:
        super().__init__(coefficient)
        self.target = target

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return a scalar: the mean over rows is taken over the batch."""
        weight = passed.batch.weight
        rows = torch.ones_like(passed.code[:, :1]) if weight is None else weight.mean(1, keepdim=True)
        on = ((rows * passed.code).sum(0) / rows.sum()).clamp(1e-6, 1 - 1e-6)
        off_part = (1 - self.target) * ((1 - self.target) / (1 - on)).log()
        return (self.target * (self.target / on).log() + off_part).mean()
