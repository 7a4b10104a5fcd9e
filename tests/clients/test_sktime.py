"""sktime: codes of series, each time point a row or each series a row.

It is in no extra: its releases up to 1.2.0 ask for pandas below 3.1, and constraints.txt has 3.1.1. They work
with it all the same, and these tests run where it was installed on its own::

    pip install -c constraints.txt --no-deps sktime scikit-base
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer
from skae.networks import Recurrent
from skae.tasks import AutoencoderImputer

pytest.importorskip("sktime", reason="sktime does not take pandas 3.1, and is in no extra")

from sktime.classification.compose import SklearnClassifierPipeline
from sktime.datasets import load_longley, load_unit_test
from sktime.forecasting.compose import ForecastingPipeline, make_reduction
from sktime.transformations.panel.reduce import Tabularizer
from sktime.transformations.series.adapt import TabularToSeriesAdaptor

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:sktime"),
]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 2, **BRIEF, **settings})


@pytest.fixture(scope="module")
def economy():
    """16 years of a target and five columns beside it."""
    y, X = load_longley()
    return y, X


@pytest.fixture(scope="module")
def panel():
    """42 series of 24 points and their classes."""
    X, y = load_unit_test(return_type="numpy3D")
    return X, y


def test_each_time_point_is_a_row(economy):
    _, X = economy
    adaptor = TabularToSeriesAdaptor(codes(scaling="standard"), fit_in_transform=False).fit(X)
    Z = adaptor.transform(X)
    assert Z.shape == (16, 2)
    assert Z.index.equals(X.index)
    wanted = codes(scaling="standard").fit(X.to_numpy()).transform(X.to_numpy())
    np.testing.assert_allclose(Z.to_numpy(), wanted, rtol=1e-6, atol=1e-8)
    back = adaptor.inverse_transform(Z)
    assert back.shape == X.shape


def test_codes_go_into_a_forecast(economy):
    y, X = economy
    forecaster = ForecastingPipeline(
        [
            ("codes", TabularToSeriesAdaptor(codes(scaling="standard"), fit_in_transform=False)),
            ("forecast", make_reduction(Ridge(), window_length=3)),
        ]
    ).fit(y, X=X)
    assert np.isfinite(forecaster.predict(fh=[1], X=X[-1:])).all()


def test_windows_of_a_series_are_rows(economy):
    y, _ = economy
    forecaster = make_reduction(make_pipeline(StandardScaler(), codes(), Ridge()), window_length=4).fit(y)
    assert np.isfinite(forecaster.predict(fh=[1, 2, 3])).all()


@pytest.mark.parametrize("network", [None, Recurrent(hidden_size=8)], ids=["dense", "recurrent"])
def test_each_series_of_a_panel_is_a_row(panel, network):
    X, y = panel
    pipe = SklearnClassifierPipeline(
        make_pipeline(codes(network=network), LogisticRegression()), [Tabularizer()]
    ).fit(X, y)
    assert pipe.score(X, y) > 0.6
    # A recurrent network takes the array as it is, with time in its middle.
    if network is not None:
        Z = codes(network=network).fit_transform(np.moveaxis(X, 1, 2))
        np.testing.assert_allclose(Z, codes(network=network).fit_transform(X[:, 0]), rtol=1e-5, atol=1e-6)


def test_the_channels_of_each_series_of_a_panel_are_columns():
    X = np.random.RandomState(0).standard_normal((5, 3, 15))
    adaptor = TabularToSeriesAdaptor(codes(), fit_in_transform=False).fit(X)
    assert adaptor.transform(X).shape == (5, 2, 15)


def test_gaps_of_a_series_are_filled_by_the_columns_beside(economy):
    _, X = economy
    holes = X.copy()
    holes.iloc[3:5, 1] = np.nan
    filler = DenoisingAutoencoderTransformer(2, corruption="missing", scaling="standard", **BRIEF)
    adaptor = TabularToSeriesAdaptor(AutoencoderImputer(filler, random_state=0), fit_in_transform=False)
    filled = adaptor.fit_transform(holes)
    there = holes.notna().to_numpy()
    assert pd.DataFrame(filled).notna().all(axis=None)
    np.testing.assert_array_equal(np.asarray(filled)[there], X.to_numpy()[there])
