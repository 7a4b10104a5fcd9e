"""Bringing back components that no row uses any more."""

from typing import Any, cast

import torch
from torch import nn

from skae.objectives.batch import Pass


class AuxK(nn.Module):
    """Let dead components explain what the others leave (Gao et al. 2024).

    A component is dead that no row has used for an epoch. The largest codes that the dead ones
    would have are fitted to the residual, whose gradient reaches them alone.

    Parameters
    ----------
    n_components : int
        Number of components.
    n_active : int
        How many dead ones speak for a row.
    coefficient : float, default=1/32
        Weight of the fit, in parts of the residual's variance.
    """

    silent: torch.Tensor
    judges = False

    def __init__(self, n_components: int, n_active: int, coefficient: float = 1 / 32) -> None:
        super().__init__()
        self.coefficient = coefficient
        self.n_active = n_active
        self.register_buffer("silent", torch.zeros(n_components))
        self.n_rows = 0

    def measure(self, rows: torch.Tensor) -> None:
        """Take the length of an epoch from the training rows."""
        self.n_rows = len(rows)

    def forward(self, passed: Pass) -> torch.Tensor:
        """Give one value a row, zero where nothing is dead."""
        with torch.no_grad():
            used = (passed.code > 0).any(0)
            self.silent.copy_(torch.where(used, 0.0, self.silent + len(passed.code)))
            dead = self.silent > self.n_rows
        pre = passed.pre.masked_fill(~dead, 0.0).relu()
        values, places = pre.topk(min(self.n_active, pre.shape[1]), dim=1)
        codes = torch.zeros_like(pre).scatter(1, places, values)
        residual = (passed.batch.target - passed.output).detach()
        missed = (residual - cast(Any, passed.network).decoder.add(codes)).square().mean(1)
        return torch.where(dead.any(), missed / residual.square().mean().clamp_min(1e-12), 0.0)
