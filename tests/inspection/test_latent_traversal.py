import numpy as np
import pytest

import skae
from skae.inspection import LatentTraversalDisplay
from skae.networks import Recurrent

from_estimator = LatentTraversalDisplay.from_estimator


def path(model, X, component, n_steps):
    Z = model.transform(X)
    codes = np.tile(np.median(Z, axis=0), (n_steps, 1))
    codes[:, component] = np.quantile(Z[:, component], np.linspace(0.02, 0.98, n_steps))
    return codes


def test_pictures_are_decoded_codes(on_digits, few_digits, ax):
    display = from_estimator(on_digits, few_digits, component=2, n_steps=5, image_shape=(8, 8), ax=ax)
    assert display.ax_ is ax
    codes = path(on_digits, few_digits, 2, 5)
    strip = np.ma.filled(display.image_.get_array(), np.nan)
    expected = on_digits.inverse_transform(codes).reshape(-1, 8, 8)
    np.testing.assert_allclose(strip[:, 9:17], expected[1])
    np.testing.assert_allclose(display.values, codes[:, 2])
    assert len(ax.get_xticks()) == 5
    assert ax.get_xlabel() == "code of component 2"


def test_columns_are_lines_in_deviations(on_iris, iris):
    display = from_estimator(on_iris, iris.data, component=1)
    back = on_iris.inverse_transform(path(on_iris, iris.data, 1, 7))
    moved = (back - iris.data.mean().to_numpy()) / iris.data.std(ddof=0).to_numpy()
    assert len(display.lines_) == 4
    for line, feature in zip(display.lines_, display.features_, strict=True):
        np.testing.assert_allclose(line.get_ydata(), moved[:, feature])
        assert line.get_label() == iris.data.columns[feature]
    assert (np.diff(np.ptp(moved, axis=0)[display.features_]) <= 0).all()


def test_wide_tables_show_what_changes_most(on_wide, wide):
    display = from_estimator(on_wide, wide)
    assert len(display.lines_) == 8
    assert display.ax_.get_title() == "8 of 300 columns, those that change most"
    numbers = [line.get_label().split()[-1] for line in display.lines_]
    assert numbers == [wide.columns[feature].split()[-1] for feature in display.features_]


def test_columns_of_text_are_left_out(on_mixed, mixed):
    display = from_estimator(on_mixed, mixed)
    assert {line.get_label() for line in display.lines_} == {"number", "other"}


def test_sequences_are_a_line_a_code():
    random = np.random.RandomState(0)
    X = np.sin(np.linspace(0, 6, 20) + random.uniform(0, 6, (40, 1)))[:, :, None] * [1.0, 3.0]
    network = Recurrent(20, hidden_size=4)
    model = skae.AutoencoderTransformer(2, network=network, max_iter=1, random_state=0).fit(X)
    display = from_estimator(model, X, n_steps=4)
    assert len(display.lines_) == 4
    assert display.lines_[0].get_ydata().shape == (20,)
    assert display.ax_.get_title() == "1 of 2 values of a step, the one that changes most"


def test_codes_that_are_often_zero_go_in_equal_steps(sparse_on_digits, few_digits):
    component = int(sparse_on_digits.activation_frequency_.argsort()[-5])
    display = from_estimator(sparse_on_digits, few_digits, component=component, image_shape=(8, 8))
    assert len(np.unique(display.values)) == 7
    np.testing.assert_allclose(np.diff(display.values), np.diff(display.values)[0])


def test_only_some_of_many_rows_are_transformed():
    class Counting:
        def transform(self, X):
            self.n_rows = len(X)
            return X

        def inverse_transform(self, Z):
            return Z

    counting = Counting()
    from_estimator(counting, np.random.RandomState(0).standard_normal((100_000, 3)))
    assert counting.n_rows == 20_000


def test_mistakes_are_told(on_iris, iris):
    with pytest.raises(ValueError, match="component must be a whole number in 0 to 1; got 5"):
        from_estimator(on_iris, iris.data, component=5)
    with pytest.raises(ValueError, match="n_steps must be a whole number of at least 2; got 1"):
        from_estimator(on_iris, iris.data, n_steps=1)
    with pytest.raises(ValueError, match="cannot be varied"):
        from_estimator(on_iris, iris.data.iloc[[0, 0, 0]])
    with pytest.raises(ValueError, match="a row for each of 3 codes; got 2"):
        LatentTraversalDisplay([1, 2, 3], np.eye(2)).plot()
    with pytest.raises(ValueError, match="feature_names must hold 2 names; got 1"):
        LatentTraversalDisplay([1, 2], np.eye(2), feature_names=["a"]).plot()
    with pytest.raises(ValueError, match="kind must be"):
        LatentTraversalDisplay([1, 2], np.eye(2), kind="line").plot()
