"""Sparse rows: narrow ones are as good as dense, wide ones are never dense."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.decomposition import PCA

import skae
from skae.metrics import variance_explained_score

BRIEF = {"max_iter": 10, "validation_fraction": 0.2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def words():
    """300 documents of 1,000 words, mostly zeros, about five topics."""
    random = np.random.RandomState(0)
    topics = random.gamma(0.05, 1, (5, 1000))
    mixture = random.dirichlet(np.full(5, 0.3), 300)
    counts = random.poisson(60 * mixture @ (topics / topics.sum(axis=1, keepdims=True)))
    return scipy.sparse.csr_array(counts.astype(float))


VARIANTS = {
    "plain": skae.AutoencoderTransformer(5, **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(5, corruption="gaussian", **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(5, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(5, **BRIEF),
    "adversarial": skae.AdversarialAutoencoderTransformer(5, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(8, **BRIEF),
    "topk": skae.SparseAutoencoderTransformer(20, n_active=4, **BRIEF),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_wide_sparse_rows(name, words):
    model = VARIANTS[name].fit(words)
    codes = model.transform(words)
    assert codes.shape == (300, model.n_components_)
    assert model.n_features_in_ == 1000
    np.testing.assert_allclose(model.transform(words.tocsc()), codes, atol=1e-9)
    np.testing.assert_allclose(model.transform(words.toarray()), codes, atol=1e-6)
    np.testing.assert_allclose(model.transform(words[7:8]), codes[7:8], atol=1e-9)
    assert model.inverse_transform(codes).shape == (300, 1000)
    assert model.transform(words.astype(np.float32)).dtype == np.float32


def test_scores_are_those_of_the_columns(words):
    model = skae.AutoencoderTransformer(5, **BRIEF).fit(words)
    back, dense = model.reconstruct(words), words.toarray()
    errors = np.square(dense - back)
    np.testing.assert_allclose(model.reconstruction_error(words), errors.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(model.reconstruction_error(words, per_feature=True), errors)
    assert model.score(words) == pytest.approx(variance_explained_score(dense, back), abs=1e-4)


def test_it_starts_at_the_pca_of_the_columns(words):
    still = {"max_iter": 1, "early_stopping": False, "learning_rate_init": 1e-9}
    model = skae.AutoencoderTransformer(5, random_state=0, **still).fit(words)
    dense = words.toarray()
    pca = PCA(5).fit(dense)
    expected = variance_explained_score(dense, pca.inverse_transform(pca.transform(dense)))
    assert model.score(words) == pytest.approx(expected, abs=2e-3)


def test_narrow_rows_are_as_good_as_dense(words):
    narrow = words[:, :200]
    sparse = skae.AutoencoderTransformer(5, **BRIEF).fit(narrow)
    dense = skae.AutoencoderTransformer(5, **BRIEF).fit(narrow.toarray())
    np.testing.assert_array_equal(sparse.transform(narrow), dense.transform(narrow.toarray()))


def test_weights_and_parts(words):
    weight = np.repeat([3, 1], 150)
    weighted = skae.AutoencoderTransformer(5, **BRIEF).fit(words, sample_weight=weight)
    plain = skae.AutoencoderTransformer(5, **BRIEF).fit(words)
    heavy = [model.reconstruction_error(words)[:150].mean() for model in (weighted, plain)]
    assert heavy[0] < heavy[1]
    model = skae.AutoencoderTransformer(5, random_state=0)
    for start in (0, 100, 200):
        model.partial_fit(words[start : start + 100])
    assert model.transform(words).shape == (300, 5)


def test_wide_rows_are_never_dense(words):
    class Watched(scipy.sparse.csr_array):
        def toarray(self, *args, **kwargs):
            raise AssertionError("made dense")

        todense = toarray

    rows = Watched(words)
    model = skae.AutoencoderTransformer(5, **BRIEF).fit(rows)
    model.transform(rows)
    model.score(rows)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (skae.AutoencoderTransformer(2, scaling="standard"), "no columns inside that scaling"),
        (skae.AutoencoderTransformer(2, column_types={0: "count"}), "no columns inside that scaling"),
        (skae.AutoencoderTransformer(2, loss="poisson"), "needs values in"),
        (
            skae.DenoisingAutoencoderTransformer(2, corruption_level={3: 0.5}),
            "cannot be told apart by column",
        ),
    ],
)
def test_what_needs_columns_is_refused(words, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(words)


def test_sparse_rows_have_nothing_missing(words):
    model = skae.VariationalAutoencoderTransformer(2, **BRIEF).fit(words)
    with pytest.raises(TypeError, match="A sparse table has no gaps to draw"):
        model.sample_missing(words)


def test_sparse_gaps_are_refused(words):
    rows = words.copy()
    rows.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        skae.AutoencoderTransformer(2).fit(rows)
