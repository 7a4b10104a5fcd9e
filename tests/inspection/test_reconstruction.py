import numpy as np
import pytest
from matplotlib.figure import Figure

import skae
from skae.inspection import ReconstructionDisplay
from skae.networks import Convolutional, Recurrent


def from_estimator(*args, **options):
    return ReconstructionDisplay.from_estimator(*args, **options)


def test_pictures_are_rows_and_what_comes_back(on_digits, few_digits, ax):
    display = from_estimator(on_digits, few_digits, image_shape=(8, 8), rows=[5, 0], ax=ax)
    assert display.ax_ is ax
    both, errors = (np.ma.filled(image.get_array(), np.nan) for image in display.images_)
    back = on_digits.reconstruct(few_digits[[5, 0]]).reshape(-1, 8, 8)
    np.testing.assert_allclose(both[:8, :8], few_digits[5].reshape(8, 8))
    np.testing.assert_allclose(both[9:17, 9:17], back[1])
    assert np.isnan(both[8]).all()
    np.testing.assert_allclose(errors[:, :8], back[0] - few_digits[5].reshape(8, 8))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "0"]


def test_networks_know_what_rows_are(few_digits):
    pictures = few_digits.reshape(-1, 8, 8)
    network = Convolutional((8, 8), channels=(4,))
    model = skae.AutoencoderTransformer(3, network=network, max_iter=1, random_state=0).fit(pictures)
    for X in (pictures, few_digits):
        display = from_estimator(model, X, rows=4)
        assert display.ax_.get_yticklabels()[0].get_text() == "original"
        assert len(display.ax_.get_xticks()) == 4


def test_pictures_may_have_colours():
    X = np.random.RandomState(0).uniform(0, 255, (3, 6, 5, 3))
    display = ReconstructionDisplay.from_predictions(X, X + 1)
    both, errors = (image.get_array() for image in display.images_)
    assert both.shape[2] == 4
    np.testing.assert_allclose(both[:6, :5, :3], (X[0] - X.min()) / np.ptp(X))
    np.testing.assert_allclose(errors[:6, :5], 1)


@pytest.mark.parametrize("n_values", [1, 4])
def test_sequences_are_lines(n_values):
    random = np.random.RandomState(0)
    X = np.sin(np.linspace(0, 6, 20) + random.uniform(0, 6, (40, 1)))[:, :, None] * np.ones(n_values)
    network = Recurrent(20, hidden_size=4)
    model = skae.AutoencoderTransformer(2, network=network, max_iter=1, random_state=0).fit(X)
    display = from_estimator(model, X, rows=[1, 3])
    assert len(display.features_) == min(n_values, 3)
    feature = display.features_[0]
    np.testing.assert_allclose(display.lines_[2].get_ydata(), X[3, :, feature])
    np.testing.assert_allclose(display.lines_[3].get_ydata(), model.reconstruct(X[[1, 3]])[1, :, feature])
    assert from_estimator(model, X).figure_.axes


def test_tables_are_in_deviations(on_iris, iris):
    display = from_estimator(on_iris, iris.data, rows=[2, 100])
    X, back, error = (np.ma.filled(image.get_array(), np.nan) for image in display.images_)
    mean, deviation = iris.data.mean().to_numpy(), iris.data.std(ddof=0).to_numpy()
    np.testing.assert_allclose(X, (iris.data.to_numpy()[[2, 100]] - mean) / deviation)
    np.testing.assert_allclose(back - X, error, atol=1e-12)
    labels = [label.get_text() for label in display.axes_.flat[-1].get_xticklabels()]
    assert labels == list(iris.data.columns)
    assert display.axes_.shape == (1, 3)


def test_wide_tables_show_their_worst_columns(on_wide, wide):
    display = from_estimator(on_wide, wide)
    assert display.axes_.shape == (3, 1)
    assert display.images_[0].get_array().shape == (30, 40)
    Z = on_wide[0].transform(wide)[np.unique(np.linspace(0, 99, 30).round().astype(int))]
    squared = ((on_wide[1].reconstruct(Z) - Z) ** 2).mean(axis=0)
    assert set(display.features_) == set(np.argsort(-squared)[:40])
    assert "40 of 300 columns, those with the largest errors" in display.axes_[0, 0].get_title()


def test_tables_may_hold_text_and_gaps(on_mixed, mixed):
    display = from_estimator(on_mixed, mixed, rows=[3, 4, 5])
    X = np.ma.filled(display.images_[0].get_array(), np.nan)
    np.testing.assert_array_equal(np.isnan(X), mixed.iloc[[3, 4, 5]].isna())


def test_several_axes_of_the_users_are_used(on_iris, iris, ax):
    axes = Figure().subplots(3, 1)
    assert (from_estimator(on_iris, iris.data, ax=axes).axes_.ravel() == axes).all()
    with pytest.raises(ValueError, match="draws 3 panels here, but ax holds 2 axes"):
        from_estimator(on_iris, iris.data, ax=axes[:2])
    free = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    assert from_estimator(on_iris, iris.data, ax=free).figure_ is free.figure
    assert from_estimator(on_iris, iris.data, ax=ax).ax_ is not ax


def test_frames_of_predictions_keep_their_names(iris):
    X = iris.data.set_axis([f"flower {number}" for number in range(150)])
    display = ReconstructionDisplay.from_predictions(X, X + 1, rows=2)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["flower 0", "flower 149"]


def test_mistakes_are_told(on_iris, iris):
    with pytest.raises(ValueError, match=r"image_shape=\(8, 8\) holds 64 values, but rows have 4"):
        from_estimator(on_iris, iris.data, image_shape=(8, 8))
    with pytest.raises(ValueError, match="kind must be 'auto', 'images', 'table' or 'sequences'; got 'line'"):
        from_estimator(on_iris, iris.data, kind="line")
    with pytest.raises(ValueError, match="images need image_shape"):
        from_estimator(on_iris, iris.data, kind="images")
    for rows, message in ((0, "at least 1"), ([200], "0 to 149; got 200"), ([], "list of positions")):
        with pytest.raises(ValueError, match=message):
            from_estimator(on_iris, iris.data, rows=rows)
    with pytest.raises(ValueError, match="they must be equal"):
        ReconstructionDisplay.from_predictions(np.eye(2), np.eye(3))

    class OneWay:
        def transform(self, X):
            return X

    with pytest.raises(TypeError, match="needs an estimator with inverse_transform; got OneWay"):
        from_estimator(OneWay(), iris.data)
    with pytest.raises(TypeError, match="needs an estimator with transform; got object"):
        from_estimator(object(), iris.data)
