"""Codes and rows of a source written to a file, some rows at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from skae._extras import import_extra
from skae._files import replacing
from skae.data.sources import Array, ArrayRows, RowSource


class Transformer(Protocol):
    """A fitted transformer that names what it gives."""

    def transform(self, X: ArrayLike, /) -> ArrayLike:
        """Return the codes of rows."""
        ...

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of the codes."""
        ...


def transform_to(estimator: Transformer, X: RowSource | Array, path: str | os.PathLike[str]) -> Path:
    """Write the codes of rows to a file, some rows at a time.

    The file is there once all of it is written: what was there before stays if anything fails.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `get_feature_names_out`.
    X : RowSource or array-like of shape (n_samples, n_features)
        A source, or what `ArrayRows` takes.
    path : str or path
        The file; ".npy" for an array, which `np.load` reads, ".parquet" for a Parquet file with the
        names of the components.

    Returns
    -------
    path : Path
        That of the file.

    Raises
    ------
    ValueError
        If the file has another ending, or rows cannot be read.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.data import transform_to
    >>> X = np.random.default_rng(0).standard_normal((1000, 5))
    >>> model = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.load(transform_to(model, X, Path(folder) / "codes.npy")).shape
    (1000, 2)
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise ValueError(f"path must end in .npy or .parquet; got {path.name!r}.")
    source = X if isinstance(X, RowSource) else ArrayRows(X)
    parts = (np.asarray(estimator.transform(piece)) for piece in source.read())
    with replacing(path) as unfinished:
        _WRITERS[path.suffix](
            Path(unfinished), parts, source.shape[0], list(map(str, estimator.get_feature_names_out()))
        )
    return path


def _write_npy(path: Path, parts: Iterator[np.ndarray], n_rows: int, names: list[str]) -> None:
    first = next(parts)
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (n_rows, *first.shape[1:]),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in itertools.chain([first], parts):
            file.write(np.ascontiguousarray(part).tobytes())


def _write_parquet(path: Path, parts: Iterator[np.ndarray], n_rows: int, names: list[str]) -> None:
    purpose = "Writing a Parquet file"
    pyarrow = import_extra("pyarrow", "parquet", purpose)
    parquet = import_extra("pyarrow.parquet", "parquet", purpose)
    first = next(parts)
    schema = pyarrow.schema([(name, pyarrow.from_numpy_dtype(first.dtype)) for name in names])
    with parquet.ParquetWriter(path, schema) as writer:
        for part in itertools.chain([first], parts):
            writer.write_table(pyarrow.table(list(np.ascontiguousarray(part.T)), schema=schema))


_WRITERS = {".npy": _write_npy, ".parquet": _write_parquet}
