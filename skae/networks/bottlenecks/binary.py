"""Codes of zeros and ones."""

import torch

from skae.networks.bottlenecks.base import Bottleneck


class Binary(Bottleneck):
    """Round codes to 0 and 1; gradients pass as if they had only been squashed (Bengio et al. 2013)."""

    def forward(self, pre: torch.Tensor, draw: torch.Tensor | None = None) -> torch.Tensor:
        """Round, with the slope of the logistic function."""
        squashed = pre.sigmoid()
        return squashed + (self.read(pre) - squashed).detach()

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Round."""
        return (pre > 0).to(pre)
