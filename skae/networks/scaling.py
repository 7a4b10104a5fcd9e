"""What is done to numbers before a network sees them, as torch modules that undo it, too."""

import numpy as np
import torch
from torch import nn

from skae._computing import is_recorded
from skae.networks import normal


class Scaling(nn.Module):
    """Scale numbers as the estimator does on their way inside, and undo it, in float64.

    Parameters
    ----------
    shift, factor : ndarray of shape (n_features,)
        What is subtracted from each column, and what it is divided by then.
    """

    shift: torch.Tensor
    factor: torch.Tensor

    def __init__(self, shift: np.ndarray, factor: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("shift", torch.from_numpy(shift.copy()))
        self.register_buffer("factor", torch.from_numpy(factor.copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) in the units of X to scaled ones."""
        return (x - self.shift) / self.factor

    def undo(self, rows: torch.Tensor) -> torch.Tensor:
        """Map scaled rows (n, n_features) to the units of X."""
        return rows * self.factor + self.shift


class QuantileScaling(Scaling):
    """The same for a map of quantiles to a normal distribution, as scikit-learn's `QuantileTransformer`.

    Parameters
    ----------
    shift, factor : ndarray of shape (n_features,)
        As for `Scaling`; not used.
    columns : ndarray of shape (n_numeric,)
        Positions of the columns that are mapped.
    quantiles : ndarray of shape (n_quantiles, n_numeric)
        Their quantiles.
    shares : ndarray of shape (n_quantiles,)
        Shares of rows below them.
    """

    columns: torch.Tensor
    quantiles: torch.Tensor
    shares: torch.Tensor

    # Shares nearer to 0 or 1 are taken for these, so that nothing is infinite.
    _nearest = 1e-7
    _least = _nearest - np.spacing(1)

    def __init__(
        self,
        shift: np.ndarray,
        factor: np.ndarray,
        columns: np.ndarray,
        quantiles: np.ndarray,
        shares: np.ndarray,
    ) -> None:
        super().__init__(shift, factor)
        self.register_buffer("columns", torch.from_numpy(columns.copy()))
        # By column, as torch looks values up.
        self.register_buffer("quantiles", torch.from_numpy(quantiles.copy()).T.contiguous())
        self.register_buffer("shares", torch.from_numpy(shares.copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) in the units of X to scaled ones."""
        values = x[:, self.columns].to(self.quantiles).T.contiguous()
        shares = self.shares.expand_as(self.quantiles).contiguous()
        # From both ends: where several quantiles are equal, the share is in the middle of theirs.
        up = _interpolated(values, self.quantiles, shares)
        down = _interpolated(-values, -self.quantiles.flip(1), -shares.flip(1))
        share = (up - down) / 2
        share = torch.where(values - self._nearest < self.quantiles[:, :1], 0.0, share)
        share = torch.where(values + self._nearest > self.quantiles[:, -1:], 1.0, share)
        quantile = normal.quantile if is_recorded() else torch.special.ndtri
        return self._with(x, quantile(share.clamp(self._least, 1 - self._least)))

    def undo(self, rows: torch.Tensor) -> torch.Tensor:
        """Map scaled rows (n, n_features) to the units of X."""
        share = normal.share if is_recorded() else torch.special.ndtr
        share = share(rows[:, self.columns].to(self.quantiles)).T.contiguous()
        shares = self.shares.expand_as(self.quantiles).contiguous()
        return self._with(rows, _interpolated(share, shares, self.quantiles))

    def _with(self, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return rows with other values (n_numeric, n) in the columns of numbers."""
        return rows.to(values).index_copy(1, self.columns, values.T)


def _interpolated(x: torch.Tensor, at: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Interpolate linearly as `numpy.interp`, row by row: x (k, n), at and values (k, m), NaN stays."""
    if is_recorded():
        # ONNX looks nothing up: a quantile is below where it is not larger.
        place = (at[:, None, :] <= x[:, :, None]).sum(2)
    else:
        place = torch.searchsorted(at, x, right=True)
    place = (place - 1).clamp(0, at.shape[1] - 2)
    left, right = at.gather(1, place), at.gather(1, place + 1)
    below, above = values.gather(1, place), values.gather(1, place + 1)
    width = right - left
    share = torch.where(width > 0, ((x - left) / width).clamp(0, 1), (x >= right).to(x))
    return torch.where(x.isnan(), x, below + share * (above - below))
