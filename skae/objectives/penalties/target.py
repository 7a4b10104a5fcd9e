"""The loss of a linear model of a target on the codes, which is trained with the network."""

from collections.abc import Sequence

import torch
from torch import nn

from skae.objectives.batch import Batch, Pass
from skae.objectives.linear_model import LinearModel, Outputs, fit_linear
from skae.objectives.penalties.base import Penalty


class LinearHead(Penalty):
    """Loss of a linear model of a target on the codes, relative to what the best constant leaves.

    Cross-entropy where an output is of classes, squared error where it is of numbers. Each output is divided
    by the loss of the best constant over all rows, so that the value is one for it, whatever the target
    and however many rows have one. The model is a part of the objective, and learns in the same step.

    Parameters
    ----------
    n_classes : sequence of int
        Number of classes of each output of the target, in ascending order; 1 for numbers.
    units : sequence of float
        What the best constant leaves of each output, a row of known target.
    n_components : int
        Width of the code.

    Attributes
    ----------
    shares : tensor of shape (n_outputs,)
        Share of the training rows whose target is known.
    level : tensor
        What the loss of cells falls by where all of the variance is explained, see `Objective.start_head`:
        one for the squared error.
    """

    judges = True
    # Any such map can be undone by the weights.
    freedom = "maps"
    # It starts as the best linear model, and its gradient says something from the first step.
    warm_up = 0.0
    units: torch.Tensor
    shares: torch.Tensor
    level: torch.Tensor

    def __init__(self, n_classes: Sequence[int], units: Sequence[float], n_components: int) -> None:
        super().__init__()
        self.outputs = Outputs(tuple(n_classes))
        self.weight = nn.Parameter(torch.zeros(self.outputs.width, n_components))
        self.bias = nn.Parameter(torch.zeros(self.outputs.width))
        self.register_buffer("units", torch.tensor(units))
        self.register_buffer("shares", torch.ones(len(n_classes)))
        self.register_buffer("level", torch.ones(()))

    @torch.no_grad()
    def start(self, code: torch.Tensor, rows: Batch, level: float) -> None:
        """Begin as the best linear model of codes.

        Parameters
        ----------
        code : tensor of shape (n_rows, n_components)
        rows : Batch
            Training rows, of which some have a target.
        level : float
            Becomes `level`.
        """
        labels = _labels(rows)
        known = (~labels.isnan()).to(labels)
        weight = torch.ones_like(known[:, :1]) if rows.weight is None else rows.weight
        # A thousandth at least: in a fold, no target may be known.
        self.shares.copy_(((weight * known).sum(0) / weight.sum()).clamp_min(1e-3))
        self.level.fill_(level)
        model = fit_linear(self.outputs, code, labels, rows.weight)
        self.weight.copy_(model.weight)
        self.bias.copy_(model.bias)

    def losses(
        self, features: torch.Tensor, labels: torch.Tensor, model: LinearModel | None = None
    ) -> torch.Tensor:
        """Return the loss of each row, (n,): its mean over rows is one for the best constant.

        Parameters
        ----------
        features : tensor of shape (n, n_features)
            Codes, unless there is another model.
        labels : tensor of shape (n, n_outputs)
        model : LinearModel, optional
            The own one by default.
        """
        scores = (LinearModel(self.weight, self.bias) if model is None else model).scores(features)
        return (self.outputs.losses(scores, labels) / (self.units * self.shares)).mean(1)

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value a row."""
        # Codes as in use: what follows gets no noise either.
        code = passed.network.bottleneck.read(passed.pre)
        return self.level * self.losses(code, _labels(passed.batch))

    @torch.no_grad()
    def straighten(self, start: LinearModel, share: float) -> None:
        """Keep a share of what was learnt since a start, as `Autoencoder.straighten` does."""
        self.weight.lerp_(start.weight, 1 - share)
        self.bias.lerp_(start.bias, 1 - share)

    def model(self) -> LinearModel:
        """Return a copy of the linear model."""
        return LinearModel(self.weight.detach().clone(), self.bias.detach().clone())

    def move_codes(self, matrix: torch.Tensor, shift: torch.Tensor) -> None:
        """Take codes that are ``(code - shift) @ matrix`` from now on."""
        with torch.no_grad():
            self.bias += (self.weight.to(shift) @ shift).to(self.bias)
            self.weight.copy_(self.weight.to(matrix) @ torch.linalg.inv(matrix).T)


def _labels(batch: Batch) -> torch.Tensor:
    if batch.labels is None:
        raise ValueError("Rows have no target.")
    return batch.labels
