"""What a fit gives back; of ordered components, also what the first ones explain."""

from typing import NamedTuple

import numpy as np
import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives import Batch
from skae.objectives.objective import Objective
from skae.training.batches import CHUNK, Rows
from skae.training.held_out import Judged, explained, pca_score, total_squares
from skae.training.loop import History


class BySize(NamedTuple):
    """Shares of the variance of held-out rows by number of components, both (n_components,)."""

    explained: np.ndarray  # by the first components
    by_pca: np.ndarray  # by as many of PCA


class LinearReading(NamedTuple):
    """The best linear prediction of codes from rows, centred and scaled; float64."""

    weight: torch.Tensor  # (n_components, n_features)
    explained: torch.Tensor  # (n_components,) share of the variance of each code


class TargetScores(NamedTuple):
    """Shares of the loss of a target that linear models explain on held-out rows."""

    codes: float
    pca: float
    columns: float


class Fitted(NamedTuple):
    """What a fit gives back."""

    network: Autoencoder
    objective: Objective
    history: History
    best_epoch: int
    validation_score: float | None
    pca_score: float | None
    rows: Rows | None = None  # those that were trained on, for read-outs
    axes: PrincipalAxes | None = None  # PCA of these; None after a part of the rows
    seconds: float | None = None
    by_size: BySize | None = None  # of ordered components
    reading: LinearReading | None = None  # of codes that are not linear; None after a part of the rows
    target_scores: TargetScores | None = None
    at_rest: bool = (
        False  # whether both parts are on the CPU, in evaluation mode and without gradients already
    )
    missed: torch.Tensor | None = None  # (n_rows,) squared error of each held-out row, times its weight


def with_sizes(fitted: Fitted, axes: PrincipalAxes, rows: Rows) -> Fitted:
    """Add what the first of ordered components explain of rows, and those of PCA."""
    network, objective = fitted.network, fitted.objective
    missed = torch.zeros(objective.n_sizes, dtype=torch.float64)
    for start in range(0, len(rows.target), CHUNK):
        part = rows.take(slice(start, start + CHUNK))
        missed += objective.missed_by_size(network, Batch(part.seen, part.target, part.weight)).cpu()
    total = total_squares(rows.target, rows.weight)
    shares = np.array([explained(float(squares), total) for squares in missed])
    pca = [pca_score([Judged(network, axes, rows)], size + 1) for size in range(len(missed))]
    return fitted._replace(by_size=BySize(shares, np.array(pca)))


def with_pooled_sizes(fitted: Fitted, parts: list[Judged]) -> Fitted:
    """Add the same for the epoch that several folds chose."""
    objective, judged = fitted.objective, fitted.history.validations[fitted.best_epoch].by_size
    if judged is None:
        return fitted
    # The networks of the folds have gone on since: between sizes that were judged, it is interpolated.
    pca = [pca_score(parts, size) for size in objective.judged_sizes]
    sizes = np.arange(1, objective.n_sizes + 1)
    by_size = BySize(*(np.interp(sizes, objective.judged_sizes, values) for values in (judged, pca)))
    return fitted._replace(by_size=by_size)
