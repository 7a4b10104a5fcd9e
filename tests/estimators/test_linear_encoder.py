"""Linear encoders, and the best linear approximation of those that bend."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from torch import nn

import skae
from skae import AutoencoderTransformer
from skae.metrics import variance_explained
from skae.networks import Convolutional, Recurrent

BRIEF = {"max_iter": 10, "random_state": 0, "early_stopping": False}
LINEAR = {"encoder": "linear", **BRIEF}


@pytest.fixture
def table(wine):
    return wine * np.arange(1, 14) + 100


@pytest.mark.parametrize(
    "settings",
    [{}, {"scaling": "standard"}, {"linear_path": False}, {"hidden_layer_sizes": ()}, {"ordered": True}],
)
def test_codes_of_a_linear_encoder_are_one_product(table, settings):
    model = AutoencoderTransformer(3, **LINEAR, **settings).fit(table)
    codes = model.transform(table)
    rest = codes - (table - model.mean_) @ model.components_.T
    np.testing.assert_allclose(rest, np.broadcast_to(rest[0], rest.shape), atol=1e-9)
    np.testing.assert_array_equal(model.linearity_, 1)
    np.testing.assert_allclose(model.encoder_(torch.tensor(table)).numpy(), codes, atol=1e-4)
    np.testing.assert_allclose(model.transform(table.astype(np.float32)), codes, atol=1e-4)


def test_the_decoder_bends(curve):
    model = AutoencoderTransformer(2, **LINEAR).fit(curve[:200])
    assert model.score(curve) > variance_explained(PCA(2).fit(curve[:200]), curve) + 0.01


def test_a_linear_encoder_of_another_architecture(digits):
    model = AutoencoderTransformer(3, network=Convolutional((8, 8)), encoder="linear", **BRIEF).fit(
        digits[:200]
    )
    codes = model.transform(digits)
    rest = codes - (digits - model.mean_) @ model.components_.T
    np.testing.assert_allclose(rest, np.broadcast_to(rest[0], rest.shape), atol=1e-6)


def test_gaps_are_filled_before_a_linear_encoder(wine):
    X = wine.copy()
    X[::3, 0] = np.nan
    model = AutoencoderTransformer(3, **LINEAR).fit(X)
    assert np.isfinite(model.transform(X)).all()
    # A row's code is its own, whether others have gaps or not.
    np.testing.assert_allclose(model.transform(X)[1:3], model.transform(X[1:3]), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"tied_weights": True},
        {"pretrain": "layerwise"},
        {"network": Recurrent(13)},
        {"network": (nn.Linear(13, 2), nn.Linear(2, 13))},
    ],
    ids=repr,
)
def test_what_a_linear_encoder_does_not_go_with(wine, settings):
    with pytest.raises(ValueError, match="encoder='linear' does not go with"):
        AutoencoderTransformer(2, encoder="linear", **settings).fit(wine)


def test_linearity_needs_the_linear_path(wine):
    with pytest.raises(ValueError, match="linear_path=True"):
        AutoencoderTransformer(2, linearity=1.0, linear_path=False).fit(wine)


def test_linearity_draws_codes_to_what_is_linear(digits):
    shares = [
        AutoencoderTransformer(3, linearity=weight, **BRIEF).fit(digits).linearity_.mean()
        for weight in (0.0, 0.3, 3.0)
    ]
    assert shares[0] + 0.02 < shares[1] < shares[2]
    assert shares[2] > 0.97


def test_straightness_draws_codes_to_principal_components(digits):
    pca = PCA(3).fit(digits)

    def left(weight):
        model = AutoencoderTransformer(3, straightness=weight, **BRIEF).fit(digits)
        codes = model.transform(digits)
        return LinearRegression().fit(codes, pca.transform(digits)).score(codes, pca.transform(digits))

    shares = [left(weight) for weight in (0.0, 0.3, 10.0)]
    assert shares[0] + 0.01 < shares[1] < shares[2]
    assert shares[2] > 0.95


@pytest.mark.parametrize("settings", [{"linear_path": False}, {"loss": "huber"}])
def test_straightness_needs_a_linear_half_and_its_squared_error(wine, settings):
    with pytest.raises(ValueError, match="linear_path=True, loss='squared_error'"):
        AutoencoderTransformer(2, straightness=1.0, **settings).fit(wine)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "penalties", [{"linearity": 0.5}, {"straightness": 0.5}, {"linearity": 0.3, "straightness": 2}]
)
def test_gradients_by_hand_are_those_of_autograd(wine, weighted, penalties):
    # Few enough for float64: at the PCA start the first gradients are nothing but rounding.
    X = wine[:150]
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else None
    settings = {**penalties, "gradient_clip": None, "init": "random", **BRIEF, "max_iter": 3}
    by_hand = AutoencoderTransformer(3, **settings).fit(X, sample_weight=weight)
    # Weights that cost nothing keep it from gradients by hand.
    plain = AutoencoderTransformer(3, l1_weights=1e-30, **settings).fit(X, sample_weight=weight)
    np.testing.assert_allclose(by_hand.reconstruct(X), plain.reconstruct(X), atol=1e-6)
    np.testing.assert_allclose(by_hand.loss_curve_, plain.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize(
    "Estimator",
    [AutoencoderTransformer, skae.DenoisingAutoencoderTransformer, skae.ContractiveAutoencoderTransformer],
)
def test_components_are_the_best_linear_approximation(Estimator, wine):
    model = Estimator(3, **BRIEF).fit(wine)
    codes = model.transform(wine)
    best = LinearRegression().fit(wine, codes)
    np.testing.assert_allclose(model.components_, best.coef_, atol=1e-5)
    left = np.square(codes - best.predict(wine)).mean(axis=0) / codes.var(axis=0)
    np.testing.assert_allclose(model.linearity_, 1 - left, atol=1e-5)


def test_components_at_the_start_are_those_of_pca(wine):
    model = AutoencoderTransformer(3, random_state=0).fit(wine[:15])
    pca = PCA(3).fit(wine[:15])
    spread = np.sqrt(pca.explained_variance_ * 14 / 15)[:, None]
    np.testing.assert_allclose(model.components_, pca.components_ / spread, atol=1e-6)


def test_components_follow_the_fit(wine):
    model = AutoencoderTransformer(3, **BRIEF).fit(wine)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.components_, model.components_)
    assert not hasattr(clone(model), "components_")
    assert not hasattr(model.partial_fit(wine), "linearity_")
    shorter = AutoencoderTransformer(3, ordered=True, **BRIEF).fit(wine).truncated(2)
    assert shorter.components_.shape == (2, 13)
    assert shorter.linearity_.shape == (2,)


def test_components_of_wide_sparse_rows_are_in_their_columns():
    from scipy.sparse import random as random_sparse

    X = random_sparse(200, 300, density=0.05, random_state=0, format="csr")
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    assert model.components_.shape == (2, 300)


@pytest.mark.parametrize(
    "Estimator", [skae.BinaryAutoencoderTransformer, skae.VariationalAutoencoderTransformer]
)
def test_codes_that_are_no_real_numbers_have_no_components(Estimator, wine):
    with pytest.raises(AttributeError, match="linear approximation"):
        _ = Estimator(3, **BRIEF).fit(wine).components_


def test_what_reads_it_in_numpy_gives_the_same(wine):
    model = AutoencoderTransformer(3, encoder="linear", **BRIEF).fit(wine)
    np.testing.assert_allclose(
        skae.numpy.encoder(model).transform(wine), model.transform(wine), rtol=1e-12, atol=1e-12
    )


def test_what_bends_is_penalised_where_rows_have_gaps(wine):
    gaps = wine.copy()
    gaps[::5, 3] = np.nan
    # Folds are trained side by side, where nothing may depend on values of rows.
    settings = BRIEF | {"early_stopping": True}
    model = AutoencoderTransformer(2, linearity=30, **settings).fit(gaps)
    assert model.linearity_.min() > 0.95
