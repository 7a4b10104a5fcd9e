"""What rows come in and go back as, beside arrays, lists, sparse tables and DataFrames of pandas.

Tensors, DataFrames of polars and pyarrow, and sparse columns of pandas are read as one of those. Knows no
estimator.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_matrix, issparse
from sklearn import get_config

from skae._extras import import_extra
from skae._typing import Sparse, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame
    from typing_extensions import TypeIs


_WHOLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")


def readable(X: object) -> Any:
    """Return rows, or values of rows, as what is read here.

    Parameters
    ----------
    X : array-like
        Of any library.

    Returns
    -------
    X : array-like
        Tensors and arrays of other libraries as arrays, sparse tensors as sparse tables. DataFrames of other
        libraries as those of pandas, unless they hold numbers alone, which scikit-learn reads. Lists that
        hold text are arrays of objects. Anything else as it is.

    Raises
    ------
    TypeError
        If the rows are not computed yet.
    """
    if isinstance(X, np.ndarray) or issparse(X):
        return X
    if isinstance(X, torch.Tensor):
        return _from_tensor(X)
    if isinstance(X, (list, tuple)):
        return _from_list(X)
    if is_pandas(X):
        return X
    if hasattr(X, "__array_namespace__"):
        return np.asarray(X)
    return _from_other(X)


def as_rows(X: Any) -> Table:
    """Return rows as something that has a shape, and whose rows can be chosen.

    As `readable` does, but DataFrames stay those of their library, as pipelines were fitted on them, and so
    do tensors and arrays of other libraries where scikit-learn computes with them.

    Parameters
    ----------
    X : array-like
        Of any library.

    Returns
    -------
    X : ndarray, sparse table, DataFrame or tensor
    """
    if is_frame(X) or (is_foreign(X) and get_config()["array_api_dispatch"]):
        return X
    X = readable(X)
    return X if hasattr(X, "shape") else np.asarray(X)


def as_matrix(X: Any) -> Any:
    """Return rows of numbers as an array, or as a sparse table where they are sparse.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Of any library.

    Returns
    -------
    X : ndarray or sparse table of shape (n_samples, n_features)
    """
    X = readable(X)
    if is_sparse_frame(X):
        return X.sparse.to_coo().tocsr()
    return X.tocsr() if issparse(X) else np.asarray(X, dtype=np.float64)


def as_passed(found: Any, X: Any) -> Any:
    """Return what was computed of rows in their library.

    Parameters
    ----------
    found : ndarray or DataFrame of pandas
        Of the rows.
    X : array-like
        The rows, as they were passed.

    Returns
    -------
    found : array-like
        An array in the library of X, on its device, where that is one of arrays and scikit-learn is told to
        keep to it (``array_api_dispatch``); a DataFrame of pandas in the library of X, where that is one of
        DataFrames; as it is in all other cases.
    """
    if type(X) is np.ndarray:
        return found
    if isinstance(found, np.ndarray):
        if not is_foreign(X) or found.dtype == object or not get_config()["array_api_dispatch"]:
            return found
        if isinstance(X, torch.Tensor):
            return torch.from_numpy(found).to(X.device)
        return X.__array_namespace__().asarray(found, device=X.device)
    return FrameLayout.of(X).put(found) if is_pandas(found) and is_frame(X) else found


def as_wanted(found: object, X: object, container: str) -> Any:
    """Return what `transform` computed in the container that its users want.

    Parameters
    ----------
    found : ndarray or DataFrame of pandas
        Of the rows.
    X : array-like
        The rows, as they were passed.
    container : {"default", "pandas", "polars"}
        As `set_output` takes it. By default that of X, see `as_passed`.

    Returns
    -------
    found : array-like
        Arrays are left to scikit-learn, which wraps them.
    """
    if container == "default":
        return as_passed(found, X)
    if container != "polars" or not is_pandas(found):
        return found
    # Not left to scikit-learn: polars needs pyarrow for text of pandas.
    layout = FrameLayout.of(X) if is_frame(X) else FrameLayout(container)
    return (layout if layout.library == container else FrameLayout(container)).put(found)


def is_pandas(X: object) -> TypeIs[DataFrame]:
    """Whether X is a table of pandas, or a column of one."""
    return hasattr(X, "iloc")


def is_sparse(X: object) -> TypeIs[Sparse]:
    """Whether X is a sparse table of scipy."""
    return bool(issparse(X))


def is_foreign(X: object) -> bool:
    """Whether X is a tensor, or an array of another library than numpy."""
    return isinstance(X, torch.Tensor) or (
        hasattr(X, "__array_namespace__") and not isinstance(X, (np.ndarray, np.generic))
    )


# ------------------------------------------------------------------ tensors and lists


def _from_tensor(X: torch.Tensor) -> Any:
    if X.is_meta:
        raise ValueError("X is a tensor on the device 'meta', and holds no values. Pass one that does.")
    X = X.detach().cpu()
    if X.layout in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc) and X.ndim == 2:
        found = X.to_sparse_coo().coalesce()
        return coo_matrix((_from_tensor(found.values()), found.indices().numpy()), tuple(X.shape)).tocsr()
    if X.layout != torch.strided:
        X = X.to_dense()
    if X.is_floating_point() and X.dtype not in (torch.float16, torch.float32, torch.float64):
        # numpy knows none of the others.
        X = X.double()
    return X.resolve_conj().resolve_neg().numpy()


def _from_list(X: Sequence[object]) -> Any:
    if any(isinstance(row, torch.Tensor) for row in X):
        X = [_from_tensor(row) if isinstance(row, torch.Tensor) else row for row in X]
    # As an array of numpy's choice, numbers beside text would be text, and dates numbers.
    kept = (str, np.datetime64, np.timedelta64)
    is_kept = any(isinstance(value, kept) for row in X for value in np.ravel(np.asarray(row, dtype=object)))
    return np.asarray(X, dtype=object) if is_kept else X


# ------------------------------------------------------------------ sparse columns of pandas


def is_sparse_frame(X: object) -> bool:
    """Whether all columns of a DataFrame of pandas are sparse, and hold numbers beside zeros."""
    if not is_pandas(X) or len(X.shape) != 2 or X.shape[1] == 0:
        return False
    return all(
        _is_sparse(dtype) and getattr(dtype, "kind", "O") in "biuf" and dtype.fill_value == 0
        for dtype in X.dtypes
    )


def dense_columns(X: object) -> Any:
    """Return a DataFrame of pandas whose sparse columns are dense; anything else as it is."""
    if not is_pandas(X) or len(X.shape) != 2:
        return X
    sparse = [j for j, dtype in enumerate(X.dtypes) if _is_sparse(dtype)]
    if not sparse:
        return X
    X = X.copy(deep=False)
    for j in sparse:
        X.isetitem(j, X.iloc[:, j].sparse.to_dense())
    return X


def _is_sparse(dtype: object) -> bool:
    return hasattr(dtype, "subtype") and hasattr(dtype, "fill_value")


# ------------------------------------------------------------------ DataFrames of other libraries


def is_frame(X: object) -> bool:
    """Whether X is a DataFrame of another library than pandas."""
    if isinstance(X, (np.ndarray, list, tuple, torch.Tensor)) or is_pandas(X) or issparse(X):
        return False
    return _narwhals().dependencies.is_into_dataframe(X)


def names_of(X: object) -> list[Any] | None:
    """Return the names of the columns of a DataFrame, else None."""
    if is_pandas(X):
        return list(X.columns) if len(X.shape) == 2 else None
    return list(_narwhals().from_native(X).columns) if is_frame(X) else None


def take_rows(X: Table, positions: np.ndarray | slice) -> Any:
    """Return some rows of a table of any kind."""
    if is_pandas(X):
        return X.iloc[positions]
    if is_frame(X):
        return _narwhals().from_native(X)[positions, :].to_native()
    return X.tocsr()[positions] if is_sparse(X) else X[positions]


def take_column(X: Table, j: int) -> Any:
    """Return one column of a dense table of any kind: of pandas as a Series, else as an array."""
    if is_pandas(X):
        return X.iloc[:, j]
    return _narwhals().from_native(X)[:, j].to_numpy() if is_frame(X) else X[:, j]


def with_column(X: object, j: int, order: np.ndarray) -> Any:
    """Return a DataFrame of another library with the rows of one column in another order."""
    frame = _narwhals().from_native(X)
    return frame.with_columns(frame[:, j][order]).to_native()


def with_cells(X: object, cells: np.ndarray) -> Any:
    """Return a DataFrame of the library of X that holds these numbers."""
    narwhals = _narwhals()
    frame = narwhals.from_native(X)
    columns = dict(zip(frame.columns, cells.T, strict=True))
    return narwhals.from_dict(columns, backend=frame.implementation).to_native()


def to_pandas(X: object) -> Any:
    """Return a DataFrame of another library as one of pandas; anything else as it is.

    Parameters
    ----------
    X : array-like
        Of any library.

    Returns
    -------
    X : array-like
        Whole numbers stay what they are, with pandas' own gaps where some are missing, and so do the
        categories of a column.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    if not is_frame(X):
        return X
    pandas = import_extra("pandas", "pandas", f"A DataFrame of {type(X).__module__.split('.')[0]} with text")
    frame = _narwhals().from_native(X)
    columns = {j: _series(pandas, frame[:, j]) for j in range(frame.shape[1])}
    return pandas.DataFrame(columns).set_axis(frame.columns, axis=1)


