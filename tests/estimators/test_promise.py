"""The promise at default settings, on whole tables and several cuts. Takes minutes: `pytest -m slow`."""

import pytest
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import variance_explained

pytestmark = pytest.mark.slow

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")


def both(X, n_components, seed):
    """Fit the autoencoder and PCA behind a scaler; give the first and both scores on test rows."""
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    ours = make_pipeline(StandardScaler(), AutoencoderTransformer(n_components, random_state=seed)).fit(train)
    pca = make_pipeline(StandardScaler(), PCA(n_components)).fit(train)
    return ours[-1], ours.score(test), variance_explained(pca, test)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("table", TABLES)
def test_default_settings_are_never_below_pca_where_it_was_judged(table, seed):
    model, _, _ = both(getattr(datasets, f"load_{table}")().data, 2, seed)
    assert model.validation_score_ >= model.pca_score_ - 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_default_settings_halve_what_pca_leaves_of_digits(seed):
    _, ours, pca = both(datasets.load_digits().data, 16, seed)
    assert 1 - ours < 0.5 * (1 - pca)


def test_default_settings_on_weather(weather):
    X, _ = weather
    model, ours, pca = both(X, 3, 0)
    assert 1 - ours < 0.7 * (1 - pca)
    assert ours == pytest.approx(model.validation_score_, abs=0.02)
