"""Below 1,000 rows five folds choose the epoch, each of them about the centre of its own training rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.training import courses

BRIEF = {"max_iter": 2, "random_state": 0}


def targets_of_folds(monkeypatch, model, X):
    """Return what held-out rows are compared with, in the units of the loss."""
    found = []
    held_out = courses.HeldOut

    def noting(network, objective, rows, *args, **kwargs):
        found.append(objective.reconstruction.target(rows).numpy())
        return held_out(network, objective, rows, *args, **kwargs)

    monkeypatch.setattr(courses, "HeldOut", noting)
    model.fit(X)
    return np.concatenate(found)


def frame(n_rows):
    random = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "text": random.choice(list("abc"), n_rows),
            "truth": random.choice([True, False], n_rows),
            "number": random.standard_normal(n_rows),
        }
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [AutoencoderTransformer, AdversarialAutoencoderTransformer])
def test_categories_of_held_out_rows_are_zeros_and_ones(cls, monkeypatch):
    targets = targets_of_folds(monkeypatch, cls(2, **BRIEF), frame(60))
    assert len(targets) == 60
    np.testing.assert_allclose(targets[:, :4], np.round(targets[:, :4]), atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, loss="binary_crossentropy", **BRIEF),
        VariationalAutoencoderTransformer(2, likelihood="bernoulli", **BRIEF),
        AutoencoderTransformer(2, loss="poisson", **BRIEF),
    ],
    ids=["binary_crossentropy", "bernoulli", "poisson"],
)
def test_targets_of_held_out_rows_are_in_units_of_the_data(model, digits, monkeypatch):
    X = (digits[:60, 10:30] > 0.5).astype(float)
    targets = targets_of_folds(monkeypatch, model, X)
    np.testing.assert_allclose(targets, np.round(targets), atol=1e-6)


def test_noise_of_categories_stays_at_the_start():
    random = np.random.RandomState(0)
    X = pd.DataFrame(random.choice(list("abcd"), (100, 6)))
    model = AutoencoderTransformer(2, max_iter=40, hidden_layer_sizes=(32,), random_state=0).fit(X)
    assert min(model.loss_curve_) > 0
    assert model.validation_score_ > model.pca_score_ - 0.02


def test_functions_that_corrupt_see_units_of_the_data(digits):
    X, seen = (digits[:60, 10:30] > 0.5).astype(float), []

    def corruption(rows, random):
        seen.append(rows.copy())
        return rows

    DenoisingAutoencoderTransformer(2, corruption=corruption, **BRIEF).fit(X)
    rows = np.concatenate(seen)
    np.testing.assert_allclose(rows, np.round(rows), atol=1e-6)


@pytest.fixture(scope="module")
def wine():
    return StandardScaler().fit_transform(load_wine().data)


# On few rows, what is learnt without noise and decay is no better than PCA, or not surely so.
UNRULY = {"max_iter": 60, "weight_decay": 0.0, "input_noise": 0.0, "hidden_layer_sizes": (128, 64)}


def test_a_share_of_what_was_learnt_is_kept_where_all_of_it_is_too_much(wine, monkeypatch):
    rows, settings = wine[::3], {"learning_rate_init": 0.02, "random_state": 1, **UNRULY}
    some = AutoencoderTransformer(2, **settings).fit(rows)
    monkeypatch.setattr(courses, "_SHARES", ())
    none = AutoencoderTransformer(2, **settings).fit(rows)
    assert none.best_iter_ == 0
    assert some.best_iter_ > 0
    assert some.validation_score_ > some.pca_score_ + 0.005
    # What is told of the epoch is told of the network that was kept.
    assert some.validation_scores_[some.best_iter_] == some.validation_score_
    assert some.validation_scores_[0] == pytest.approx(none.validation_score_)


def test_noise_of_inputs_reaches_networks_that_are_trained_side_by_side(wine):
    plain, noisy = (
        AutoencoderTransformer(2, input_noise=noise, max_iter=20, random_state=0).fit(wine)
        for noise in (0.0, 0.5)
    )
    # The loss of what can be predicted no better than the noise allows.
    assert noisy.loss_curve_[-1] > plain.loss_curve_[-1] + 0.05
    assert noisy.validation_scores_[0] == pytest.approx(plain.validation_scores_[0])


def test_what_is_kept_is_the_same_whether_networks_are_trained_side_by_side(wine, monkeypatch):
    beside = AutoencoderTransformer(2, random_state=0, max_iter=40).fit(wine)
    monkeypatch.setattr(courses, "stack_key", lambda model: None)
    after = AutoencoderTransformer(2, random_state=0, max_iter=40).fit(wine)
    assert beside.best_iter_ == after.best_iter_ > 0
    np.testing.assert_allclose(beside.transform(wine), after.transform(wine), atol=0.01)


def test_weights_that_take_too_much_memory_are_not_kept(wine, monkeypatch):
    monkeypatch.setattr(courses, "_MOST_KEPT", 1)
    model = AutoencoderTransformer(2, random_state=0, max_iter=60).fit(wine)
    assert model.best_iter_ > 0
    assert model.score(wine) > model.pca_score_
