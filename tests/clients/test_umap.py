"""umap: pictures of codes, codes of pictures, and both side by side in one comparison."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.compare import compare_reducers
from skae.metrics import variance_explained

with warnings.catch_warnings():
    # It warns of what it imports, and of what it may lack.
    warnings.simplefilter("ignore")
    import umap

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Its own: it draws in one thread where it has a seed, and its spectral start is not exact.
    pytest.mark.filterwarnings("ignore:n_jobs value:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:umap"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:sklearn.manifold"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:numba"),
]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 3, "max_iter": 3, "random_state": 0, **settings})


def picture(**settings):
    return umap.UMAP(**{"n_neighbors": 8, "n_epochs": 20, "random_state": 0, **settings})


@pytest.fixture(scope="module")
def rows(cancer):
    return StandardScaler().fit_transform(cancer[0])[:150]


def test_a_picture_of_codes(rows, cancer):
    pipe = make_pipeline(codes(), picture(), LogisticRegression()).fit(rows, cancer[1][:150])
    assert pipe.score(rows, cancer[1][:150]) > 0.7
    assert pipe[:-1].transform(rows[:5]).shape == (5, 2)


def test_codes_of_a_picture(rows):
    pipe = make_pipeline(picture(n_components=4), codes(n_components=2))
    Z = pipe.fit_transform(rows)
    assert Z.shape == (150, 2)
    # Its output is float32, and so are the codes.
    assert Z.dtype == np.float32


def test_both_are_compared(rows, cancer):
    reducers = [PCA(2), codes(n_components=2), picture()]
    table = compare_reducers(reducers, rows, cancer[1][:150], cv=2, random_state=0)
    measures = ["n_components", "trustworthiness", "continuity", "downstream", "fit_seconds", "size"]
    assert np.isfinite(table[measures].to_numpy(dtype=float)).all()
    # Pictures keep neighbours, and are drawn from what was learnt of other rows.
    assert (table["trustworthiness"] > 0.5).all()


def test_its_way_back_is_measured(rows):
    few = rows[:60, :4]
    pipe = make_pipeline(StandardScaler(), picture(n_neighbors=5)).fit(few)
    assert variance_explained(pipe, few) < 1
