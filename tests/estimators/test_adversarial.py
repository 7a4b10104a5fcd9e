"""What a user of AdversarialAutoencoderTransformer may rely on."""

import numpy as np
import pytest
import torch

from skae import AdversarialAutoencoderTransformer, AutoencoderTransformer
from skae.objectives.penalties.adversary import energy_distance
from skae.objectives.priors import PRIORS


def distance(model, X, prior):
    drawn = PRIORS[prior](len(X), model.n_components_, torch.Generator().manual_seed(1))
    return float(energy_distance(torch.from_numpy(model.transform(X)).float(), drawn))


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "most"), [("normal", 0.02), ("uniform", 0.06), ("mixture", 0.05)])
def test_codes_of_new_rows_match_the_prior_better(digits, prior, most):
    X, T = digits[:1300], digits[1300:]
    distances = [
        distance(
            AdversarialAutoencoderTransformer(2, prior=prior, alpha=alpha, max_iter=25, random_state=0).fit(
                X
            ),
            T,
            prior,
        )
        for alpha in (0.0, 1.0)
    ]
    # Codes without a prior are uncorrelated with variance one, and so near to a normal distribution already:
    # a share of their distance would say little.
    assert distances[1] < min(most, distances[0])


def distance_of(X, Y):
    return float(energy_distance(torch.from_numpy(X), torch.from_numpy(Y)))


@pytest.mark.slow
def test_samples_are_like_the_rows(curve):
    model = AdversarialAutoencoderTransformer(2, max_iter=100, validation_fraction=0.2, random_state=0).fit(
        curve
    )
    X = model.sample(2000, random_state=0)
    np.testing.assert_array_equal(model.sample(2000, random_state=0), X)
    np.testing.assert_allclose(X.mean(axis=0), curve.mean(axis=0), atol=0.15)
    # Nearer to the rows than a normal distribution with their mean and covariance.
    normal = np.random.default_rng(0).multivariate_normal(curve.mean(axis=0), np.cov(curve.T), 2000)
    assert distance_of(X[:2000], curve) < 0.5 * distance_of(normal, curve)
    smooth = model.sample(2000, random_state=0, noise=False)
    np.testing.assert_allclose((X - smooth).var(axis=0), model.noise_variance_, rtol=0.15)
    np.testing.assert_allclose(
        model.noise_variance_, ((model.reconstruct(curve) - curve) ** 2).mean(axis=0), rtol=0.2
    )
    with pytest.raises(ValueError, match="at least 1"):
        model.sample(0)


@pytest.mark.slow
def test_a_prior_of_ones_own(curve):
    def ring(n_rows, n_components, generator):
        angle = generator.uniform(0, 2 * np.pi, n_rows)
        return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * generator.standard_normal((n_rows, 2))

    model = AdversarialAutoencoderTransformer(
        2, prior=ring, max_iter=100, validation_fraction=0.2, random_state=0
    ).fit(curve)
    radius = np.linalg.norm(model.transform(curve), axis=1)
    assert radius.std() < 0.5
    assert model.sample(7).shape == (7, 6)


def test_without_weight_it_is_the_plain_one(curve):
    settings = {"max_iter": 5, "random_state": 0}
    plain = AutoencoderTransformer(2, input_noise=0.0, weight_decay=0.1, **settings).fit(curve)
    ours = AdversarialAutoencoderTransformer(2, alpha=0.0, **settings).fit(curve)
    np.testing.assert_array_equal(ours.transform(curve), plain.transform(curve))


def test_codes_can_be_one_number(curve):
    for prior in PRIORS:
        model = AdversarialAutoencoderTransformer(1, prior=prior, max_iter=3, random_state=0).fit(curve)
        assert model.sample(4).shape == (4, 6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, "'alpha' parameter"),
        ({"prior": "laplace"}, "'prior' parameter"),
        ({"prior": lambda n, k, generator: np.zeros((n, k + 1))}, "must give finite numbers of shape"),
        ({"prior": lambda n, k, generator: np.full((n, k), np.nan)}, "must give finite numbers"),
        ({"prior": int}, "prior must be a function that takes 3 arguments; got the class int"),
        ({"prior": lambda n: np.zeros((n, 2))}, "prior must be a function that takes 3 arguments"),
    ],
)
def test_bad_settings_are_told_before_training(curve, settings, message):
    model = AdversarialAutoencoderTransformer(2, **settings)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(curve)
    assert not hasattr(model, "network_")
