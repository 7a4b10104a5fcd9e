import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA, TruncatedSVD

from skae import AutoencoderTransformer
from skae.inspection import LatentFeatureDisplay, latent_feature_importances


class Known:
    """Codes that are known: the first column, the sum of the others, and nothing."""

    def transform(self, X):
        X = np.asarray(X)
        return np.column_stack([X[:, 0], X[:, 1:].sum(axis=1), np.zeros(len(X))])


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).standard_normal((3000, 3)) * [1, 2, 0.1]


def test_shuffling_finds_what_codes_are_made_of(X):
    found = latent_feature_importances(Known(), X, random_state=0)
    assert found.shape == (3, 3)
    # A code that follows one column alone differs from a shuffled one by twice its variance.
    np.testing.assert_allclose(found[0], [2, 0, 0], atol=0.1)
    np.testing.assert_allclose(found[1], [0, 2, 0], atol=0.1)
    np.testing.assert_array_equal(found[2], 0)


def test_slopes_are_in_deviations(X):
    found = latent_feature_importances(Known(), X, "gradient", max_samples=3000)
    deviation = X.std(axis=0)
    np.testing.assert_allclose(found[0], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found[1, 1:], deviation[1:] / X[:, 1:].sum(axis=1).std())


def test_seeds_and_samples():
    X = np.random.RandomState(0).standard_normal((1_000_000, 2))
    seen = []

    class Counting:
        def transform(self, X):
            seen.append(len(X))
            return X

    first, second = (latent_feature_importances(Counting(), X, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert set(seen) == {2000}
    display = LatentFeatureDisplay.from_estimator(Counting(), X, random_state=0, max_samples=50)
    assert display.ax_.get_title() == "50 of 1,000,000 rows"


def test_the_map_shows_the_importances(on_iris, iris, ax):
    display = LatentFeatureDisplay.from_estimator(on_iris, iris.data, random_state=3, ax=ax)
    assert display.ax_ is ax
    found = latent_feature_importances(on_iris, iris.data, random_state=3)
    np.testing.assert_array_equal(display.image_.get_array(), found)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(iris.data.columns)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["component 0", "component 1"]
    assert ax.texts[0].get_text() == f"{found[0, 0]:.2f}"


def test_wide_tables_show_what_matters_most(on_wide, wide):
    found = latent_feature_importances(on_wide, wide, "gradient")
    display = LatentFeatureDisplay.from_estimator(on_wide, wide, method="gradient")
    assert found.shape == (3, 300)
    assert set(display.features_) == set(np.argsort(-found.max(axis=0))[:40])
    assert display.ax_.get_title() == "40 of 300 columns, those that matter most; 100 rows"
    assert "sensor" in display.ax_.get_xticklabels()[0].get_text()


def test_loadings_are_those_of_the_estimator(on_iris, iris, ax):
    display = LatentFeatureDisplay.from_estimator(on_iris, iris.data, method="linear", ax=ax)
    codes = on_iris.transform(iris.data)
    expected = on_iris.components_ * iris.data.to_numpy().std(axis=0) / codes.std(axis=0)[:, None]
    np.testing.assert_allclose(display.importances, expected)
    labels = [label.get_text().splitlines() for label in ax.get_yticklabels()]
    assert [name for name, _ in labels] == ["component 0", "component 1"]
    shares = [int(share.removesuffix(" % linear")) for _, share in labels]
    np.testing.assert_allclose(shares, 100 * on_iris.linearity_, atol=1)
    # Signs are shown, and nought is in the middle of the colours.
    assert display.importances.min() < 0
    assert ax.texts[0].get_text() == f"{expected[0, 0]:.2f}"
    assert display.image_.norm.vmin == -display.image_.norm.vmax


def test_loadings_of_what_is_linear_are_its_slopes(iris):
    X = iris.data.to_numpy()
    model = AutoencoderTransformer(2, encoder="linear", max_iter=5, early_stopping=False, random_state=0).fit(
        X
    )
    found = latent_feature_importances(model, X, "linear")
    np.testing.assert_allclose(abs(found), latent_feature_importances(model, X, "gradient"), atol=1e-4)
    display = LatentFeatureDisplay.from_estimator(model, X, method="linear")
    assert display.ax_.get_yticklabels()[1].get_text() == "component 1\n100 % linear"


def test_many_components_are_cut():
    display = LatentFeatureDisplay(np.random.RandomState(0).uniform(size=(200, 3))).plot()
    assert display.image_.get_array().shape == (30, 3)
    assert display.ax_.get_title() == "the first 30 of 200 components"


def test_tables_of_several_kinds_are_shuffled(on_mixed, mixed):
    found = latent_feature_importances(on_mixed, mixed, random_state=0)
    assert found.shape == (1, 3)
    with pytest.raises(ValueError, match="column 1 holds text. Use method='permutation'"):
        latent_feature_importances(on_mixed, mixed, "gradient")
    with pytest.raises(ValueError, match="Use method='gradient', or 'permutation' for text"):
        latent_feature_importances(on_mixed, mixed, "linear")


@pytest.mark.parametrize("method", ["permutation", "gradient"])
def test_tables_of_all_kinds_give_the_same(method, X):
    polars = pytest.importorskip("polars")
    X = X[:200]
    expected = latent_feature_importances(PCA(2).fit(X), X, method, random_state=0)
    frame = polars.DataFrame(X, schema=["a", "b", "c"])
    found = latent_feature_importances(PCA(2).fit(frame), frame, method, random_state=0)
    np.testing.assert_allclose(found, expected)
    svd = TruncatedSVD(2, random_state=0).fit(X)
    expected = latent_feature_importances(svd, X, method, random_state=0)
    np.testing.assert_allclose(
        latent_feature_importances(svd, csr_matrix(X), method, random_state=0), expected
    )


def test_mistakes_are_told(on_iris, iris):
    for options, message in (
        ({"method": "shap"}, "method must be 'permutation', 'gradient' or 'linear'; got 'shap'"),
        ({"n_repeats": 0}, "n_repeats must be a whole number of at least 1; got 0"),
        ({"max_samples": 1}, "max_samples must be a whole number of at least 2; got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            latent_feature_importances(on_iris, iris.data, **options)
    with pytest.raises(ValueError, match="this PCA does not have them"):
        latent_feature_importances(PCA(2).fit(iris.data), iris.data, "linear")
    with pytest.raises(ValueError, match="at least 2 rows"):
        latent_feature_importances(on_iris, iris.data.iloc[:1])
    with pytest.raises(ValueError, match="importances must be a table"):
        LatentFeatureDisplay(np.ones(3)).plot()
    with pytest.raises(ValueError, match="feature_names must hold 3 names; got 1"):
        LatentFeatureDisplay(np.ones((2, 3)), feature_names=["a"]).plot()
