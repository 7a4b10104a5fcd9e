"""What a user of ContractiveAutoencoderTransformer may rely on."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ContractiveAutoencoderTransformer
from skae.networks import Dense

# One part held out rather than five folds: the folds are not what is tested here.
SPLIT = {"validation_fraction": 0.2, "batch_size": 50, "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize("settings", [{}, {"hidden_layer_sizes": 32}, {"jacobian": "exact"}])
def test_contraction_is_the_jacobian_of_transform_in_units_of_the_data(curve, settings):
    X = 7 * curve
    model = ContractiveAutoencoderTransformer(2, max_iter=5, random_state=0, **settings).fit(X)
    # Small enough that no unit of a rectifier turns on or off in between.
    squares, step = 0.0, 1e-7
    for column in np.eye(6):
        moved = model.transform(X[:50] + step * column) - model.transform(X[:50] - step * column)
        squares = squares + ((moved / (2 * step)) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.contraction(X[:50]), np.sqrt(squares), rtol=1e-5)
    np.testing.assert_allclose(model.contraction(X[:50].astype(np.float32)), np.sqrt(squares), rtol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"hidden_layer_sizes": 32}, {"jacobian": "exact"}])
def test_more_alpha_makes_codes_move_less(curve, settings):
    sizes = [
        ContractiveAutoencoderTransformer(3, alpha=alpha, **SPLIT, **settings)
        .fit(curve)
        .contraction(curve)
        .mean()
        for alpha in (0.0, 1.0)
    ]
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.slow
def test_codes_move_less_under_noise_at_nearly_equal_reconstruction(digits):
    X = StandardScaler().fit_transform(digits)
    noisy = X + 0.3 * np.random.RandomState(0).standard_normal(X.shape)
    moves, scores = [], []
    for alpha in (0.0, 0.3):
        model = ContractiveAutoencoderTransformer(
            8, alpha=alpha, hidden_layer_sizes=64, max_iter=60, random_state=0
        ).fit(X)
        Z = model.transform(X)
        moves.append(((model.transform(noisy) - Z) ** 2).sum() / ((Z - Z.mean(axis=0)) ** 2).sum())
        scores.append(model.validation_score_)
    assert moves[1] < 0.9 * moves[0]
    assert scores[1] > scores[0] - 0.05


def test_without_penalty_it_is_the_plain_one(curve):
    settings = {"tied_weights": True, "max_iter": 5, "random_state": 0}
    # What the plain one does about few rows, the penalty is instead.
    plain = AutoencoderTransformer(2, input_noise=0.0, weight_decay=0.1, **settings).fit(curve)
    ours = ContractiveAutoencoderTransformer(2, alpha=0.0, **settings).fit(curve)
    np.testing.assert_array_equal(ours.transform(curve), plain.transform(curve))


def test_the_estimate_is_repeatable(curve):
    codes = [
        ContractiveAutoencoderTransformer(2, max_iter=3, random_state=3).fit_transform(curve)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*codes)


def test_the_form_of_the_paper(digits):
    model = ContractiveAutoencoderTransformer(
        40,
        hidden_layer_sizes=(),
        code_activation="logistic",
        linear_path=False,
        max_iter=20,
        random_state=0,
    ).fit(digits)
    Z = model.transform(digits)
    assert Z.min() >= 0
    assert Z.max() <= 1
    assert model.score(digits) > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, "'alpha' parameter"),
        ({"jacobian": "numeric"}, "'jacobian' parameter"),
        ({"code_activation": "logistic"}, "needs linear_path=False"),
        ({"batch_norm": True}, "depend on its neighbours"),
        ({"network": Dense((4,), batch_norm=True)}, "depend on its neighbours"),
    ],
)
def test_bad_settings_are_told_before_training(curve, settings, message):
    model = ContractiveAutoencoderTransformer(2, **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(curve)
    assert not hasattr(model, "network_")
