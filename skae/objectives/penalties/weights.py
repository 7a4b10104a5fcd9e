"""Penalties on the weights of a network."""

import torch

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty


class WeightL1(Penalty):
    """Sum of the absolute weights of the nonlinear parts; biases and linear path are free.

    Parameters
    ----------
    coefficient : float
        What the sum is multiplied by.
    """

    ignores_zeros = True
    divides = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return the sum as a scalar."""
        parts = (passed.network.encoder, passed.network.decoder)
        # By identity: tied weights belong to both parts and count once.
        weights = {id(p): p for part in parts for p in part.parameters() if p.ndim > 1}
        return torch.stack([weight.abs().sum() for weight in weights.values()]).sum()
