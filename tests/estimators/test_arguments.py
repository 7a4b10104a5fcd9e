"""Arguments of methods and sizes of layers: whole numbers in their range, or a sentence that names them."""

import numpy as np
import pytest

import skae
from skae.networks import Convolutional, Dense, Dictionary, Recurrent, Recursive

X = np.random.default_rng(0).normal(size=(40, 6))
BRIEF = {"max_iter": 1, "early_stopping": False, "random_state": 0}
NO_COUNTS = (True, 2.5, 1.0, "2", None, [1], np.nan, -1)
VARIATIONAL = skae.VariationalAutoencoderTransformer(2, **BRIEF)
SPARSE = skae.SparseAutoencoderTransformer(8, **BRIEF)
ORDERED = skae.AutoencoderTransformer(3, ordered=True, **BRIEF)

CALLS = {
    "sample": (VARIATIONAL, "n_samples", lambda model, count: model.sample(count)),
    "sample_posterior": (VARIATIONAL, "n_samples", lambda model, count: model.sample_posterior(X, count)),
    "sample_missing": (VARIATIONAL, "n_samples", lambda model, count: model.sample_missing(X, count)),
    "n_importance": (VARIATIONAL, "n_importance", lambda model, count: model.score_samples(X, count)),
    "sample_prior": (
        skae.AdversarialAutoencoderTransformer(2, **BRIEF),
        "n_samples",
        lambda model, count: model.sample(count),
    ),
    "component": (SPARSE, "component", lambda model, count: model.top_activating(X, count)),
    "n": (SPARSE, "n", lambda model, count: model.top_activating(X, 0, count)),
    "truncated": (ORDERED, "n_components", lambda model, count: model.truncated(count)),
    "n_repeats": (
        ORDERED,
        "n_repeats",
        lambda model, count: skae.inspection.latent_feature_importances(model, X, n_repeats=count),
    ),
    "max_samples": (
        ORDERED,
        "max_samples",
        lambda model, count: skae.inspection.latent_feature_importances(model, X, max_samples=count),
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("call", CALLS)
def test_counts_are_whole_numbers(call):
    model, name, ask = CALLS[call]
    model = model.fit(X)
    for count in NO_COUNTS:
        with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
            ask(model, count)
    ask(model, np.int64(2))


@pytest.mark.parametrize(
    "sizes", [(True,), (0,), (2.5,), ("8",), "8", ((3, 2),), (10**12,), 10**12, None, True]
)
@pytest.mark.parametrize("kind", [skae.AutoencoderTransformer, skae.SparseAutoencoderTransformer])
def test_layers_have_whole_sizes(kind, sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        kind(2, hidden_layer_sizes=sizes, **BRIEF).fit(X)


@pytest.mark.parametrize("sizes", [[8, 4], (8,), 8, np.array([8, 4]), np.int64(8), ()])
def test_sizes_of_layers_may_stand_in_any_container(sizes):
    assert skae.AutoencoderTransformer(2, hidden_layer_sizes=sizes, **BRIEF).fit(X).n_components_ == 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Dense((True,)), "hidden_layer_sizes"),
        (Dense("88"), "hidden_layer_sizes"),
        (Dictionary((2.0,)), "hidden_layer_sizes"),
        (Convolutional((2, 3), channels=(True,)), "channels"),
        (Convolutional((2, 3), channels=()), "channels"),
        (Convolutional((2, 3), channels=4), "channels"),
        (Convolutional((2, 3), channels=(10**12,)), "channels"),
        (Convolutional((2, 3), kernel_size="3"), "kernel_size"),
        (Convolutional((2, 3), kernel_size=3.0), "kernel_size"),
        (Convolutional((2, 3), kernel_size=2), "kernel_size"),
        (Convolutional((2, 3.0)), "image_shape"),
        (Convolutional(6), "image_shape"),
        (Recurrent(6, hidden_size=0), "hidden_size"),
        (Recurrent(6, hidden_size=10**12), "hidden_size"),
        (Recurrent(6, hidden_size="8"), "hidden_size"),
        (Recurrent(6, n_layers=True), "n_layers"),
        (Recurrent(2.5), "n_timesteps"),
        (Recurrent("3"), "n_timesteps"),
        (Recursive(6, hidden_size=2.5), "hidden_size"),
    ],
    ids=str,
)
def test_specifications_have_whole_sizes(network, message):
    kind = (
        skae.SparseAutoencoderTransformer if isinstance(network, Dictionary) else skae.AutoencoderTransformer
    )
    with pytest.raises(ValueError, match=message):
        kind(2, network=network, **BRIEF).fit(X)


@pytest.mark.parametrize(
    "network",
    [
        Dense((10**6, 10**6)),
        Dense((10**6, 10**6), tied_weights=True),
        Dense((30_000,) * 40),
        Convolutional((2, 3), channels=(10**5, 10**5)),
        Recurrent(6, hidden_size=10**5),
        Recurrent(6, hidden_size=100, n_layers=10**6),
        Recursive(6, hidden_size=10**5),
    ],
    ids=str,
)
def test_networks_that_no_memory_would_hold_are_refused_before_any_is_taken(monkeypatch, network):
    monkeypatch.setattr("skae.estimators._learning.Fitting", None)
    with pytest.raises(ValueError, match="GB of memory in training"):
        skae.AutoencoderTransformer(2, network=network, **BRIEF).fit(X)


@pytest.mark.parametrize(
    "network",
    [
        Dense((16, 8)),
        Dense((16, 8), tied_weights=True),
        Dictionary((16,)),
        Convolutional((2, 3), channels=(4, 8), hidden_layer_sizes=(7,)),
        Recurrent(3, hidden_size=5, n_layers=2),
        Recurrent(3, hidden_size=5, cell="lstm", bidirectional=False),
        Recursive(3, hidden_size=5),
    ],
    ids=str,
)
def test_weights_are_counted_as_they_are_built(network, generator):
    built = network.build(6, 3, 3, generator)
    weights = {id(p): p.numel() for part in built for p in part.parameters() if p.ndim > 1}
    assert network.n_weights(6, 3, 3) == sum(weights.values())
