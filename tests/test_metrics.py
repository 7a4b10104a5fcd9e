import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import squared_errors, variance_explained, variance_explained_score

tables = arrays(np.float64, (6, 3), elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3)))


def test_score_spelt_out():
    X = np.array([[0.0], [2.0], [4.0]])
    X_back = np.array([[1.0], [2.0], [4.0]])
    # about the mean of 2: 4 + 0 + 4 = 8; missed: 1
    assert variance_explained_score(X, X_back) == pytest.approx(1 - 1 / 8)
    # about a training mean of 0: 0 + 4 + 16 = 20
    assert variance_explained_score(X, X_back, mean=[0.0]) == pytest.approx(1 - 1 / 20)


@given(tables)
@settings(deadline=None)
def test_perfect_is_one_and_the_mean_is_zero(X):
    assert variance_explained_score(X, X) == 1.0
    mean = np.broadcast_to(X.mean(0), X.shape)
    expected = 1.0 if np.allclose(X, mean) and np.ptp(X, 0).max() < 1e-9 else 0.0
    assert variance_explained_score(X, mean) == pytest.approx(expected, abs=1e-6)


@given(tables, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_units_do_not_matter(X, unit, offset):
    X_back = X + np.linspace(-1, 1, X.size).reshape(X.shape) * np.ptp(X)
    before = variance_explained_score(X, X_back)
    after = variance_explained_score(X * unit + offset, X_back * unit + offset)
    assert after == pytest.approx(before, rel=1e-4, abs=1e-4)


def test_large_values_do_not_overflow():
    X = np.array([[1e200, 0.0], [-1e200, 0.0]])
    assert variance_explained_score(X, X * 0.5) == pytest.approx(0.75)


def test_no_variance():
    X = np.full((4, 2), 0.1)
    assert variance_explained_score(X, X) == 1.0
    assert variance_explained_score(X, X + 1) == 0.0


def test_shapes_must_match():
    with pytest.raises(ValueError, match=r"shape \(3, 2\), its reconstruction \(3, 1\)"):
        variance_explained_score(np.zeros((3, 2)), np.zeros((3, 1)))


def test_squared_errors_are_float64():
    X = np.array([[1e30]], dtype=np.float32)
    assert squared_errors(X, np.zeros_like(X))[0, 0] == pytest.approx(1e60)


def test_pca_explains_what_it_says(wine):
    pca = PCA(3).fit(wine)
    assert variance_explained(pca, wine) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_a_pipeline_is_scored_where_its_last_step_works(wine):
    raw = wine * np.logspace(0, 6, wine.shape[1])
    pipe = make_pipeline(StandardScaler(), "passthrough", PCA(3)).fit(raw)
    scaled = StandardScaler().fit_transform(raw)
    assert variance_explained(pipe, raw) == pytest.approx(variance_explained(PCA(3).fit(scaled), scaled))


def test_it_is_the_score_of_an_autoencoder(wine):
    model = AutoencoderTransformer(3, max_iter=3, random_state=0).fit(wine)
    assert variance_explained(model, wine) == pytest.approx(model.score(wine))


def test_reducers_without_a_mean(wine):
    kernel = KernelPCA(3, fit_inverse_transform=True).fit(wine)
    assert 0.4 < variance_explained(kernel, wine) < 1


def test_reducers_without_an_inverse_are_refused(wine):
    with pytest.raises(TypeError, match="TSNE has no inverse_transform"):
        variance_explained(TSNE(), wine)


def test_as_a_scorer_of_a_search(wine):
    search = GridSearchCV(PCA(), {"n_components": [1, 4]}, scoring=variance_explained).fit(wine)
    assert search.best_params_ == {"n_components": 4}
