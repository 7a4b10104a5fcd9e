"""The rows of a fit on the device, and which of them are held out."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skae._random import Streams
from skae.estimators import _defaults


class Rows(NamedTuple):
    """Rows on the device, centred and scaled."""

    target: torch.Tensor  # (n_rows, n_features) what the decoder should give back
    inputs: torch.Tensor | None = None  # what the encoder sees of them, where that is something else

    def take(self, index: Any) -> "Rows":
        """Select some."""
        return Rows(self.target[index], None if self.inputs is None else self.inputs[index])

    def about(self, centre: torch.Tensor) -> "Rows":
        """Centre anew."""
        return Rows(self.target - centre, None if self.inputs is None else self.inputs - centre)


class Layout(NamedTuple):
    """How the rows of a fit are held out."""

    kind: Literal["none", "folds", "split"]
    n_training: int  # rows before this one are trained on, if kind is "split"
    order: np.ndarray | None  # the order in which rows are stored; None: as given


def lay_out(estimator: Any, n_rows: int, streams: Streams) -> Layout:
    """Decide which rows are held out, before they are put on the device."""
    fraction = estimator.validation_fraction
    kind = _defaults.validation(n_rows, estimator.early_stopping, fraction)
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
