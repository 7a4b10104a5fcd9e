"""Codes of which only the largest are kept."""

import torch

from skae._counts import check_count
from skae.networks.bottlenecks.base import Bottleneck


class TopK(Bottleneck):
    """Keep the largest codes of each row, the others are zero (Makhzani and Frey 2013).

    Parameters
    ----------
    n_active : int
        How many are kept at most; negative ones are never kept.
    """

    def __init__(self, n_active: int) -> None:
        super().__init__()
        # Read again with what users have set since the fit, which nothing else has checked.
        self.n_active = check_count(n_active, "n_active")

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Keep the largest."""
        codes = pre.relu()
        if self.n_active >= codes.shape[1]:
            return codes
        values, places = codes.topk(self.n_active, dim=1)
        return torch.zeros_like(codes).scatter(1, places, values)


class BatchTopK(Bottleneck):
    """Keep the largest codes of a batch: rows share what they need (Bussmann et al. 2024).

    In use, codes are kept that exceed a threshold, so that a row's code never depends on
    its neighbours: the running mean of the least code that was kept in training.

    Parameters
    ----------
    n_active : int
        How many are kept for each row on average.
    """

    threshold: torch.Tensor

    def __init__(self, n_active: int) -> None:
        super().__init__()
        self.n_active = n_active
        # Below zero: nothing was kept yet.
        self.register_buffer("threshold", torch.tensor(-1.0))

    @torch.no_grad()
    def start(self, pre: torch.Tensor) -> None:
        """Start the threshold where so many are kept."""
        self.threshold.copy_(threshold_of(pre, self.n_active))

    def forward(self, pre: torch.Tensor, draw: torch.Tensor | None = None) -> torch.Tensor:
        """Keep the largest of the batch."""
        codes = pre.relu()
        if self.n_active >= codes.shape[1]:
            return codes
        least = threshold_of(codes.detach(), self.n_active)
        with torch.no_grad():
            new = torch.where(self.threshold < 0, least, 0.99 * self.threshold + 0.01 * least)
            self.threshold.copy_(new)
        return codes * (codes >= least)

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Keep what exceeds the threshold."""
        codes = pre.relu()
        return codes * (codes >= self.threshold)


def threshold_of(pre: torch.Tensor, n_active: int) -> torch.Tensor:
    """Return the smallest of the `n_active` largest values of `pre` (n, k) a row on average, at least 0."""
    n_kept = min(n_active * len(pre), pre.numel())
    return pre.flatten().topk(n_kept).values[-1].clamp_min(0.0)
