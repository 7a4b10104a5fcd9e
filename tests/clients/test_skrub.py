"""skrub: dirty tables become columns before the codes, and whole plans are fitted at once."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skrub
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.metrics import variance_explained
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 2, "scaling": "standard", **BRIEF, **settings})


@pytest.fixture(scope="module")
def dirty(mixed):
    """Dates as text beside numbers, gaps, text and categories."""
    X, y = mixed
    days = pd.date_range("2020-01-01", periods=len(X)).strftime("%Y-%m-%d")
    return X.assign(day=days.to_numpy()), y


def test_codes_of_a_vectorized_table(dirty):
    X, y = dirty
    pipe = make_pipeline(skrub.TableVectorizer(), codes(), LogisticRegression()).fit(X, y)
    # Its columns are float32 with gaps, and keep their names.
    assert pipe[1].feature_names_in_[0] == "height"
    assert pipe.score(X, y) > 0.7
    assert np.isfinite(pipe[:-1].transform(X[:5])).all()


def test_codes_of_a_vectorized_table_of_polars(dirty):
    X, y = dirty
    X = pl.DataFrame({name: X[name].astype(object).where(X[name].notna(), None).tolist() for name in X})
    pipe = make_pipeline(skrub.TableVectorizer(), codes(), LogisticRegression()).fit(X, y)
    assert pipe.score(X, y) > 0.7
    Z = pipe[:-1].set_output(transform="polars").transform(X)
    assert isinstance(Z, pl.DataFrame)


def test_codes_inside_its_own_pipeline(dirty):
    X, y = dirty
    pipe = skrub.tabular_pipeline(make_pipeline(codes(), LogisticRegression())).fit(X, y)
    assert pipe.score(X, y) > 0.7


def test_a_cleaned_table_goes_in_as_it_is(dirty):
    X, _ = dirty
    pipe = make_pipeline(skrub.Cleaner(), skrub.DropCols("day"), codes())
    Z = pipe.fit_transform(X)
    assert Z.shape == (200, 2)
    assert variance_explained(pipe, X) == pytest.approx(pipe.score(X))


def test_codes_of_some_columns(dirty):
    X, _ = dirty
    model = skrub.ApplyToCols(codes(), cols=["height", "width", "rooms"])
    out = model.fit_transform(X)
    left = {"colour", "town", "day"}
    assert set(out.columns) == left | {"autoencodertransformer0", "autoencodertransformer1"}
    pd.testing.assert_frame_equal(model.transform(X), out)


def test_gaps_filled_between_its_steps(dirty):
    X, y = dirty
    filler = AutoencoderImputer(random_state=0, estimator=codes())
    pipe = make_pipeline(skrub.TableVectorizer(), filler, LogisticRegression(max_iter=1000)).fit(X, y)
    filled = pipe[:-1].transform(X)
    assert not np.isnan(np.asarray(filled, dtype=float)).any()


def test_outliers_among_vectorized_rows(dirty):
    X, _ = dirty
    detector = AutoencoderOutlierDetector(codes(), n_estimators=2, random_state=0)
    pipe = make_pipeline(skrub.TableVectorizer(), detector).fit(X)
    assert set(pipe.predict(X)) <= {-1, 1}


def test_a_plan_with_choices(dirty):
    X, y = dirty
    table = skrub.var("table", X.assign(y=y))
    rows = table.drop(columns="y").skb.mark_as_X()
    target = table["y"].skb.mark_as_y()
    plan = (
        rows.skb.apply(skrub.TableVectorizer())
        .skb.apply(codes(n_components=skrub.choose_from([1, 3], name="n_components")))
        .skb.apply(LogisticRegression(), y=target)
    )
    search = plan.skb.make_randomized_search(n_iter=2, cv=2, fitted=True, random_state=0, n_jobs=1)
    assert set(search.results_["n_components"]) == {1, 3}
    assert search.best_learner_.predict({"table": X.assign(y=y)}).shape == (200,)


def test_a_table_report_of_codes(dirty):
    Z = codes().set_output(transform="pandas").fit_transform(dirty[0].drop(columns="day"))
    assert "autoencodertransformer1" in skrub.TableReport(Z, verbose=0).html()
