import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix, random_array
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE, trustworthiness
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import continuity, squared_errors, variance_explained, variance_explained_score
from skae.networks import Convolutional, Recurrent

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


@pytest.mark.parametrize("scaling", ["none", "standard", "robust", "quantile"])
def test_scaling_inside_changes_no_units(scaling):
    X = load_iris().data * [1, 100, 0.01, 1] + 5
    model = AutoencoderTransformer(2, scaling=scaling, max_iter=2, random_state=0).fit(X)
    expected = 1 - ((X - model.reconstruct(X)) ** 2).sum() / ((X - X.mean(0)) ** 2).sum()
    assert variance_explained(model, X) == pytest.approx(expected)
    np.testing.assert_allclose(model.mean_, X.mean(0))


def test_a_search_over_scaling_compares_like_with_like():
    X = load_iris().data * [1, 100, 1, 1] + 1000
    model = AutoencoderTransformer(1, max_iter=2, random_state=0)
    search = GridSearchCV(model, {"scaling": ["none", "standard"]}, scoring=variance_explained, cv=3).fit(X)
    # One column is nearly all of the variance, and only without scaling the one component is about it.
    assert search.best_params_ == {"scaling": "none"}
    assert variance_explained(search, X) == variance_explained(search.best_estimator_, X)


def test_scaled_columns_with_gaps_and_weights():
    X = load_iris().data * [1, 100, 1, 1]
    X[::7, 1] = np.nan
    weight = np.arange(len(X)) % 3
    model = AutoencoderTransformer(2, scaling="standard", max_iter=2, random_state=0)
    model.fit(X, sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0)
    np.testing.assert_allclose(model.mean_, np.nanmean(repeated, axis=0))
    explained = variance_explained(model, X, sample_weight=weight)
    assert explained == pytest.approx(variance_explained(model, repeated))
    missed = np.nansum((repeated - model.reconstruct(repeated)) ** 2)
    assert explained == pytest.approx(1 - missed / np.nansum((repeated - model.mean_) ** 2))


def test_tables_of_several_kinds_have_the_score_of_their_estimator():
    frame = pd.DataFrame({"a": np.arange(30.0), "b": list("xyz") * 10, "c": np.arange(30.0)[::-1] ** 2})
    model = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(frame)
    assert variance_explained(model, frame) == model.score(frame)


def test_wide_sparse_rows():
    X = csr_matrix(random_array((60, 300), density=0.05, rng=np.random.default_rng(0)))
    model = AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    assert variance_explained(model, X) == model.score(X)
    np.testing.assert_allclose(model.mean_, X.toarray().mean(axis=0), atol=1e-12)
    svd = TruncatedSVD(2, random_state=0).fit(X)
    assert variance_explained(svd, X) == pytest.approx(variance_explained(svd, X.toarray()))


class Sampler:
    """What imbalanced-learn puts into its pipelines: a step for training rows alone."""

    def fit_resample(self, X, y):
        raise AssertionError("only rows of a fit are sampled")


def test_samplers_within_a_pipeline_are_left_out(wine):
    pipe = make_pipeline(StandardScaler(), None, PCA(3)).fit(wine)
    expected = variance_explained(pipe, wine)
    pipe.steps.insert(1, ("sampler", Sampler()))
    assert variance_explained(pipe, wine) == expected


def test_pipelines_of_all_kinds(wine):
    frame = pd.DataFrame(wine).rename(columns=str)
    union = make_union(StandardScaler(), make_column_transformer((PCA(2), ["0", "1", "2"])))
    inner = make_pipeline(StandardScaler(), AutoencoderTransformer(2, scaling="standard", max_iter=2))
    pipe = make_pipeline(union, inner, "passthrough").fit(frame)
    rows = inner[0].transform(union.transform(frame))
    assert variance_explained(pipe, frame) == pytest.approx(variance_explained(inner[-1], rows))


def test_a_pipeline_without_a_way_back_is_refused(wine):
    with pytest.raises(TypeError, match="TSNE has no inverse_transform"):
        variance_explained(make_pipeline(StandardScaler(), TSNE()).fit(wine[:40]), wine)


@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize(
    ("network", "shape"),
    [(Convolutional((4, 4), channels=(2,)), (4, 4)), (Recurrent(4, hidden_size=4), (4, 3))],
    ids=["images", "sequences"],
)
def test_images_and_sequences_are_scored_as_their_rows_are(network, shape, scaling):
    X = np.random.default_rng(0).normal(3.0, size=(40, *shape))
    model = AutoencoderTransformer(2, network=network, scaling=scaling, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    assert variance_explained(model, X) == variance_explained(model, X.reshape(40, -1)) > 0
    assert variance_explained(model, X.tolist()) == variance_explained(model, X)


@pytest.mark.parametrize("offset", [1e9, 1e14])
def test_what_varies_little_beside_its_offset_still_varies(offset):
    X = offset + np.array([[0.0], [1.0], [2.0], [3.0]])
    back = offset + np.array([[0.0], [1.0], [2.0], [4.0]])
    assert variance_explained_score(X, back) == pytest.approx(0.8, abs=0.01)


def test_continuity_is_the_counterpart_of_trustworthiness():
    X = np.random.RandomState(0).standard_normal((60, 4))
    code = X[:, :1]
    assert continuity(X, code) == pytest.approx(trustworthiness(code, X))
    assert continuity(pd.DataFrame(X), csr_matrix(code), n_neighbors=7) == pytest.approx(
        trustworthiness(code, X, n_neighbors=7)
    )
    assert continuity(X, X) == 1.0


def test_continuity_falls_where_codes_tear_rows_apart():
    # A line that is cut into pieces, and laid down in another order.
    line = np.arange(200.0)[:, None]
    torn = np.random.RandomState(0).permutation(20).repeat(10)[:, None] * 1000 + line
    assert trustworthiness(line, torn, n_neighbors=4) > 0.99
    assert continuity(line, torn, n_neighbors=4) < 0.95


def test_continuity_refuses_what_does_not_fit():
    X = np.arange(20.0).reshape(10, 2)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        continuity(X, X[:9])
    with pytest.raises(ValueError, match="n_neighbors .5. should be less than n_samples / 2"):
        continuity(X, X)
