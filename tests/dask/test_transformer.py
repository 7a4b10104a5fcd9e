"""The transformer of dask collections, beside the estimator that it fits."""

import pickle
import threading

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone

import skae
from skae import AutoencoderTransformer
from skae.dask import DaskTransformer
from skae.networks import Custom
from skae.training import plan
from skae.training.peers import GroupTeam

# Uneven, and two of them empty.
CHUNKS = ((2500, 0, 300, 3000, 0, 200), (8,))


@pytest.fixture(scope="module")
def estimator():
    return AutoencoderTransformer(2, max_iter=8, hidden_layer_sizes=(32,), random_state=0)


@pytest.fixture(scope="module")
def fitted(client, X, estimator):
    return DaskTransformer(estimator, client).fit(da.from_array(X, chunks=CHUNKS))


@pytest.fixture(scope="module")
def mixed():
    random = np.random.default_rng(0)
    x = random.standard_normal(3000)
    kinds = np.array(["dry", "wet", "windy"])[np.digitize(x, [-0.5, 0.5])]
    frame = pd.DataFrame({"x": x, "y": 2 * x + 0.1 * random.standard_normal(3000), "kind": kinds})
    # One category is in one partition alone, and one in a single row.
    frame.loc[2900:2950, "kind"] = "snow"
    frame.loc[10, "kind"] = "hail"
    return frame


def test_fits_as_well_as_in_memory(fitted, X, estimator):
    alone = clone(estimator).fit(X)
    assert_allclose(fitted.estimator_.score(X), alone.score(X), atol=0.003)
    assert_allclose(fitted.estimator_.mean_, alone.mean_, rtol=1e-5)
    assert_allclose(fitted.estimator_.scale_, alone.scale_, rtol=1e-5)
    assert_allclose(fitted.estimator_.pca_score_, alone.pca_score_, atol=0.01)
    assert fitted.estimator_.score(X) > fitted.estimator_.pca_score_ + 0.005
    assert fitted.estimator_.n_samples_ == len(X)
    assert fitted.n_restarts_ == 0


@pytest.mark.parametrize(
    ("batch_size", "least", "size"), [("auto", 1, 750), ("auto", 2700, 375), (100, 1, 100)]
)
def test_each_worker_takes_the_rows_of_one_where_enough_steps_are_left(
    client, X, estimator, monkeypatch, batch_size, least, size
):
    monkeypatch.setattr(plan, "_SHARED_STEPS", least)
    sizes, share = set(), GroupTeam.share

    def note(team, model, n_batches, like):
        sizes.add(n_batches)
        share(team, model, n_batches, like)

    monkeypatch.setattr(GroupTeam, "share", note)
    model = clone(estimator).set_params(max_iter=1, batch_size=batch_size)
    DaskTransformer(model, client).fit(da.from_array(X, chunks=CHUNKS))
    assert sizes == {-(-5400 // size)}


def test_what_is_fitted_is_an_ordinary_estimator(fitted, X, estimator, tmp_path):
    assert type(fitted.estimator_) is AutoencoderTransformer
    assert fitted.estimator_.get_params() == estimator.get_params()
    codes = fitted.estimator_.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(fitted.estimator_)).transform(X), codes)
    skae.save(fitted.estimator_, tmp_path / "model.skae")
    assert_array_equal(skae.load(tmp_path / "model.skae").transform(X), codes)
    assert_array_equal(fitted.transform(X), codes)
    assert fitted.estimator_.loss_curve_
    assert len(fitted.estimator_.validation_scores_) == fitted.estimator_.n_iter_ + 1


def test_arrays_become_lazy_arrays(fitted, X):
    rows = da.from_array(X, chunks=((3000, 3000), (5, 3)))
    codes = fitted.transform(rows)
    assert isinstance(codes, da.Array)
    assert codes.chunks == ((3000, 3000), (2,))
    assert codes.dtype == np.float32
    # Each chunk is computed by itself, and matrix products of other sizes round otherwise.
    assert_allclose(codes.compute(), fitted.estimator_.transform(X), atol=1e-5)
    back = fitted.inverse_transform(codes)
    assert back.chunks == ((3000, 3000), (8,))
    assert_allclose(back.compute(), fitted.estimator_.reconstruct(X), atol=1e-5)
    assert_allclose(fitted.score(rows), fitted.estimator_.score(X), rtol=1e-6)


def test_nothing_is_computed_before_it_is_asked_for(fitted):
    def refuse(block):
        raise AssertionError

    rows = da.zeros((100, 8), chunks=(50, 8)).map_blocks(refuse, dtype=np.float64, meta=np.empty((0, 0)))
    codes = fitted.transform(rows)
    assert codes.shape == (100, 2)
    assert codes.dtype == np.float64


def test_chunks_of_unknown_lengths(fitted, X):
    rows = da.from_array(X, chunks=(2000, 8))
    rows = rows[rows[:, 0] > 0]
    codes = fitted.transform(rows)
    assert codes.shape[1] == 2
    assert np.isnan(codes.shape[0])
    assert_allclose(codes.compute(), fitted.estimator_.transform(X[X[:, 0] > 0]), atol=1e-5)


def test_frames_keep_index_and_divisions(client, mixed):
    rows = dd.from_pandas(mixed.set_axis(range(100, 3100), axis=0), npartitions=3)
    estimator = AutoencoderTransformer(2, max_iter=3, random_state=0)
    model = DaskTransformer(estimator, client).fit(rows)
    codes = model.transform(rows)
    assert codes.divisions == rows.divisions
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    found = codes.compute()
    assert_array_equal(found.index, range(100, 3100))
    assert_array_equal(found.dtypes, codes.dtypes)
    assert_allclose(found, model.estimator_.transform(mixed), atol=1e-5)
    back = model.inverse_transform(codes)
    assert back.divisions == rows.divisions
    expected = model.estimator_.reconstruct(mixed).set_axis(range(100, 3100), axis=0)
    assert_frame_equal(back.compute(), expected, rtol=1e-4, check_dtype=False)
    assert_array_equal(back.dtypes, expected.dtypes)
    assert_allclose(model.score(rows), model.estimator_.score(mixed), rtol=1e-6)


