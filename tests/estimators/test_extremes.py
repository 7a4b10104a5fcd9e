"""Values and weights near the ends of floating point: a finite answer, or a sentence."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

import skae
from skae.metrics import squared_errors, variance_explained_score

BRIEF = {"max_iter": 1, "early_stopping": False, "random_state": 0}
LARGEST = np.finfo(np.float64).max
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(440, 6))
SPARSE = csr_matrix(np.where(RANDOM.random((40, 300)) < 0.1, 1.0, 0.0))
ODD = np.arange(440) % 2 == 1


def model(**settings):
    return skae.AutoencoderTransformer(2, **BRIEF, **settings)


def extreme(value):
    rows = X.copy()
    rows[3] = value
    rows[4, 2] = -value
    return rows


WEIGHTS = {
    "far apart": np.where(ODD, 1e300, 1e-300),
    "one for all": np.arange(440) == 3,
    "one above all": np.where(np.arange(440) == 3, 1e300, 1.0),
    "above float32": np.where(ODD, 1e38, 1.0),
    "the largest": np.full(440, 1.7e308),
    "the smallest": np.full(440, 5e-324),
}


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("settings", [{}, {"scaling": "standard"}], ids=str)
@pytest.mark.parametrize("rows", [X[:40], X, np.where(X > 2.5, np.nan, X)], ids=["small", "large", "gaps"])
def test_weights_of_every_size_are_taken(weight, settings, rows):
    weight = WEIGHTS[weight][: len(rows)].astype(np.float64)
    fitted = model(**settings).fit(rows, sample_weight=weight)
    assert np.isfinite(fitted.transform(rows)).all()
    assert np.isfinite(fitted.score(rows, sample_weight=weight))


@pytest.mark.parametrize("weight", WEIGHTS)
def test_sparse_rows_take_weights_of_every_size(weight):
    weight = WEIGHTS[weight][:40].astype(np.float64)
    fitted = model().fit(SPARSE, sample_weight=weight)
    assert np.isfinite(fitted.transform(SPARSE)).all()
    assert np.isfinite(fitted.score(SPARSE, sample_weight=weight))


def test_the_unit_of_weights_does_not_matter():
    weight = np.where(ODD, 0.25, 2.5)
    codes = [model().fit(X, sample_weight=weight * unit).transform(X) for unit in (1.0, 1e200, 1e-200)]
    np.testing.assert_allclose(codes[1], codes[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(codes[2], codes[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [1e155, 1e200, 1.7e308])
@pytest.mark.parametrize(
    "learn",
    [
        lambda rows: model().fit(rows),
        lambda rows: model().partial_fit(X).partial_fit(rows),
        lambda rows: model(warm_start=True).fit(X).fit(rows),
        lambda rows: skae.DenoisingAutoencoderTransformer(2, **BRIEF).fit(X, clean=rows),
        lambda rows: skae.DenoisingAutoencoderTransformer(2, **BRIEF).fit(rows, clean=X),
    ],
    ids=["fit", "partial_fit", "warm start", "clean", "noisy"],
)
def test_no_way_of_training_takes_values_whose_squares_overflow(learn, value):
    with pytest.raises(ValueError, match=r"X holds values up to .* Divide the columns by a unit"):
        learn(extreme(value))


@pytest.mark.parametrize("value", [1e155, 1e200, 1e300])
def test_errors_that_overflow_are_the_largest_number(value):
    fitted, rows = model().fit(X), extreme(value)
    assert fitted.reconstruction_error(rows).max() == LARGEST
    assert fitted.score_samples(rows).argmin() in (3, 4)
    cells = fitted.reconstruction_error(rows, per_feature=True)
    assert np.isfinite(cells).all()
    assert np.isfinite(fitted.score(rows))
    # But for the last bit: products of matrices may sum in another order where there are more rows.
    np.testing.assert_allclose(
        fitted.reconstruction_error(rows)[5:], fitted.reconstruction_error(rows[5:]), rtol=1e-14
    )


def test_errors_of_single_numbers_are_told():
    np.testing.assert_array_equal(
        squared_errors(np.array([[1.7e308, 0.0]]), np.array([[-1.7e308, 2.0]])), [[LARGEST, 4]]
    )


@pytest.mark.parametrize("value", [1e155, 1e300])
def test_sparse_rows_whose_squares_overflow_are_refused(value):
    rows = SPARSE.copy()
    rows.data[3] = value
    fitted = model().fit(SPARSE)
    for ask in (model().fit, fitted.transform, fitted.score, fitted.score_samples):
        with pytest.raises(ValueError, match="X holds values up to"):
            ask(rows)


@pytest.mark.parametrize("unit", [1e30, 1e90, 1e-30])
def test_sparse_rows_may_be_of_any_unit(unit):
    plain, scaled = model().fit(SPARSE), model().fit(SPARSE * unit)
    assert scaled.score(SPARSE * unit) == pytest.approx(plain.score(SPARSE), abs=1e-3)


def test_rows_without_variance_have_a_score():
    empty = csr_matrix((40, 300))
    assert model().fit(empty).score(empty) == 1.0
    assert model().fit(empty).score(SPARSE) < 1.0
    weight = np.zeros(40)
    weight[3] = 1.0
    assert variance_explained_score(X[:40], X[:40], mean=X[3], sample_weight=weight) == 1.0


def test_codes_of_float32_that_overflow_in_units_of_the_data_are_refused():
    fitted = model().fit((1e3 * X).astype(np.float32))
    with pytest.raises(ValueError, match="overflowed float32"):
        fitted.inverse_transform(np.full((2, 2), 1e37, dtype=np.float32))


@pytest.mark.parametrize("scaling", ["none", "standard", "robust"])
@pytest.mark.parametrize("has_text", [False, True])
def test_values_that_overflow_a_scaler_are_told_as_such(scaling, has_text):
    rows = pd.DataFrame(extreme(1e200)).rename(columns=str)
    # A column without any other value, which would be left with none.
    rows["6"] = np.where(np.arange(440) == 3, 1e200, 1.0)
    rows = rows.assign(town=np.where(ODD, "Rome", "Oslo")) if has_text else rows
    with pytest.raises(ValueError, match=r"X holds values up to .*e\+\d+; beyond 1e\+100"):
        model(scaling=scaling).fit(rows)


def test_squares_of_sparse_rows_in_single_precision_are_added_up_in_double():
    rows = SPARSE.astype(np.float32) * np.float32(1e25)
    fitted = model().fit(SPARSE.astype(np.float32))
    assert fitted.score(rows) == pytest.approx(fitted.score(rows.astype(np.float64)), rel=1e-3)
