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

# Penalties on codes that push from the first step would empty codes that say nothing yet.
_WARM_UP = 0.1


class Objective(nn.Module):
    """Reconstruction plus penalties.

    Parameters
    ----------
    reconstruction : Reconstruction
        The loss by cell.
    penalties : dict of str to torch.nn.Module, optional
        Each takes a `Pass` and gives one value a row, (n,), or a scalar where it
        is a statistic of the batch or of the weights. Its `coefficient` weighs it, rising from
        zero over the first tenth of training where it `judges`, that is, where held-out rows
        are judged by it, too.
    corruption : torch.nn.Module, optional
        Takes inputs (n, n_features) and a generator, gives what the encoder is shown.
    emphasis : float in [0, 1], optional
        Weight of the cells whose input is not their target; the others weigh one minus that
        (Vincent et al. 2010). None weighs all alike.

    Attributes
    ----------
    revival : torch.nn.Module or None
        Watches each training pass and may change the network after the step, as `Resample` does.
    """

    def __init__(
        self,
        reconstruction: Reconstruction,
        penalties: dict[str, nn.Module] | None = None,
        corruption: nn.Module | None = None,
        emphasis: float | None = None,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.penalties = nn.ModuleDict(penalties or {})
        self.corruption = corruption
        self.emphasis = emphasis
        self.revival: nn.Module | None = None
        # How far training is, in [0, 1]: steps write it, the warm-up of penalties reads it.
        self.progress = 1.0
        self.warms_up = True

    def measure(self, rows: torch.Tensor) -> None:
        """Let the parts take what they need of the training rows (n, n_features), once."""
        for penalty in self.penalties.values():
            if hasattr(penalty, "measure"):
                cast(Any, penalty).measure(rows)
        if self.revival is not None:
            cast(Any, self.revival).measure(rows)
        if self.corruption is not None:
            centre = self.reconstruction.centre.to(rows)
            cast(Any, self.corruption).measure(rows, -centre / self.reconstruction.scale)

    def corrupt(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Give what the encoder is shown in place of rows (n, n_features)."""
        return rows if self.corruption is None else self.corruption(rows, generator)

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
        inputs = self.corrupt(rows.inputs, generator)
        weight = rows.weight
        if self.emphasis is not None:
            emphasis = torch.where(inputs != rows.target, self.emphasis, 1 - self.emphasis)
            weight = emphasis if weight is None else weight * emphasis
        draws = {"code": network.bottleneck.draw(len(inputs), generator)}
        for name, penalty in self.penalties.items():
            if hasattr(penalty, "draw"):
                draws[name] = cast(Any, penalty).draw(inputs, generator)
        target = self.reconstruction.target(rows.target)
        return rows._replace(inputs=inputs, target=target, weight=weight, draws=draws)

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
        if self.revival is not None:
            cast(Any, self.revival).watch(passed)
        for name, penalty in self.penalties.items():
            coefficient = cast(float, penalty.coefficient)
            if self.warms_up and getattr(penalty, "judges", False):
                coefficient *= min(1.0, self.progress / _WARM_UP)
            terms[name] = coefficient * weighted_mean(penalty(passed), batch.weight)
        return terms

    def renew(self, network: Any) -> None:
        """Bring back, after a step, what training has lost."""
        if self.revival is not None:
            cast(Any, self.revival).renew(network, self.progress)

    @torch.no_grad()
    def evaluate(self, network: Any, rows: Batch) -> "Errors":
        """Measure reconstruction as in use, without corruption and noise, and penalties that judge.

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
        pre = network.pre_code(rows.inputs)
        code = network.bottleneck.read(pre)
        output = network.decode(code)
        loss = self.reconstruction.cells(output, target).mean(1)
        for penalty in self.penalties.values():
            if getattr(penalty, "judges", False):
                loss = loss + cast(float, penalty.coefficient) * penalty(
                    Pass(network, rows, pre, code, output)
                )
        squared = (self.reconstruction.mean(output) - target).square()
        return Errors(loss, squared.sum(1))


class Errors(NamedTuple):
    """Errors of rows, each of shape (n,)."""

    loss: torch.Tensor  # mean loss over the cells of a row, and penalties that judge
    squared: torch.Tensor  # sum of squared errors over the cells, in units of the target


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Average over rows (n,) or cells (n, n_features), by weights of rows or of cells.

    Parameters
    ----------
    values : tensor of shape (), (n,) or (n, n_features)
        A scalar is its own mean.
    weight : tensor of shape (n, 1) or (n, n_features), optional
        Not negative. The mean over nothing is zero.

    Returns
    -------
    mean : scalar tensor
    """
    if weight is None or values.ndim == 0:
        return values.mean()
    if values.ndim == 1:
        # A row weighs as much as its observed cells do on average.
        weight = weight.mean(1)
    total = weight.expand_as(values).sum()
    return (values * weight).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)
