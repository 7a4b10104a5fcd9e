"""Estimators in files without code: what comes back is the same, and what does not fit is refused."""

import copy
import os
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from torch import nn

import skae
from skae.files.catalogue import ESTIMATORS
from skae.networks import Convolutional, Custom, Dense, Recurrent, Recursive
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(12) >= RANDOM.randint(2, 7, 60)[:, None] * 2, np.nan, X)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "whole": np.arange(60) % 7,
        "nullable": pd.array([None, *range(59)], dtype="Int64"),
        "text": ["red", "green", "blue", None] * 15,
        "truth": pd.array([True, False, None] * 20, dtype="boolean"),
        "category": pd.Categorical(["low", "high", "high"] * 20, ["low", "mid", "high"], ordered=True),
    }
)
SPARSE = scipy.sparse.random(60, 300, 0.05, format="csr", random_state=0)


def noisy(X, random):
    return X + 0.1 * random.standard_normal(X.shape)


def spread(n_rows, n_components, random):
    return random.uniform(-1, 1, (n_rows, n_components))


class Own(nn.Module):
    def __init__(self, n_in=12, n_out=2, width=5):
        super().__init__()
        self.layer, self.last = nn.Linear(n_in, width), nn.Linear(width, n_out)

    def forward(self, x):
        return self.last(self.layer(x).tanh())


def pair():
    torch.manual_seed(0)
    return nn.Sequential(Own(), nn.Identity()), nn.Linear(2, 12)


ESTIMATORS_AND_ROWS = {
    "plain": (skae.AutoencoderTransformer(2), X),
    "float32": (skae.AutoencoderTransformer(2, random_state=np.random.RandomState(3)), X.astype(np.float32)),
    "gaps": (skae.AutoencoderTransformer(2), GAPS),
    "tied": (skae.AutoencoderTransformer(2, tied_weights=True, hidden_layer_sizes=(6, 5)), X),
    "layers": (skae.AutoencoderTransformer(2, network=Dense((6,), dropout=0.1, batch_norm=True)), X),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((3, 4), channels=(4, 5))), X),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(6, hidden_size=5)), ENDS),
    "recursive": (skae.AutoencoderTransformer(2, network=Recursive(4)), X),
    "torch modules": (skae.AutoencoderTransformer(2, network=(nn.Linear(12, 2), nn.Linear(2, 12))), X),
    "ordered": (skae.AutoencoderTransformer(4, ordered=True), X),
    "mixed": (skae.AutoencoderTransformer(2), FRAME),
    "quantiles": (skae.AutoencoderTransformer(2, scaling="quantile"), X),
    "sparse rows": (skae.AutoencoderTransformer(2), SPARSE),
    "counts": (skae.AutoencoderTransformer(2, loss="poisson", l1_weights=1e-3), np.abs(X)),
    "denoising": (skae.DenoisingAutoencoderTransformer(2, features="all", column_groups=[[0, 1]]), X),
    "contractive": (skae.ContractiveAutoencoderTransformer(2, hidden_layer_sizes=(5, 4)), X),
    "topk": (skae.SparseAutoencoderTransformer(8, n_active=2), X),
    "gated": (skae.SparseAutoencoderTransformer(8, penalty="gated", sparse_output=True), X),
    "variational": (skae.VariationalAutoencoderTransformer(2, variance="per_feature"), FRAME),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, prior="mixture"), X),
    "binary": (skae.BinaryAutoencoderTransformer(8, packed=True), X),
    "imputer": (AutoencoderImputer(skae.AutoencoderTransformer(2), add_indicator=True), GAPS),
    "imputed frame": (AutoencoderImputer(skae.VariationalAutoencoderTransformer(2)), FRAME),
    "default imputer": (AutoencoderImputer().set_params(estimator__early_stopping=False), GAPS),
    "detector": (AutoencoderOutlierDetector(n_estimators=2, n_refits=0), FRAME),
    "sparse detector": (AutoencoderOutlierDetector(n_estimators=1, n_refits=0), SPARSE),
}


def small(model):
    model = clone(model)
    names = [name for name in model.get_params() if name.split("__")[-1] == "max_iter"]
    if model.get_params().get("random_state") is None:
        model.set_params(random_state=0)
    return model.set_params(**dict.fromkeys(names, 2))


