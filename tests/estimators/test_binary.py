"""What a user of BinaryAutoencoderTransformer may rely on."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skae import BinaryAutoencoderTransformer


def precision(train, test, y_train, y_test, n_neighbors=50):
    search = NearestNeighbors(metric="hamming", algorithm="brute", n_neighbors=n_neighbors).fit(train)
    return (y_train[search.kneighbors(test)[1]] == y_test[:, None]).mean()


@pytest.mark.slow
def test_neighbours_by_bits_are_of_one_kind_more_often_than_by_signs_of_pca():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    model = BinaryAutoencoderTransformer(32, random_state=0, max_iter=40).fit(X[:1300])
    pca = PCA(32, random_state=0).fit(X[:1300])
    ours, theirs = (
        precision(code(X[:1300]), code(X[1300:]), y[:1300], y[1300:])
        for code in (model.transform, lambda rows: pca.transform(rows) > 0)
    )
    assert ours > theirs + 0.05


def test_bits_and_packed_bytes_say_the_same(digits):
    model = BinaryAutoencoderTransformer(19, random_state=0, max_iter=5).fit(digits)
    bits = model.transform(digits)
    assert bits.dtype == np.float64
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert model.transform(digits.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(model.bit_means_, bits.mean(axis=0), atol=0.1)
    back, names = model.inverse_transform(bits), model.get_feature_names_out()
    assert len(names) == 19
    model.set_params(packed=True)
    packed = model.transform(digits)
    assert packed.shape == (1797, 3)
    assert packed.dtype == np.uint8
    assert len(model.get_feature_names_out()) == 3
    np.testing.assert_array_equal(np.unpackbits(packed, axis=1, count=19), bits)
    np.testing.assert_allclose(model.inverse_transform(packed), back)
    with pytest.raises(ValueError, match="whole numbers from 0 to 255"):
        model.inverse_transform(np.full((2, 3), 0.5))
    # Hamming distance from bytes is what it is from bits.
    distance = np.bitwise_count(packed[0] ^ packed[1:]).sum(axis=1)
    np.testing.assert_array_equal(distance, (bits[0] != bits[1:]).sum(axis=1))


@pytest.mark.slow
def test_bits_are_balanced_and_decorrelated(digits):
    def unevenness(model):
        bits = model.transform(digits)
        bits = bits[:, bits.std(axis=0) > 0]
        correlations = np.corrcoef(bits.T)[np.triu_indices(bits.shape[1], 1)]
        return np.abs(model.bit_means_ - 0.5).mean(), np.abs(correlations).mean()

    free, held = (
        unevenness(
            BinaryAutoencoderTransformer(
                16, balance=weight, decorrelation=weight, random_state=0, max_iter=40
            ).fit(digits)
        )
        for weight in (0.0, 1.0)
    )
    assert held[0] < 0.75 * free[0]
    assert held[1] < free[1]


def test_it_explains_more_than_signs_of_pca(digits):
    model = BinaryAutoencoderTransformer(16, random_state=0, max_iter=40).fit(digits[:1300])
    # Where training starts: the affine decoder that is best for these signs.
    assert model.validation_score_ > model.validation_scores_[0] + 0.03


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"balance": -1.0}, "'balance' parameter"), ({"packed": "yes"}, "'packed' parameter")],
)
def test_bad_settings_are_told_before_training(curve, settings, message):
    with pytest.raises(ValueError, match=message):
        BinaryAutoencoderTransformer(2, **settings).fit(curve)
