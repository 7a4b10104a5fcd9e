"""Weights of rows: twice the weight counts like the row twice, in every variant."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

import skae

BRIEF = {"max_iter": 20, "random_state": 0}
VARIANTS = {
    "plain": skae.AutoencoderTransformer(2, **BRIEF),
    "split": skae.AutoencoderTransformer(2, validation_fraction=0.2, **BRIEF),
    "poisson": skae.AutoencoderTransformer(2, loss="poisson", **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(2, validation_fraction=0.2, **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(2, validation_fraction=0.2, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(2, validation_fraction=0.2, **BRIEF),
    "importance": skae.VariationalAutoencoderTransformer(2, objective="iwae", early_stopping=False, **BRIEF),
    "adversarial": skae.AdversarialAutoencoderTransformer(2, validation_fraction=0.2, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(6, validation_fraction=0.2, **BRIEF),
    "topk": skae.SparseAutoencoderTransformer(8, n_active=2, validation_fraction=0.2, **BRIEF),
    "l1": skae.SparseAutoencoderTransformer(8, penalty="l1", validation_fraction=0.2, **BRIEF),
    "kl": skae.SparseAutoencoderTransformer(8, penalty="kl", validation_fraction=0.2, **BRIEF),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def halves():
    """240 rows: half of them vary along two columns, the other half along two others."""
    random = np.random.RandomState(0)
    X = np.zeros((240, 4))
    X[:120, :2] = random.uniform(0, 4, (120, 2))
    X[120:, 2:] = random.uniform(0, 4, (120, 2))
    return X + random.uniform(0, 0.1, X.shape)


# The others draw more noise, and so need more steps and more seconds.
QUICK = ("plain", "denoising", "topk")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_weights_count_like_repeated_rows(name, halves):
    """Over several seeds, since the rows of an epoch, the noise and the rows held out are drawn anew."""
    weight = np.repeat([5, 1], 120)
    repeated = halves.repeat(weight, axis=0)
    found = {"weighted": [], "repeated": [], "neither": []}
    n_epochs = 20 if name in QUICK else 60
    for seed in range(5 if name in QUICK else 8):
        for way, (rows, weights) in {
            "weighted": (halves, weight),
            "repeated": (repeated, None),
            "neither": (halves, None),
        }.items():
            model = clone(VARIANTS[name])
            # As many steps, whatever the number of rows.
            model.set_params(random_state=seed, max_iter=n_epochs * 240 // len(rows), batch_size=40)
            model.set_params(early_stopping=False)
            model.fit(rows, sample_weight=weights)
            errors = model.reconstruction_error(halves)
            # The share of the error that lies in the half that counts more.
            found[way].append(errors[:120].sum() / errors.sum())
    weighted, repeated, neither = (np.mean(found[way]) for way in ("weighted", "repeated", "neither"))
    assert weighted < neither
    assert abs(weighted - repeated) < 0.5 * abs(neither - repeated)


def test_weighted_pca_is_where_it_starts(halves):
    weight = np.repeat([8, 1], 120)
    model = skae.AutoencoderTransformer(
        2, max_iter=1, random_state=0, early_stopping=False, learning_rate_init=1e-9
    )
    model.fit(halves, sample_weight=weight)
    expected = PCA(2).fit(halves.repeat(weight, axis=0))
    np.testing.assert_allclose(model.mean_, expected.mean_)
    np.testing.assert_allclose(
        model.reconstruct(halves), expected.inverse_transform(expected.transform(halves)), atol=1e-5
    )


def test_rows_without_weight_do_not_exist(halves):
    weight = np.repeat([1.0, 0.0], 120)
    weighted = skae.AutoencoderTransformer(2, **BRIEF).fit(halves, sample_weight=weight)
    alone = skae.AutoencoderTransformer(2, **BRIEF).fit(halves[:120], sample_weight=np.ones(120))
    np.testing.assert_array_equal(weighted.transform(halves), alone.transform(halves))


def test_shares_mean_the_same_as_their_multiples(halves):
    weight = np.random.RandomState(0).uniform(0.5, 2, 240)
    brief = {"max_iter": 2, "early_stopping": False, "random_state": 0}
    first, second = (
        skae.AutoencoderTransformer(2, **brief).fit(halves, sample_weight=factor * weight)
        for factor in (1, 1e-6)
    )
    np.testing.assert_allclose(first.transform(halves), second.transform(halves), rtol=1e-5, atol=1e-5)


def test_the_score_is_weighted(halves):
    weight = np.random.RandomState(0).randint(0, 4, 240)
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(halves)
    assert model.score(halves, sample_weight=weight) == pytest.approx(
        model.score(halves.repeat(weight, axis=0))
    )


def test_partial_fit_takes_weights(halves):
    model, unweighted = (skae.AutoencoderTransformer(2, **BRIEF) for _ in range(2))
    for _ in range(3):
        model.partial_fit(halves, sample_weight=np.repeat([8, 1], 120))
        unweighted.partial_fit(halves)
    heavy = [one.reconstruction_error(halves)[:120].mean() for one in (model, unweighted)]
    assert heavy[0] < heavy[1]


def test_weights_are_routed(halves):
    weight = np.repeat([8.0, 1.0], 120)
    with config_context(enable_metadata_routing=True):
        model = skae.AutoencoderTransformer(2, **BRIEF)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2).fit(halves, sample_weight=weight)
    assert search.best_params_ == {"n_components": 2}


@pytest.mark.parametrize(
    ("weight", "message"),
    [(np.zeros(240), "zero"), (-np.ones(240), "egative"), (np.ones(3), "shape")],
)
def test_weights_that_cannot_be_are_refused(halves, weight, message):
    model = skae.AutoencoderTransformer(2)
    with pytest.raises(ValueError, match=message):
        model.fit(halves, sample_weight=weight)
    assert not hasattr(model, "network_")