def _series(pandas: Any, column: Any) -> Any:
    name, has_gaps = type(column.dtype).__name__, column.null_count() > 0
    if name in ("Categorical", "Enum"):
        return pandas.Series(
            pandas.Categorical(
                column.to_list(), categories=column.cat.get_categories().to_list(), ordered=name == "Enum"
            )
        )
    if name in _WHOLE:
        return pandas.Series(pandas.array(column.to_list(), dtype=name) if has_gaps else column.to_numpy())
    if column.dtype.is_numeric():
        # Decimals and the longest of whole numbers are none of pandas'.
        known = column if name in ("Float16", "Float32", "Float64") else column.cast(_narwhals().Float64)
        return pandas.Series(np.asarray(known.to_numpy()))
    if name == "Boolean" and not has_gaps:
        return pandas.Series(column.to_numpy())
    return pandas.Series(column.to_list(), dtype=None if column.dtype.is_temporal() else object)


def _from_other(X: object) -> Any:
    narwhals = _narwhals()
    if is_frame(X):
        frame = narwhals.from_native(X)
        if frame.implementation.is_pandas():
            return readable(frame.to_native())
        is_numeric = all(dtype.is_numeric() or dtype == narwhals.Boolean for dtype in frame.schema.values())
        return frame.to_native() if is_numeric else to_pandas(X)
    if narwhals.dependencies.is_into_series(X):
        return narwhals.from_native(X, series_only=True).to_numpy()
    if isinstance(narwhals.from_native(X, pass_through=True), narwhals.LazyFrame):
        raise TypeError(
            f"X is a {type(X).__name__}, whose rows are not computed yet. Compute them first, e.g. pass "
            "X.collect()."
        )
    return X


