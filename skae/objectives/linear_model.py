"""Linear models of targets, some of them classes and some numbers: their loss by row, and the best one.

A table of targets has a column an output: the number of its class, or a number about its mean in units of its
deviation. NaN stands for a target that is not known.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import scipy.optimize
import torch

# Of scikit-learn's LogisticRegression and Ridge: half the squared weights are added to the summed loss.
_RIDGE = 1.0
_MAX_STEPS = 200
# Numbers of a table that it is fitted on at most.
_MOST_NUMBERS = 2**23


@dataclasses.dataclass(frozen=True)
class Outputs:
    """How the columns of a linear model belong to the outputs of a target.

    Parameters
    ----------
    n_classes : tuple of int
        Number of classes of each output, in ascending order; 1 for numbers.
    """

    n_classes: tuple[int, ...]

    @property
    def width(self) -> int:
        """Number of columns: one a class, and one a number."""
        return sum(self.n_classes)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Numbers of classes, and of the outputs that have as many: these are computed at once."""
        return [(size, self.n_classes.count(size)) for size in sorted(set(self.n_classes))]

    def losses(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy or half the squared error of each output, zero where it is not known.

        Parameters
        ----------
        scores : tensor of shape (n, width)
            What a linear model puts out.
        target : tensor of shape (n, n_outputs)

        Returns
        -------
        losses : tensor of shape (n, n_outputs)
        """
        wanted = target.nan_to_num().split([number for _, number in self.sizes], 1)
        columns = scores.split([size * number for size, number in self.sizes], 1)
        found = []
        for (size, number), values, own in zip(self.sizes, wanted, columns, strict=True):
            if size == 1:
                found.append(0.5 * (own - values).square())
            else:
                logs = own.unflatten(1, (number, size)).log_softmax(2)
                found.append(-logs.gather(2, values.long().unsqueeze(2)).squeeze(2))
        return torch.cat(found, 1) * ~target.isnan()

    def constants(self, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Return the scores of the best constant, (width,).

        Parameters
        ----------
        target : tensor of shape (n, n_outputs)
        weight : tensor of shape (n, 1), optional
            Weights of rows.
        """
        rows = torch.ones_like(target[:, :1]) if weight is None else weight
        scores = []
        for size, values in zip(self.n_classes, target.T, strict=True):
            known = ~values.isnan()
            counts = rows[known, 0].double()
            if size == 1:
                mean = (counts * values[known].double()).sum() / counts.sum().clamp_min(1e-12)
                scores.append(mean.reshape(1))
            else:
                classes = torch.zeros(size, dtype=torch.float64, device=target.device)
                classes = classes.index_add(0, values[known].long(), counts)
                # A class that is not there counts as a hundredth of a row.
                scores.append((classes + 0.01).log() - (classes + 0.01).sum().log())
        return torch.cat(scores).to(target)


class LinearModel(NamedTuple):
    """Scores of targets, linear in features."""

    weight: torch.Tensor  # (width, n_features)
    bias: torch.Tensor  # (width,)

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        """Return the scores (n, width) of features (n, n_features)."""
        return features @ self.weight.T.to(features) + self.bias.to(features)


def fit_linear(
    outputs: Outputs, features: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
) -> LinearModel:
    """Return the best linear model: ridge and multinomial logistic regression, found by L-BFGS.

    Features are standardised inside, so that the ridge means the same for all of them, as if they went
    through a StandardScaler.

    Parameters
    ----------
    outputs : Outputs
    features : tensor of shape (n, n_features)
    target : tensor of shape (n, n_outputs)
        Rows of which nothing is known do not count.
    weight : tensor of shape (n, 1), optional
        Weights of rows.

    Returns
    -------
    model : LinearModel
        On the CPU, in float64.
    """
    known = (~target.isnan().all(1)).nonzero()[:, 0]
    # Of many rows every second, every third ...: no copy is made of a large table.
    known = known[:: -(-len(known) * features.shape[1] // _MOST_NUMBERS) or 1]
    rows, wanted = features[known].cpu().double(), target[known].cpu().double()
    counts = torch.ones(len(rows), 1).double() if weight is None else weight[known].cpu().double()
    start = outputs.constants(wanted, counts).double()
    n_features = rows.shape[1]
    if not rows.numel() or not float(counts.sum()) > 0:
        return LinearModel(torch.zeros(outputs.width, n_features).double(), start)
    share = counts / counts.sum()
    mean = (share * rows).sum(0)
    deviation = (share * (rows - mean).square()).sum(0).sqrt()
    # A constant column says nothing; neither does what is left of it by rounding.
    is_constant = deviation <= 1e-6 * (mean.abs() + deviation.max())
    deviation = deviation.masked_fill(is_constant, math.inf)
    rows, ridge = (rows - mean) / deviation, _RIDGE / float(counts.sum())
    shape = (outputs.width, n_features + 1)

    def evaluate(values: np.ndarray) -> tuple[float, np.ndarray]:
        found = torch.from_numpy(values.copy()).reshape(shape).requires_grad_()
        with torch.enable_grad():
            losses = outputs.losses(rows @ found[:, :-1].T + found[:, -1], wanted)
            value = (share * losses).sum() + 0.5 * ridge * found[:, :-1].square().sum()
            (gradient,) = torch.autograd.grad(value, found)
        return float(value.detach()), gradient.numpy().ravel()

    first = torch.cat([torch.zeros(outputs.width, n_features).double(), start[:, None]], 1).numpy().ravel()
    options = {"maxiter": _MAX_STEPS, "gtol": 1e-5, "ftol": 1e-9}
    best = scipy.optimize.minimize(evaluate, first, jac=True, method="L-BFGS-B", options=options).x
    found = torch.from_numpy(best).reshape(shape)
    slopes = found[:, :-1] / deviation
    return LinearModel(slopes, found[:, -1] - slopes @ mean)
