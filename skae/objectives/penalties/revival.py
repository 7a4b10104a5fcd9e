"""Bringing back components that no row uses any more: by a loss, or by a new start."""

from collections.abc import Sequence

import torch
from torch import nn

from skae._spelling import refuse_misspelt
from skae.objectives.batch import Network, Pass, left_over
from skae.objectives.penalties.base import Penalty

# What a revival notes of one training pass.
Watched = Sequence[torch.Tensor]


class AuxK(Penalty):
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
    n_rows: torch.Tensor
    needs_output = True

    def __init__(self, n_components: int, n_active: int, coefficient: float = 1 / 32) -> None:
        super().__init__(coefficient)
        self.n_active = n_active
        self.register_buffer("silent", torch.zeros(n_components))
        # A tensor, since it may differ between models that are trained side by side.
        self.register_buffer("n_rows", torch.zeros(()), persistent=False)

    def adapt(self, rows: torch.Tensor) -> None:
        """Take the length of an epoch from the training rows."""
        self.n_rows.fill_(len(rows))

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row, zero if nothing is dead."""
        with torch.no_grad():
            used = (passed.code > 0).any(0)
            self.silent.copy_(torch.where(used, 0.0, self.silent + len(passed.code)))
            dead = self.silent > self.n_rows
        pre = passed.pre.masked_fill(~dead, 0.0).relu()
        values, places = pre.topk(min(self.n_active, pre.shape[1]), dim=1)
        codes = torch.zeros_like(pre).scatter(1, places, values)
        residual = left_over(passed).detach()
        missed = (residual - passed.network.decoder.add(codes)).square().mean(1)
        return torch.where(dead.any(), missed / residual.square().mean().clamp_min(1e-12), 0.0)


class Revival(nn.Module):
    """What brings back components that training has lost, without a gradient; the base of all such parts.

    Attributes
    ----------
    stacks : bool
        Whether several can watch at once, as `Penalty.stacks`.
    n_seen : int
        Number of rows since components started again; 0 where they are not counted.
    """

    stacks: bool = False
    n_seen: int = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_misspelt(cls, Revival)

    def adapt(self, rows: torch.Tensor) -> None:
        """Take what is needed of the training rows (n_rows, n_features), once, before training."""

    def watch(self, passed: Pass) -> Watched:
        """Return what `renew` needs of one training pass, whose output is that of whole codes."""
        return ()

    def renew(self, network: Network, progress: float, watched: Watched) -> None:
        """Change the network after a step.

        Parameters
        ----------
        network : Autoencoder
        progress : float
            How far training is, in [0, 1].
        watched : sequence of tensor
            What `watch` returned of the step's pass.
        """


class Resample(Revival):
    """Let components that no row used for an epoch start again at rows that are given back badly.

    A dead component becomes the residual of a row of the batch at hand, read along the same direction,
    as strongly as the living are read (after Bricken et al. 2023, who draw rows by their loss).
    Nothing of it is differentiated: a dead component has no gradient.
    """

    used: torch.Tensor
    stacks = True
    # What starts again in the last fifth would not learn any more.
    until = 0.8

    def __init__(self, n_components: int) -> None:
        super().__init__()
        # Moves with the objective; no checkpoint needs it, since every epoch begins anew.
        self.register_buffer("used", torch.zeros(n_components, dtype=torch.bool), persistent=False)
        self.n_rows = 0
        self.n_seen = 0

    def adapt(self, rows: torch.Tensor) -> None:
        """Take the length of an epoch from the training rows."""
        self.n_rows = len(rows)

    @torch.no_grad()
    def watch(self, passed: Pass) -> Watched:
        """Return which components a batch uses, (n_components,), and its residuals, (n, n_features)."""
        return (passed.code > 0).any(0), left_over(passed).detach()

    @torch.no_grad()
    def renew(self, network: Network, progress: float, watched: Watched) -> None:
        """Count what was used; start dead components again at the end of an epoch."""
        used, left = watched
        self.used |= used
        self.n_seen += len(left)
        if self.n_seen < self.n_rows:
            return
        if progress < self.until:
            # At most one for each row of the batch: twins would stay twins.
            dead = (~self.used).nonzero()[: len(left), 0]
            network.encoder.start_again(dead, left[: len(dead)], self.used)
        self.used.zero_()
        self.n_seen = 0
