"""Tensors, DataFrames of other libraries, sparse columns: read as what they hold, given back as they were."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_matrix, issparse
from sklearn import config_context

from skae._containers import (
    FrameLayout,
    as_passed,
    as_rows,
    as_wanted,
    dense_columns,
    is_sparse_frame,
    readable,
    to_pandas,
)

X = np.arange(12.0).reshape(4, 3)
TENSORS = {
    "float64": torch.from_numpy(X),
    "float32": torch.from_numpy(X).float(),
    "of a graph": torch.from_numpy(X).requires_grad_(),
    "not contiguous": torch.from_numpy(X.T.copy()).T,
    "half": torch.from_numpy(X).half(),
    "bfloat16": torch.from_numpy(X).bfloat16(),
    "integers": torch.from_numpy(X).int(),
    "negative": torch._neg_view(torch.from_numpy(-X)),
    "sparse": torch.from_numpy(X).to_sparse(),
    "parameter": torch.nn.Parameter(torch.from_numpy(X)),
}


@pytest.fixture
def mixed():
    """A DataFrame of polars with a column of each kind."""
    return pl.DataFrame(
        {
            "real": [0.5, None, 2.0],
            "small": [1, 2, 255],
            "gaps": [1, None, 3],
            "text": ["a", None, "b"],
            "level": ["low", "high", "low"],
            "kind": ["x", "y", None],
            "flag": [True, False, True],
            "price": [decimal.Decimal("1.50"), decimal.Decimal("2.25"), None],
        },
        schema_overrides={
            "real": pl.Float32,
            "small": pl.UInt8,
            "gaps": pl.Int16,
            "level": pl.Enum(["low", "middle", "high"]),
            "kind": pl.Categorical,
            "price": pl.Decimal(10, 2),
        },
    )


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_read_as_what_they_hold(name):
    found = readable(TENSORS[name])
    assert issparse(found) == (name == "sparse")
    np.testing.assert_array_equal(found.toarray() if issparse(found) else found, X)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_compressed_tensors_are_sparse_tables():
    found = readable(torch.from_numpy(X).to_sparse_csr())
    assert issparse(found)
    np.testing.assert_array_equal(found.toarray(), X)


def test_tensors_without_values_are_refused():
    with pytest.raises(ValueError, match="holds no values"):
        readable(torch.ones(2, 2, device="meta"))


def test_lists_keep_numbers_beside_text():
    assert readable([["a", 1.5], ["b", 2.0]])[0, 1] == 1.5
    np.testing.assert_array_equal(np.asarray(readable(list(TENSORS["of a graph"]))), X)


def test_rows_that_are_not_computed_yet_are_refused(mixed):
    with pytest.raises(TypeError, match=r"LazyFrame.*collect"):
        readable(mixed.lazy())


def test_columns_of_polars_are_what_they_were(mixed):
    frame = to_pandas(mixed)
    assert frame.dtypes.astype(str).tolist() == [
        "float32",
        "uint8",
        "Int16",
        "object",
        "category",
        "category",
        "bool",
        "float64",
    ]
    assert list(frame["level"].cat.categories) == ["low", "middle", "high"]
    assert frame.isna().sum().sum() == mixed.null_count().sum_horizontal().item()
    back = FrameLayout.of(mixed).put(frame)
    assert back.schema == mixed.schema
    assert back.equals(mixed)


def test_columns_of_pyarrow_are_what_they_were(mixed):
    pyarrow = pytest.importorskip("pyarrow")
    table = mixed.to_arrow()
    back = FrameLayout.of(table).put(to_pandas(table))
    assert back.schema == table.schema
    assert isinstance(back, pyarrow.Table)
    assert back.column("text").to_pylist() == ["a", None, "b"]
    assert back.column("price").to_pylist()[:2] == table.column("price").to_pylist()[:2]


def test_numbers_of_other_libraries_are_left_to_scikit_learn():
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    assert readable(frame) is frame
    assert as_rows(frame) is frame


@pytest.mark.parametrize("fill_value", [0.0, np.nan])
def test_sparse_columns_become_dense_or_are_a_sparse_table(fill_value):
    frame = pd.DataFrame(X).astype(pd.SparseDtype(float, fill_value))
    assert is_sparse_frame(frame) == (fill_value == 0)
    beside = frame.assign(text="a")
    assert not is_sparse_frame(beside)
    assert not any(hasattr(dtype, "fill_value") for dtype in dense_columns(beside).dtypes)
    assert any(hasattr(dtype, "fill_value") for dtype in beside.dtypes)  # that of the user is as it was


def test_arrays_go_back_to_their_library_where_scikit_learn_keeps_to_it(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    tensor = TENSORS["float32"]
    assert as_passed(X, tensor) is X
    with config_context(array_api_dispatch=True):
        assert as_passed(X, X) is X
        assert as_passed(X, X.tolist()) is X
        found = as_passed(X, tensor)
        assert as_rows(tensor) is tensor
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float64
    assert isinstance(as_rows(tensor), np.ndarray)


def test_what_is_wanted_goes_before_what_was_passed(mixed):
    frame = to_pandas(mixed)
    assert as_wanted(frame, mixed, "default").schema == mixed.schema
    assert as_wanted(frame, mixed, "polars").schema == mixed.schema
    assert as_wanted(frame, mixed, "pandas") is frame
    assert as_wanted(frame, frame, "default") is frame
    assert as_wanted(frame[["text", "real"]], frame, "polars").schema == {
        "text": pl.String,
        "real": pl.Float32,
    }
    assert as_wanted(X, mixed, "polars") is X


def test_sparse_tables_stay():
    table = csr_matrix(X)
    assert readable(table) is table