@pytest.fixture(scope="module")
def fits():
    found = {}

    def fit(name):
        if name not in found:
            model, rows = ESTIMATORS_AND_ROWS[name]
            found[name] = small(model).fit(rows)
        return found[name], ESTIMATORS_AND_ROWS[name][1]

    return fit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skae"


def there_and_back(model, path, **own):
    skae.save(model, path)
    return skae.load(path, **own)


def outputs(model, rows):
    if not hasattr(model, "transform"):
        return [model.score_samples(rows), model.predict(rows)]
    codes = model.transform(rows)
    return [codes, model.inverse_transform(codes)] if hasattr(model, "inverse_transform") else [codes]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        else:
            a, b = (part.toarray() if scipy.sparse.issparse(part) else part for part in (a, b))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def assert_repr(one, other):
    """But for the address of a random state."""
    assert re.sub("0x[0-9A-F]+", "", repr(one)) == re.sub("0x[0-9A-F]+", "", repr(other))


@pytest.mark.parametrize("name", ESTIMATORS_AND_ROWS)
def test_outputs_are_the_same_to_the_last_bit(name, fits, path):
    model, rows = fits(name)
    again = there_and_back(model, path)
    assert type(again) is type(model)
    assert_repr(again, model)
    assert vars(again).keys() == vars(model).keys()
    assert_same(outputs(again, rows), outputs(model, rows))


@pytest.mark.parametrize("name", ESTIMATORS_AND_ROWS)
def test_files_are_no_larger_than_pickles(name, fits, path):
    model, _ = fits(name)
    skae.save(model, path)
    assert os.path.getsize(path) <= len(pickle.dumps(model))


@pytest.mark.parametrize("name", ESTIMATORS_AND_ROWS)
def test_what_is_loaded_is_saved_as_the_same_file(name, fits, path, tmp_path):
    skae.save(fits(name)[0], path)
    skae.save(skae.load(path), tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == path.read_bytes()


def test_every_estimator_is_tried():
    found = {type(model) for model, _ in ESTIMATORS_AND_ROWS.values()}
    # The imputer's default estimator comes with an imputer.
    assert found == set(ESTIMATORS.values()) - {ESTIMATORS["ImputingAutoencoder"]}


@pytest.mark.parametrize("name", ["plain", "mixed", "denoising", "variational", "binary"])
def test_what_is_loaded_goes_on_learning(name, path):
    model, rows = ESTIMATORS_AND_ROWS[name]
    model = small(model).partial_fit(rows)
    again = there_and_back(model, path)
    assert_same(outputs(again.partial_fit(rows), rows), outputs(model.partial_fit(rows), rows))


@pytest.mark.parametrize(
    "model", [model for model, _ in ESTIMATORS_AND_ROWS.values()], ids=list(ESTIMATORS_AND_ROWS)
)
def test_what_is_not_fitted_comes_back(model, path):
    assert_repr(there_and_back(model, path), model)


def test_truncated_and_warm_start_go_on(fits, path):
    model, rows = fits("ordered")
    again = there_and_back(model.truncated(1), path)
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows)[:, :1])


def test_settings_of_scikit_learn_come_back(path):
    import sklearn

    model = (
        small(skae.AutoencoderTransformer(2)).set_output(transform="pandas").fit(FRAME[["number", "whole"]])
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True)
        again = there_and_back(model, path)
        assert repr(again.get_metadata_routing()) == repr(model.get_metadata_routing())
    assert_same(outputs(again, FRAME[["number", "whole"]]), outputs(model, FRAME[["number", "whole"]]))
    assert list(again.feature_names_in_) == ["number", "whole"]


# ----------------------------------------------------------- functions and modules of the user's own


@pytest.mark.parametrize(
    ("model", "own"),
    [
        (skae.DenoisingAutoencoderTransformer(2, corruption=noisy), {"corruption": noisy}),
        (skae.AdversarialAutoencoderTransformer(2, prior=spread), {"prior": spread}),
        (
            AutoencoderImputer(skae.DenoisingAutoencoderTransformer(2, corruption=noisy)),
            {"corruption": noisy},
        ),
    ],
    ids=["corruption", "prior", "imputer"],
)
def test_functions_are_asked_for(model, own, path):
    model = small(model).fit(X)
    ((name, function),) = own.items()
    with pytest.raises(skae.FileError, match=rf"function of your own .*{function.__name__}.*{name}=\.\.\."):
        there_and_back(model, path)
    again = skae.load(path, **own)
    assert_same(outputs(again, X), outputs(model, X))
    assert_same(outputs(again.fit(X), X), outputs(model.fit(X), X))
    assert function.__name__.encode() not in path.read_bytes()


