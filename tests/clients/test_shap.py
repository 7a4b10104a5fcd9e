"""shap: which columns move a prediction from codes, and which make a row an outlier."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.tasks import AutoencoderOutlierDetector

with warnings.catch_warnings():
    # It warns of what it imports.
    warnings.simplefilter("ignore")
    import shap

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module")
def classifier(iris):
    X, y = iris
    return make_pipeline(StandardScaler(), AutoencoderTransformer(2, **BRIEF), LogisticRegression()).fit(
        X, y == 0
    )


@pytest.fixture(scope="module")
def detector(iris):
    model = AutoencoderTransformer(2, scaling="standard", **BRIEF)
    return AutoencoderOutlierDetector(model, n_estimators=2, random_state=0).fit(iris[0])


def test_kernel_explainer_of_a_classifier_on_codes(iris, classifier):
    X = iris[0].to_numpy()
    given = make_pipeline(*[step for _, step in classifier.steps])
    explainer = shap.KernelExplainer(lambda rows: given.decision_function(frame(rows, iris)), X[::15])
    values = explainer.shap_values(X[:3], nsamples=32, silent=True)
    # They add up to what is explained.
    expected = classifier.decision_function(iris[0][:3])
    np.testing.assert_allclose(values.sum(axis=1) + explainer.expected_value, expected, atol=1e-4)


def test_permutation_explainer_of_a_frame(iris, classifier):
    X, _ = iris
    explainer = shap.explainers.Permutation(classifier.predict_proba, X[::15], seed=0)
    found = explainer(X[:3], silent=True)
    assert found.values.shape == (3, 4, 2)
    assert found.feature_names == list(X.columns)
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, classifier.predict_proba(X[:3]), atol=1e-6
    )


def test_permutation_explainer_of_an_outlier(iris, detector):
    X, _ = iris
    odd = X[:2].copy()
    odd.iloc[0, 1] = 9.0
    explainer = shap.explainers.Permutation(detector.decision_function, X[::10], seed=0)
    found = explainer(odd, silent=True)
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, detector.decision_function(odd), atol=1e-6
    )
    # Both say which cell it is.
    assert np.argmin(found.values[0]) == 1
    assert detector.feature_contributions(odd, units="deviations").iloc[0].abs().argmax() == 1


def test_kernel_explainer_of_an_outlier(iris, detector):
    X, _ = iris
    explainer = shap.KernelExplainer(lambda rows: detector.decision_function(frame(rows, iris)), X[::15])
    values = explainer.shap_values(X[:2], nsamples=32, silent=True)
    assert values.shape == (2, 4)
    assert np.isfinite(values).all()


def test_an_explainer_of_the_codes_themselves(iris):
    X, _ = iris
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    found = shap.Explainer(model.transform, X[::15], seed=0)(X[:2])
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.base_values, model.transform(X[:2]), atol=1e-6
    )


def test_gradients_of_the_encoder(iris):
    X = iris[0].to_numpy(dtype=np.float32)
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    rows = torch.from_numpy(X.copy())
    values = np.asarray(shap.GradientExplainer(model.encoder_, rows[::3]).shap_values(rows[:2], rseed=0))
    assert values.shape == (2, 4, 2)
    assert np.isfinite(values).all()


def frame(rows, iris):
    """Return rows with the names that fit saw; the explainer takes them away."""
    return pd.DataFrame(rows, columns=iris[0].columns)
