"""What makes bits say as much as they can: on for half of the rows, and each for itself."""

import torch

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty

# Of more bits than this, and than a batch has rows, no table of all pairs is made.
_BY_PAIRS = 512


class Balance(Penalty):
    """Squared mean of each bit, as -1 or 1, over the rows of a batch; mean over bits.

    Zero where every bit is on for half of the rows, one where none ever changes.

    Parameters
    ----------
    coefficient : float
        What it is multiplied by.
    """

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return a scalar for the batch."""
        return _mean(passed, 2 * passed.code - 1).square().mean()


class Decorrelation(Balance):
    """Squared covariances between bits, as -1 or 1, over the rows of a batch; mean over pairs.

    Zero where no bit tells of another, one where all are the same.
    """

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return a scalar for the batch."""
        signs = 2 * passed.code - 1
        deviations = signs - _mean(passed, signs)
        weight = passed.batch.weight
        n_bits = signs.shape[1]
        if n_bits > max(_BY_PAIRS, len(signs)):
            return _by_rows(deviations, weight) / (n_bits * (n_bits - 1))
        if weight is not None:
            weights = weight.mean(1, keepdim=True)
            covariances = deviations.T @ (deviations * weights) / weights.sum()
        else:
            covariances = deviations.T @ deviations / len(signs)
        off = covariances - covariances.diagonal().diag()
        return off.square().sum() / max(1, n_bits * (n_bits - 1))


def _by_rows(deviations: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of squared covariances of all pairs of bits, from products of rows.

    The squares of the products of all pairs of columns add up to those of all pairs of rows.
    """
    if weight is None:
        scaled = deviations / len(deviations) ** 0.5
    else:
        weights = weight.mean(1, keepdim=True)
        scaled = deviations * (weights / weights.sum()).sqrt()
    return (scaled @ scaled.T).square().sum() - scaled.square().sum(0).square().sum()


def _mean(passed: Pass, values: torch.Tensor) -> torch.Tensor:
    weight = passed.batch.weight
    if weight is None:
        return values.mean(0)
    weights = weight.mean(1, keepdim=True)
    return (values * weights).sum(0) / weights.sum()
