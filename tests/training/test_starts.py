"""Several starts of one fit, of which the best is kept."""

import dataclasses

import numpy as np
import pytest
import torch
from small_fits import PLAN, ROWS, parts

from skae._random import Streams
from skae.training import DivergenceError
from skae.training import courses as module
from skae.training.batches import Rows

# In an order of no meaning.
PLACES = torch.linspace(-1, 1, 40, dtype=torch.float64)[
    torch.randperm(40, generator=torch.Generator().manual_seed(0))
]
CURVE = torch.stack([PLACES, PLACES**2, PLACES**3, (4 * PLACES).sin(), (4 * PLACES).cos()], 1)
CURVE -= CURVE.mean(0)


def fit(rows, on_epoch=lambda *given: False, **changes):
    plan = dataclasses.replace(PLAN, **changes)
    return module.fit(module.Fitting(plan, parts(), rows, Streams(0)), on_epoch)


@pytest.mark.parametrize(("held_out", "n_training"), [("split", 30), ("folds", 40), ("none", 40)])
def test_the_best_start_is_kept(held_out, n_training):
    settings = {"held_out": held_out, "n_training": n_training, "starts_at_pca": False, "n_epochs": 40}
    one = fit(Rows(CURVE), **settings)
    best = fit(Rows(CURVE), n_init=4, **settings)

    def loss(fitted):
        if held_out == "none":
            return fitted.history.loss_curve[-1]
        return fitted.history.validations[fitted.best_epoch].loss

    assert loss(best) < loss(one)
    again = fit(Rows(CURVE), n_init=4, **settings)
    for name, value in best.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=0, atol=0)


def test_starts_are_judged_by_the_same_rows():
    settings = {"held_out": "split", "n_training": 30, "n_epochs": 1}
    # The start is PCA in all of them.
    one, best = (fit(Rows(ROWS), n_init=n_init, **settings) for n_init in (1, 3))
    assert best.history.validations[0] == pytest.approx(one.history.validations[0])
    assert best.pca_score == one.pca_score


def test_the_first_start_is_the_one_that_is_listened_to():
    told = []
    fit(Rows(ROWS), lambda *given: bool(told.append(given)), n_init=3, n_epochs=2)
    assert [epoch for epoch, *_ in told] == [1, 2]


def test_a_start_that_diverges_is_left_out(monkeypatch):
    finish, diverging = module.BySplit.finish, []

    def failing(course):
        if course.fitting.number in diverging:
            raise DivergenceError
        return finish(course)

    monkeypatch.setattr(module.BySplit, "finish", failing)
    settings = {"held_out": "split", "n_training": 30, "n_init": 2, "n_epochs": 2}
    diverging.append(0)
    assert np.isfinite(fit(Rows(ROWS), **settings).validation_score)
    diverging.append(1)
    with pytest.raises(DivergenceError):
        fit(Rows(ROWS), **settings)
