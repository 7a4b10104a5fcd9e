"""Codes that jump: zero up to a threshold of their own, untouched above it."""

import torch
from torch import nn

from skae.networks.bottlenecks.base import Bottleneck
from skae.networks.bottlenecks.top_k import threshold_of


class JumpReLU(Bottleneck):
    """Keep codes above a threshold that each component learns (Rajamanoharan et al. 2024).

    The jump has no gradient. In its place, codes near the threshold say whether it would
    better be lower or higher (a straight-through estimate with a rectangular kernel).

    Parameters
    ----------
    n_components : int
        Number of codes.
    n_active : int
        How many are above their threshold at the start, for a row on average.
    """

    # Width of the kernel in thresholds. The paper's is far narrower, and its training far longer:
    # in a thousand steps, few codes would come so near.
    bandwidth = 0.25

    def __init__(self, n_components: int, n_active: int) -> None:
        super().__init__()
        self.n_active = n_active
        self.log_threshold = nn.Parameter(torch.zeros(n_components))

    @torch.no_grad()
    def start(self, pre: torch.Tensor) -> None:
        """Start the thresholds where so many codes are above them."""
        self.log_threshold.fill_(threshold_of(pre, self.n_active).clamp_min(1e-6).log())

    def active(self, pre: torch.Tensor) -> torch.Tensor:
        """Return 1 for codes above the threshold, else 0, with a gradient for the threshold."""
        threshold = self.log_threshold.exp()
        on = (pre > threshold).to(pre)
        width = self.bandwidth * threshold.detach()
        near = (pre.detach() - threshold.detach()).abs() < width / 2
        # The derivative of a ramp about the threshold, and the values of the step: what is added is zero.
        ramp = -threshold * (near / width)
        return on + (ramp - ramp.detach())

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Keep codes above the threshold."""
        return pre * self.active(pre)