class FrameLayout(NamedTuple):
    """How a DataFrame of another library looks: its library, and the types of its columns in Arrow."""

    library: str
    schema: np.ndarray | None = None  # bytes

    @classmethod
    def of(cls, X: object) -> FrameLayout:
        """Return that of a DataFrame of another library than pandas.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        layout : FrameLayout
        """
        frame = _narwhals().from_native(X)
        native, library = frame.to_native(), frame.implementation.value
        if library == "polars":
            polars = import_extra("polars", "pandas", "A DataFrame of polars")
            # Arrow knows no objects of Python.
            written = native.clear().select(polars.exclude(polars.Object)).write_ipc(None).getvalue()
        elif library == "pyarrow":
            written = native.schema.serialize().to_pybytes()
        else:
            return cls(library)
        return cls(library, np.frombuffer(written, dtype=np.uint8).copy())

    def put(self, frame: Any) -> Any:
        """Return a DataFrame of pandas in this library; columns of the same name get their types.

        Parameters
        ----------
        frame : DataFrame of pandas

        Returns
        -------
        frame : DataFrame
        """
        columns = {str(name): _plain(frame.iloc[:, j]) for j, name in enumerate(frame.columns)}
        if self.library == "pyarrow":
            return self._put_in_pyarrow(columns)
        if self.library == "pandas":
            return frame
        if self.library == "polars":
            polars = import_extra("polars", "pandas", "A DataFrame of polars")
            wanted = {} if self.schema is None else polars.read_ipc(io.BytesIO(self.schema.tobytes())).schema
            found = polars.DataFrame(columns, strict=False, nan_to_null=True)
            return found.cast({name: dtype for name, dtype in wanted.items() if name in columns})
        return _narwhals().from_dict(columns, backend=self.library).to_native()

    def _put_in_pyarrow(self, columns: dict[str, object]) -> Any:
        pyarrow = import_extra("pyarrow", "pandas", "A Table of pyarrow")
        types = {}
        if self.schema is not None:
            schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(self.schema.tobytes()))
            types = {field.name: field.type for field in schema}
        arrays = []
        for name, values in columns.items():
            is_text = isinstance(values, list)
            # What is NaN in pandas is a gap here.
            wanted = types.get(name)
            if is_text and wanted is not None and pyarrow.types.is_dictionary(wanted):
                # Made of values alone, its positions would be signed whatever they were.
                found = pyarrow.array(values, type=wanted.value_type, from_pandas=True).dictionary_encode()
                arrays.append(found.cast(wanted))
                continue
            array = pyarrow.array(values, type=wanted if is_text else None, from_pandas=True)
            arrays.append(array if wanted is None or is_text else array.cast(wanted, safe=False))
        return pyarrow.table(arrays, names=list(columns))


def _plain(column: Any) -> Any:
    """Return the values of a Series of pandas as an array of numbers, or as a list with None for gaps."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _narwhals() -> Any:
    return import_extra("narwhals.stable.v2", "pandas", "A DataFrame of another library than pandas")
