"""Folds, and the epoch that they choose."""

import numpy as np
import pytest
import torch

from skae.training.batches import Rows
from skae.training.fits import chosen_epoch, folds
from skae.training.loop import History, Validation


def rows_of(n_rows):
    return Rows(torch.arange(2.0 * n_rows).reshape(-1, 2))


def test_each_row_is_held_out_once():
    found = list(folds(rows_of(23), np.random.RandomState(0)))
    assert len(found) == 5
    held = torch.cat([fold.held.target + fold.centre for fold in found])
    torch.testing.assert_close(held[held[:, 0].argsort()], rows_of(23).target)
    for fold in found:
        assert len(fold.rows.target) + len(fold.held.target) == 23


def test_both_parts_of_a_fold_lie_about_the_mean_of_what_is_trained_on():
    for fold in folds(rows_of(20), np.random.RandomState(0)):
        torch.testing.assert_close(fold.rows.target.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        whole = torch.cat([fold.rows.target, fold.held.target]) + fold.centre
        torch.testing.assert_close(whole[whole[:, 0].argsort()], rows_of(20).target)


def test_folds_take_weights_and_inputs_along():
    rows = rows_of(20)
    rows = Rows(rows.target, rows.target + 0.5, rows.target[:, :1] + 1)
    for fold in folds(rows, np.random.RandomState(0)):
        torch.testing.assert_close(fold.held.inputs, fold.held.target + 0.5)
        torch.testing.assert_close(fold.held.weight, fold.held.target[:, :1] + fold.centre[0] + 1)
        weight = fold.rows.weight
        torch.testing.assert_close(
            (weight * fold.rows.target).sum(0) / weight.sum(), torch.zeros(2), atol=1e-4, rtol=0
        )


def test_folds_are_drawn():
    one, again, other = (next(folds(rows_of(20), np.random.RandomState(seed))) for seed in (0, 0, 1))
    assert torch.equal(one.held.target, again.held.target)
    assert not torch.equal(one.centre, other.centre)


# Of three epochs and 40 rows; epoch 2 is the best by a little, in the mean.
LOSSES = 0.1 * np.random.RandomState(0).standard_normal((3, 40))
LOSSES += np.array([[1.0], [1.0], [0.999]]) - LOSSES.mean(axis=1, keepdims=True)


def pooled(losses, interrupted=False):
    validations = [Validation(loss, 0.0) for loss in losses.mean(1)]
    return History(losses=[{}] * (len(losses) - 1), validations=validations, interrupted=interrupted)


def test_the_start_is_left_on_evidence_alone_where_it_is_pca():
    assert chosen_epoch(pooled(LOSSES), LOSSES, None, on_evidence=True) == 0
    assert chosen_epoch(pooled(LOSSES), LOSSES, None, on_evidence=False) == 2


@pytest.mark.parametrize("on_evidence", [True, False])
def test_an_epoch_that_is_clearly_better_is_chosen(on_evidence):
    losses = LOSSES - np.array([[0.0], [0.5], [0.0]])
    assert chosen_epoch(pooled(losses), losses, None, on_evidence) == 1


def test_weights_count_as_evidence():
    losses = np.array([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 1.5, 1.5]])
    assert chosen_epoch(pooled(losses), losses, None, True) == 0
    assert chosen_epoch(pooled(losses), losses, np.array([1.0, 1.0, 0.0, 0.0]), True) == 1


def test_interrupted_folds_choose_the_start():
    losses = LOSSES - np.array([[0.0], [0.5], [0.0]])
    assert chosen_epoch(pooled(losses, interrupted=True), losses, None, False) == 0
