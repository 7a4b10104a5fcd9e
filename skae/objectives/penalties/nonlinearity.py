"""Penalties on what bends: on codes that are not linear in their rows, and on rows that are not in codes."""

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


class Straightness(Penalty):
    """Squared error of the linear half of the decoder alone, in units of that of both halves.

    For networks whose loss is the squared error. Codes that a linear map gives rows back from are near to
    principal components. Units are taken as they are, as a constant, so that the weight falls with the error
    of both halves: where little of that is left, what the linear half leaves would be all that counts.

    Parameters
    ----------
    coefficient : float
        What the error is multiplied by.
    """

    freedom = "maps"
    warm_up = 0.0
    is_by_hand = True
    ignores_zeros = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return the errors of cells, (n, n_features)."""
        path, target = passed.network.linear_decoder, passed.batch.target
        if path is None:
            return torch.zeros_like(passed.output)
        alone, both = ((output - target).square() for output in (path(passed.code), passed.output))
        weight = 1.0 if passed.batch.weight is None else passed.batch.weight
        total = (weight * alone).sum().clamp_min(torch.finfo(alone.dtype).tiny)
        return alone * ((weight * both).sum() / total).detach()
