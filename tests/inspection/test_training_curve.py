import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

import skae
from skae.inspection import TrainingCurveDisplay


def test_curves_are_those_of_the_fit(on_iris, ax):
    display = TrainingCurveDisplay.from_estimator(on_iris, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_allclose(display.line_.get_ydata(), on_iris.validation_scores_)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(on_iris.n_iter_ + 1))
    np.testing.assert_allclose(display.loss_line_.get_ydata(), on_iris.loss_curve_)
    np.testing.assert_array_equal(display.loss_line_.get_xdata(), np.arange(1, on_iris.n_iter_ + 1))
    assert set(display.pca_line_.get_ydata()) == {on_iris.pca_score_}
    assert display.best_point_.get_xdata()[0] == on_iris.best_iter_
    assert display.best_point_.get_ydata()[0] == on_iris.validation_score_


def test_without_held_out_rows_the_loss_is_alone(iris):
    model = skae.AutoencoderTransformer(1, random_state=0).partial_fit(iris.data).partial_fit(iris.data)
    display = TrainingCurveDisplay.from_estimator(model, color="red")
    assert display.line_ is None
    assert display.loss_ax_ is display.ax_
    assert display.loss_line_.get_color() == "red"
    assert display.ax_.get_xlabel() == "epoch"


def test_far_losses_are_logarithmic_and_far_scores_cut():
    display = TrainingCurveDisplay([100.0, 1.0, 0.1], [-50.0, 0.5, 0.6, 0.61], 0.55, 3).plot()
    assert display.loss_ax_.get_yscale() == "log"
    scores = [-50.0, *np.linspace(0.5, 0.6, 40)]
    display = TrainingCurveDisplay(np.ones(40), scores, 0.55, 40).plot()
    assert display.ax_.get_ylim()[0] > 0


def test_the_model_behind_a_search_is_drawn(iris):
    estimator = skae.AutoencoderTransformer(1, max_iter=2, random_state=0)
    search = GridSearchCV(estimator, {"n_components": [2]}, cv=2).fit(iris.data)
    display = TrainingCurveDisplay.from_estimator(search)
    np.testing.assert_allclose(display.loss_line_.get_ydata(), search.best_estimator_.loss_curve_)


def test_estimators_without_epochs_are_refused(iris):
    with pytest.raises(TypeError, match="PCA has none, as it is not trained by epochs"):
        TrainingCurveDisplay.from_estimator(PCA(2).fit(iris.data))
