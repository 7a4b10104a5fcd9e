"""What a user of VariationalAutoencoderTransformer may rely on."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from skae import VariationalAutoencoderTransformer
from skae.networks import Convolutional, Recurrent
from skae.objectives.penalties.adversary import energy_distance

BRIEF = {"max_iter": 5, "random_state": 0}
# One part held out rather than five folds: the folds are not what is tested here.
SPLIT = {"validation_fraction": 0.2, "max_iter": 100, "random_state": 0}
QUICK = {"validation_fraction": 0.2, "batch_size": 50, "max_iter": 30, "random_state": 0}


@pytest.fixture(scope="module")
def mixed():
    """400 rows: two numbers, one yes or no, one count, and a category of three as indicators."""
    random = np.random.RandomState(0)
    hidden = random.standard_normal(400)
    category = np.eye(3)[np.clip(np.round(hidden + 1 + 0.3 * random.standard_normal(400)), 0, 2).astype(int)]
    return np.column_stack(
        [
            hidden + 0.1 * random.standard_normal(400),
            5 + 3 * hidden**2 + 0.1 * random.standard_normal(400),
            hidden + 0.3 * random.standard_normal(400) > 0,
            random.poisson(np.exp(0.5 + 0.5 * hidden)),
            category,
        ]
    ).astype(float)


MIXED = {"likelihood": {2: "bernoulli", 3: "poisson", 4: "categorical", 5: "categorical", 6: "categorical"}}
MIXED["column_groups"] = [[4, 5, 6]]


def test_the_start_is_probabilistic_pca():
    # Below 20 rows the model stays at its start. Every importance weight is then the likelihood itself,
    # since the posterior of the start is the true one.
    X = np.random.RandomState(0).standard_normal((19, 4)) @ np.diag([3.0, 2.0, 1.0, 0.5]) + 7
    model = VariationalAutoencoderTransformer(2, random_state=0).fit(X)
    assert model.best_iter_ == 0
    values, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    noise = values[:2].mean()
    covariance = axes[:, 2:] @ np.diag(values[2:] - noise) @ axes[:, 2:].T + noise * np.eye(4)
    expected = multivariate_normal(X.mean(axis=0), covariance).logpdf(X)
    for n_importance in (2, 7):
        np.testing.assert_allclose(model.score_samples(X, n_importance), expected, rtol=1e-4)
    np.testing.assert_allclose(model.noise_variance_, noise, rtol=1e-4)


def test_bounds_are_the_same_on_every_call_and_tighter_with_draws(curve):
    model = VariationalAutoencoderTransformer(2, **QUICK).fit(curve)
    scores = model.score_samples(curve)
    np.testing.assert_array_equal(model.score_samples(curve), scores)
    np.testing.assert_allclose(model.score_samples(curve[3:5]), scores[3:5], rtol=1e-9)
    few, many = (model.score_samples(curve, n).mean() for n in (5, 100))
    assert few < many
    # Nats of a density: in units a tenth as large, each of six columns loses log 10.
    smaller = VariationalAutoencoderTransformer(2, **QUICK).fit(10 * curve)
    np.testing.assert_allclose(smaller.score_samples(10 * curve), scores - 6 * np.log(10), atol=1e-3)


@pytest.mark.slow
def test_unusual_rows_score_lower(curve):
    model = VariationalAutoencoderTransformer(2, **SPLIT).fit(curve)
    assert model.score_samples(curve).mean() > model.score_samples(curve[:, ::-1]).mean() + 10


def test_transform_gives_means_and_their_spread(curve):
    model = VariationalAutoencoderTransformer(2, **BRIEF).fit(curve)
    Z, spread = model.transform(curve, return_std=True)
    np.testing.assert_array_equal(Z, model.transform(curve))
    draws = model.sample_posterior(curve[:20], n_samples=4000, random_state=0)
    assert draws.shape == (4000, 20, 2)
    np.testing.assert_allclose(draws.mean(axis=0), Z[:20], atol=0.1)
    np.testing.assert_allclose(draws.std(axis=0), spread[:20], rtol=0.1)
    frames = model.set_output(transform="pandas").transform(pd.DataFrame(curve).add_prefix("x").to_numpy())
    assert list(frames.columns) == [
        "variationalautoencodertransformer0",
        "variationalautoencodertransformer1",
    ]
    assert model.transform(curve.astype(np.float32), return_std=True)[1].dtype == np.float32


def distance_of(X, Y):
    return float(energy_distance(torch.from_numpy(X), torch.from_numpy(Y)))


@pytest.mark.slow
def test_samples_are_like_the_rows(curve):
    model = VariationalAutoencoderTransformer(3, **SPLIT).fit(curve)
    X = model.sample(4000, random_state=0)
    np.testing.assert_array_equal(model.sample(4000, random_state=0), X)
    assert (model.sample(5, random_state=1) != X[:5]).all()
    np.testing.assert_allclose(X.mean(axis=0), curve.mean(axis=0), atol=0.1)
    # Nearer to the rows than a normal distribution with their mean and covariance.
    normal = np.random.default_rng(0).multivariate_normal(curve.mean(axis=0), np.cov(curve.T), 2000)
    assert distance_of(X[:2000], curve) < 0.5 * distance_of(normal, curve)
    smooth = model.sample(4000, random_state=0, noise=False)
    np.testing.assert_allclose(X.std(axis=0) ** 2, smooth.std(axis=0) ** 2 + model.noise_variance_, rtol=0.15)


def test_columns_of_several_kinds(mixed):
    model = VariationalAutoencoderTransformer(2, random_state=0, max_iter=40, **MIXED).fit(mixed)
    X = model.sample(1000, random_state=0)
    assert set(X[:, 2]) == {0.0, 1.0}
    assert (X[:, 3] == np.round(X[:, 3])).all()
    assert X[:, 3].min() >= 0
    assert (X[:, 4:].sum(axis=1) == 1).all()
    np.testing.assert_allclose(X.mean(axis=0), mixed.mean(axis=0), atol=0.5)
    back = model.reconstruct(mixed)
    np.testing.assert_allclose(back[:, 4:].sum(axis=1), 1)
    assert ((back[:, 2] >= 0) & (back[:, 2] <= 1)).all()
    assert np.isfinite(model.score_samples(mixed)).all()
    assert np.isnan(model.noise_variance_[2:]).all()
    assert np.isfinite(model.noise_variance_[:2]).all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.sample(1000, random_state=0), X)


def test_kinds_by_name(mixed):
    frame = pd.DataFrame(mixed, columns=["a", "b", "yes", "count", "red", "green", "blue"])
    model = VariationalAutoencoderTransformer(
        2,
        likelihood={"yes": "bernoulli", "red": "categorical", "green": "categorical", "blue": "categorical"},
        column_groups=[["red", "green", "blue"]],
        **BRIEF,
    ).fit(frame)
    assert set(model.sample(200, random_state=0)[:, 4]) == {0.0, 1.0}


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_one_kind_for_all(likelihood, digits):
    X = (digits[:300] > 0.5).astype(float)
    model = VariationalAutoencoderTransformer(4, likelihood=likelihood, random_state=0, max_iter=30).fit(X)
    # A probability of a whole row is below one, its logarithm below zero.
    assert model.score_samples(X, n_importance=20).max() < 0
    assert model.score(X) > 0.2


@pytest.mark.slow
def test_variance_by_column_and_fixed(curve):
    noisy = np.column_stack([curve, 0.3 * np.random.RandomState(0).standard_normal(len(curve))])
    model = VariationalAutoencoderTransformer(2, variance="per_feature", **SPLIT).fit(noisy)
    assert model.noise_variance_[-1] > 2 * model.noise_variance_[:-1].mean()
    fixed = VariationalAutoencoderTransformer(2, variance=0.3, **BRIEF).fit(curve)
    np.testing.assert_allclose(fixed.noise_variance_, 0.3)


@pytest.mark.slow
def test_more_beta_says_less_and_free_bits_say_more(curve):
    said = [
        VariationalAutoencoderTransformer(2, **QUICK, **settings).fit(curve).kl_per_component_
        for settings in ({"beta": 4.0}, {}, {"beta": 0.1})
    ]
    assert said[0].sum() < said[1].sum() < said[2].sum()
    rest = np.random.RandomState(0).standard_normal((400, 3))
    settings = {"n_components": 2, "variance": 2.0, **QUICK}
    with pytest.warns(ConvergenceWarning, match="are active"):
        without = VariationalAutoencoderTransformer(**settings).fit(rest)
    assert len(without.active_components_) == 0
    freed = VariationalAutoencoderTransformer(free_bits=0.5, **settings).fit(rest)
    assert freed.kl_per_component_.sum() > without.kl_per_component_.sum() + 0.5


def test_importance_weighted_training_raises_the_bound(digits):
    X, T = digits[:1200], digits[1200:]
    settings = {"objective": "iwae", "random_state": 0}
    brief, long = (
        VariationalAutoencoderTransformer(8, max_iter=n_epochs, **settings).fit(X).score_samples(T, 20).mean()
        for n_epochs in (1, 20)
    )
    assert long > brief + 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -1.0}, "'beta' parameter"),
        ({"loss": "huber"}, "'loss' parameter"),
        ({"likelihood": "normal"}, "'likelihood' parameter"),
        ({"likelihood": ["gaussian"]}, "1 entries"),
        ({"likelihood": {0: "normal"}}, "must be one of"),
        ({"likelihood": {"a": "gaussian"}}, "names column 'a'"),
        ({"likelihood": "bernoulli"}, r"needs values in \[0, 1\]"),
        ({"likelihood": "poisson"}, "Negative values"),
        ({"likelihood": {0: "categorical"}}, "Scale them|must add up to 1"),
        ({"column_groups": [[0, 1]]}, "only 'categorical' columns"),
        ({"objective": "iwae", "beta": 2.0}, "needs beta=1"),
        ({"solver": "recirculation", "hidden_layer_sizes": ()}, "follows no gradient"),
        ({"tied_weights": True}, "as wide as"),
    ],
)
def test_bad_settings_are_told_before_training(curve, settings, message):
    model = VariationalAutoencoderTransformer(2, **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(curve)
    assert not hasattr(model, "network_")


def test_groups_must_add_up(mixed):
    model = VariationalAutoencoderTransformer(2, **MIXED)
    mixed = mixed.copy()
    mixed[3, 4:] = 0
    with pytest.raises(ValueError, match="must add up to 1"):
        model.fit(mixed)


@pytest.mark.parametrize("method", ["sample", "sample_posterior", "score_samples"])
def test_numbers_of_draws_are_checked(curve, method):
    model = VariationalAutoencoderTransformer(2, **BRIEF).fit(curve)
    arguments = [0] if method == "sample" else [curve, 0]
    with pytest.raises(ValueError, match="at least 1; got 0"):
        getattr(model, method)(*arguments)


@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize(
    ("network", "shape", "gap"),
    [
        (Convolutional((4, 3), channels=(2,)), (4, 3), (0, 0, 0)),
        (Convolutional((4, 3, 2), channels=(2,)), (2, 4, 3), (0, 1, 0, 0)),
        (Recurrent(4, hidden_size=4), (4, 3), (0, 3)),
    ],
    ids=["images", "colours", "sequences"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_images_and_sequences_come_back_in_their_shape_and_units(network, shape, gap, scaling):
    X = np.random.default_rng(0).normal(100.0, 5.0, size=(40, *shape))
    model = VariationalAutoencoderTransformer(
        2, network=network, scaling=scaling, max_iter=1, random_state=0
    ).fit(X)
    assert model.reconstruct(X).shape == model.inverse_transform(model.transform(X)).shape == X.shape
    gaps = X.copy()
    gaps[gap] = np.nan
    (filled,) = model.sample_missing(gaps, random_state=0)
    there = ~np.isnan(gaps)
    np.testing.assert_array_equal(filled[there], X[there])
    assert (np.abs(filled[~there] - 100) < 50).all()
