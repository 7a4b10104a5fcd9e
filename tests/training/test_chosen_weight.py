"""The weight of a target that is kept of several."""

from typing import Any

import numpy as np
import pytest
import torch

from skae.training.fitted import Fitted, TargetScores
from skae.training.target_scores import chosen_weight

N_ROWS = 400
# Networks, objectives and histories have no say.
NOTHING: Any = None


def fitted(score, told=0.5, missed=None, pca=0.5):
    """A fit of which held-out rows, of variance one, say what it explains of them and of their target."""
    rows = torch.full((N_ROWS,), 1 - score, dtype=torch.float64) if missed is None else torch.tensor(missed)
    scores = TargetScores(told, 0.4, 0.9)
    return Fitted(NOTHING, NOTHING, NOTHING, 1, score, pca, target_scores=scores, missed=rows)


@pytest.mark.parametrize(
    ("scores", "position"),
    [
        ([0.7, 0.7, 0.69, 0.681], 3),
        ([0.7, 0.7, 0.69, 0.679], 2),
        ([0.7, 0.679, 0.69, 0.6], 2),
        ([0.7, 0.71, 0.6, 0.5], 1),
        # Where nothing is explained beyond PCA, nothing is to be lost.
        ([0.5, 0.49, 0.5, 0.45], 2),
    ],
)
def test_a_tenth_of_the_gain_over_pca_may_be_lost(scores, position):
    assert chosen_weight([fitted(score) for score in scores]) == position


def test_what_rows_cannot_tell_counts_as_a_tenth_up_to_a_limit():
    noise = np.random.default_rng(0).choice([-0.2, 0.2], N_ROWS)
    noise -= noise.mean()

    def noisy(score):
        return fitted(score, missed=1 - score + noise)

    # A standard error is 0.01, a twentieth of what is gained over PCA.
    assert chosen_weight([fitted(0.7), fitted(0.675)]) == 0
    assert chosen_weight([fitted(0.7), noisy(0.675)]) == 1
    assert chosen_weight([fitted(0.7), noisy(0.665)]) == 0


def test_a_target_is_told_as_well_as_by_pca():
    few = [fitted(0.7, told=0.1), fitted(0.69, told=0.2), fitted(0.6, told=0.396), fitted(0.55, told=0.8)]
    # All but as well is well enough.
    assert chosen_weight(few) == 2
    assert chosen_weight([*few[:2], fitted(0.6, told=0.39), few[3]]) == 3
    # Below PCA in what is explained, it is not bought.
    assert chosen_weight([*few[:2], fitted(0.49, told=0.8)]) == 1


def test_without_held_out_rows_there_is_no_weight():
    plain = fitted(0.7)._replace(validation_score=None, pca_score=None, missed=None)
    assert chosen_weight([plain, plain]) == 0
