"""Every objective with every architecture that it allows: fits, transforms, inverts, pickles and scores."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from torch import nn

import skae
from skae.networks import Convolutional, Custom, Dense, Dictionary, Recurrent, Recursive

# Three components of 12 columns; the variational encoder gives a mean and a variance for each.
NETWORKS = {
    "dense": Dense((8,)),
    "convolutional": Convolutional((3, 4), channels=(4, 5), hidden_layer_sizes=(6,)),
    "signal": Convolutional(channels=(4,), kernel_size=5),
    "recurrent": Recurrent(4, hidden_size=6),
    "lstm": Recurrent(6, cell="lstm", hidden_size=5, n_layers=2, bidirectional=False),
    "recursive": Recursive(4, hidden_size=6),
    "greedy": Recursive(6, hidden_size=5, merging="greedy"),
    "custom": None,
    "dictionary": Dictionary((8,)),
}
OBJECTIVES = {
    "plain": skae.AutoencoderTransformer(),
    "denoising": skae.DenoisingAutoencoderTransformer(),
    "contractive": skae.ContractiveAutoencoderTransformer(tied_weights=False),
    "variational": skae.VariationalAutoencoderTransformer(),
    "importance": skae.VariationalAutoencoderTransformer(objective="iwae"),
    "adversarial": skae.AdversarialAutoencoderTransformer(),
    "binary": skae.BinaryAutoencoderTransformer(),
    "sparse": skae.SparseAutoencoderTransformer(n_active=2),
}
PAIRS = [
    (objective, network)
    for objective in OBJECTIVES
    for network in NETWORKS
    # A dictionary is for codes that are sparse.
    if objective == "sparse" or network != "dictionary"
]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def waves():
    """120 rows of 12 values: sums of two waves."""
    random = np.random.RandomState(0)
    phase, size = random.uniform(0, 6, (120, 1)), random.uniform(1, 2, (120, 1))
    steps = np.linspace(0, 6, 12)
    return size * np.sin(steps + phase) + 0.1 * random.standard_normal((120, 12))


def model_of(objective, network):
    model = clone(OBJECTIVES[objective])
    part = NETWORKS[network]
    if network == "custom":
        width = 6 if objective in ("variational", "importance") else 3
        part = Custom(nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, width)), nn.Linear(3, 12))
    return model.set_params(
        n_components=3, network=part, max_iter=3, validation_fraction=0.3, random_state=0, batch_size=32
    )


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_every_objective_goes_with_every_architecture(objective, network, waves):
    model = model_of(objective, network).fit(waves)
    codes = model.transform(waves)
    assert codes.shape == (120, 3)
    assert codes.dtype == np.float64
    back = model.inverse_transform(codes)
    assert back.shape == waves.shape
    assert model.score(waves) <= 1
    assert model.score_samples(waves).shape == (120,)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(waves), codes)
    # A row's code is its own, and the same fit gives the same numbers.
    np.testing.assert_allclose(model.transform(waves[7:8]), codes[7:8], atol=1e-9)
    np.testing.assert_array_equal(clone(model).fit(waves).transform(waves), codes)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "dictionary"])
def test_every_architecture_starts_at_pca(network, waves):
    model = model_of("plain", network).set_params(max_iter=1).fit(waves)
    assert model.validation_scores_[0] == pytest.approx(model.pca_score_, abs=1e-6)


@pytest.mark.parametrize("network", ["dense", "convolutional", "signal"])
@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "sparse"])
def test_layers_are_pretrained_for_every_objective(objective, network, waves):
    model = model_of(objective, network).set_params(pretrain="layerwise", max_iter=5).fit(waves)
    assert model.transform(waves).shape == (120, 3)
    assert np.isfinite(model.score(waves))


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "sparse"])
def test_partial_fit_goes_on(objective, waves):
    model = model_of(objective, "recurrent")
    for part in np.array_split(waves, 3):
        model.partial_fit(part)
    assert model.n_iter_ == 3
    assert model.transform(waves).shape == (120, 3)
