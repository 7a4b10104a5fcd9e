"""What training minimises: a reconstruction loss plus penalties, each a named term.

Row and cell weights are applied here and nowhere else. Randomness is drawn in `prepare`
and nowhere else, so that `forward` is a pure function of the parameters and the batch.
Knows no variant's formula.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import nn

from skae.objectives.batch import Batch, Pass
from skae.objectives.reconstruction import Reconstruction


class Objective(nn.Module):
    """Reconstruction plus penalties.

    Parameters
    ----------
    reconstruction : Reconstruction
        The loss by cell.
    penalties : dict of str to torch.nn.Module, optional
        Each takes a `Pass` and gives one value a row, (n,), or a scalar where it
        is a statistic of the batch or of the weights. Its `coefficient` weighs it.
    corruption : callable, optional
        Takes inputs (n, n_features) and a generator, gives what the encoder is shown.
    """

    def __init__(
        self,
        reconstruction: Reconstruction,
        penalties: dict[str, nn.Module] | None = None,
        corruption: Any = None,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.penalties = nn.ModuleDict(penalties or {})
        self.corruption = corruption

    def prepare(self, rows: Batch, network: Any, generator: torch.Generator) -> Batch:
        """Draw all that is random about a training step and set the target's units.

        Parameters
        ----------
        rows : Batch
            Rows as they are stored: centred and scaled, inputs and target alike.
        network : Autoencoder
            Its bottleneck may draw.
        generator : torch.Generator
            The stream called "noise".

        Returns
        -------
        batch : Batch
            What `forward` takes.
        """
        inputs = rows.inputs if self.corruption is None else self.corruption(rows.inputs, generator)
        draws = {"code": network.bottleneck.draw(len(inputs), generator)}
        return rows._replace(inputs=inputs, target=self.reconstruction.target(rows.target), draws=draws)

    def forward(self, network: Any, batch: Batch) -> dict[str, torch.Tensor]:
        """Give the named terms, whose sum is minimised.

        Parameters
        ----------
        network : Autoencoder
        batch : Batch
            From `prepare`.

        Returns
        -------
        terms : dict of str to scalar tensor
            "reconstruction" first, then one a penalty, coefficients included.
        """
        pre = network.pre_code(batch.inputs)
        code = network.bottleneck(pre, batch.draws.get("code"))
        output = network.decode(code)
        cells = self.reconstruction.cells(output, batch.target)
        terms = {"reconstruction": weighted_mean(cells, batch.weight)}
        passed = Pass(network, batch, pre, code, output)
        for name, penalty in self.penalties.items():
            coefficient = cast(float, penalty.coefficient)
            terms[name] = coefficient * weighted_mean(penalty(passed), batch.weight)
        return terms

    @torch.no_grad()
    def evaluate(self, network: Any, rows: Batch) -> "Errors":
        """Measure reconstruction as in use: no corruption, no noise, no penalty.

        Parameters
        ----------
        network : Autoencoder
            In evaluation mode.
        rows : Batch
            As for `prepare`.

        Returns
        -------
        errors : Errors
        """
        target = self.reconstruction.target(rows.target)
        output = network(rows.inputs)
        loss = self.reconstruction.cells(output, target)
        squared = (self.reconstruction.mean(output) - target).square()
        return Errors(loss.mean(1), squared.sum(1))


class Errors(NamedTuple):
    """Errors of rows, each of shape (n,)."""

    loss: torch.Tensor  # mean loss over the cells of a row
    squared: torch.Tensor  # sum of squared errors over the cells, in units of the target


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Average over rows (n,) or cells (n, n_features), by weights of rows or of cells.

    Parameters
    ----------
    values : tensor of shape (), (n,) or (n, n_features)
        A scalar is its own mean.
    weight : tensor of shape (n, 1) or (n, n_features), optional
        Not negative, not all zero.

    Returns
    -------
    mean : scalar tensor
    """
    if weight is None or values.ndim == 0:
        return values.mean()
    if values.ndim == 1:
        # A row weighs as much as its observed cells do on average.
        weight = weight.mean(1)
    return (values * weight).sum() / weight.expand_as(values).sum()
