"""What a user of DenoisingAutoencoderTransformer may rely on."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer

BRIEF = {"max_iter": 5, "random_state": 0}
# One part held out rather than five folds: the folds are not what is tested here.
SPLIT = {"validation_fraction": 0.2, "batch_size": 50, "max_iter": 50, "random_state": 0}


def add_noise(X, seed=0, size=0.4):
    return X + size * np.random.default_rng(seed).standard_normal(X.shape)


def test_it_denoises_better_than_pca(curve):
    train, test = curve[:400], curve[400:]
    model = DenoisingAutoencoderTransformer(4, corruption=lambda X, g: X + 0.3 * g.standard_normal(X.shape))
    model.set_params(**SPLIT).fit(train)
    noisy = add_noise(test, size=0.3)
    ours = np.mean((model.denoise(noisy) - test) ** 2)
    pca = min(
        np.mean((p.inverse_transform(p.transform(noisy)) - test) ** 2)
        for p in (PCA(k).fit(train) for k in range(1, 6))
    )
    assert ours < 0.6 * pca
    assert model.validation_score_ > model.pca_score_


def test_level_zero_is_the_plain_autoencoder(curve):
    # Without what the plain one does about few rows.
    plain = AutoencoderTransformer(2, input_noise=0.0, weight_decay=0.1, **BRIEF).fit(curve)
    model = DenoisingAutoencoderTransformer(2, corruption_level=0, **BRIEF).fit(curve)
    np.testing.assert_array_equal(model.transform(curve), plain.transform(curve))


@pytest.mark.parametrize("corruption", ["swap", "gaussian", "masking", "salt_and_pepper", add_noise])
def test_noise_repeats_and_can_be_pickled(corruption, curve):
    if callable(corruption):

        def noise(X, generator):
            return X + 0.1 * generator.standard_normal(X.shape)
    else:
        noise = corruption
    first, second = (
        DenoisingAutoencoderTransformer(3, corruption=noise, **BRIEF).fit(curve).transform(curve)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    if not callable(noise):
        model = DenoisingAutoencoderTransformer(3, corruption=noise, **BRIEF).fit(curve)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(curve), first)


def test_transform_adds_no_noise(curve):
    model = DenoisingAutoencoderTransformer(3, corruption_level=0.5, **BRIEF).fit(curve)
    np.testing.assert_array_equal(model.transform(curve), model.transform(curve))


def test_codes_wider_than_the_data_are_trained(curve):
    model = DenoisingAutoencoderTransformer(20, **SPLIT).fit(curve)
    # The start gives noisy rows back as they are, noise included.
    assert model.best_iter_ > 0
    assert model.validation_score_ > model.pca_score_ + 0.1


def test_clean_targets_are_what_is_learnt(curve):
    noisy = add_noise(curve)
    model = DenoisingAutoencoderTransformer(3, **SPLIT).fit(noisy, clean=curve)
    fresh = add_noise(curve, seed=1)
    assert np.mean((model.denoise(fresh) - curve) ** 2) < 0.5 * np.mean((fresh - curve) ** 2)
    np.testing.assert_allclose(model.mean_, curve.mean(axis=0))
    assert model.objective_.corruption is None


def test_clean_targets_are_routed_through_a_pipeline(curve):
    noisy = add_noise(curve)
    with sklearn.config_context(enable_metadata_routing=True):
        model = DenoisingAutoencoderTransformer(3, **BRIEF).set_fit_request(clean=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipe.fit(noisy, clean=curve)
    np.testing.assert_allclose(pipe[-1].mean_, curve.mean(axis=0))


@pytest.mark.parametrize("rows", [slice(1, None), slice(0, None, 2)])
def test_clean_targets_must_match(curve, rows):
    with pytest.raises(ValueError, match="clean has shape"):
        DenoisingAutoencoderTransformer(3, **BRIEF).fit(curve, clean=curve[rows])


def test_all_hidden_layers_as_features(curve):
    model = DenoisingAutoencoderTransformer(3, hidden_layer_sizes=(8, 5), features="all", **BRIEF).fit(curve)
    Z = model.transform(curve)
    # 8 + 5 of the encoder, 3 of the code, 5 + 8 of the decoder
    assert Z.shape == (500, 29)
    code = model.set_params(features="code").transform(curve)
    np.testing.assert_array_equal(Z[:, 13:16], code)
    back = model.inverse_transform(code)
    model.set_params(features="all")
    np.testing.assert_array_equal(model.inverse_transform(Z), back)
    assert len(model.get_feature_names_out()) == 29
    assert (Z[:, :13] >= 0).all()
    frame = model.set_output(transform="pandas").transform(curve)
    assert frame.shape == (500, 29)


def test_all_hidden_layers_need_known_ones(curve):
    network = (nn.Linear(6, 3), nn.Linear(3, 6))
    with pytest.raises(ValueError, match="features='all' needs layers that are known"):
        DenoisingAutoencoderTransformer(3, network=network, features="all", **BRIEF).fit(curve)


def test_levels_and_groups_by_name(curve):
    frame = pd.DataFrame(curve, columns=list("abcdef"))
    settings = {"corruption": "masking", "corruption_level": {"a": 0.5, "c": 1.0}}
    model = DenoisingAutoencoderTransformer(3, **settings, **BRIEF).fit(frame)
    np.testing.assert_allclose(model.objective_.corruption.level, [0.5, 0, 1.0, 0, 0, 0])
    model = DenoisingAutoencoderTransformer(3, column_groups=[["b", "e"]], **BRIEF).fit(frame)
    groups = model.objective_.corruption.groups.tolist()
    assert groups[1] == groups[4]
    assert len(set(groups)) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corruption_level": 1.5}, r"corruption_level must be in \[0, 1\]"),
        ({"corruption_level": [0.1, 0.2]}, r"shape \(2,\); give one number, one for each of the 6"),
        ({"corruption_level": {"z": 0.1}}, "names column 'z', but X has columns 0 to 5, unnamed"),
        ({"corruption_level": {9: 0.1}}, "names column 9"),
        ({"column_groups": [[0, 1], [1, 2]]}, "a column in two places"),
        ({"column_groups": [[0, 1]], "corruption_level": [0.1, 0.2, 0, 0, 0, 0]}, "differs within a group"),
        ({"corruption": "blur"}, "'corruption' parameter"),
        ({"corruption": int}, "corruption must be a function that takes 2 arguments; got the class int"),
        ({"emphasis": 2}, "'emphasis' parameter"),
    ],
)
def test_bad_settings_are_told_before_training(curve, settings, message):
    model = DenoisingAutoencoderTransformer(3, **settings)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(curve)
    assert not hasattr(model, "network_")


def test_emphasis_weighs_the_corrupted_cells(curve):
    settings = {"corruption": "masking", "corruption_level": 0.3, "random_state": 0, "max_iter": 100}
    rng = np.random.default_rng(0)
    hidden = rng.random(curve.shape) < 0.3
    masked = np.where(hidden, 0, curve)
    errors = {}
    for emphasis in (0.05, 0.95):
        model = DenoisingAutoencoderTransformer(8, emphasis=emphasis, **settings)
        model.set_params(early_stopping=False).fit(curve)
        errors[emphasis] = ((model.denoise(masked) - curve) ** 2)[hidden].mean()
    assert errors[0.95] < errors[0.05]


def test_full_emphasis_survives_batches_without_corrupted_cells(curve):
    model = DenoisingAutoencoderTransformer(3, corruption_level=1e-9, emphasis=1.0, **BRIEF).fit(curve)
    # No cell weighs anything: nothing is learnt, and nothing breaks.
    assert np.isfinite(model.transform(curve)).all()
    assert max(model.loss_curve_) < 1e-6


def test_warm_start_takes_a_new_level(curve):
    model = DenoisingAutoencoderTransformer(3, corruption_level=0.1, warm_start=True, **BRIEF).fit(curve)
    deviation = model.set_params(corruption="gaussian").fit(curve).objective_.corruption.deviation
    assert (deviation > 0).all()


def test_partial_fit_adds_noise(curve):
    seen = []

    def half(rows, generator):
        seen.append(rows)
        return rows / 2

    def same(rows, generator):
        return rows

    models = [DenoisingAutoencoderTransformer(3, corruption=way, random_state=0) for way in (half, same)]
    for _ in range(3):
        for model in models:
            model.partial_fit(curve)
    # Each row of each call, once.
    np.testing.assert_allclose(
        np.sort(np.concatenate(seen), axis=0), np.sort(curve.repeat(3, axis=0), axis=0), atol=1e-5
    )
    assert np.abs(models[0].transform(curve) - models[1].transform(curve)).max() > 0.01


def test_a_search_over_noise(curve):
    y = curve[:, 0] > 0
    pipe = make_pipeline(StandardScaler(), DenoisingAutoencoderTransformer(3, **BRIEF), LogisticRegression())
    grid = {
        "denoisingautoencodertransformer__corruption": ["swap", "gaussian"],
        "denoisingautoencodertransformer__corruption_level": [0.1, 0.3],
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(curve, y)
    assert len(set(search.cv_results_["mean_test_score"])) > 1
