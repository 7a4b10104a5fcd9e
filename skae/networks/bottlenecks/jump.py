"""Codes that jump: zero up to a threshold of their own, untouched above it."""

from typing import Any

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
        return _Jump.apply(pre, self.log_threshold.exp(), self.bandwidth)  # type: ignore[no-any-return]

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Keep codes above the threshold."""
        return pre * self.active(pre)


class _Jump(torch.autograd.Function):
    """A step at the threshold, whose derivative by the threshold is that of a ramp around it."""

    # Several are computed at once where models are trained side by side.
    generate_vmap_rule = True

    @staticmethod
    def forward(pre: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> torch.Tensor:
        return (pre > threshold).to(pre)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor, float], output: torch.Tensor
    ) -> None:
        pre, threshold, ctx.bandwidth = inputs
        ctx.save_for_backward(pre, threshold)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        pre, threshold = ctx.saved_tensors
        width = ctx.bandwidth * threshold
        near = (pre - threshold).abs() < width / 2
        return None, -(grads[0] * near).sum(0) / width, None
