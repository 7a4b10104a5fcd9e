"""Codes that are not negative: rectified, or between zero and one."""

import torch

from skae.networks.bottlenecks.base import Bottleneck


class Rectified(Bottleneck):
    """Set negative codes to zero."""

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Rectify."""
        return pre.relu()


class Logistic(Bottleneck):
    """Squash codes into (0, 1), so that their mean can be read as how often they are on."""

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Squash."""
        return pre.sigmoid()
