"""Missing values: learnt from, looked through, and never made up where they count."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

import skae
from skae.metrics import variance_explained_score
from skae.networks import Convolutional, Dense, Dictionary

BRIEF = {"max_iter": 6, "validation_fraction": 0.2, "random_state": 0}
VARIANTS = {
    "plain": skae.AutoencoderTransformer(3, **BRIEF),
    "tied": skae.AutoencoderTransformer(3, tied_weights=True, **BRIEF),
    "huber": skae.AutoencoderTransformer(3, loss="huber", **BRIEF),
    "pretrained": skae.AutoencoderTransformer(3, pretrain="layerwise", **BRIEF),
    "convolutional": skae.AutoencoderTransformer(3, network=Convolutional(channels=(4,)), **BRIEF),
    "scaled": skae.AutoencoderTransformer(3, scaling="quantile", **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(3, **BRIEF),
    "all features": skae.DenoisingAutoencoderTransformer(3, features="all", corruption="gaussian", **BRIEF),
    "missing": skae.DenoisingAutoencoderTransformer(3, corruption="missing", emphasis=0.9, **BRIEF),
    "salt and pepper": skae.DenoisingAutoencoderTransformer(3, corruption="salt_and_pepper", **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(3, **BRIEF),
    "contractive, one layer": skae.ContractiveAutoencoderTransformer(3, hidden_layer_sizes=8, **BRIEF),
    "contractive, linear": skae.ContractiveAutoencoderTransformer(3, hidden_layer_sizes=(), **BRIEF),
    "contractive, exact": skae.ContractiveAutoencoderTransformer(3, jacobian="exact", **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(3, **BRIEF),
    "importance": skae.VariationalAutoencoderTransformer(
        3, objective="iwae", variance="per_feature", **BRIEF
    ),
    "adversarial": skae.AdversarialAutoencoderTransformer(3, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(3, **BRIEF),
    "topk": skae.SparseAutoencoderTransformer(12, n_active=3, **BRIEF),
    "gated": skae.SparseAutoencoderTransformer(12, penalty="gated", **BRIEF),
    "auxiliary": skae.SparseAutoencoderTransformer(12, revival="auxiliary", **BRIEF),
    "deep dictionary": skae.SparseAutoencoderTransformer(12, network=Dictionary((8,)), **BRIEF),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def put_gaps(X, share=0.2, seed=0):
    random = np.random.RandomState(seed)
    return np.where(random.uniform(size=X.shape) < share, np.nan, X)


@pytest.fixture
def gaps(curve):
    return put_gaps(curve)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_gaps(name, gaps, curve):
    model = clone(VARIANTS[name]).fit(gaps)
    codes = model.transform(gaps)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.inverse_transform(codes)).all()
    assert np.isfinite(model.score_samples(gaps)).all()
    errors = model.reconstruction_error(gaps, per_feature=True)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(gaps))
    assert -1 < model.score(gaps) < 1
    assert -1 < model.score(curve) < 1
    # Each row's code is its own, whatever gaps its neighbours have; and rows with one cell have one.
    np.testing.assert_allclose(model.transform(gaps[7:8]), codes[7:8], atol=1e-9)
    lonely = np.full((1, 6), np.nan)
    lonely[0, 2] = 0.5
    assert np.isfinite(model.transform(lonely)).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(gaps), codes)
    np.testing.assert_array_equal(clone(model).fit(gaps).transform(gaps), codes)
    assert get_tags(model).input_tags.allow_nan


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_goes_on_with_gaps(name, gaps, curve):
    model = clone(VARIANTS[name])
    codes = []
    for part in (gaps[:300], curve[300:400], gaps[400:]):
        codes.append(model.partial_fit(part).transform(gaps))
    assert np.isfinite(codes).all()
    # Each part is learnt from.
    assert all(np.abs(codes[index] - codes[index + 1]).max() > 0 for index in range(2))


@pytest.mark.parametrize("name", ["plain", "topk", "variational"])
def test_gaps_may_first_be_met_after_training(name, curve, gaps):
    model = clone(VARIANTS[name]).fit(curve)
    before = model.transform(curve)
    assert np.isfinite(model.transform(gaps)).all()
    np.testing.assert_array_equal(model.transform(curve), before)
    whole, part = model.score(curve), model.score(gaps)
    assert whole - 0.25 < part < whole + 0.05
    model.partial_fit(gaps)
    assert np.isfinite(model.transform(gaps)).all()


def test_the_start_copes_with_gaps(weather):
    X, _ = weather
    train, test = (
        put_gaps(part[:8000], seed=seed) for seed, part in enumerate(train_test_split(X, random_state=0))
    )
    model = skae.AutoencoderTransformer(5, max_iter=1, random_state=0).fit(train)
    usual = make_pipeline(SimpleImputer(), PCA(5)).fit(train)
    back = usual[-1].inverse_transform(usual.transform(test))
    assert model.pca_score_ > variance_explained_score(test, back) + 0.03
    assert model.validation_score_ >= model.pca_score_


@pytest.mark.slow
def test_learning_from_gaps_beats_learning_from_means(digits):
    train, test = train_test_split(digits, random_state=0)
    holes = put_gaps(train, 0.3)
    ours = skae.AutoencoderTransformer(8, max_iter=60, random_state=0).fit(holes)
    means = skae.AutoencoderTransformer(8, max_iter=60, random_state=0).fit(
        SimpleImputer().fit_transform(holes)
    )
    seen = put_gaps(test, 0.3, seed=1)
    filled = SimpleImputer().fit(holes).transform(seen)
    missed = [
        np.square(model.reconstruct(rows) - test).sum() for model, rows in ((ours, seen), (means, filled))
    ]
    assert missed[0] < 0.8 * missed[1]


def test_the_score_counts_the_cells_that_are_there(gaps):
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(gaps)
    back = model.reconstruct(gaps)
    np.testing.assert_allclose(model.mean_, np.nanmean(gaps, axis=0))
    missed, total = np.nansum((gaps - back) ** 2), np.nansum((gaps - np.nanmean(gaps, axis=0)) ** 2)
    assert model.score(gaps) == pytest.approx(1 - missed / total)
    np.testing.assert_allclose(model.reconstruction_error(gaps), np.nanmean((gaps - back) ** 2, axis=1))


def test_a_column_without_any_value_is_told(gaps):
    frame = pd.DataFrame(gaps, columns=list("abcdef"))
    frame["d"] = np.nan
    with pytest.warns(UserWarning, match=r"No row has a value in columns \['d'\]"):
        model = skae.AutoencoderTransformer(2, **BRIEF).fit(frame)
    np.testing.assert_allclose(model.reconstruct(frame)[:, 3], 0, atol=1e-9)
    later = frame.assign(d=1e9)
    np.testing.assert_array_equal(model.transform(later), model.transform(frame))


def test_a_row_without_any_value_is_the_mean(gaps):
    gaps[3] = np.nan
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(gaps)
    assert np.isfinite(model.transform(gaps)).all()
    assert model.reconstruction_error(gaps)[3] == 0


@pytest.mark.parametrize("n_rows", [2, 10, 30])
def test_few_rows_may_have_gaps(gaps, n_rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = skae.AutoencoderTransformer(2, max_iter=5, random_state=0).fit(gaps[:n_rows])
    assert np.isfinite(model.transform(gaps)).all()


def test_small_tables_choose_the_epoch_by_folds(gaps):
    model = skae.AutoencoderTransformer(2, max_iter=60, random_state=0).fit(gaps[:300])
    assert model.best_iter_ > 0
    assert model.validation_score_ > model.pca_score_ + 0.005
    assert model.score(gaps[300:]) > 0.5


def test_clean_rows_may_teach_what_gaps_hide(curve, gaps):
    model = skae.DenoisingAutoencoderTransformer(2, **BRIEF).fit(gaps, clean=curve)
    missed = np.square(model.reconstruct(gaps) - curve)[np.isnan(gaps)].mean()
    assert missed < 0.5 * np.square(curve - curve.mean(axis=0))[np.isnan(gaps)].mean()


def test_the_encoder_as_a_module_fills_gaps(curve, gaps):
    import torch

    for model in (skae.AutoencoderTransformer(2, **BRIEF).fit(rows) for rows in (curve, gaps)):
        codes = model.encoder_(torch.from_numpy(gaps)).numpy()
        np.testing.assert_allclose(codes, model.transform(gaps), atol=1e-4)


def test_dense_layers_are_told_what_is_there(gaps):
    model = skae.AutoencoderTransformer(2, network=Dense((8,)), **BRIEF).fit(gaps)
    assert model.network_.encoder[0].in_features == 12
    assert model.network_.gaps.flags


def test_recirculation_refuses_gaps(gaps):
    model = skae.AutoencoderTransformer(2, solver="recirculation", hidden_layer_sizes=())
    with pytest.raises(ValueError, match="takes no missing values"):
        model.fit(gaps)
    assert not get_tags(model).input_tags.allow_nan
