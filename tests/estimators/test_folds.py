"""Below 1,000 rows five folds choose the epoch, each of them about the centre of its own training rows."""

import numpy as np
import pandas as pd
import pytest

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.training import fits

BRIEF = {"max_iter": 2, "random_state": 0}


def targets_of_folds(monkeypatch, model, X):
    """Return what held-out rows are compared with, in the units of the loss."""
    found = []
    held_out = fits.HeldOut

    def noting(network, objective, rows, *args, **kwargs):
        found.append(objective.reconstruction.target(rows).numpy())
        return held_out(network, objective, rows, *args, **kwargs)

    monkeypatch.setattr(fits, "HeldOut", noting)
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
