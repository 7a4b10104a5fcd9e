"""What was computed goes back into the dtype of its column."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from skae.tables.dtypes import cast_back, is_whole, within


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("int8", [-500.0, -1.4, 1.6, 126.6, 500.0], [-128, -1, 2, 127, 127]),
        ("uint8", [-5.0, 0.4, 254.6, 255.0, 300.0], [0, 0, 255, 255, 255]),
        ("int64", [-1e30, 2.0**62, 1e30], [-(2**63), 2**62, 2**63 - 1]),
        ("uint64", [-1.0, 2.0**63, 1e30], [0, 2**63, 2**64 - 1]),
        ("bool", [-1.0, 0.4, 0.5, 2.0], [False, False, True, True]),
        ("float32", [-1e300, 0.5, 1e300], [-3.4028234663852886e38, 0.5, 3.4028234663852886e38]),
        ("float64", [0.25], [0.25]),
    ],
)
def test_floats_are_rounded_and_clipped_to_what_a_dtype_holds(dtype, values, expected):
    found = within(np.array(values), np.dtype(dtype))
    assert found.dtype == dtype
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "whole"),
    [("int8", True), ("uint64", True), ("float32", False), ("bool", False), ("object", False)],
)
def test_dtypes_of_whole_numbers(dtype, whole):
    assert is_whole(np.dtype(dtype)) is whole
    assert is_whole(pd.Int16Dtype())
    assert not is_whole(pd.CategoricalDtype([1]))


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.dtype("int16"), np.array([1.6, 4e4]), [2, 32767]),
        (pd.Int8Dtype(), np.array([1.6, -999.0]), [2, -128]),
        (pd.BooleanDtype(), np.array([0.2, 0.7]), [False, True]),
        (pd.SparseDtype("int64", 0), np.array([0.2, 3.7]), [0, 4]),
        (np.dtype(object), np.array(["a", 1], dtype=object), ["a", 1]),
        (pd.StringDtype(), np.array(["a", None], dtype=object), ["a", pd.NA]),
        (pd.CategoricalDtype(["b", "a"]), np.array(["a", "b"], dtype=object), ["a", "b"]),
        # The nearest of 5, 1 and 2, whatever order they are in; a half goes down.
        (pd.CategoricalDtype([5, 1, 2]), np.array([-9.0, 1.4, 1.6, 3.4, 3.6, 99.0]), [1, 1, 2, 2, 5, 5]),
    ],
)
def test_values_come_back_in_the_dtype_of_their_column(dtype, values, expected):
    found = cast_back(values, dtype)
    assert found.dtype == dtype
    assert [None if one is pd.NA else one for one in found.tolist()] == [
        None if one is pd.NA else one for one in expected
    ]


def test_decimals_of_arrow_keep_their_places():
    arrow = pytest.importorskip("pyarrow")
    found = cast_back(np.array([1.237, 1e9, -1e9]), pd.ArrowDtype(arrow.decimal128(5, 2)))
    assert found.tolist() == [Decimal("1.24"), Decimal("999.99"), Decimal("-999.99")]
