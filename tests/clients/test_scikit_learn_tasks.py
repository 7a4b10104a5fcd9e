"""scikit-learn's own tests of IsolationForest and of imputers, with our tasks in their places."""

import pytest
from borrowed_tests import borrow
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

import skae
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = [
    pytest.mark.clients,
    # What training says of itself is not what is tested here.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:No row has a value in columns:UserWarning"),
]

_BRIEF = {"max_iter": 2, "validation_fraction": 0.2}


class Detector(AutoencoderOutlierDetector):
    """Few members, no rows held out for p-values, and a seed: a forest of three rows has no chance either."""

    n_estimators: int = 2
    calibration_fraction: float = 0.0
    random_state: int | None = 0

    def fit(self, X, y=None, sample_weight=None, **params):
        # As few as are asked for, and as many again for a warm start.
        self.n_estimators = min(self.n_estimators, 20 if self.warm_start else 2)
        return super().fit(X, y, sample_weight, **params)


def detector(bootstrap=None, **settings):
    """Return a detector; members see rows without repetition, as the default of a forest."""
    return Detector(**settings)


class Filling(AutoencoderImputer):
    """With the default model."""

    random_state: int | None = 0


class FillingByCodes(AutoencoderImputer):
    """With a plain autoencoder."""

    estimator: object = skae.AutoencoderTransformer(2, **_BRIEF)
    random_state: int | None = 0


class FillingByDraws(AutoencoderImputer):
    """With a variational autoencoder."""

    estimator: object = skae.VariationalAutoencoderTransformer(2, **_BRIEF)
    random_state: int | None = 0


_FOREST = "reads trees, path lengths or chunks of a forest, which has no counterpart in an autoencoder"
LEFT_OUT = {
    "test_recalculate_max_depth": _FOREST,
    "test_iforest_average_path_length": _FOREST,
    "test_iforest_chunks_works1": _FOREST,
    "test_iforest_chunks_works2": _FOREST,
    "test_max_samples_consistency": "reads the private _max_samples of scikit-learn's bagging",
    "test_iforest_subsampled_features": "sets max_features: columns are told by all the others here",
    "test_iforest_works[*auto]": "contamination='auto' is a share of 5 % here: one of eight rows, not two",
    "test_iforest_predict_parallel[*auto-*]": "contamination='auto' is a share of 5 %: one of eight rows",
    "test_iforest_with_uniform_data": (
        "a forest cannot split equal rows and calls all others usual; rows that differ are odd here, "
        "and one row alone is refused"
    ),
}

globals().update(
    borrow("sklearn.ensemble.tests.test_iforest", {"sklearn.ensemble.IsolationForest": detector}, LEFT_OUT)
)
globals().update(
    borrow(
        "sklearn.impute.tests.test_common",
        {
            "sklearn.impute.SimpleImputer": Filling,
            "sklearn.impute.KNNImputer": FillingByCodes,
            "sklearn.impute.IterativeImputer": lambda tol: FillingByDraws(),
        },
        {},
    )
)