def test_all_categories_are_learnt_wherever_they_are(client, mixed):
    estimator = AutoencoderTransformer(2, max_iter=1, random_state=0, handle_unknown="error")
    model = DaskTransformer(estimator, client).fit(dd.from_pandas(mixed, npartitions=5))
    assert model.estimator_.transform(mixed).shape == (3000, 2)
    assert_array_equal(model.estimator_.feature_names_in_, mixed.columns)


def test_rows_that_weigh_nothing_are_not_seen(client, X, estimator):
    spoilt = X.copy()
    spoilt[2000:4000] = 1e6
    weight = np.ones(6000)
    weight[2000:4000] = 0
    rows, weights = da.from_array(spoilt, chunks=(1000, 8)), da.from_array(weight, chunks=1000)
    model = DaskTransformer(estimator, client).fit(rows, sample_weight=weights)
    kept = np.delete(X, slice(2000, 4000), axis=0)
    assert_allclose(model.estimator_.mean_, kept.mean(axis=0), atol=1e-5)
    assert model.estimator_.n_samples_ == 4000
    assert model.score(rows, sample_weight=weights) > model.estimator_.pca_score_


def test_a_small_table_is_fitted_as_by_the_estimator(client, X, estimator):
    model = DaskTransformer(estimator, client).fit(da.from_array(X[:300], chunks=(100, 8)))
    assert_array_equal(model.transform(X), clone(estimator).fit(X[:300]).transform(X))


def test_rows_that_are_no_collection_are_fitted_here(X, estimator):
    model = DaskTransformer(estimator).fit(X[:300])
    assert_array_equal(model.transform(X), clone(estimator).fit(X[:300]).transform(X))


def test_two_fits_at_once(client, X, estimator):
    rows = da.from_array(X, chunks=(1500, 8))
    models = [DaskTransformer(estimator, client, timeout=30) for _ in range(3)]
    threads = [threading.Thread(target=model.fit, args=(rows,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.n_restarts_ for model in models] == [0, 0, 0]


def test_the_client_is_no_parameter(client, estimator):
    model = DaskTransformer(estimator, client, max_restarts=1)
    assert "client" not in model.get_params()
    assert "client" not in repr(model).lower()
    assert clone(model).client is client
    assert clone(model).get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert clone(model).max_restarts == 1
    assert pickle.loads(pickle.dumps(model))._client is None
    assert model.set_params(estimator__n_components=3).estimator.n_components == 3
    model.set_params(estimator__n_components=2)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"solver": "lbfgs"}, "solver='lbfgs'"),
        ({"n_init": 2}, "n_init=2"),
        ({"target_weight": 1.0}, "target_weight"),
        ({"checkpoint": "a.skae"}, "checkpoint"),
        ({"max_time": 1.0}, "max_time"),
        ({"batch_norm": True}, "batch_norm"),
        ({"network": Custom(lambda *sizes: None, lambda *sizes: None)}, "Custom"),
        ({"n_components": -1}, "n_components"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_computed(parameters, named):
    model = DaskTransformer(AutoencoderTransformer(**parameters))
    with pytest.raises(ValueError, match=named):
        model.fit(da.zeros((2000, 3)))
    assert not hasattr(model, "estimator_")


@pytest.mark.parametrize(
    ("parameters", "error", "named"),
    [
        ({"max_restarts": -1}, ValueError, "max_restarts"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"max_bytes": 10}, ValueError, "max_bytes"),
        ({"estimator": "PCA"}, TypeError, "estimator of skae"),
    ],
)
def test_parameters_are_checked(estimator, parameters, error, named):
    with pytest.raises(error, match=named):
        DaskTransformer(**{"estimator": estimator, **parameters}).fit(da.zeros((2000, 3)))


def test_a_failed_fit_changes_nothing(fitted, X):
    spoilt = X.copy()
    spoilt[3100, 3] = np.inf
    before = fitted.estimator_
    with pytest.raises(ValueError, match="Partition 3: .*infinity"):
        fitted.fit(da.from_array(spoilt, chunks=CHUNKS))
    assert fitted.estimator_ is before


def test_weights_of_another_length_are_refused(client, X, estimator):
    rows = da.from_array(X, chunks=(3000, 8))
    with pytest.raises(ValueError, match="X has 2"):
        DaskTransformer(estimator, client).fit(rows, sample_weight=da.ones(6000, chunks=1000))
    with pytest.raises(ValueError, match="3000 rows"):
        DaskTransformer(estimator, client).fit(rows, sample_weight=da.ones(4000, chunks=2000))
    with pytest.raises(TypeError, match="weights of dask"):
        DaskTransformer(estimator, client).fit(rows, sample_weight=np.ones(6000))


def test_sparse_partitions_are_refused_with_what_to_do(client, X, estimator):
    sparse = da.from_array(X, chunks=(3000, -1)).map_blocks(csr_matrix)
    with pytest.raises(TypeError, match=r"partition of X is a csr_matrix.*part\.toarray\(\)"):
        DaskTransformer(estimator, client).fit(sparse)


def test_collections_without_rows_are_refused(client, X, estimator):
    with pytest.raises(ValueError, match="X has no rows"):
        DaskTransformer(estimator, client).fit(da.from_array(X[:0], chunks=(10, -1)))
