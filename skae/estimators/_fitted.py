"""What a fit gives back, and the PCA it is compared with."""

from typing import NamedTuple

from skae.estimators._rows import Rows
from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives.objective import Objective
from skae.training import History, explained, total_squares


class Fitted(NamedTuple):
    """What a fit gives back."""

    network: Autoencoder
    objective: Objective
    history: History
    best_epoch: int
    validation_score: float | None
    pca_score: float | None
    rows: Rows | None = None  # those that were trained on, for read-outs


def pca_score(parts: list[tuple[Autoencoder, PrincipalAxes, Rows]]) -> float:
    """Give the variance of held-out rows that PCA explains from what the encoder sees of them."""
    missed = total = 0.0
    for network, axes, held in parts:
        for start in range(0, len(held.target), 8192):
            part = held.take(slice(start, start + 8192))
            error = part.target - axes.project(network.complete(part.seen))
            missed += total_squares(error, part.weight)
            total += total_squares(part.target, part.weight)
    return explained(missed, total)
