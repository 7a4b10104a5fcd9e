import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from skae.inspection import FeatureErrorDisplay

from_estimator = FeatureErrorDisplay.from_estimator


def widths(display):
    return np.array([bar.get_width() for bar in display.bars_])


def test_bars_are_the_errors_of_the_estimator(on_iris, iris, ax):
    display = from_estimator(on_iris, iris.data, relative=False, ax=ax)
    assert display.ax_ is ax
    errors = np.sqrt(on_iris.reconstruction_error(iris.data, per_feature=True).mean(axis=0))
    np.testing.assert_allclose(widths(display), errors[display.features_])
    assert (np.diff(widths(display)) <= 0).all()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [iris.data.columns[feature] for feature in display.features_]
    assert ax.get_xlabel() == "root mean squared error, units of X"


def test_shares_are_those_of_the_variance(on_iris, iris):
    display = from_estimator(on_iris, iris.data)
    squared = on_iris.reconstruction_error(iris.data, per_feature=True).mean(axis=0)
    shares = squared / iris.data.var(ddof=0).to_numpy()
    np.testing.assert_allclose(widths(display), shares[display.features_])


def test_one_row_is_marked(on_iris, iris):
    display = from_estimator(on_iris, iris.data, row=7)
    squared = on_iris.reconstruction_error(iris.data.iloc[[7]], per_feature=True)[0]
    shares = squared / iris.data.var(ddof=0).to_numpy()
    np.testing.assert_allclose(display.points_.get_xdata(), shares[display.features_])
    assert display.points_.get_label().startswith("row 7")
    absolute = from_estimator(on_iris, iris.data, row=7, relative=False)
    np.testing.assert_allclose(absolute.points_.get_xdata(), np.sqrt(squared)[absolute.features_])


def test_wide_tables_show_the_worst_columns(on_wide, wide):
    display = from_estimator(on_wide, wide)
    assert len(display.features_) == 30
    assert display.ax_.get_title() == "30 of 300 columns, the worst; 100 rows"
    odd = wide.copy()
    odd.iloc[4, 123] += 100
    display = from_estimator(on_wide, odd, row=4)
    assert 123 in display.features_
    assert "worst in row 4" in display.ax_.get_title()


def test_rows_that_are_far_off_leave_bars_to_be_seen():
    display = FeatureErrorDisplay([0.3, 0.2], [500.0, 0.1]).plot()
    assert display.ax_.get_xscale() == "symlog"
    assert display.ax_.get_xlim()[0] == 0


def test_many_rows_are_thinned():
    X = np.random.RandomState(0).standard_normal((200_000, 3))
    display = from_estimator(PCA(2).fit(X), X, row=199_999)
    assert display.ax_.get_title() == "3 columns; 20,000 of 200,000 rows"


def test_constant_columns_are_left_out(few_digits, on_digits):
    n_constant = int((np.ptp(few_digits, axis=0) == 0).sum())
    display = from_estimator(on_digits, few_digits, max_features=64)
    assert len(display.features_) == 64 - n_constant
    assert f"{n_constant} without variance left out" in display.ax_.get_title()
    with pytest.raises(ValueError, match="All columns of X are constant"):
        FeatureErrorDisplay.from_predictions(np.ones((3, 2)), np.ones((3, 2)))


def test_text_counts_by_what_comes_back_as_another_value():
    X = pd.DataFrame({"text": ["a", "a", "a", "b"], "number": [0.0, 1.0, 2.0, np.nan]})
    back = pd.DataFrame({"text": ["a", "a", "b", "b"], "number": [0.0, 1.0, 1.0, 9.0]})
    display = FeatureErrorDisplay.from_predictions(X, back, row=2)
    np.testing.assert_allclose(widths(display), [1.0, 0.5])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["text", "number"]
    np.testing.assert_allclose(display.points_.get_xdata(), [4.0, 1.5])


def test_tables_of_several_kinds_are_taken(on_mixed, mixed):
    display = from_estimator(on_mixed, mixed)
    assert {label.get_text() for label in display.ax_.get_yticklabels()} == set(mixed.columns)


def test_mistakes_are_told(on_iris, iris):
    with pytest.raises(ValueError, match="row must be a position in 0 to 149; got 150"):
        from_estimator(on_iris, iris.data, row=150)
    with pytest.raises(ValueError, match="max_features must be a whole number of at least 1; got 0"):
        from_estimator(on_iris, iris.data, max_features=0)
    with pytest.raises(ValueError, match="they must be equal"):
        FeatureErrorDisplay.from_predictions(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="feature_names must hold 2 names; got 1"):
        FeatureErrorDisplay([1, 2], feature_names=["a"]).plot()
    with pytest.raises(ValueError, match="row_errors must hold 2 errors; got 1"):
        FeatureErrorDisplay([1, 2], [1]).plot()
