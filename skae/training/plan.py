"""The rules behind ``"auto"``: batch size, epochs, device and how rows are held out.

`benchmarks/many_tables.py` and `benchmarks/time_to_quality.py` chose the numbers.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skae._random import Streams

_FOLDS_BELOW = 1000
NOTHING_BELOW = 20
# Ordered components learn for every size at once; more would take over three times as long as a plain fit.
ORDERED_STEPS = 1.6
N_FOLDS = 5


def batch_size(n_rows: int) -> int:
    """Give 1/16 of the rows, between 64 and 1024."""
    return min(1024, max(64, n_rows // 16))


def n_epochs(n_rows: int, size: int, n_steps: int) -> int:
    """Return the epochs of about so many steps, between 10 and 300."""
    steps_per_epoch = -(-n_rows // size)
    return min(300, max(10, round(n_steps / steps_per_epoch)))


def ordered_decay(n_components: int, n_rows: int) -> float:
    """Give how many times the weight decay is for ordered components: more beyond 16, less for many rows.

    What is learnt of small sizes overfits where large ones are to be as good as PCA: of digits, 32 components
    explained 0.943 at 0.1 and 0.959 at 0.3, where PCA explains 0.962. On weatherAUS, where nothing
    overfits, half of 0.1 is worth 0.002 of the variance.
    """
    return min(10.0, max(1.0, (n_components / 16) ** 2)) * (0.5 if n_rows >= 10_000 else 1.0)


def validation(n_rows: int, early_stopping: bool, fraction: float | str) -> Literal["none", "folds", "split"]:
    """Say how rows are held out: see `validation_fraction` of the estimators."""
    if not early_stopping or n_rows < NOTHING_BELOW:
        return "none"
    return "folds" if fraction == "auto" and n_rows < _FOLDS_BELOW else "split"


class Layout(NamedTuple):
    """How the rows of a fit are held out."""

    kind: Literal["none", "folds", "split"]
    n_training: int  # rows before this one are trained on, if kind is "split"
    order: np.ndarray | None  # the order in which rows are stored; None: as given


def lay_out(estimator: Any, n_rows: int, streams: Streams) -> Layout:
    """Decide which rows are held out, before they are put on the device."""
    fraction = estimator.validation_fraction
    kind = validation(n_rows, estimator.early_stopping, fraction)
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


def device(name: str) -> torch.device:
    """Resolve the name of a device, and say what is there if it is not.

    "auto" never picks mps: networks of this size are slower there than on the CPU.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available.append("cuda")
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto":
        return torch.device("cuda" if "cuda" in available else "cpu")
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    n_cuda = torch.cuda.device_count() if "cuda" in available else 0
    if (
        found is None
        or found.type not in available
        or (found.type == "cuda" and (found.index or 0) >= n_cuda)
    ):
        raise ValueError(
            f"device={name!r} is not there; this machine has {available}. "
            "Use one of these, or 'auto' to take what there is."
        )
    return found
