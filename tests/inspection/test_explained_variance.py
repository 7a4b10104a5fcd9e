from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.inspection import ExplainedVarianceDisplay


@pytest.fixture
def ordered():
    """What an estimator with ordered components has after its fit."""
    return SimpleNamespace(
        explained_variance_ratio_=np.array([0.6, 0.3, 0.06]),
        cumulative_explained_variance_=np.array([0.6, 0.9, 0.96]),
        pca_cumulative_explained_variance_=np.array([0.5, 0.8, 0.9]),
    )


def test_both_curves_are_drawn(ordered, ax):
    display = ExplainedVarianceDisplay.from_estimator(ordered, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(display.line_.get_ydata(), ordered.cumulative_explained_variance_)
    np.testing.assert_array_equal(display.pca_line_.get_ydata(), ordered.pca_cumulative_explained_variance_)
    assert display.n_reaching_ == 3
    assert display.share_line_.get_label() == "3 components explain 0.95"


@pytest.mark.parametrize(("share", "n"), [(0.6, 1), (0.61, 2), (0.99, None), (None, None)])
def test_the_smallest_size_that_reaches_a_share_is_marked(ordered, share, n):
    display = ExplainedVarianceDisplay.from_estimator(ordered, share=share)
    assert display.n_reaching_ == n
    assert (display.share_line_ is None) == (share is None)
    if share == 0.99:
        assert display.share_line_.get_label() == "0.99 is not reached by 3"


def test_pca_is_taken_in_a_pipeline(few_digits):
    pipeline = make_pipeline(StandardScaler(), PCA(50)).fit(few_digits)
    display = ExplainedVarianceDisplay.from_estimator(pipeline)
    np.testing.assert_allclose(display.line_.get_ydata(), np.cumsum(pipeline[-1].explained_variance_ratio_))
    assert display.pca_line_ is None


def test_components_without_an_order_are_refused(on_iris):
    with pytest.raises(TypeError, match="Fit it with ordered=True"):
        ExplainedVarianceDisplay.from_estimator(on_iris)


def test_shares_lie_between_zero_and_one():
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\], or be None; got 95"):
        ExplainedVarianceDisplay([0.5], share=95).plot()
