"""Many fits through one door."""

import numpy as np
import pytest

from skae import AutoencoderTransformer, SparseAutoencoderTransformer
from skae.estimators.base import Job, fit_together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def X():
    random = np.random.RandomState(0)
    return random.standard_normal((60, 3)) @ random.standard_normal((3, 5))


def settings(**changed):
    return {"n_components": 2, "max_iter": 2, "random_state": 0, **changed}


def test_estimators_are_fitted_in_place(X):
    models = [AutoencoderTransformer(**settings()), SparseAutoencoderTransformer(**settings(n_components=7))]
    weight = np.arange(len(X)) % 2.0
    assert fit_together(
        [Job(models[0], X), Job(models[1], X[:50], None, {"sample_weight": weight[:50]})]
    ) == [
        None,
        None,
    ]
    alone = SparseAutoencoderTransformer(**settings(n_components=7)).fit(X[:50], sample_weight=weight[:50])
    np.testing.assert_allclose(models[1].transform(X), alone.transform(X), rtol=1e-4, atol=1e-5)
    assert models[0].score(X) > 0.5


def test_one_that_fails_leaves_the_others(X):
    models = [AutoencoderTransformer(**settings(n_components=n)) for n in (1, -1, 2)]
    errors = fit_together([Job(model, X) for model in models])
    assert [type(error).__name__ for error in errors] == ["NoneType", "InvalidParameterError", "NoneType"]
    assert [hasattr(model, "network_") for model in models] == [True, False, True]


def test_an_interruption_is_no_failure(X):
    class Interrupted(AutoencoderTransformer):
        def fit(self, X, y=None, sample_weight=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_together([Job(Interrupted(), X)])


def test_no_jobs_are_no_work():
    assert fit_together([]) == []
