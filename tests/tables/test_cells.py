"""Cells of tables: what is missing, what is a number, and how gaps are filled."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skae.tables import cells

NAT = np.datetime64("NaT")


@pytest.mark.parametrize(
    "value", [None, np.nan, float("nan"), np.float32("nan"), pd.NA, pd.NaT, Decimal("NaN"), NAT]
)
def test_values_that_stand_for_nothing(value):
    assert cells.is_missing(value) is True


@pytest.mark.parametrize(
    "value",
    [0, 0.0, "", "nan", False, Decimal(0), np.inf, np.float32(1), np.datetime64("2020-01-01"), [], "None"],
)
def test_values_that_stand_for_something(value):
    assert cells.is_missing(value) is False


@pytest.mark.parametrize(
    ("kind", "is_real"),
    [
        *((kind, True) for kind in (int, float, bool, np.bool_, np.int8, np.float32, Decimal)),
        *((kind, False) for kind in (str, complex, datetime.date, np.datetime64, np.timedelta64, list)),
    ],
)
def test_types_of_numbers(kind, is_real):
    assert cells.is_real(kind) is is_real


def test_tables_whose_cells_can_be_filled():
    frame = pd.DataFrame({"a": [1, 2]})
    assert cells.as_dense(frame) is frame
    assert cells.as_dense(sp.eye(3)) is None
    for dtype in (np.float32, np.float64):
        assert cells.as_dense(np.ones((2, 1), dtype)).dtype == dtype
    assert cells.as_dense(np.ones((2, 3), int)).dtype == np.float64
    assert cells.as_dense([[1, None]]).tolist()[0][0] == 1.0
    assert np.isnan(cells.as_dense([[1, None]])[0, 1])
    assert cells.as_dense(np.array([["a", "b"]])).dtype.kind == "U"
    assert cells.as_dense(np.array([["a", 1.0]], dtype=object)).dtype == object


def test_objects_become_numbers():
    values = np.array([1, True, None, pd.NA, Decimal("2.5"), "3.5", np.float32(4)], dtype=object)
    np.testing.assert_array_equal(cells.as_numbers(values), [1, 1, np.nan, np.nan, 2.5, 3.5, 4])
    assert cells.as_numbers(np.array([1, 2], np.int8)).dtype == np.float64


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (datetime.date(2020, 1, 1), TypeError, "date is no number"),
        (np.timedelta64(1, "s"), TypeError, "timedelta64 is no number"),
        (1j, TypeError, "complex is no number"),
        (10**400, ValueError, "too large for float64"),
        ("one", ValueError, "could not convert"),
    ],
)
def test_what_is_no_number_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        cells.as_numbers(np.array([1.0, value], dtype=object))


def test_records_are_refused_by_their_fields():
    with pytest.raises(TypeError, match="fields a, b is no number"):
        cells.as_numbers(np.zeros(2, dtype=[("a", int), ("b", float)]))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, 2]), np.array([1, 2])),
        (pd.Series([1, None], dtype="Int8"), np.array([1, np.nan])),
        (pd.Series([True, None], dtype="boolean"), np.array([1, np.nan])),
        (pd.Series(["a", None], dtype=object), np.array(["a", None], dtype=object)),
        (pd.Series([1, 2], dtype="category"), np.array([1, 2], dtype=object)),
    ],
)
def test_values_of_columns(column, expected):
    found = cells.values_of(column)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_cells_of_frames_and_arrays_that_are_missing():
    frame = pd.DataFrame(
        {
            "float": [1.0, np.nan, 2.0],
            "nullable": pd.array([None, 1, 2], dtype="Int64"),
            "text": ["a", None, "c"],
            "category": pd.Categorical(["x", "y", None]),
        }
    )
    # A division leaves NaN in a nullable column, which pandas does not call missing.
    above, below = (pd.Series([0.0, 1.0, last], dtype="Float64") for last in (None, 1.0))
    frame["divided"] = above / below
    expected = [
        [False, True, False, False, True],
        [True, False, True, False, False],
        [False, False, False, True, True],
    ]
    assert cells.missing_cells(frame).tolist() == expected
    assert cells.missing_cells(np.array([[1.0, np.nan]])).tolist() == [[False, True]]
    assert cells.missing_cells(np.array([[1, None, "a"]], dtype=object)).tolist() == [[False, True, False]]
    for values in ([[1, 2]], [["a", "nan"]], [[True, False]]):
        assert not cells.missing_cells(np.array(values)).any()


def test_values_that_mark_gaps_in_arrays():
    table = np.array([[1.0, -1.0], [np.nan, 2.0]])
    np.testing.assert_array_equal(cells.with_gaps(table, -1), [[1, np.nan], [np.nan, 2]])
    np.testing.assert_array_equal(cells.with_gaps(table, np.nan), table)
    np.testing.assert_array_equal(cells.with_gaps(table, "?"), table)
    np.testing.assert_array_equal(cells.with_gaps(table, 10**400), table)
    assert table[0, 1] == -1
    text = cells.with_gaps(np.array([["a", "?"]]), "?")
    assert text.dtype == object
    assert text[0, 0] == "a"
    assert np.isnan(text[0, 1])
    mixed = cells.with_gaps(np.array([["a", None, 1]], dtype=object), 1)
    assert mixed[0, :2].tolist() == ["a", None]
    assert np.isnan(mixed[0, 2])


def test_values_that_mark_gaps_in_frames():
    frame = pd.DataFrame(
        {"whole": [1, -1], "small": np.array([1, 2], np.uint8), "truth": [True, False], "text": ["-1", "a"]},
        index=["x", "y"],
    )
    found = cells.with_gaps(frame, -1)
    assert found.dtypes.astype(str).to_dict() | {"text": ""} == {
        "whole": "Int64",
        "small": "uint8",
        "truth": "bool",
        "text": "",
    }
    assert found["whole"].isna().tolist() == [False, True]
    assert found["text"].tolist() == ["-1", "a"]
    assert list(found.index) == ["x", "y"]
    assert frame["whole"].tolist() == [1, -1]
    assert cells.with_gaps(frame, None) is frame
    assert cells.with_gaps(frame, 2)["small"].dtype == "UInt8"
    assert cells.with_gaps(frame, True)["truth"].dtype == "boolean"
    assert cells.with_gaps(frame, "a")["text"].isna().tolist() == [False, True]


def test_gaps_of_arrays_are_filled_in_their_dtype():
    table, decoded = np.array([[1.0, np.nan]], np.float32), np.array([[5.0, 6.0]])
    found = cells.fill(table, decoded)
    assert found.dtype == np.float32
    assert found.tolist() == [[1.0, 6.0]]
    found = cells.fill(table, np.array([["a", "b"]], dtype=object))
    assert found.tolist() == [[1.0, "b"]]
    assert cells.fill(table, pd.DataFrame([[5.0, 6.0]])).tolist() == [[1.0, 6.0]]


def test_gaps_of_frames_are_filled_in_the_dtypes_of_their_columns():
    frame = pd.DataFrame(
        {
            "float": [1.0, np.nan],
            "nullable": pd.array([None, 2], dtype="Int64"),
            "text": pd.array(["a", None], dtype="string"),
            "category": pd.Categorical([None, "x"], categories=["x"]),
            "whole": [1, 2],
            "object": np.array([1, None], dtype=object),
            "sparse": pd.arrays.SparseArray([0.0, np.nan]),
        },
        index=[5, 7],
    )
    decoded = pd.DataFrame(
        {
            "float": [8.0, 9.0],
            "nullable": [8.4, 9.0],
            "text": ["p", "q"],
            "category": ["z", "x"],
            "whole": [8, 9],
            "object": [8, 9],
            "sparse": [8.0, 9.0],
        }
    ).set_axis([5, 7])
    found = cells.fill(frame, decoded)
    assert list(found.index) == [5, 7]
    assert list(found.columns) == list(frame.columns)
    assert found["float"].tolist() == [1.0, 9.0]
    assert found["nullable"].tolist() == [8, 2]
    assert found["text"].tolist() == ["a", "q"]
    assert found["category"].tolist() == ["z", "x"]
    assert found["whole"].tolist() == [1, 2]
    assert found["object"].tolist() == [1, 9]
    assert found["sparse"].tolist() == [0.0, 9.0]
    for name in ("float", "nullable", "text", "whole", "object", "sparse"):
        assert found[name].dtype == frame[name].dtype, name
    assert frame["float"].isna().tolist() == [False, True]
    rows = cells.fill(frame[["float", "nullable"]], np.array([[8.0, 9.0], [8.0, 9.0]]))
    assert rows.tolist() == [[1.0, 9.0], [8.0, 2.0]]


def test_columns_that_hold_nothing_take_the_dtype_of_what_fills_them():
    frame = pd.DataFrame({"none": [np.nan, np.nan], "some": [np.nan, 1.0]}, index=[3, 4])
    decoded = pd.DataFrame({"none": ["a", "b"], "some": ["a", "b"]}, index=[3, 4])
    found = cells.fill(frame, decoded)
    assert found["none"].tolist() == ["a", "b"]
    assert found["some"].tolist() == ["a", 1.0]


def test_frames_are_joined_with_the_labels_of_another():
    like = pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="names"), index=[9])
    columns = [pd.Series([5], index=[9]), pd.Series([6], index=[9]), pd.Series([7], index=[9])]
    found = cells.joined(columns, like, ["c"])
    assert (list(found.columns), found.columns.name, list(found.index)) == (["a", "b", "c"], "names", [9])
    assert found.to_numpy().tolist() == [[5, 6, 7]]
    assert list(cells.joined(columns[:2], like).columns) == ["a", "b"]
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]), index=[9])
    assert list(cells.joined(columns, levels, ["c"]).columns) == [("a", "x"), ("a", "y"), ("c", "")]


def test_the_index_is_that_of_the_rows():
    rows, back = pd.DataFrame([[1], [2]], index=["x", "y"]), pd.DataFrame([[3], [4]])
    assert list(cells.with_index_of(rows, back).index) == ["x", "y"]
    array = np.ones((2, 1))
    assert cells.with_index_of(array, back) is back
    assert cells.with_index_of(rows, array) is array


@pytest.mark.parametrize(
    ("dtype", "text", "plain", "number"),
    [
        (np.dtype(float), False, True, True),
        (np.dtype(bool), False, True, True),
        (np.dtype("U3"), True, False, False),
        (np.dtype(object), False, False, False),
        (np.dtype("M8[ns]"), False, False, False),
        (pd.Int8Dtype(), False, False, True),
        (pd.BooleanDtype(), False, False, True),
        (pd.StringDtype(), True, False, False),
        (pd.CategoricalDtype([1, 2]), False, False, False),
    ],
)
def test_what_dtypes_are_for(dtype, text, plain, number):
    assert (cells.is_text(dtype), cells.is_plain(dtype), cells.is_number(dtype)) == (text, plain, number)
