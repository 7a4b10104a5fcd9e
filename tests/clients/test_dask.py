"""dask: scikit-learn's searches on its workers, in threads of this process and in processes of their own.

dask-ml is left out: it has had no release since February 2025. By hand, its GridSearchCV takes ours.
"""

import dask
import dask.array
import dask.dataframe
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of its sockets and its dashboard, when a cluster is closed at once.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "processes"])
def client(request):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "60s"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=request.param, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 2, "max_iter": 3, "random_state": 0, **settings})


def search():
    pipe = make_pipeline(StandardScaler(), codes(), LogisticRegression())
    return GridSearchCV(pipe, {"autoencodertransformer__n_components": [1, 2]}, cv=2, error_score="raise")


def test_a_search_gives_what_it_gives_here(iris, client):
    X, y = iris
    with joblib.parallel_config(backend="dask"):
        there = search().fit(X, y)
    here = search().fit(X, y)
    np.testing.assert_allclose(
        there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"], atol=0.02
    )
    assert np.array_equal(there.best_estimator_.predict(X), there.predict(X))


def test_cross_validation_of_the_codes(iris, client):
    X, _ = iris
    with joblib.parallel_config(backend="dask"):
        scores = cross_val_score(codes(), X, cv=2, error_score="raise")
    np.testing.assert_allclose(scores, cross_val_score(codes(), X, cv=2), atol=0.02)


def test_fits_as_futures(iris, client):
    X = iris[0].to_numpy()
    futures = [client.submit(codes(random_state=seed).fit, X, pure=False) for seed in range(3)]
    models = client.gather(futures)
    assert [model.random_state for model in models] == [0, 1, 2]
    for model in models:
        assert np.isfinite(model.transform(X)).all()


def test_one_model_codes_the_blocks_of_an_array(iris, client):
    X = iris[0].to_numpy()
    model = codes().fit(X)
    blocks = dask.array.from_array(X, chunks=(40, 4))
    Z = blocks.map_blocks(model.transform, dtype=np.float64, chunks=(blocks.chunks[0], (2,)))
    np.testing.assert_allclose(Z.compute(), model.transform(X), rtol=1e-10, atol=1e-12)


def test_one_model_codes_the_parts_of_a_dataframe(iris, client):
    X, _ = iris
    model = codes().fit(X).set_output(transform="pandas")
    parts = dask.dataframe.from_pandas(X, npartitions=3)
    Z = parts.map_partitions(model.transform, meta=model.transform(X[:1]))
    pd.testing.assert_frame_equal(Z.compute(), model.transform(X))
