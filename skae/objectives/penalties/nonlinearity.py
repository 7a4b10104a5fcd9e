"""A penalty on what of a code is not linear in its row."""

import torch

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty


class Nonlinearity(Penalty):
    """Mean square of what the encoder adds to its linear path, over that of the whole code.

    A share of the code, as the squared error of scaled rows is a share of their variance. Only what is added
    is drawn towards zero: the whole code is taken as it is.

    Parameters
    ----------
    coefficient : float
        What the share is multiplied by.
    """

    # What bends can be moved along with what does not.
    freedom = "maps"
    is_by_hand = True
    ignores_zeros = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return the share, a scalar."""
        whole = passed.pre.detach()
        path = passed.network.linear_encoder
        batch = passed.batch
        rows = passed.network.complete(batch.inputs) if batch.filled is None else batch.filled
        bent = passed.pre if path is None else passed.pre - path(rows)
        weight = batch.weight
        counts = torch.ones_like(bent[:, :1]) if weight is None else weight.mean(1, keepdim=True)
        total = (counts * whole.square()).sum().clamp_min(torch.finfo(whole.dtype).tiny)
        return (counts * bent.square()).sum() / total
