"""Pipelines with our estimators, written and read by what others use to keep models."""

import importlib

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

import skae
from skae.networks import Convolutional, Dense, Recurrent
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore"),
]

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((60, 2)) @ RANDOM.standard_normal((2, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "whole": pd.array([None, *range(59)], dtype="Int64"),
        "text": ["red", "green", "blue", None] * 15,
        "two": ["yes", "no"] * 30,
        "truth": pd.array([True, False, None] * 20, dtype="boolean"),
        "level": pd.Categorical(["low", "high", "high"] * 20, ["low", "mid", "high"], ordered=True),
    }
)
SPARSE = scipy.sparse.random(60, 300, 0.05, format="csr", random_state=0)
Y = X[:, 0] > 0

MODELS = {
    "plain": (skae.AutoencoderTransformer(2), X),
    "dense": (skae.AutoencoderTransformer(2, network=Dense((6,), tied_weights=True)), X),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((3, 4), channels=(4,))), X),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(6, cell="lstm", hidden_size=5)), X),
    "gaps": (skae.AutoencoderTransformer(2), GAPS),
    "mixed": (skae.AutoencoderTransformer(2), FRAME),
    "sparse rows": (skae.AutoencoderTransformer(2), SPARSE),
    "ordered": (skae.AutoencoderTransformer(0.9), X),
    "robust": (skae.AutoencoderTransformer(2, scaling="robust", random_state=np.random.RandomState(0)), X),
    "quantile": (skae.AutoencoderTransformer(2, scaling="quantile", loss="huber"), X),
    "denoising": (skae.DenoisingAutoencoderTransformer(2, column_groups=[[0, 1]], features="all"), X),
    "contractive": (skae.ContractiveAutoencoderTransformer(2), X),
    "sparse": (skae.SparseAutoencoderTransformer(8, penalty="batch_topk"), X),
    "variational": (skae.VariationalAutoencoderTransformer(2), FRAME),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, prior="mixture"), X),
    "binary": (skae.BinaryAutoencoderTransformer(8), X),
    "imputer": (AutoencoderImputer(skae.AutoencoderTransformer(2), add_indicator=True), GAPS),
    "imputed frame": (AutoencoderImputer(skae.VariationalAutoencoderTransformer(2)), FRAME),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    """Return a fitted Pipeline and the rows it takes."""
    model, rows = MODELS[request.param]
    model = clone(model)
    names = [name for name in model.get_params() if name.split("__")[-1] == "max_iter"]
    model.set_params(**dict.fromkeys(names, 2))
    numbers = isinstance(rows, np.ndarray)
    ends = [LogisticRegression()] if request.param != "imputer" and request.param != "imputed frame" else []
    steps = [StandardScaler()] if numbers else []
    return make_pipeline(*steps, model, *ends).fit(rows, Y), rows


def says(pipe, rows):
    return pipe.predict_proba(rows) if hasattr(pipe, "predict_proba") else pipe.transform(rows)


def assert_same(one, other, rows):
    one, other = says(one, rows), says(other, rows)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    else:
        np.testing.assert_array_equal(one, other)


def types_of(pipe):
    """Return the names of the types of our steps, and of estimators in them."""
    steps = [step for _, step in pipe.steps]
    steps += [step.estimator for step in steps if isinstance(step, AutoencoderImputer)]
    found = {f"{type(step).__module__}.{type(step).__name__}" for step in steps}
    return sorted(name for name in found if name.startswith("skae."))


def test_skops_trusts_our_estimators_and_nothing_else(fitted):
    skops = pytest.importorskip("skops.io")
    pipe, rows = fitted
    data = skops.dumps(pipe)
    assert sorted(skops.get_untrusted_types(data=data)) == types_of(pipe)
    assert_same(skops.loads(data, trusted=types_of(pipe)), pipe, rows)


@pytest.mark.parametrize("name", ["cloudpickle", "dill", "joblib"])
def test_pickles_of_others(fitted, name, tmp_path):
    client = pytest.importorskip(name)
    pipe, rows = fitted
    if name == "joblib":
        client.dump(pipe, tmp_path / "pipe")
        again = client.load(tmp_path / "pipe", mmap_mode="r")
    else:
        again = client.loads(client.dumps(pipe))
    assert_same(again, pipe, rows)


def test_skops_keeps_detectors_columns_and_modules():
    skops = pytest.importorskip("skops.io")
    detector = AutoencoderOutlierDetector(n_estimators=2, n_refits=0, random_state=0).fit(FRAME)
    again = skops.loads(skops.dumps(detector), trusted=skops.get_untrusted_types(data=skops.dumps(detector)))
    np.testing.assert_array_equal(again.score_samples(FRAME), detector.score_samples(FRAME))
    parts = make_column_transformer(
        (skae.AutoencoderTransformer(2, max_iter=2), [0, 1, 2, 3]), remainder=FunctionTransformer()
    ).fit(X)
    again = skops.loads(skops.dumps(parts), trusted=["skae.estimators.autoencoder.AutoencoderTransformer"])
    np.testing.assert_array_equal(again.transform(X), parts.transform(X))
    pair = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 2)), nn.Linear(2, 12)
    model = skae.AutoencoderTransformer(2, network=pair, max_iter=2).fit(X)
    again = skops.loads(skops.dumps(model), trusted=["skae.estimators.autoencoder.AutoencoderTransformer"])
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_skops_keeps_what_partial_fit_goes_on_from():
    skops = pytest.importorskip("skops.io")
    for solver in ("adam", "lbfgs"):
        model = skae.AutoencoderTransformer(2, solver=solver, random_state=0).partial_fit(X)
        trusted = ["skae.estimators.autoencoder.AutoencoderTransformer"]
        again = skops.loads(skops.dumps(model), trusted=trusted).partial_fit(X)
        np.testing.assert_array_equal(again.transform(X), model.partial_fit(X).transform(X))


def test_mlflow_logs_a_model_in_its_default_format(tmp_path, monkeypatch):
    # A file, and no server nor anything sent.
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    pytest.importorskip("mlflow")
    mlflow, logged = importlib.import_module("mlflow"), importlib.import_module("mlflow.sklearn")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    experiment = mlflow.create_experiment("skae", artifact_location=(tmp_path / "artifacts").as_uri())
    model = skae.AutoencoderTransformer(2, max_iter=2, random_state=0)
    pipe = make_pipeline(StandardScaler(), model, LogisticRegression()).fit(X, Y)
    with mlflow.start_run(experiment_id=experiment):
        info = logged.log_model(pipe, name="pipe", pip_requirements=[], skops_trusted_types=types_of(pipe))
    assert info.flavors["sklearn"]["serialization_format"] == "skops"
    np.testing.assert_array_equal(logged.load_model(info.model_uri).predict_proba(X), pipe.predict_proba(X))
    pyfunc = importlib.import_module("mlflow.pyfunc").load_model(info.model_uri)
    np.testing.assert_array_equal(pyfunc.predict(X), pipe.predict(X))
