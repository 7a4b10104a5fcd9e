"""Codes with a gate: whether a code is on, and how large it is, are two questions."""

import torch
from torch import nn

from skae.networks.bottlenecks.base import Bottleneck


class Gated(Bottleneck):
    """Let a gate say which codes are on, and a line of its own how large (Rajamanoharan et al. 2024).

    The gate of a code is what the encoder puts out; its size is a stretched and shifted copy of that,
    which shares the encoder's weights. So pushing gates down, to have few codes, does not shrink the codes.
    No gradient of the reconstruction reaches the gates: `GateFit` trains them.

    Parameters
    ----------
    n_components : int
        Number of codes.
    """

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.log_stretch = nn.Parameter(torch.zeros(n_components))
        self.shift = nn.Parameter(torch.zeros(n_components))

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Return the sizes of the codes whose gates are open."""
        size = (self.log_stretch.exp() * pre + self.shift).relu()
        return torch.where(pre > 0, size, 0.0)
