"""Columns of one kind: what is inside, and the way back."""

import numpy as np
import pandas as pd
import pytest

from skae.tables.kinds import Categories, Numbers, make_column, ordered, types_in

NAN = np.nan


def made(values, kind=None, dtype=None, handle_unknown="missing"):
    return make_column(pd.Series(values, dtype=dtype), kind, handle_unknown, "the column")


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "width"),
    [
        ([1.0, 2.0], None, "numeric", 1),
        ([0, 1, 1], None, "numeric", 1),
        ([True, False], None, "binary", 1),
        ([True, None], "boolean", "binary", 1),
        ([1, None], "Int8", "numeric", 1),
        (["a", "b", "a"], None, "binary", 1),
        (["a", "b", "c"], None, "categorical", 3),
        (["a", "a"], None, "categorical", 1),
        ([1, "a"], object, "binary", 1),
        ([1, 2.5], object, "numeric", 1),
        ([True, None, False], object, "binary", 1),
        ([None, None], object, "numeric", 1),
        ([None, None], "string", "categorical", 1),
        ([1, 2, 3], "category", "categorical", 3),
        ([1, 2, 2], "category", "binary", 1),
    ],
)
def test_what_a_column_is_goes_by_its_dtype(values, dtype, kind, width):
    column = made(values, dtype=dtype)
    assert (column.kind, column.width) == (kind, width)


@pytest.mark.parametrize(("kind", "width"), [("numeric", 1), ("count", 1), ("binary", 1), ("categorical", 2)])
def test_a_kind_that_is_said_is_believed(kind, width):
    column = made([0, 1, 1], kind)
    assert (column.kind, column.width) == (kind, width)


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "error", "message"),
    [
        (pd.to_datetime(["2020-01-01"]), None, None, TypeError, "'the column' holds dates or times"),
        ([[1], [2]], object, None, TypeError, "'the column' holds values of type list"),
        ([[1], [2]], object, "categorical", TypeError, "'the column' holds values that cannot be categories"),
        ([1j], object, None, TypeError, "of type complex"),
        (["a", "b"], None, "numeric", ValueError, "'the column' holds numbers in training, and here"),
        ([-1, 2], None, "count", ValueError, "holds counts, but it holds -1"),
        ([0.5, 2], None, "count", ValueError, "holds counts, but it holds 0.5"),
        ([1, 2, 3], None, "binary", ValueError, r"is binary, but it holds 3 values: \[1, 2, 3\]"),
        (range(256), None, "categorical", ValueError, "holds 256 different values, e.g. 0; more than 255"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_the_column(values, dtype, kind, error, message):
    with pytest.raises(error, match=message):
        made(values, kind, dtype)
    assert made(range(255), "categorical").width == 255


def test_numbers_lie_inside_as_they_are():
    column = made([1.5, NAN, 3.0])
    np.testing.assert_array_equal(column.encode(pd.Series([2.5, NAN])), [[2.5], [NAN]])
    np.testing.assert_array_equal(column.decode(np.array([[2.4], [3.0]])), [2.4, 3.0])
    assert not column.unknown(pd.Series([9.0, NAN])).any()
    assert column.unknown(pd.Series([9.0, NAN])).shape == (2,)
    with pytest.raises(ValueError, match="here something else"):
        column.encode(pd.Series(["a"]))


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], None, [2.0, 3.0]),
        ([1, 2], object, [2, 3]),
        ([1, 2.5], object, [2.4, 2.6]),
        ([1, None], object, [2, 3]),
        ([1, None], "Int8", [2.0, 3.0]),
    ],
)
def test_whole_numbers_come_back_whole(values, dtype, expected):
    found = made(values, dtype=dtype).decode(np.array([[2.4], [2.6]]))
    assert found.tolist() == expected
    assert [type(one) for one in found.tolist()] == [type(one) for one in expected]


def test_counts_lie_inside_as_logarithms():
    column = made([0, 3], "count")
    inside = column.encode(pd.Series([0, 7, -2, None]))
    np.testing.assert_allclose(inside, [[0], [np.log(8)], [0], [NAN]])
    np.testing.assert_allclose(column.decode(np.array([[0.0], [np.log(8)]])), [0, 7])
    assert np.isfinite(column.decode(np.array([[1e9]]))).all()


def test_two_values_are_zero_and_one():
    column = made(["no", "yes", None])
    np.testing.assert_array_equal(
        column.encode(pd.Series(["yes", None, "no", "other"])), [[1], [NAN], [0], [NAN]]
    )
    assert column.unknown(pd.Series(["yes", None, "no", "other"])).tolist() == [False, False, False, True]
    assert column.decode(np.array([[0.49], [0.5], [1.7]])).tolist() == ["no", "yes", "yes"]


def test_more_values_have_a_column_each():
    column = made(["b", "a", "c", None])
    expected = [[0, 0, 1], [1, 0, 0], [NAN] * 3, [NAN] * 3]
    np.testing.assert_array_equal(column.encode(pd.Series(["c", "a", None, "other"])), expected)
    assert column.decode(np.array([[0.1, 0.5, 0.4], [0.9, 0.0, 0.1]])).tolist() == ["b", "a"]


def test_unknown_categories_may_be_errors():
    column = made(["a", "b", "c"], handle_unknown="error")
    with pytest.raises(ValueError, match="'the column' holds 'other', which training has not seen; it knows"):
        column.encode(pd.Series(["a", "other"]))
    assert np.isnan(column.encode(pd.Series([None], dtype=object))).all()


def test_categories_that_a_dtype_names_keep_its_order_and_are_left_out_where_no_row_holds_them():
    column = made(pd.Categorical(["x", "b"], categories=["x", "never", "b"]))
    assert column.levels == ["x", "b"]
    assert column.decode(np.array([[0.0], [1.0]])).tolist() == ["x", "b"]


@pytest.mark.parametrize(
    ("values", "dtype"), [([1, 2, 3], int), ([1.5, 2.5, 3.5], float), ([True, False], bool)]
)
def test_categories_that_are_numbers_come_back_as_numbers(values, dtype):
    column = Categories(set(values), np.dtype(dtype), False, "missing", "x")
    found = column.decode(np.eye(len(values)))
    assert found.dtype == dtype
    assert found.tolist() == sorted(values)


def test_a_column_without_any_value_comes_back_as_nothing():
    column = Categories(set(), np.dtype(object), False, "missing", "x")
    assert (column.width, column.levels) == (1, [])
    assert column.decode(np.ones((2, 1))).tolist() == [None, None]
    np.testing.assert_array_equal(column.encode(np.array([None, "a"], dtype=object)), [[NAN], [NAN]])


def test_types_of_what_stands_for_something():
    values = np.array([1, "a", None, pd.NA, np.nan, True], dtype=object)
    assert types_in(values) == {int, str, bool, float}
    assert types_in(np.array([None, pd.NaT], dtype=object)) == set()


def test_values_are_sorted_within_their_types():
    assert ordered({"b", 2, "a", 1}) == [1, 2, "a", "b"]
    assert ordered({2j, 1j}) == [1j, 2j]


def test_numbers_that_are_categories_must_be_numbers():
    Numbers(np.array([1, 2], dtype=object), pd.CategoricalDtype([1, 2]), False, "x")
    with pytest.raises(ValueError, match="Column 'x' holds numbers in training"):
        Numbers(np.array([], dtype=object), pd.CategoricalDtype(["a"]), False, "x")
