"""Dropout that draws from a generator of its own."""

import torch
from torch import nn


class Dropout(nn.Module):
    """Set units to zero at random while training (Srivastava et al. 2014).

    `torch.nn.Dropout` draws from torch's global generator, which a fit must leave
    alone and which two fits in two threads would share.

    Parameters
    ----------
    p : float
        Probability of a unit to be zeroed.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zero units while training; give `x` back otherwise."""
        if not self.training:
            return x
        keep = torch.rand(x.shape, generator=self.generator, device=x.device, dtype=torch.float32) >= self.p
        return x * keep / (1 - self.p)

    def __getstate__(self) -> dict:
        # Generators belong to one training run; torch cannot copy those of a GPU.
        return {**self.__dict__, "generator": None}
