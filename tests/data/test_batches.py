"""Rows that come as batches from a function or a generator."""

import numpy as np
import pandas as pd
import pytest

import skae
from skae.data import BatchRows

ROWS = np.random.default_rng(0).standard_normal((3_000, 6)) @ np.random.default_rng(1).standard_normal((6, 6))
SMALL = 2**16


def batches(size=170, rows=ROWS):
    return (rows[start : start + size] for start in range(0, len(rows), size))


def model(**settings):
    return skae.AutoencoderTransformer(2, max_iter=2, random_state=0, **settings)


@pytest.mark.parametrize("make", [lambda: batches, batches, lambda: list(batches())])
def test_batches_are_fitted_as_one_table(make):
    rows = BatchRows(make(), len(ROWS), SMALL)
    assert not rows.is_small
    np.testing.assert_array_equal(rows.load(), ROWS)
    fitted = model().fit(rows)
    assert fitted.n_samples_ == 3_000
    np.testing.assert_allclose(fitted.mean_, ROWS.mean(axis=0))
    assert fitted.score(rows) == pytest.approx(fitted.score(ROWS))
    np.testing.assert_allclose(fitted.transform(rows), fitted.transform(ROWS))


@pytest.mark.parametrize("max_bytes", [SMALL, 2**28])
@pytest.mark.parametrize(
    ("n_rows", "message"),
    [
        (3_100, "BatchRows: the batches end after batch 18 with 3000 rows, and n_rows=3100"),
        (2_000, "BatchRows: batch 12 goes beyond n_rows=2000: 2040 rows were read so far"),
    ],
)
def test_a_wrong_number_of_rows_is_refused_by_batch(n_rows, message, max_bytes):
    fitted = model().fit(ROWS)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match=message):
        fitted.fit(BatchRows(batches, n_rows, max_bytes))
    assert vars(fitted) == before
    with pytest.raises(ValueError, match=message):
        BatchRows(batches(), n_rows, max_bytes)


def test_batches_of_other_columns_are_refused():
    def wrong():
        yield ROWS[:100]
        yield ROWS[100:200, :5]

    with pytest.raises(ValueError, match="batch 2 has 5 columns, batch 1 has 6"):
        model().fit(BatchRows(wrong, 200))


def test_what_is_no_table_is_refused():
    with pytest.raises(ValueError, match="There is no batch, but n_rows=10"):
        BatchRows(iter(()), 10)
    with pytest.raises(TypeError, match="Batch 1 is a int; an array or a DataFrame"):
        BatchRows([1, 2], 10)
    with pytest.raises(ValueError, match="n_rows"):
        BatchRows(batches, 0)


def test_tables_with_text_come_from_functions():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.standard_normal(2_500), "b": random.choice(["x", "y", "z"], 2_500)})
    frame["c"] = frame["a"] + (frame["b"] == "x")

    def tables():
        return (frame[start : start + 300] for start in range(0, 2_500, 300))

    fitted = model().fit(BatchRows(tables, 2_500, SMALL))
    assert list(fitted.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(TypeError, match="batch 1 is a DataFrame. Pass a function"):
        BatchRows(tables(), 2_500)


def test_weights_belong_to_rows_in_the_order_of_batches():
    weight = np.where(np.arange(3_000) < 1_000, 3.0, 0.0)
    fitted = model().fit(BatchRows(batches, 3_000, SMALL), sample_weight=weight)
    np.testing.assert_allclose(fitted.mean_, ROWS[:1_000].mean(axis=0))
