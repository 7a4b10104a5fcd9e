"""What linear models on principal components and on all columns explain of a target, for comparison."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from skae.objectives.linear_model import fit_linear
from skae.objectives.objective import Objective
from skae.training.batches import CHUNK, Rows
from skae.training.fitted import Fitted, TargetScores
from skae.training.held_out import Judged, explained, labels_of

# Share of the variance explained beyond PCA that a target may cost, where its weight is to be found; and what
# it may seem to cost where held-out rows are too few to tell.
_COST, _SEEMING_COST = 0.1, 0.15
# What a linear model of the target may explain less than with PCA, a share of its loss.
_AS_GOOD = 0.005
# Numbers of the rows that a model is fitted on at most: 64 MiB of float64.
_MOST_NUMBERS = 2**23


class Part(NamedTuple):
    """Rows that are trained on, and those that judge."""

    rows: Rows
    judged: Judged


def reference_scores(objective: Objective, parts: Sequence[Part]) -> tuple[float, float]:
    """Return what the best linear models explain of the target of held-out rows.

    Parameters
    ----------
    objective : Objective
        With a linear model of the target, whose outputs and units are used.
    parts : sequence of Part
        One a fold.

    Returns
    -------
    pca, columns : float
        Of as many principal components as there are codes, and of all columns.
    """

    def of_components(part: Part) -> Callable[[torch.Tensor], torch.Tensor]:
        network, axes, _ = part.judged
        return lambda seen: network.complete(seen) @ axes.axes.T.to(seen)

    def of_columns(part: Part) -> Callable[[torch.Tensor], torch.Tensor]:
        return part.judged.network.complete

    return _score(objective, parts, of_components), _score(objective, parts, of_columns)


def with_target_scores(fitted: Fitted, references: tuple[float, float]) -> Fitted:
    """Add what linear models explain of a target: on the codes, and what `reference_scores` gave."""
    told = fitted.history.validations[fitted.best_epoch].told
    return fitted._replace(target_scores=TargetScores(told or 0.0, *references))


def _score(
    objective: Objective,
    parts: Sequence[Part],
    features: Callable[[Part], Callable[[torch.Tensor], torch.Tensor]],
) -> float:
    left = constant = 0.0
    for part in parts:
        labels, head = labels_of(objective, part.rows, part.judged.held), objective.head
        if labels is None or head is None or part.rows.labels is None:
            continue
        known = (~part.rows.labels.isnan().all(1)).nonzero()[:, 0]
        step = max(1, -(-len(known) * part.rows.target.shape[1] // _MOST_NUMBERS))
        known = known[::step]
        few, read = part.rows.take(known), features(part)
        model = fit_linear(head.outputs, read(few.seen), part.rows.labels[known], few.weight)
        held = part.judged.held
        for start in range(0, len(held.target), CHUNK):
            each, wanted = (held.take(slice(start, start + CHUNK)), labels.values[start : start + CHUNK])
            losses = head.losses(read(each.seen), wanted, model).double()
            left += float((losses * (1.0 if each.weight is None else each.weight[:, 0])).sum())
        constant += labels.constant
    return explained(left, constant)


def chosen_weight(found: Sequence[Fitted]) -> int:
    """Return the position of the weight that is kept.

    Parameters
    ----------
    found : sequence of Fitted
        One a weight, in ascending order, the first for no weight at all.

    Returns
    -------
    position : int
        Of the largest weight that costs at most a tenth of what is explained beyond PCA, or up to 0.15 of it
        if a tenth is within a standard error. Where a linear model then explains less of the target than with
        PCA, of the smallest one with which it does not, as long as the codes explain more than PCA.
    """
    plain = found[0]
    if plain.validation_score is None or plain.pca_score is None:
        return 0
    pca, scores = plain.pca_score, [each.validation_score or 0.0 for each in found]
    gain = max(0.0, scores[0] - pca)
    kept = max(
        index
        for index, each in enumerate(found)
        if scores[0] - scores[index] <= _SEEMING_COST * gain and _sure_cost(plain, each) <= _COST * gain
    )
    for index, each in enumerate(found):
        told = each.target_scores
        if index >= kept and told is not None and told.codes > told.pca - _AS_GOOD and scores[index] >= pca:
            return index
    return kept


def _sure_cost(plain: Fitted, other: Fitted) -> float:
    """Return the share of the variance that one fit explains more than another, less a standard error.

    Of the paired differences of rows: on small tables, these are as large as what is decided by them.
    """
    cost = (plain.validation_score or 0.0) - (other.validation_score or 0.0)
    unexplained = 1 - (plain.validation_score or 0.0)
    if plain.missed is None or other.missed is None or not unexplained > 0:
        return cost
    total = float(plain.missed.sum()) / unexplained
    error = float((other.missed - plain.missed).std(correction=0)) * len(plain.missed) ** 0.5
    return cost - error / total if total > 0 else cost
