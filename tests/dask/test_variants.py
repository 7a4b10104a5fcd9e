"""Every estimator, and every kind of rows, on several workers."""

import warnings

import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import skae
from skae import AutoencoderTransformer, SparseAutoencoderTransformer
from skae.dask import DaskTransformer
from skae.networks import Convolutional

VARIANTS = [getattr(skae, name) for name in skae.__all__ if name.endswith("Transformer")]
CHUNKS = ((2500, 500, 3000), (8,))


def scores(estimator, client, X, rows):
    """Return the scores of a fit on several workers, and of one in memory."""
    with warnings.catch_warnings():
        # Few epochs leave some variants below PCA.
        warnings.simplefilter("ignore", ConvergenceWarning)
        shared = DaskTransformer(estimator, client).fit(rows)
        return shared.estimator_.score(X), clone(estimator).fit(X).score(X)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_estimator(client, X, variant):
    found, alone = scores(variant(4, max_iter=15, random_state=0), client, X, da.from_array(X, chunks=CHUNKS))
    assert_allclose(found, alone, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd"},
        {"solver": "rmsprop"},
        {"ordered": True},
        {"n_components": 0.9},
        {"gradient_clip": 0.1},
        {"dropout": 0.1},
        {"input_noise": 0.1},
        {"early_stopping": False},
        {"scaling": "standard"},
        {"scaling": "quantile"},
        {"pretrain": "layerwise"},
        {"encoder": "linear"},
    ],
    ids=str,
)
def test_every_way_of_training(client, X, parameters):
    estimator = AutoencoderTransformer(2, max_iter=15, random_state=0).set_params(**parameters)
    found, alone = scores(estimator, client, X, da.from_array(X, chunks=CHUNKS))
    assert_allclose(found, alone, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("dead", ["resample", "auxiliary", None])
def test_all_workers_have_the_same_atoms(client, X, dead):
    estimator = SparseAutoencoderTransformer(24, max_iter=10, random_state=0, revival=dead)
    found, alone = scores(estimator, client, X, da.from_array(X, chunks=CHUNKS))
    assert_allclose(found, alone, atol=0.03)


@pytest.mark.slow
def test_gaps(client, X):
    spoilt = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    estimator = AutoencoderTransformer(2, max_iter=15, random_state=0)
    found, alone = scores(estimator, client, spoilt, da.from_array(spoilt, chunks=CHUNKS))
    assert_allclose(found, alone, atol=0.01)


@pytest.mark.slow
def test_rows_that_do_not_fit_into_the_bytes_of_training_are_streamed(client, X):
    estimator = AutoencoderTransformer(2, max_iter=15, random_state=0)
    model = DaskTransformer(estimator, client, max_bytes=2**16).fit(da.from_array(X, chunks=CHUNKS))
    assert_allclose(model.estimator_.score(X), clone(estimator).fit(X).score(X), atol=0.01)


@pytest.mark.slow
def test_images(client):
    random = np.random.default_rng(0)
    images = random.standard_normal((1500, 1, 1)) * random.standard_normal((8, 8))
    network = Convolutional((8, 8), channels=(4,))
    estimator = AutoencoderTransformer(2, network=network, max_iter=2, random_state=0)
    rows = da.from_array(images, chunks=(400, 8, 4))
    model = DaskTransformer(estimator, client).fit(rows)
    codes = model.transform(rows)
    assert codes.chunks == ((400, 400, 400, 300), (2,))
    back = model.inverse_transform(codes)
    assert back.shape == images.shape
    assert_allclose(back.compute(), model.estimator_.reconstruct(images), atol=1e-5)


def test_columns_of_numbers_keep_their_names(client, X):
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcdefgh")), npartitions=2)
    model = DaskTransformer(AutoencoderTransformer(2, max_iter=1, random_state=0), client).fit(frame)
    codes = model.transform(frame)
    assert set(codes.dtypes) == {np.dtype(np.float32)}
    back = model.inverse_transform(codes)
    assert list(back.columns) == list("abcdefgh")
    assert back.compute().shape == X.shape
    assert list(model.feature_names_in_) == list("abcdefgh")


def test_searches_run_on_the_cluster(client, X):
    search = GridSearchCV(
        AutoencoderTransformer(max_iter=2, random_state=0),
        {"n_components": [1, 2]},
        cv=2,
        error_score="raise",
    )
    with joblib.parallel_config("dask"):
        search.fit(X[:1200])
    assert search.best_params_ == {"n_components": 2}
