"""Every estimator and task as a step of a Pipeline, through all that keeps Pipelines: equal outputs."""

import pickle

import cloudpickle
import dill
import joblib
import mlflow.sklearn
import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    BinaryAutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.files.catalogue import ESTIMATORS
from skae.networks import Convolutional, Dense, Recurrent
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
SHORT = {f"estimator__{name}": value for name, value in BRIEF.items()}
STEPS = {
    "adversarial": AdversarialAutoencoderTransformer(2, **BRIEF),
    "binary": BinaryAutoencoderTransformer(8, **BRIEF),
    "contractive": ContractiveAutoencoderTransformer(2, **BRIEF),
    "denoising": DenoisingAutoencoderTransformer(2, **BRIEF),
    "plain": AutoencoderTransformer(2, **BRIEF),
    "sparse": SparseAutoencoderTransformer(6, **BRIEF),
    "variational": VariationalAutoencoderTransformer(2, **BRIEF),
    "linear encoder": AutoencoderTransformer(2, encoder="linear", **BRIEF),
    "target": AutoencoderTransformer(2, target_weight=0.5, **BRIEF),
    "ordered": AutoencoderTransformer(3, ordered=True, **BRIEF),
    "dense": AutoencoderTransformer(2, scaling="standard", network=Dense((5,), activation="tanh"), **BRIEF),
    "convolutional": AutoencoderTransformer(2, network=Convolutional((2, 2), channels=(4,)), **BRIEF),
    "recurrent": AutoencoderTransformer(2, network=Recurrent(4, hidden_size=8), **BRIEF),
    "imputer": AutoencoderImputer().set_params(**SHORT),
    "detector": AutoencoderOutlierDetector(n_estimators=2, random_state=0).set_params(
        estimator=AutoencoderTransformer(2, **BRIEF)
    ),
}
OUTPUTS = ("transform", "predict_proba", "decision_function", "score_samples")
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # mlflow's own, of what it calls itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]


def named_types(model):
    """Return the types that skops asks for: classes of our estimators, and nothing of what is inside."""
    named = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    assert set(named) <= {f"{cls.__module__}.{cls.__qualname__}" for cls in ESTIMATORS.values()}
    return named


def by_joblib(model, folder):
    joblib.dump(model, folder / "model", compress=3)
    return joblib.load(folder / "model")


def by_skops(model, folder):
    skops.io.dump(model, folder / "model")
    return skops.io.load(folder / "model", trusted=named_types(model))


def by_mlflow(model, folder):
    """In its default format, which makes nothing that is not scikit-learn's or named."""
    mlflow.sklearn.save_model(
        model, folder / "model", pip_requirements=["skae"], skops_trusted_types=named_types(model)
    )
    return mlflow.sklearn.load_model(folder / "model")


DOORS = {
    **{
        door.__name__: lambda model, folder, door=door: door.loads(door.dumps(model))
        for door in (pickle, cloudpickle, dill)
    },
    "joblib": by_joblib,
    "skops": by_skops,
    "mlflow": by_mlflow,
}


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted Pipeline by the name of its step, and rows; gaps where the step takes them."""
    kept = {}
    X, y = load_iris(return_X_y=True)
    gaps = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)

    def pipeline(name):
        if name not in kept:
            rows = gaps if name in ("imputer", "detector") else X
            last = [] if name == "detector" else [LogisticRegression()]
            kept[name] = make_pipeline(StandardScaler(), STEPS[name], *last).fit(rows, y), rows
        return kept[name]

    return pipeline


def outputs(pipe, X):
    """Return what a Pipeline gives, its steps before the last one among it."""
    found = {method: getattr(pipe, method)(X) for method in OUTPUTS if hasattr(pipe, method)}
    return {**found, "codes": pipe[:-1].transform(X)}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", STEPS)
def test_a_pipeline_gives_the_same_when_it_comes_back(fitted, name, door, tmp_path):
    pipe, X = fitted(name)
    back = DOORS[door](pipe, tmp_path)
    found, wanted = outputs(back, X), outputs(pipe, X)
    assert found.keys() == wanted.keys()
    assert len(wanted) > 1
    for method, array in wanted.items():
        np.testing.assert_array_equal(found[method], array, err_msg=method)
    # From what came back, once more: nothing is lost on the way.
    again = outputs(pickle.loads(pickle.dumps(back)), X)
    np.testing.assert_array_equal(again["codes"], wanted["codes"])


def test_every_estimator_and_task_is_among_them():
    inside = [step.estimator for step in STEPS.values() if hasattr(step, "estimator")]
    assert {type(step) for step in [*STEPS.values(), *inside]} == set(ESTIMATORS.values())
