"""What a fit gives back, and the PCA it is compared with."""

from typing import NamedTuple

import numpy as np
import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import Batch
from skae.objectives.nested import Nested
from skae.objectives.objective import Objective
from skae.training import History, explained, total_squares
from skae.training.batches import Rows

_CHUNK = 8192


class Fitted(NamedTuple):
    """What a fit gives back."""

    network: Autoencoder
    objective: Objective
    history: History
    best_epoch: int
    validation_score: float | None
    pca_score: float | None
    rows: Rows | None = None  # those that were trained on, for read-outs
    seconds: float | None = None
    by_size: np.ndarray | None = None  # (n_components,) what the first components explain, of ordered codes
    pca_by_size: np.ndarray | None = None  # (n_components,) the same for PCA


Part = tuple[Autoencoder, PrincipalAxes, Rows]


def pca_score(parts: list[Part], n_components: int | None = None) -> float:
    """Give the variance of held-out rows that PCA explains from what the encoder sees of them."""
    missed = total = 0.0
    for network, axes, held in parts:
        axes = axes if n_components is None else axes.first(n_components)
        for start in range(0, len(held.target), _CHUNK):
            part = held.take(slice(start, start + _CHUNK))
            error = part.target - axes.project(network.complete(part.seen))
            missed += total_squares(error, part.weight)
            total += total_squares(part.target, part.weight)
    return explained(missed, total)


def with_sizes(fitted: Fitted, axes: PrincipalAxes, rows: Rows) -> Fitted:
    """Add what the first components explain of rows, and those of PCA, for ordered ones."""
    network, objective = fitted.network, fitted.objective
    if not isinstance(objective, Nested):
        return fitted
    missed = torch.zeros(len(objective.masks), dtype=torch.float64)
    for start in range(0, len(rows.target), _CHUNK):
        part = rows.take(slice(start, start + _CHUNK))
        missed += objective.missed_by_size(network, Batch(part.seen, part.target, part.weight)).cpu()
    total = total_squares(rows.target, rows.weight)
    shares = np.array([explained(float(squares), total) for squares in missed])
    pca = [pca_score([(network, axes, rows)], size + 1) for size in range(len(missed))]
    return fitted._replace(by_size=shares, pca_by_size=np.array(pca))


def with_pooled_sizes(fitted: Fitted, parts: list[Part]) -> Fitted:
    """Add the same for the epoch that several folds chose."""
    objective, judged = fitted.objective, fitted.history.validations[fitted.best_epoch].by_size
    if not isinstance(objective, Nested) or judged is None:
        return fitted
    # The networks of the folds have gone on since: between sizes that were judged, it is interpolated.
    pca = [pca_score(parts, size) for size in objective.judged_sizes]
    sizes = np.arange(1, len(objective.masks) + 1)
    shares, pca = (np.interp(sizes, objective.judged_sizes, values) for values in (judged, pca))
    return fitted._replace(by_size=shares, pca_by_size=pca)
