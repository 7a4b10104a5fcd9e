"""The rows of a fit on the device, and which of them are held out."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skae._random import Streams
from skae.training import plan

# Rows of a part, where what is computed of all rows would need a copy of them.
CHUNK = 8192


class Rows(NamedTuple):
    """Rows on the device, centred and scaled."""

    target: torch.Tensor  # (n_rows, n_features) what the decoder should give back
    inputs: torch.Tensor | None = None  # what the encoder sees of them, where that is something else
    weight: torch.Tensor | None = None  # (n_rows, 1) of rows; None: all one

    @property
    def seen(self) -> torch.Tensor:
        """What the encoder sees."""
        return self.target if self.inputs is None else self.inputs

    @property
    def has_gaps(self) -> bool:
        """Whether any cell is NaN."""
        tables = (self.target,) if self.inputs is None else (self.target, self.inputs)
        return any(bool(part.isnan().any()) for table in tables for part in table.split(CHUNK))

    def take(self, index: Any) -> "Rows":
        """Select some."""
        inputs = None if self.inputs is None else self.inputs[index]
        return Rows(self.target[index], inputs, None if self.weight is None else self.weight[index])

    def about(self, centre: torch.Tensor) -> "Rows":
        """Centre anew."""
        moved = None if self.inputs is None else self.inputs - centre
        return self._replace(target=self.target - centre, inputs=moved)

    def drawn(self, generator: torch.Generator) -> torch.Tensor:
        """Give as many rows of the target, each as often as its weight says; as they are without weights."""
        if self.weight is None:
            return self.target
        positions = self.weight[:, 0].cumsum(0) / self.weight.sum()
        draws = torch.rand(len(positions), generator=generator).to(positions)
        return self.target[torch.searchsorted(positions, draws).clamp_max(len(positions) - 1)]

    def scaled(self) -> torch.Tensor:
        """Give the target times the roots of weights: its PCA is that of the weighted rows."""
        return self.target if self.weight is None else self.target * (self.weight / self.weight.mean()).sqrt()

    def mean(self) -> torch.Tensor:
        """Give the mean of each column over the cells that are there, 0 where none is."""
        if self.weight is None:
            return self.target.nanmean(0).nan_to_num()
        weight = self.weight * ~self.target.isnan()
        return (weight * self.target.nan_to_num()).sum(0) / weight.sum(0).clamp_min(torch.finfo().tiny)


def average(rows: Rows, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Average, over rows by their weight, what a function gives for each of them.

    Parameters
    ----------
    rows : Rows
    function : callable
        Takes what the encoder sees of some rows, on the CPU; gives (n, k).

    Returns
    -------
    mean : tensor of shape (k,), float64
    """
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    with torch.inference_mode():
        for start in range(0, len(rows.target), CHUNK):
            part = rows.take(slice(start, start + CHUNK))
            values = function(part.seen.cpu()).double()
            weight = torch.ones(len(values), dtype=torch.float64)
            if part.weight is not None:
                weight = part.weight[:, 0].double().cpu()
            total, count = total + weight @ values, count + float(weight.sum())
    return total / count


class Layout(NamedTuple):
    """How the rows of a fit are held out."""

    kind: Literal["none", "folds", "split"]
    n_training: int  # rows before this one are trained on, if kind is "split"
    order: np.ndarray | None  # the order in which rows are stored; None: as given


def lay_out(estimator: Any, n_rows: int, streams: Streams) -> Layout:
    """Decide which rows are held out, before they are put on the device."""
    fraction = estimator.validation_fraction
    kind = plan.validation(n_rows, estimator.early_stopping, fraction)
    if kind != "split":
        return Layout(kind, n_rows, None)
    share = 0.1 if fraction == "auto" else fraction
    if n_rows - math.ceil(share * n_rows) < 2:
        raise ValueError(
            f"validation_fraction={share} leaves fewer than 2 of {n_rows} rows to train on; lower it, or "
            "use 'auto'."
        )
    training, held_out = train_test_split(
        np.arange(n_rows),
        test_size=share,
        random_state=streams.numpy("split"),
    )
    return Layout(kind, len(training), np.concatenate([training, held_out]))
