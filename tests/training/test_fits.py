"""Folds, and the epoch that they choose."""

import numpy as np
import pytest
import torch

from skae.training.batches import Rows, folds
from skae.training.held_out import chosen_epoch
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


def test_the_least_loss_decides_where_the_start_is_not_pca():
    assert chosen_epoch(pooled(LOSSES), LOSSES, None, range(3), on_evidence=False) == 2
    worse = LOSSES + np.array([[0.0], [0.5], [0.5]])
    assert chosen_epoch(pooled(worse), worse, None, range(3), on_evidence=False) == 0


def test_what_is_surely_gained_decides_where_the_start_is_pca():
    # The mean of epoch 2 is lower, but rests on a few rows.
    losses = np.ones((3, 40))
    losses[1], losses[2, :4] = 0.9, -1.0
    assert losses[2].mean() < losses[1].mean()
    assert chosen_epoch(pooled(losses), losses, None, range(3), on_evidence=True) == 1
    assert chosen_epoch(pooled(losses), losses, None, range(3), on_evidence=False) == 2


def test_weights_count_as_evidence():
    losses = np.array([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 1.5, 1.5], [0.9, 0.9, 0.9, 0.9]])
    weight = np.array([1.0, 1.0, 0.0, 0.0])
    found = [chosen_epoch(pooled(losses), losses, each, range(3), True) for each in (None, weight)]
    assert found == [2, 1]


@pytest.mark.parametrize("on_evidence", [True, False])
def test_epochs_whose_weights_are_gone_or_that_were_not_reached_are_not_chosen(on_evidence):
    losses = LOSSES - np.array([[0.0], [0.5], [0.1]])
    assert chosen_epoch(pooled(losses), losses, None, [0, 2, 4], on_evidence) == 2
    assert chosen_epoch(pooled(losses), losses, None, [0, 4], on_evidence) == 0


@pytest.mark.parametrize("on_evidence", [True, False])
def test_interrupted_folds_choose_the_start(on_evidence):
    losses = LOSSES - np.array([[0.0], [0.5], [0.0]])
    assert chosen_epoch(pooled(losses, interrupted=True), losses, None, range(3), on_evidence) == 0


@pytest.mark.parametrize("on_evidence", [True, False])
def test_the_first_of_epochs_that_are_alike_is_chosen(on_evidence):
    losses = np.ones((3, 40)) - np.array([[0.0], [0.5], [0.5]])
    assert chosen_epoch(pooled(losses), losses, None, range(3), on_evidence) == 1
