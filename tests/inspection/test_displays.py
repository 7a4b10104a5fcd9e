"""What all displays have in common."""

import sys

import numpy as np
import pytest
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

import skae
from skae import inspection
from skae.inspection import (
    DictionaryDisplay,
    ExplainedVarianceDisplay,
    FeatureErrorDisplay,
    LatentFeatureDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    TrainingCurveDisplay,
)
from skae.inspection._rows import component_names, drawn, images, tables

WITH_ROWS = [
    FeatureErrorDisplay,
    LatentFeatureDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
]
WITHOUT_ROWS = [DictionaryDisplay, ExplainedVarianceDisplay, TrainingCurveDisplay]


def draw(display, estimator, X, **options):
    rows = () if display in WITHOUT_ROWS else (X,)
    return display.from_estimator(estimator, *rows, **options)


@pytest.fixture(scope="module")
def pca(few_digits):
    return PCA(5).fit(few_digits)


@pytest.mark.parametrize("display", [*WITH_ROWS, DictionaryDisplay, ExplainedVarianceDisplay])
def test_pca_is_drawn_on_axes_of_the_users(display, pca, few_digits, ax):
    drawn_display = draw(display, pca, few_digits, ax=ax)
    assert drawn_display.figure_ is ax.figure
    several = getattr(drawn_display, "axes_", None)
    assert drawn_display.ax_ is ax or drawn_display.ax_ in several.flat
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("display", WITH_ROWS)
def test_figures_of_displays_are_shown_by_notebooks(display, on_iris, iris):
    shown = draw(display, on_iris, iris.data)
    assert isinstance(shown.figure_, Figure)
    assert shown._repr_png_().startswith(b"\x89PNG")


def test_figures_of_pyplot_are_left_to_pyplot(on_iris):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure, ax = plt.subplots()
    try:
        assert TrainingCurveDisplay.from_estimator(on_iris, ax=ax)._repr_png_() is None
    finally:
        plt.close(figure)


@pytest.mark.parametrize("display", WITH_ROWS)
@pytest.mark.parametrize("n_features", [3, 300])
def test_few_and_many_columns_fit(display, n_features, on_wide, wide):
    model = on_wide if n_features == 300 else skae.AutoencoderTransformer(2, max_iter=2).fit(wide.iloc[:, :3])
    options = {"n_repeats": 1} if display is LatentFeatureDisplay else {}
    shown = draw(display, model, wide.iloc[:, :n_features], **options)
    shown.figure_.draw_without_rendering()
    assert max(shown.figure_.get_size_inches()) < 20


@pytest.mark.parametrize("display", [*WITH_ROWS, *WITHOUT_ROWS])
def test_what_was_not_fitted_is_refused(display, on_iris, iris):
    with pytest.raises(NotFittedError, match="not fitted"):
        draw(display, clone(on_iris), iris.data)
    with pytest.raises(TypeError, match="got the class AutoencoderTransformer"):
        draw(display, skae.AutoencoderTransformer, iris.data)


@pytest.mark.parametrize("display", [*WITH_ROWS, *WITHOUT_ROWS])
def test_a_sentence_says_that_matplotlib_is_missing(display, pca, on_digits, few_digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    model = on_digits if display is TrainingCurveDisplay else pca
    with pytest.raises(
        ImportError, match=rf'{display.__name__} needs matplotlib.*pip install "skae\[plot\]"'
    ):
        draw(display, model, few_digits)


def test_ax_must_be_axes(on_iris):
    with pytest.raises(TypeError, match="ax must be an Axes of matplotlib or None; got str"):
        TrainingCurveDisplay.from_estimator(on_iris, ax="here")


def test_every_display_is_exported():
    assert {display.__name__ for display in [*WITH_ROWS, *WITHOUT_ROWS]} < set(inspection.__all__)


def test_draws_of_rows_are_the_same_every_time():
    np.testing.assert_array_equal(drawn(1000, 10), drawn(1000, 10))
    np.testing.assert_array_equal(drawn(5, 10), np.arange(5))


def test_text_stands_as_its_position(mixed):
    (first, second), is_number = tables(mixed, mixed.assign(text="low"))
    np.testing.assert_array_equal(is_number, [True, False, True])
    np.testing.assert_array_equal(np.unique(first[:, 1]), [0, 1, np.nan])
    assert (second[:, 1] == 1).all()
    assert np.isnan(first[3, 0])
    assert not tables(np.array([["1"], ["2"]], dtype=object))[1].any()


def test_images_have_their_channels_last():
    rows = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, -1)
    assert images(rows, None, (4, 5, 3)).shape == (2, 4, 5, 3)
    assert images(rows.reshape(2, 3, 4, 5), None, None).shape == (2, 4, 5, 3)
    assert images(rows.reshape(2, 12, 5), None, None).shape == (2, 12, 5)
    with pytest.raises(ValueError, match=r"image_shape=\(4, 4\) holds 16 values, but rows have 60"):
        images(rows, None, (4, 4))


def test_names_of_components_are_the_estimators_own(pca, on_iris):
    assert component_names(pca, 5)[0] == component_names(on_iris, 2)[0] == "component 0"

    class Named:
        def get_feature_names_out(self):
            return ["size", "age"]

    assert component_names(Named(), 2) == ["size", "age"]


HOSTILE = ["$a_b^$", "_hidden $x$", "\\$", "$$"]


@pytest.mark.parametrize("display", [*WITH_ROWS, *WITHOUT_ROWS])
def test_names_of_columns_are_text_whatever_they_hold(display, iris):
    X = iris.data.set_axis(HOSTILE, axis=1).set_axis([f"${row}^$ of $" for row in range(150)])
    if display is DictionaryDisplay:
        model = skae.SparseAutoencoderTransformer(12, n_active=3, max_iter=2, random_state=0).fit(X)
    else:
        model = skae.AutoencoderTransformer(2, ordered=True, max_iter=2, random_state=0).fit(X)
    figure = draw(display, model, X).figure_
    figure.draw_without_rendering()
    # Ticks of logarithmic axes are formulas of matplotlib's own.
    texts = [text.get_text() for text in figure.findobj(Text) if "mathdefault" not in text.get_text()]
    assert not any(map(is_math_text, texts))


def test_names_given_to_displays_are_text_as_well(iris):
    y = np.array(["_a $", "$b^$", "c"])[iris.target]
    shown = LatentSpaceDisplay(iris.data.to_numpy()[:, :2], y, component_names=HOSTILE[:2], color_name="$y^$")
    legend = shown.plot().legend_
    assert [text.get_text() for text in legend.get_texts()] == [r"\$b^\$", r"_a \$", "c"]
    figures = [
        shown.figure_,
        LatentSpaceDisplay(iris.data.to_numpy(), iris.data.iloc[:, 0], color_name="$y^$").plot().figure_,
        ExplainedVarianceDisplay([0.5, 0.9], name="_$name^$").plot().figure_,
        TrainingCurveDisplay([2.0, 1.0], name="$name^$").plot().figure_,
    ]
    for figure in figures:
        figure.draw_without_rendering()


def test_columns_whose_names_begin_with_an_underscore_are_in_the_legend(iris):
    X = iris.data.set_axis(["_a", "_b", "c", "d"], axis=1)
    model = skae.AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    legend = LatentTraversalDisplay.from_estimator(model, X).ax_.get_legend()
    assert sorted(text.get_text().strip() for text in legend.get_texts()) == ["_a", "_b", "c", "d"]
