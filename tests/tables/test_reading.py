"""From what users pass to numeric rows, by a validation as an estimator has."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skae.tables import Columns, Directions, MixedColumns, Options, read, read_target, read_training
from skae.tables import reading as module

NAN = np.nan


class Checks:
    """Validation of rows by a plain estimator."""

    owner = "Model"

    def __init__(self, weight=None):
        self.estimator, self.weight, self.is_training = BaseEstimator(), weight, True

    def __call__(self, X, **checks):
        X = validate_data(self.estimator, X, reset=self.is_training, **checks)
        self.is_training = False
        return X

    def names(self):
        names = getattr(self.estimator, "feature_names_in_", None)
        return None if names is None else list(names)

    def weights(self, n_rows):
        return self.weight


def trained(X, validate=None, min_samples=2, **options):
    validate = Checks() if validate is None else validate
    return (*read_training(X, Options(**options), validate, min_samples), validate)


NUMBERS = np.array([[1.0, 2.0], [3.0, NAN], [5.0, 9.0]])


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (NUMBERS, np.float64),
        (NUMBERS.astype(np.float32), np.float32),
        (NUMBERS.tolist(), np.float64),
        (np.nan_to_num(NUMBERS).astype(int), np.float64),
        (pd.DataFrame(NUMBERS), np.float64),
        (sp.csr_matrix(np.nan_to_num(NUMBERS)), np.float64),
    ],
)
def test_plain_numbers(X, dtype):
    columns, rows, validate = trained(X)
    assert type(columns) is Columns
    assert columns.n_features == 2
    assert rows.dtype == dtype
    np.testing.assert_allclose(np.nan_to_num(rows), np.nan_to_num(NUMBERS))
    again = read(columns, X, validate)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, rows)
    assert (columns.is_declared, columns.declares_kinds) == (False, False)
    assert columns.layout is None


def test_names_of_columns_are_kept():
    columns, _, _ = trained(pd.DataFrame(NUMBERS, columns=["a", "b"]))
    assert columns.names == ["a", "b"]
    assert trained(NUMBERS)[0].names is None


FRAME = pd.DataFrame({"a": [1.0, NAN, 3.0], "b": ["x", "y", "z"]})


def test_tables_that_hold_more_than_numbers():
    columns, rows, validate = trained(FRAME, scaling="auto")
    assert type(columns) is MixedColumns
    assert columns.names == ["a", "b"]
    # Scaled, as nobody said otherwise.
    np.testing.assert_allclose(rows[:, 0], [-1, NAN, 1])
    assert not columns.is_declared
    np.testing.assert_array_equal(read(columns, FRAME[1:], validate), rows[1:])
    unscaled = trained(FRAME, scaling="none")[1]
    np.testing.assert_allclose(unscaled[:, 0], [1, NAN, 3])
    arrays = trained(FRAME.to_numpy(), scaling="none")[1]
    np.testing.assert_array_equal(arrays, unscaled)


@pytest.mark.parametrize("X", [NUMBERS, pd.DataFrame(NUMBERS), NUMBERS.tolist()])
@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"scaling": "standard"}, ["numeric", "numeric"]),
        ({"column_types": {0: "count"}}, ["count", "numeric"]),
    ],
)
def test_what_is_declared_of_numbers(X, options, kinds):
    columns, rows, validate = trained(X, **options)
    assert columns.kinds == kinds
    assert columns.is_declared
    assert columns.declares_kinds == ("column_types" in options)
    np.testing.assert_array_equal(read(columns, X, validate), rows)


def test_weights_reach_means_and_scales():
    weight = np.array([1.0, 1.0, 2.0])
    _, rows, _ = trained(NUMBERS, Checks(weight), scaling="standard")
    assert np.average(rows[:, 0], weights=weight) == pytest.approx(0)
    assert np.average(rows[:, 0] ** 2, weights=weight) == pytest.approx(1)


@pytest.fixture
def wide():
    return sp.random(30, 300, density=0.1, random_state=0, format="csr")


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_matrix, sp.csr_array])
def test_wide_sparse_rows_become_directions(make, wide):
    columns, rows, validate = trained(make(wide), n_components=3)
    assert type(columns) is Directions
    assert rows.shape == (30, 30)
    np.testing.assert_allclose(columns.decode(rows), wide.toarray(), atol=1e-5)
    np.testing.assert_allclose(read(columns, make(wide), validate), rows, atol=1e-6)
    np.testing.assert_allclose(read(columns, wide.toarray(), validate), rows, atol=1e-5)
    narrow = trained(make(wide[:, :256]))[0]
    assert type(narrow) is Columns


@pytest.mark.parametrize(
    "options", [{"scaling": "standard"}, {"column_types": {0: "count"}}, {"column_types": {}}]
)
def test_nothing_can_be_said_of_the_columns_of_wide_sparse_rows(options, wide):
    with pytest.raises(ValueError, match="A sparse table is read through its leading directions"):
        trained(wide, **options)


def test_sparse_rows_may_be_read_by_columns_of_dense_ones():
    rows = np.nan_to_num(NUMBERS)
    columns, inside, validate = trained(rows)
    np.testing.assert_array_equal(read(columns, sp.csr_matrix(rows), validate), inside)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((3, 2), NAN), "X holds no value at all"),
        (pd.DataFrame({"a": [None, None]}, dtype="string"), "X holds no value at all"),
        (NUMBERS[:1], "minimum of 2"),
        (FRAME[:1], "minimum of 2"),
        (sp.csr_matrix(NUMBERS[:1]), "minimum of 2"),
        (sp.csr_matrix((1, 300)), "minimum of 2"),
        (NUMBERS[0], "Expected 2D array, got 1D"),
        (np.array([[1.0, np.inf], [np.inf, np.inf]]), r"Infinite values by column: 0 \(1\), 1 \(2\)\."),
        (pd.DataFrame({"one": [1.0, np.inf], "two": [1.0, 2.0]}), r"by column: one \(1\)\."),
        (pd.DataFrame({"one": [1.0, np.inf], "two": ["a", "b"]}), "contains infinity"),
        ([[10**400, 1], [1, 1]], "too large for float64"),
    ],
)
def test_what_cannot_be_read_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        trained(X)


def test_columns_that_are_infinite_are_listed_up_to_ten():
    with pytest.raises(ValueError, match=r"9 \(2\), \.\.\.\. Drop these rows"):
        trained(np.full((2, 12), np.inf))
    with pytest.raises(ValueError, match=r"9 \(2\)\. Drop these rows"):
        trained(np.full((2, 10), np.inf))


def test_one_row_is_enough_later_and_columns_are_those_of_training():
    columns, rows, validate = trained(NUMBERS)
    np.testing.assert_array_equal(read(columns, NUMBERS[:1], validate), rows[:1])
    with pytest.raises(ValueError, match="minimum of 2"):
        read(columns, NUMBERS[:1], validate, min_samples=2)
    with pytest.raises(ValueError, match="3 features"):
        read(columns, np.ones((2, 3)), validate)
    with pytest.raises(ValueError, match="X holds text, but Model was fitted on numbers alone"):
        read(columns, [["a", "b"]], validate)
    columns, _, validate = trained(FRAME)
    with pytest.raises(ValueError, match="contains infinity"):
        read(columns, FRAME.assign(a=np.inf), validate)


class Pairs:
    def to_rows(self, X):
        return X.reshape(len(X), -1)

    def from_rows(self, rows, shape):
        return rows.reshape(-1, *shape)


def test_images_are_read_flat():
    images = np.arange(12.0).reshape(3, 2, 2)
    columns, rows, validate = trained(images, architecture=Pairs())
    assert rows.shape == (3, 4)
    np.testing.assert_array_equal(columns.as_read(rows), images)
    np.testing.assert_array_equal(read(columns, images[:1], validate), rows[:1])
    np.testing.assert_array_equal(read(columns, rows, validate), rows)
    flat, _, _ = trained(rows, architecture=Pairs())
    assert flat.as_read(rows) is rows
    scaled, inside, _ = trained(images, architecture=Pairs(), scaling="standard")
    np.testing.assert_allclose(scaled.as_read(inside), images, atol=1e-12)


def test_clean_rows_belong_to_those_that_the_encoder_sees():
    columns, rows, _ = trained(NUMBERS.astype(np.float32))
    target = read_target(columns, NUMBERS + 1, rows)
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target, NUMBERS + 1)
    with pytest.raises(ValueError, match=r"clean has shape \(2, 2\), X has \(3, 2\)"):
        read_target(columns, NUMBERS[:2], rows)
    with pytest.raises(ValueError, match="clean"):
        read_target(columns, NUMBERS * np.inf, rows)
    columns, rows, _ = trained(FRAME)
    clean = FRAME.assign(a=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(read_target(columns, clean, rows)[:, 0], [1, 2, 3])
    np.testing.assert_allclose(read_target(columns, clean.to_numpy().tolist(), rows)[:, 0], [1, 2, 3])


@pytest.mark.parametrize("min_samples", [1, 2])
def test_tables_are_validated_for_an_estimator_that_passes_them_on(min_samples):
    for X, kind in ((sp.csc_matrix(np.eye(2)), "csr"), (np.eye(2, dtype=int), "array"), (FRAME, "frame")):
        found = module.read_table(X, Checks(), min_samples)
        if kind == "csr":
            assert found.format == "csr"
            assert found.dtype == np.float64
        elif kind == "array":
            assert found.dtype == np.float64
        else:
            assert found is FRAME
        if min_samples == 2:
            with pytest.raises(ValueError, match="minimum of 2"):
                module.read_table(X[:1], Checks(), min_samples)
    gaps = module.read_table(NUMBERS, Checks())
    np.testing.assert_array_equal(gaps, NUMBERS)
    with pytest.raises(ValueError, match="infinity"):
        module.read_table(NUMBERS * np.inf, Checks())
    with pytest.raises(ValueError, match="2-dimensional"):
        module.read_table(FRAME["b"], Checks())


@pytest.mark.parametrize(
    ("column_types", "kinds"),
    [("auto", False), ({}, False), ({"a": "numeric"}, False), ({"a": "numeric", "b": "count"}, True)],
)
def test_kinds_that_are_declared(column_types, kinds):
    assert module.declares_kinds(column_types) is kinds


@pytest.mark.parametrize(
    ("X", "more"),
    [
        (np.ones((2, 2)), False),
        (np.array([["a"]]), True),
        (np.array([[1, "a"]], dtype=object), True),
        (np.array([[1, None]], dtype=object), False),
        (np.array([["a"], ["b"]], dtype=object)[:, 0], False),
        (np.array([[np.datetime64("2020")]], dtype=object), True),
        (pd.DataFrame({"a": [1], "b": [2.0]}), False),
        (pd.DataFrame({"a": [1], "b": ["x"]}), True),
        (pd.DataFrame({"a": pd.Categorical([1])}), True),
        ([[1, 2]], False),
    ],
)
def test_rows_that_hold_more_than_numbers(X, more):
    assert module.is_more(X) is more


def test_arrays_of_dates_are_refused():
    for dtype in ("M8[D]", "m8[D]"):
        with pytest.raises(TypeError, match="X holds dates or times"):
            module.is_more(np.zeros((2, 1), dtype))
