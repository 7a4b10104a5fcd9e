import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skae.inspection import LatentSpaceDisplay


@pytest.fixture(scope="module")
def many():
    return np.random.RandomState(0).standard_normal((1_000_000, 2))


def test_points_are_the_codes(on_iris, iris, ax):
    display = LatentSpaceDisplay.from_estimator(on_iris, iris.data, ax=ax, components=(1, 0))
    assert display.ax_ is ax
    np.testing.assert_allclose(display.scatter_.get_offsets(), on_iris.transform(iris.data)[:, ::-1])
    assert display.ax_.get_xlabel() == "component 1"
    assert display.ax_.get_title() == "150 rows"


def test_classes_have_colours_of_their_own(on_iris, iris):
    display = LatentSpaceDisplay.from_estimator(
        on_iris, iris.data, iris.target, target_names=iris.target_names
    )
    Z = on_iris.transform(iris.data)
    for number, points in enumerate(display.scatter_):
        np.testing.assert_allclose(points.get_offsets(), Z[iris.target == number])
    assert len({tuple(points.get_facecolor()[0]) for points in display.scatter_}) == 3
    assert [text.get_text() for text in display.legend_.get_texts()] == list(iris.target_names)
    assert display.legend_.get_title().get_text() == "target"


@pytest.mark.parametrize("color", ["petal width (cm)", 3])
def test_columns_colour_by_amount(on_iris, iris, color):
    display = LatentSpaceDisplay.from_estimator(on_iris, iris.data, color=color)
    np.testing.assert_allclose(display.scatter_.get_array(), iris.data["petal width (cm)"])
    assert display.colorbar_.ax.get_ylabel() == "petal width (cm)"


def test_missing_labels_are_grey():
    Z = np.random.RandomState(0).standard_normal((4, 2))
    display = LatentSpaceDisplay.from_predictions(Z, pd.Series(["a", None, "b", "a"], dtype=object))
    names = [text.get_text() for text in display.legend_.get_texts()]
    assert sorted(names) == ["a", "b", "missing"]
    display = LatentSpaceDisplay.from_predictions(Z, [0.5, np.nan, 0.1, 0.2])
    assert np.isnan(np.ma.filled(display.scatter_.get_array(), np.nan)[1])


@pytest.mark.parametrize("n_classes", [10, 24, 30])
def test_many_classes_stay_apart(n_classes):
    Z = np.random.RandomState(0).standard_normal((300, 2))
    y = np.array([f"class {number % n_classes:02d}" for number in range(300)])
    display = LatentSpaceDisplay.from_predictions(Z, y)
    if n_classes <= 24:
        looks = {
            (tuple(points.get_facecolor()[0]), len(points.get_paths()[0].vertices))
            for points in display.scatter_
        }
        assert len(looks) == n_classes
    else:
        assert display.colorbar_.ax.get_yticklabels()[0].get_text() == "class 00"
        assert display.legend_ is None


def test_many_rows_are_a_density(many):
    display = LatentSpaceDisplay.from_predictions(many)
    assert display.scatter_ is None
    assert display.hexbin_.get_array().sum() > 0.98 * len(many)
    assert display.ax_.get_title().startswith("1,000,000 rows")


def test_many_coloured_rows_are_thinned(many):
    display = LatentSpaceDisplay.from_predictions(many, many[:, 0] > 0)
    assert sum(len(points.get_offsets()) for points in display.scatter_) == 20_000
    assert display.ax_.get_title().startswith("20,000 of 1,000,000 rows")
    assert display.scatter_[0].get_alpha() < 0.5


def test_only_rows_that_are_drawn_are_transformed(many):
    class Counting:
        def transform(self, X):
            self.n_rows = len(X)
            return X

    counting = Counting()
    display = LatentSpaceDisplay.from_estimator(counting, many, color=0)
    assert counting.n_rows == 20_000
    np.testing.assert_array_equal(display.scatter_.get_array(), display.scatter_.get_offsets()[:, 0])
    assert display.ax_.get_title().startswith("20,000 of 1,000,000 rows")


def test_rows_far_out_do_not_squeeze_the_others():
    Z = np.random.RandomState(0).standard_normal((1000, 2))
    Z[0] = 1e4
    display = LatentSpaceDisplay.from_predictions(Z)
    assert display.ax_.get_xlim()[1] < 10
    assert "of them outside the picture" in display.ax_.get_title()


def test_three_components_are_deep(on_digits, few_digits, ax):
    display = LatentSpaceDisplay.from_estimator(on_digits, few_digits, components=(0, 1, 3))
    assert display.ax_.name == "3d"
    assert display.ax_.get_zlabel() == "component 3"
    deep = Figure().add_subplot(projection="3d")
    assert LatentSpaceDisplay.from_predictions(np.eye(4), components=(0, 1, 2), ax=deep).ax_ is deep
    with pytest.raises(ValueError, match="3 components need axes with three dimensions"):
        LatentSpaceDisplay.from_predictions(np.eye(4), components=(0, 1, 2), ax=ax)


def test_mistakes_are_told(on_iris, iris):
    def draw(**options):
        LatentSpaceDisplay.from_estimator(on_iris, iris.data, **options)

    with pytest.raises(ValueError, match="component must be a whole number in 0 to 1; got 2"):
        draw(components=(0, 2))
    with pytest.raises(ValueError, match="need codes of at least 3 components; these have 2"):
        draw(components=(0, 1, 2))
    with pytest.raises(ValueError, match="two or three numbers; got 0"):
        draw(components=0)
    with pytest.raises(ValueError, match="color must be a column of X; got 'age', and X has sepal length"):
        draw(color="age")
    with pytest.raises(ValueError, match="column in 0 to 3; got 4"):
        draw(color=4)
    with pytest.raises(ValueError, match="either y or color"):
        draw(color=0, y=iris.target)
    with pytest.raises(ValueError, match="one value for each of the 150 rows"):
        draw(y=[1, 2])
    with pytest.raises(ValueError, match="target_names must hold 3 names"):
        draw(y=iris.target, target_names=["a"])
    with pytest.raises(ValueError, match="component_names must hold 2 names; got 1"):
        LatentSpaceDisplay.from_predictions(np.eye(2), component_names=["a"])
    with pytest.raises(ValueError, match="Z must be a table"):
        LatentSpaceDisplay.from_predictions(np.ones(3))