@pytest.mark.parametrize("network", [pair, lambda: Custom(*pair())], ids=["pair", "Custom"])
def test_weights_of_modules_are_saved_and_their_classes_asked_for(network, path):
    model = skae.AutoencoderTransformer(2, network=network(), max_iter=2, random_state=0).fit(X)
    with pytest.raises(skae.FileError, match=r"torch modules of your own .*network=\.\.\."):
        there_and_back(model, path)
    # What they are made with does not count: their weights are in the file.
    again = skae.load(path, network=(nn.Sequential(Own(), nn.Identity()), nn.Linear(2, 12)))
    assert_same(outputs(again, X), outputs(model, X))
    assert not any(parameter.requires_grad for parameter in again.network_.parameters())
    assert_same(outputs(again.fit(X), X), outputs(model.fit(X), X))


def test_modules_that_do_not_fit_are_refused(path):
    skae.save(skae.AutoencoderTransformer(2, network=pair(), max_iter=2, random_state=0).fit(X), path)
    with pytest.raises(skae.FileError, match=r"encoder of network= is not the one that was saved"):
        skae.load(path, network=(nn.Sequential(Own(width=6), nn.Identity()), nn.Linear(2, 12)))
    with pytest.raises(skae.FileError, match=r"must be the pair"):
        skae.load(path, network=Dense())


def test_parts_that_nothing_asks_for_are_refused(fits, path):
    with pytest.raises(ValueError, match="has no use for corruption="):
        there_and_back(fits("plain")[0], path, corruption=noisy)


# ---------------------------------------------------------------------- tasks whose parts do not fit


@pytest.mark.parametrize(
    "kept", [np.array([0.0]), np.arange(11), np.arange(12)[::-1], np.arange(1, 13), np.arange(12) - 1, 5]
)
def test_an_imputer_of_columns_that_do_not_fit_is_refused(kept, fits, path):
    model = copy.deepcopy(fits("imputer")[0])
    model._kept = np.asarray(kept)
    with pytest.raises(skae.FileError, match="columns"):
        there_and_back(model, path)


@pytest.mark.parametrize(
    ("rows", "missing_values"),
    [
        (FRAME.to_numpy(dtype=object), None),
        (pl.DataFrame({"a": X[:, 0], "b": ["x", None, "y"] * 20, "c": [None, 1, 2] * 20}), np.nan),
        (np.column_stack([GAPS, np.full(60, np.nan)]), np.nan),
        (np.where(np.isnan(GAPS), -1, GAPS), -1),
    ],
    ids=["objects", "polars", "an empty column", "another sign of gaps"],
)
def test_imputers_of_every_table_come_back(rows, missing_values, path):
    model = small(AutoencoderImputer(skae.AutoencoderTransformer(2), add_indicator=True))
    model.set_params(missing_values=missing_values).fit(rows)
    again = there_and_back(model, path)
    one, other = again.transform(rows), model.transform(rows)
    assert one.equals(other) if hasattr(one, "equals") else np.array_equal(one, other)


# ---------------------------------------------------------------------- what is not saved


class Subclass(skae.AutoencoderTransformer):
    pass


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (make_pipeline(PCA(2), skae.AutoencoderTransformer(2)), "got a Pipeline.*skops"),
        (PCA(2), "got a PCA"),
        (Subclass(2), "got a Subclass"),
        (skae.AutoencoderTransformer(2, network=object()), "object"),
        (skae.AutoencoderTransformer(2, batch_size=lambda: 1), r"\['batch_size'\] is a builtins\.function"),
        (AutoencoderImputer(Subclass(2)), "Subclass"),
    ],
)
def test_what_is_no_data_is_named_and_nothing_is_written(model, words, path):
    with pytest.raises(TypeError, match=words):
        skae.save(model, path)
    assert not path.exists()


def test_callbacks_are_refused(path):
    from sklearn.callback import ProgressBar

    model = skae.AutoencoderTransformer(2).set_callbacks(ProgressBar())
    with pytest.raises(TypeError, match="callbacks cannot be saved"):
        skae.save(model, path)
