"""joblib: fits in processes, in threads and in this process are the same fits, and caches know them again."""

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.tasks import AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
KIN = [
    AutoencoderTransformer(2, **BRIEF),
    DenoisingAutoencoderTransformer(2, **BRIEF),
    SparseAutoencoderTransformer(6, **BRIEF),
    VariationalAutoencoderTransformer(2, **BRIEF),
    AutoencoderTransformer(2, ordered=True, **BRIEF),
]
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def coded(model, X):
    return clone(model).fit(X).transform(X)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_elsewhere_are_fits_here(iris, backend):
    X = iris[0].to_numpy()
    with joblib.parallel_config(backend=backend):
        there = Parallel(n_jobs=2)(delayed(coded)(model, X) for model in KIN)
    for model, Z in zip(KIN, there, strict=True):
        np.testing.assert_allclose(Z, coded(model, X), rtol=1e-6, atol=1e-8, err_msg=repr(model))


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_a_search_on_each_backend(iris, backend):
    X, y = iris
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(2, **BRIEF), LogisticRegression())
    search = GridSearchCV(
        pipe, {"autoencodertransformer__n_components": [1, 2]}, cv=2, n_jobs=2, error_score="raise"
    )
    with joblib.parallel_config(backend=backend):
        search.fit(X, y)
    assert search.best_score_ > 0.6


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_fitted_model_is_used_elsewhere(iris, backend):
    X = iris[0].to_numpy()
    model = AutoencoderOutlierDetector(
        AutoencoderTransformer(2, **BRIEF), n_estimators=2, random_state=0
    ).fit(X)
    with joblib.parallel_config(backend=backend):
        scores = Parallel(n_jobs=2)(delayed(model.score_samples)(part) for part in np.split(X, 3))
    np.testing.assert_allclose(np.concatenate(scores), model.score_samples(X), rtol=1e-8)


def test_rows_mapped_from_a_file(iris, tmp_path):
    """Above a size, joblib gives its workers a read-only map instead of an array."""
    X = iris[0].to_numpy()
    joblib.dump(X, tmp_path / "rows")
    mapped = joblib.load(tmp_path / "rows", mmap_mode="r")
    np.testing.assert_array_equal(coded(KIN[0], mapped), coded(KIN[0], X))
    there = Parallel(n_jobs=2, max_nbytes=100)(delayed(coded)(KIN[0], X) for _ in range(2))
    np.testing.assert_allclose(there[0], there[1])


def test_a_dumped_model_is_used_from_a_map(iris, tmp_path):
    """Servers share weights between processes in this way."""
    X = iris[0].to_numpy()
    model = AutoencoderTransformer(2, **BRIEF).fit(X)
    joblib.dump(model, tmp_path / "model")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "model", mmap_mode="r").transform(X), model.transform(X)
    )


def own_modules():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), nn.Sequential(
        nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 4)
    )


@pytest.mark.parametrize("network", [None, own_modules()], ids=["default", "modules"])
def test_a_cached_step_is_not_fitted_again(iris, tmp_path, network, capsys):
    X, y = iris
    memory = joblib.Memory(tmp_path, verbose=1)
    codes = AutoencoderTransformer(2, network=network, **BRIEF)
    for _ in range(2):
        make_pipeline(clone(codes), LogisticRegression(), memory=memory).fit(X.to_numpy(), y)
    assert capsys.readouterr().out.count("Calling sklearn.pipeline._fit_transform_one") == 1
