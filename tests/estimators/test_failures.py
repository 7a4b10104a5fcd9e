"""Bad input is refused with a sentence that helps; failures leave the estimator as it was."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch import nn

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    DivergenceError,
    VariationalAutoencoderTransformer,
)
from skae.networks import Dense
from skae.training import endless, fits


@pytest.fixture
def X():
    return np.random.RandomState(0).standard_normal((60, 4))


def put(X, value):
    X = X.copy()
    X[3, 1] = X[5, 1] = X[5, 2] = value
    return X


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: X * np.nan, ValueError, "X holds no value at all"),
        (
            lambda X: put(X, np.inf),
            ValueError,
            r"Infinite values by column: 1 \(2\), 2 \(1\)\. Drop these rows",
        ),
        (
            lambda X: pd.DataFrame(put(X, np.inf), columns=list("abcd")),
            ValueError,
            r"Infinite values by column: b \(2\), c \(1\)",
        ),
        (lambda X: X[:1], ValueError, "1 sample"),
        (lambda X: X[:, :0], ValueError, "0 feature"),
        (lambda X: X[:, 0], ValueError, "Expected 2D array"),
        (lambda X: X * 1e150, ValueError, "their squares overflow. Divide the columns"),
        (lambda X: X + 1j, ValueError, "Complex data not supported"),
        (lambda X: scipy.sparse.csr_array(put(X, np.inf)), ValueError, "infinity"),
    ],
)
def test_bad_data(X, change, error, message):
    model = AutoencoderTransformer()
    with pytest.raises(error, match=message):
        model.fit(change(X))
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "'n_components' parameter .* int in the range .1, inf"),
        ({"n_components": 2.5}, "'n_components'"),
        ({"n_components": 10**9}, "n_components=1000000000 is too large for data with 4 columns"),
        ({"activation": "sine"}, "'activation' .* must be a str among"),
        ({"solver": "newton"}, "'solver'"),
        ({"loss": "hinge"}, "'loss'"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"max_iter": 0}, "'max_iter'"),
        ({"batch_size": "big"}, "'batch_size'"),
        ({"validation_fraction": 1.0}, "'validation_fraction'"),
        ({"learning_rate_init": 0}, "'learning_rate_init'"),
        ({"hidden_layer_sizes": (8, -1)}, "hidden_layer_sizes must hold whole numbers"),
        ({"hidden_layer_sizes": "64"}, "'hidden_layer_sizes'"),
        ({"network": "dense"}, "'network'"),
        ({"network": (nn.Linear(4, 2),)}, r"pair \(encoder, decoder\); got 1 items"),
        ({"network": (nn.Linear(4, 3), nn.Linear(2, 4))}, r"encoder must map \(n, 4\) to \(n, 2\)"),
        ({"network": Dense((0,))}, "hidden_layer_sizes must hold"),
        ({"device": "tpu"}, r"device='tpu' is not there; this machine has \['cpu'"),
        ({"device": "cuda:77"}, "device='cuda:77' is not there"),
        (
            {"loss": "binary_crossentropy"},
            r"loss='binary_crossentropy' needs values in \[0, 1\], but X lies in",
        ),
        ({"loss": "poisson"}, r"loss='poisson' needs values in \[0, inf\]"),
        (
            {"output_activation": "logistic"},
            r"output_activation='logistic' needs values in \[0, 1\].*MinMaxScaler",
        ),
        (
            {"loss": "poisson", "output_activation": "identity"},
            "goes with output_activation 'exp', not with 'identity'",
        ),
        ({"batch_norm": True, "batch_size": 1}, "batch_norm=True needs batches of at least 2 rows"),
        ({"validation_fraction": 0.999}, "validation_fraction=0.999 leaves"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_before_training(X, settings, message):
    model = AutoencoderTransformer(**settings)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X if "leaves" not in message else X[:30])
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("__")]


def test_other_columns_at_transform(X):
    model = AutoencoderTransformer(max_iter=2).fit(X)
    with pytest.raises(ValueError, match="X has 3 features, but AutoencoderTransformer is expecting 4"):
        model.transform(X[:, :3])
    named = AutoencoderTransformer(max_iter=2).fit(pd.DataFrame(X, columns=list("abcd")))
    with pytest.raises(ValueError, match="feature names should match"):
        named.transform(pd.DataFrame(X, columns=list("abdc")))


def test_codes_of_the_wrong_width(X):
    model = AutoencoderTransformer(max_iter=2).fit(X)
    with pytest.raises(ValueError, match="Codes have 3 columns, .* fitted with n_components=2"):
        model.inverse_transform(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="NaN"):
        model.inverse_transform(np.full((5, 2), np.nan))


def test_overflow_in_use_is_an_error_and_not_a_nan(X):
    model = AutoencoderTransformer(max_iter=2).fit((X * 1e-20).astype(np.float32))
    with pytest.raises(ValueError, match="overflowed float32: .*largest magnitude"):
        model.transform(np.full((1, 4), 3e38, dtype=np.float32))


def test_a_failed_refit_leaves_the_estimator_as_it_was(X, monkeypatch):
    model = AutoencoderTransformer(max_iter=2, random_state=0).fit(X)
    before, Z = dict(vars(model)), model.transform(X)

    def fail(*args, **kwargs):
        raise MemoryError("no room")

    for module in (endless, fits):
        monkeypatch.setattr(module, "train", fail)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(MemoryError):
            method(X[:, :4] + 1)
        assert vars(model) == before
    assert np.array_equal(model.transform(X), Z)


def test_a_failed_warm_start_leaves_the_weights(X, monkeypatch):
    model = AutoencoderTransformer(max_iter=2, random_state=0, warm_start=True).fit(X)
    Z = model.transform(X)
    monkeypatch.setattr("skae.training.loop._MAX_RECOVERIES", 0)
    model.set_params(learning_rate_init=1e300, gradient_clip=None, solver="sgd")
    with pytest.raises(DivergenceError):
        model.fit(X)
    assert np.array_equal(model.transform(X), Z)


def test_a_rate_that_is_too_high_recovers(X):
    model = AutoencoderTransformer(
        2,
        solver="sgd",
        learning_rate="constant",
        learning_rate_init=5.0,
        gradient_clip=None,
        max_iter=20,
        validation_fraction=0.3,
        random_state=0,
    ).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert model.validation_score_ >= model.pca_score_ - 1e-6


def test_a_rate_beyond_help_is_a_clear_error(X):
    model = AutoencoderTransformer(
        2, solver="sgd", learning_rate="constant", learning_rate_init=1e30, gradient_clip=None, random_state=0
    )
    with pytest.raises(DivergenceError, match="three|3 returns to the best weights"):
        model.fit(X)
    assert not hasattr(model, "network_")


class Interrupting(nn.Module):
    """Presses Ctrl-C in its n-th training pass."""

    def __init__(self, after):
        super().__init__()
        self.linear, self.after = nn.Linear(4, 2), after

    def forward(self, x):
        if self.training:
            self.after -= 1
            if self.after < 0:
                raise KeyboardInterrupt
        return torch.relu(self.linear(x))


@pytest.mark.parametrize(("fraction", "after"), [(0.3, 4), (0.3, 0), ("auto", 3), ("auto", 0)])
def test_an_interruption_keeps_the_best_so_far(X, fraction, after):
    network = (Interrupting(after), nn.Linear(2, 4))
    model = AutoencoderTransformer(
        2, network=network, validation_fraction=fraction, max_iter=6, random_state=0
    )
    with pytest.warns(UserWarning, match="interrupted by user: the best weights so far are kept"):
        model.fit(X)
    assert model.transform(X).shape == (60, 2)
    assert model.score(X) > 0


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (AutoencoderTransformer, {"loss": ["squared_error"]}, "'loss' parameter"),
        (AutoencoderTransformer, {"solver": np.array(["adam", "sgd"])}, "'solver' parameter"),
        (AutoencoderTransformer, {"warm_start": np.array([])}, "'warm_start' parameter"),
        (DenoisingAutoencoderTransformer, {"column_groups": np.array([])}, None),
        (DenoisingAutoencoderTransformer, {"column_groups": [0, 1]}, "must be a list of lists of columns"),
        (DenoisingAutoencoderTransformer, {"column_groups": ["ab"]}, "must be a list of lists of columns"),
        (
            DenoisingAutoencoderTransformer,
            {"corruption_level": {0: "much"}},
            "must be a number, one for each",
        ),
        (DenoisingAutoencoderTransformer, {"corruption_level": [[0.1], [0.1, 0.2]]}, "must be a number, one"),
    ],
)
def test_parameters_of_any_kind_are_refused_by_name(X, cls, settings, message):
    model = cls(max_iter=1, random_state=0, **settings)
    if message is None:
        model.fit(X)
        return
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X)
    assert not hasattr(model, "network_")


def test_a_single_row_is_no_batch_to_normalise(X):
    model = AutoencoderTransformer(batch_norm=True, random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match="batches of at least 2 rows; got a single row"):
        model.partial_fit(X[:1])


def test_a_weight_of_all_rows_must_be_finite(X):
    model = AutoencoderTransformer(max_iter=1, random_state=0).fit(X)
    for weight in (np.nan, np.inf):
        with pytest.raises(ValueError, match="sample_weight must hold finite numbers of at least 0; got"):
            model.score(X, sample_weight=weight)


@pytest.mark.parametrize("cls", [AdversarialAutoencoderTransformer, VariationalAutoencoderTransformer])
def test_draws_that_no_memory_would_hold_and_seeds_that_are_none_are_refused(X, cls):
    model = cls(max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="n_samples must be a whole number in 1 to 2500000000; got"):
        model.sample(10**12)
    for seed in (-1, "seed", 1.5):
        with pytest.raises(ValueError, match="random_state must be None, .* or an int in 0 to"):
            model.sample(2, random_state=seed)


def test_records_are_no_numbers(X):
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "high", "low")})
    records = np.zeros(4, dtype=[("a", float), ("b", int)])
    with pytest.raises(TypeError, match="A record of the fields a, b is no number"):
        VariationalAutoencoderTransformer(1, max_iter=1, random_state=0).fit(frame).sample_missing(records)
