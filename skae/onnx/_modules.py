"""Fitted autoencoders as torch modules that can be recorded: rows to codes, to rows and to errors."""

import copy

import torch
from torch import nn

from skae.estimators import BaseAutoencoder
from skae.tables import Columns


class Steps(nn.Module):
    """The steps of a fitted autoencoder, each in operations that ONNX has; rows go in as they come.

    Rows that come are those of the user's, or the numeric columns inside of a table with text or categories.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted. Its modules are copied.
    dtype : torch.dtype
        In which the network computes.
    """

    def __init__(self, estimator: BaseAutoencoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.estimator = estimator
        # Both at once, since they share the network.
        self.encoder, self.decoder = copy.deepcopy((estimator.encoder_, estimator.decoder_))
        self.encoder.network.to(dtype)
        self.reconstruction = self.decoder.reconstruction.to(dtype)
        basis = estimator._columns.directions
        self.basis = None if basis is None else torch.from_numpy(basis.copy())

    def inside(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows as they come (n, n_raw) to rows inside (n, n_inside)."""
        if self.basis is not None:
            return x @ self.basis.to(x)
        return x if self.encoder.scaling is None else self.encoder.scaling(x)

    def codes(self, inside: torch.Tensor) -> torch.Tensor:
        """Map rows inside to codes that rows are given back from, (n, n_components)."""
        return self.estimator._codes_in(self.encoder.network, self.encoder.framed(inside))

    def outside(self, codes: torch.Tensor) -> torch.Tensor:
        """Map codes to rows as they come, (n, n_raw)."""
        rows = self.decoder(codes)
        return rows if self.basis is None else rows @ self.basis.to(rows).T


class Encode(Steps):
    """`transform` of an autoencoder."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows as they come to what `transform` gives."""
        rows = self.encoder.framed(self.inside(x))
        return self.estimator._output_in(self.encoder.network, rows)


class Decode(Steps):
    """`inverse_transform` of an autoencoder."""

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """Map what `transform` gives to rows as they come."""
        return self.outside(self.estimator._codes_of(output)).to(output)


class Reconstruct(Steps):
    """`reconstruct` of an autoencoder."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows as they come to codes and back."""
        return self.outside(self.codes(self.inside(x))).to(x)


class Error(Steps):
    """`reconstruction_error` of an autoencoder."""

    def __init__(self, estimator: BaseAutoencoder, dtype: torch.dtype) -> None:
        super().__init__(estimator, dtype)
        self.owners = owned(estimator._columns)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows as they come to the mean squared error of their cells, (n,)."""
        inside = self.inside(x).double()
        back = self.decoder.inside(self.codes(inside)).double()
        if self.basis is not None:
            # What lies outside of the directions is lost as well.
            left_out = (x.double().square().sum(1) - inside.square().sum(1)).clamp_min(0)
            return (((inside - back).square().sum(1) + left_out) / x.shape[1]).to(x)
        there = ~inside.isnan()
        squares = torch.where(there, inside - back, 0.0).square()
        # Columns that belong to one column of the user's are there or missing together.
        n_there = ((there.to(squares) @ self.owners) > 0).to(squares).sum(1)
        return (squares.sum(1) / n_there.clamp_min(1)).to(x)


def owned(columns: Columns) -> torch.Tensor:
    """Return which columns inside belong to which of the user's, (n_inside, n_features), ones and zeros."""
    owners = torch.from_numpy(columns.owners)
    return (owners[:, None] == torch.arange(int(owners.max()) + 1)).double()
