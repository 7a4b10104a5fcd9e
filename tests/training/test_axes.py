"""Axes of codes: uncorrelated, in order, alike in refits, and of no consequence for what is given back."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

import skae
from skae.networks import Convolutional, Dense, Recurrent, Recursive
from skae.training import courses

BRIEF = {"max_iter": 4, "random_state": 0, "early_stopping": False}
# Its last layers are not known.
OWN = (nn.Linear(13, 3), nn.Linear(3, 13))


@pytest.fixture
def fit_both(monkeypatch):
    """Fit twice, with axes and without."""

    def fit(make, X, **options):
        with_axes = make().fit(X, **options)
        monkeypatch.setattr(courses, "with_axes", lambda fitted: fitted)
        return with_axes, make().fit(X, **options)

    return fit


def explained_linearly(X, codes):
    """Return the variance of rows that the best linear prediction from each code explains."""
    centred = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    return np.square((X - X.mean(axis=0)).T @ centred / len(X)).sum(axis=0)


def assert_on_axes(X, codes, atol):
    np.testing.assert_allclose(np.cov(codes.T, bias=True), np.eye(codes.shape[1]), atol=atol)
    assert (np.diff(explained_linearly(X, codes)) < 1e-6).all()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"linear_path": False},
        {"init": "random"},
        {"hidden_layer_sizes": ()},
        {"batch_norm": True},
        {"network": Convolutional((8, 8))},
        {"network": Recurrent(8)},
        {"network": Recurrent(8, cell="lstm", n_layers=2)},
        {"network": Recursive(8)},
    ],
    ids=repr,
)
def test_codes_move_and_rows_do_not(fit_both, digits, settings):
    X = digits[:200]
    moved, left = fit_both(lambda: skae.AutoencoderTransformer(3, **BRIEF, **settings), X)
    assert_on_axes(X, moved.transform(X), 1e-4)
    assert abs(moved.transform(X) - left.transform(X)).max() > 1e-3
    np.testing.assert_allclose(moved.reconstruct(X), left.reconstruct(X), atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: skae.AutoencoderTransformer(3, tied_weights=True, **BRIEF),
        lambda: skae.AutoencoderTransformer(3, tied_weights=True, linear_path=False, **BRIEF),
        lambda: skae.ContractiveAutoencoderTransformer(3, **BRIEF),
        lambda: skae.ContractiveAutoencoderTransformer(3, tied_weights=False, **BRIEF),
    ],
)
def test_codes_whose_lengths_matter_are_only_turned(fit_both, digits, make):
    X = digits[:200]
    moved, left = fit_both(make, X)
    np.testing.assert_allclose(moved.reconstruct(X), left.reconstruct(X), atol=1e-5)
    covariance, before = np.cov(moved.transform(X).T), np.cov(left.transform(X).T)
    assert np.trace(covariance) == pytest.approx(np.trace(before), 1e-4)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4 * covariance.max())
    assert (np.diff(np.diag(covariance)) < 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: skae.AutoencoderTransformer(3, ordered=True, **BRIEF),
        lambda: skae.AutoencoderTransformer(3, l1_weights=1e-4, **BRIEF),
        lambda: skae.DenoisingAutoencoderTransformer(
            3, code_activation="logistic", linear_path=False, **BRIEF
        ),
        lambda: skae.VariationalAutoencoderTransformer(3, **BRIEF),
        lambda: skae.AdversarialAutoencoderTransformer(3, **BRIEF),
        lambda: skae.BinaryAutoencoderTransformer(8, **BRIEF),
        lambda: skae.SparseAutoencoderTransformer(8, n_active=2, **BRIEF),
        lambda: skae.AutoencoderTransformer(3, network=OWN, **BRIEF),
    ],
)
def test_codes_that_mean_something_stay(fit_both, wine, make):
    moved, left = fit_both(make, wine)
    np.testing.assert_array_equal(moved.transform(wine), left.transform(wine))


def test_a_fit_that_stays_at_pca_is_not_touched(fit_both, digits):
    noise = np.random.default_rng(0).standard_normal((1200, 6))
    moved, left = fit_both(lambda: skae.AutoencoderTransformer(2, max_iter=2, random_state=0), noise)
    assert moved.best_iter_ == 0
    np.testing.assert_array_equal(moved.transform(noise), left.transform(noise))


def test_axes_of_pca_are_those_of_pca(digits):
    """Where training changes next to nothing, the map is the identity."""
    model = skae.AutoencoderTransformer(5, **BRIEF, learning_rate_init=1e-12, input_noise=0).fit(digits)
    assert model.best_iter_ > 0
    pca = PCA(5, whiten=True).fit_transform(digits) * np.sqrt(len(digits) / (len(digits) - 1))
    np.testing.assert_allclose(model.transform(digits), pca, atol=1e-3)


def test_gaps_and_weights_count(digits):
    generator = np.random.default_rng(0)
    X = np.where(generator.random(digits.shape) < 0.1, np.nan, digits)
    weight = generator.integers(0, 4, len(X)).astype(float)
    model = skae.AutoencoderTransformer(3, **BRIEF).fit(X, sample_weight=weight)
    codes = np.repeat(model.transform(X), weight.astype(int), axis=0)
    np.testing.assert_allclose(np.cov(codes.T, bias=True), np.eye(3), atol=1e-4)


def test_more_codes_than_columns(fit_both, wine):
    moved, left = fit_both(lambda: skae.DenoisingAutoencoderTransformer(20, **BRIEF), wine)
    np.testing.assert_allclose(moved.reconstruct(wine), left.reconstruct(wine), rtol=1e-4, atol=1e-4)


def test_training_goes_on_from_moved_codes(wine):
    model = skae.AutoencoderTransformer(3, warm_start=True, max_iter=30, random_state=0).fit(wine)
    before, codes = model.score(wine), model.transform(wine)
    assert model.partial_fit(wine).partial_fit(wine).score(wine) > before - 0.02
    assert np.corrcoef(model.transform(wine)[:, 0], codes[:, 0])[0, 1] > 0.9
    again = model.fit(wine)
    assert again.score(wine) > before
    assert_on_axes(wine, again.transform(wine), 1e-6)


def test_codes_of_two_seeds_agree_on_their_axes(digits):
    one, other = (
        skae.AutoencoderTransformer(3, random_state=seed, max_iter=8).fit_transform(digits) for seed in (0, 1)
    )
    # Sign and place included.
    assert (np.diag(np.corrcoef(one.T, other.T)[:3, 3:]) > 0.8).all()


def test_a_map_is_absorbed_by_the_network(generator):
    encoder, decoder = Dense((6,)).build(5, 3, 3, generator)
    encoder.start_random(generator)
    decoder.start_random(generator)
    network = skae.networks.autoencoder.Autoencoder(encoder, decoder, skae.networks.bottlenecks.Bottleneck())
    rows, matrix, shift = torch.randn(4, 5), torch.randn(3, 3), torch.randn(3)
    codes, back = network.encode(rows), network(rows)
    network.move_codes(matrix, shift)
    torch.testing.assert_close(network.encode(rows), (codes - shift) @ matrix)
    torch.testing.assert_close(network(rows), back, atol=1e-4, rtol=1e-4)
