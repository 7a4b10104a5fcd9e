"""Layers one by one, and learning without gradients."""

import numpy as np
import pytest
import torch

from skae import (
    AutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.networks import Convolutional, Dense, Recurrent

DEEP = {"hidden_layer_sizes": (32, 16, 12), "max_iter": 5, "random_state": 0}


def start(X, **settings):
    """Give the variance explained before the first step."""
    return AutoencoderTransformer(4, **(DEEP | settings)).fit(X).validation_scores_[0]


@pytest.mark.slow
@pytest.mark.parametrize("network", [None, Convolutional((8, 8), channels=(4, 4), hidden_layer_sizes=(16,))])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_without_a_linear_path_it_starts_ahead(digits, network):
    settings = {"linear_path": False, "network": network, "max_iter": 20}
    assert start(digits, pretrain="layerwise", **settings) > start(digits, **settings) + 0.1


@pytest.mark.parametrize("settings", [{}, {"tied_weights": True}, {"batch_norm": True, "dropout": 0.1}])
def test_with_a_linear_path_it_still_starts_at_pca(digits, settings):
    model = AutoencoderTransformer(4, pretrain="layerwise", **DEEP, **settings).fit(digits)
    assert model.validation_scores_[0] == pytest.approx(model.pca_score_, abs=1e-5)
    plain = AutoencoderTransformer(4, **DEEP, **settings).fit(digits)
    assert (model.transform(digits) != plain.transform(digits)).any()


def test_it_repeats_and_goes_with_other_solvers_and_losses(digits):
    for settings in ({"solver": "lbfgs"}, {"loss": "binary_crossentropy", "linear_path": False}):
        codes = [
            AutoencoderTransformer(4, pretrain="layerwise", **DEEP, **settings).fit_transform(digits[:300])
            for _ in range(2)
        ]
        np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", lambda X, generator: X])
def test_layers_are_trained_to_denoise(digits, corruption):
    settings = {"corruption": corruption, "linear_path": False, "pretrain": "layerwise"}
    model = DenoisingAutoencoderTransformer(8, **settings, **(DEEP | {"max_iter": 20})).fit(digits)
    assert model.validation_scores_[0] > -1
    assert model.score(digits) > 0.3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (AutoencoderTransformer(network=Recurrent(8), pretrain="layerwise"), "network is Recurrent"),
        (SparseAutoencoderTransformer(pretrain="layerwise"), "network is Dictionary"),
        (AutoencoderTransformer(pretrain="all"), "'pretrain' parameter"),
        (AutoencoderTransformer(solver="recirculation"), "hidden_layer_sizes=()"),
        (
            AutoencoderTransformer(solver="recirculation", hidden_layer_sizes=(), loss="huber"),
            "squared error",
        ),
        (
            ContractiveAutoencoderTransformer(
                solver="recirculation", hidden_layer_sizes=(), tied_weights=False
            ),
            "follows no gradient",
        ),
    ],
)
def test_what_does_not_go_together_is_told_before_training(digits, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(digits)
    assert not hasattr(model, "network_")


RECIRCULATION = {"solver": "recirculation", "hidden_layer_sizes": (), "random_state": 0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_recirculation_comes_close_to_pca(digits):
    model = AutoencoderTransformer(8, linear_path=False, max_iter=100, **RECIRCULATION).fit(digits)
    assert model.validation_score_ > 0.9 * model.pca_score_
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


def test_recirculation_at_pca_stays_there(digits):
    model = AutoencoderTransformer(8, max_iter=20, **RECIRCULATION).fit(digits)
    # Not only the epoch that is kept: whatever it changes, it does not leave PCA.
    assert model.n_iter_ == 20
    np.testing.assert_allclose(model.validation_scores_, model.pca_score_, atol=1e-3)
    assert len(set(model.validation_scores_)) == 21


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_recirculation_recovers_from_rates_that_are_too_high(digits):
    model = AutoencoderTransformer(
        8, linear_path=False, max_iter=30, learning_rate_init=50.0, **RECIRCULATION
    ).fit(digits)
    assert np.isfinite(model.transform(digits)).all()


def test_recirculation_goes_on_over_parts(digits):
    model = AutoencoderTransformer(8, **RECIRCULATION)
    for part in np.array_split(digits, 4):
        model.partial_fit(part)
    assert model.n_iter_ == 4
    assert torch.isfinite(model.network_.encoder[-1].weight).all()


@pytest.mark.parametrize(
    "network",
    [
        Dense((8, 4)),
        Dense((8, 4), tied_weights=True),
        Dense((8, 4), tied_weights=True, batch_norm=True, dropout=0.2),
        Convolutional((2, 2), channels=(3,), hidden_layer_sizes=(4,)),
    ],
)
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_layers_of_small_tables_are_trained_in_float64(wine, network, linear_path, solver):
    settings = {"network": network, "linear_path": linear_path, "solver": solver, "max_iter": 1}
    model = AutoencoderTransformer(2, pretrain="layerwise", early_stopping=False, random_state=0, **settings)
    assert np.isfinite(model.fit_transform(wine[:150, :4])).all()
    assert next(model.network_.parameters()).dtype == torch.float64


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("network", [Dense((8, 4)), Convolutional((2, 2), channels=(3,))])
def test_the_layer_next_to_a_code_with_variances_learns_means(wine, network):
    settings = {"pretrain": "layerwise", "linear_path": False, "network": network, "max_iter": 5}
    model = VariationalAutoencoderTransformer(2, early_stopping=False, random_state=0, **settings)
    assert model.fit_transform(wine[:150, :4]).shape == (150, 2)
