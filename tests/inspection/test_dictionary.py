import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.inspection import DictionaryDisplay

from_estimator = DictionaryDisplay.from_estimator


def test_pictures_are_atoms_in_the_order_of_use(sparse_on_digits, ax):
    display = from_estimator(sparse_on_digits, image_shape=(8, 8), ax=ax)
    assert display.ax_ is ax
    frequency = sparse_on_digits.activation_frequency_
    assert len(display.shown_) == 40
    assert (np.diff(frequency[display.shown_]) <= 0).all()
    atom = sparse_on_digits.components_[display.shown_[0]].reshape(8, 8)
    grid = np.ma.filled(display.image_.get_array(), np.nan)
    np.testing.assert_allclose(grid[:8, :8], atom / np.abs(atom).max())
    assert [text.get_text() for text in ax.texts[:3]] == [str(number) for number in display.shown_[:3]]
    assert ax.get_title() == "40 of 50 components, those used most"


def test_bars_are_the_largest_weights(iris):
    pca = PCA(2).fit(iris.data)
    display = from_estimator(pca)
    order = np.argsort(-np.abs(pca.components_[1]))
    widths = [bar.get_width() for bar in display.bars_[1]]
    np.testing.assert_allclose(widths, pca.components_[1][order])
    labels = [label.get_text() for label in display.axes_[0, 1].get_yticklabels()]
    assert labels == [iris.data.columns[feature] for feature in order]
    assert display.axes_[0, 0].get_xlabel() == "weight, units of X"


def test_wide_tables_show_a_few_weights(wide):
    pipeline = make_pipeline(StandardScaler(), PCA(20)).fit(wide)
    display = from_estimator(pipeline)
    assert len(display.bars_) == 12
    assert all(len(bars) == 6 for bars in display.bars_)
    assert display.axes_[-1, 0].get_xlabel() == "weight, units behind StandardScaler"
    assert display.figure_.get_suptitle() == "12 of 20 components; the 6 largest of 300 weights each"


def test_panels_without_a_component_are_hidden(sparse_on_digits):
    display = from_estimator(sparse_on_digits, n_components=5)
    assert [axis.get_visible() for axis in display.axes_.flat] == [True] * 5 + [False] * 3
    assert "% of rows" in display.axes_[0, 0].get_title()
    axes = Figure().subplots(1, 3)
    assert (from_estimator(sparse_on_digits, n_components=3, ax=axes).axes_.ravel() == axes).all()


def test_coloured_atoms_are_grey_where_they_are_zero():
    atoms = np.zeros((2, 4 * 4 * 3))
    atoms[0, 0] = -2
    display = DictionaryDisplay(atoms, image_shape=(4, 4, 3)).plot()
    grid = display.image_.get_array()
    np.testing.assert_allclose(grid[0, 0, :3], [0, 0.5, 0.5])


def test_mistakes_are_told(sparse_on_digits):
    with pytest.raises(TypeError, match="KMeans has none, as its decoder is no sum of atoms"):
        from_estimator(KMeans(2, n_init=1).fit(np.eye(3)))
    with pytest.raises(ValueError, match="n_components must be a whole number of at least 1, or None; got 0"):
        from_estimator(sparse_on_digits, n_components=0)
    with pytest.raises(ValueError, match="feature_names must hold 64 names; got 1"):
        from_estimator(sparse_on_digits, feature_names=["a"])
    with pytest.raises(ValueError, match="components must be a table"):
        DictionaryDisplay(np.ones(3)).plot()
