"""What trains bottlenecks that decide by a step: counts and gates."""

import torch
from torch.nn import functional

from skae.objectives.batch import Pass, left_over, n_cells
from skae.objectives.penalties.activity import ActivityL1
from skae.objectives.penalties.base import Penalty


class ActiveCount(ActivityL1):
    """Number of active codes of a row, for bottlenecks with a learnt threshold.

    The coefficient is the share of a row's variance that a code must explain to be worth having.
    """

    ignores_zeros = False
    divides = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        return passed.network.bottleneck.active(passed.pre).sum(1)


class GateL1(ActivityL1):
    """Sum of the open gates of a row, in the units of `ActivityL1`."""

    ignores_zeros = False
    divides = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        return passed.pre.relu().sum(1) / passed.batch.inputs.shape[1] ** 0.5


class GateFit(Penalty):
    """Squared error of rows rebuilt from the open gates, by a decoder that does not learn from it.

    It is where gates learn which codes a row needs (Rajamanoharan et al. 2024).
    """

    # Without it, the epoch would be best in which gates are still open too often.
    judges = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        atoms = passed.network.decoder
        rebuilt = functional.linear(passed.pre.relu(), atoms.weight.detach()) + atoms.offset.detach()
        missed = left_over(passed._replace(output=rebuilt))
        return missed.square().sum(1) / n_cells(passed.batch)
