"""Rows of Parquet files; their row groups are the blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skae._extras import import_extra
from skae.data.sources import RowSource

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import DataType, Schema
    from pyarrow.parquet import FileMetaData, ParquetFile

# Of what is read from a file at once, for each column. Without it all of a row group would be read.
_BUFFER_BYTES = 2**16
# The most that pages and dictionaries of writers have as a rule.
_PAGE_BYTES = 2**20
# Files whose metadata are kept: reading them for each row group would take longer than the rows.
_KEPT = 16
_PURPOSE = "Reading Parquet files"


class ParquetRows(RowSource):
    """Rows of one Parquet file or several, read by row groups, as DataFrames of pandas.

    The columns of all files must have the same names and types. Missing values are gaps, text and categories
    are of several kinds as in any DataFrame. Needs pyarrow and pandas: ``pip install "skae[parquet]"``.

    Parameters
    ----------
    path : str, path or list of them
        A file, a folder, of which all files that end in ".parquet" are read in the order of their names, or a
        list of files.
    columns : list of str, default=None
        The features. None takes all columns.
    max_bytes : int, default=268435456
        Bytes of float32 rows that training holds at once, see `RowSource`.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of columns.

    Raises
    ------
    ValueError
        If there is no file, a file cannot be read, or its columns differ from those of the first one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skae import AutoencoderTransformer
    >>> from skae.data import ParquetRows
    >>> X = pd.DataFrame(np.random.default_rng(0).standard_normal((2000, 3)), columns=["a", "b", "c"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X.to_parquet(Path(folder) / "rows.parquet")
    ...     rows = ParquetRows(folder, columns=["a", "b"])
    ...     model = AutoencoderTransformer(1, max_iter=1, random_state=0).fit(rows)
    >>> model.feature_names_in_
    array(['a', 'b'], dtype=object)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        columns: Sequence[str] | None = None,
        max_bytes: int = 2**28,
    ) -> None:
        self._parquet = import_extra("pyarrow.parquet", "parquet", _PURPOSE)
        import_extra("pandas", "parquet", _PURPOSE)
        self.files = _files(path)
        self.groups: list[tuple[Path, int]] = []
        self.group_bytes = 0
        self._footers: dict[tuple[Path, int, int], FileMetaData] = {}
        lengths: list[int] = []
        schema: list[tuple[str, DataType]] | None = None
        for file in self.files:
            metadata, found = self._layout(file)
            chosen = list(found.names) if columns is None else list(columns)
            _check_columns(file, found, chosen)
            own = [(name, found.field(name).type) for name in chosen]
            schema = schema or own
            if own != schema:
                raise ValueError(
                    f"{file} has the columns {_listed(own)}, but {self.files[0]} has {_listed(schema)}. "
                    "Files that are read together must have the same columns."
                )
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            self.groups += [(file, group) for group, size in enumerate(sizes) if size]
            lengths += [size for size in sizes if size]
            self.group_bytes = max(self.group_bytes, _bytes_of_group(metadata, found, chosen))
        if not lengths:
            raise ValueError(f"{', '.join(map(str, self.files[:3]))} holds no rows.")
        self.columns = [name for name, _ in schema or []]
        super().__init__(len(self.columns), lengths, max_bytes)

    @property
    def n_open(self) -> int:
        """How many row groups training reads side by side at most: as many as half of `max_bytes` holds."""
        return max(1, min(super().n_open, self.max_bytes // 2 // max(1, self.group_bytes)))

    def _layout(self, file: Path) -> tuple[FileMetaData, Schema]:
        """Return the metadata and the schema of a file."""
        try:
            with self._open(file) as opened:
                return opened.metadata, opened.schema_arrow
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} cannot be read as Parquet: {error}") from error

    def _open(self, file: Path) -> ParquetFile:
        """Open a file, whose metadata are read only once unless it has changed."""
        found = file.stat()
        key = file, found.st_mtime_ns, found.st_size
        opened = self._parquet.ParquetFile(
            file, metadata=self._footers.get(key), buffer_size=_BUFFER_BYTES, pre_buffer=False
        )
        self._footers.pop(key, None)
        self._footers[key] = opened.metadata
        if len(self._footers) > _KEPT:
            del self._footers[next(iter(self._footers))]
        return opened

    def pieces(self, block: int, n_rows: int) -> Iterator[DataFrame]:
        """Read a row group, see `RowSource`.

        Parameters
        ----------
        block : int
            Number of the row group among those of all files, from 0.
        n_rows : int
            Rows of a piece, at most.

        Returns
        -------
        pieces : iterator of DataFrame of shape (n_piece, n_features)
        """
        return self._read(block, n_rows, self.columns)

    def _read(self, block: int, n_rows: int, columns: list[str]) -> Iterator[DataFrame]:
        file, group = self.groups[block]
        # Not Dataset.to_batches, which reads ahead without a bound, and holds twenty times as much.
        with self._open(file) as opened:
            batches = opened.iter_batches(n_rows, row_groups=[group], columns=columns, use_threads=False)
            for batch in batches:
                yield batch.select(columns).to_pandas(use_threads=False)

    def place(self, block: int) -> str:
        """Return what a row group is called in errors.

        Parameters
        ----------
        block : int
            Number of the row group among those of all files, from 0.

        Returns
        -------
        place : str
        """
        file, group = self.groups[block]
        return f"Row group {group} of {file}"

    def column(self, name: str) -> np.ndarray:
        """Read one column that is none of the features, such as weights of rows.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        values : ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If there is no such column, or it is one of the features.
        """
        if name in self.columns:
            raise ValueError(
                f"{name!r} is one of the features. List these without it: columns="
                f"{[other for other in self.columns if other != name][:10]}."
            )
        for file in self.files:
            _check_columns(file, self._layout(file)[1], [name])
        parts = [
            piece[name].to_numpy()
            for block in range(len(self.lengths))
            for piece in self._read(block, 2**16, [name])
        ]
        return np.concatenate(parts)


def _bytes_of_group(metadata: FileMetaData, schema: Schema, columns: list[str]) -> int:
    """Return about how many bytes reading one row group of a file takes, at most.

    Of each column a page lies in memory as it was written and as it is read. Of a dictionary there is a copy
    more, and it stays to the end of the row group, even where the rest of this makes no use of it.
    """
    is_flat = metadata.num_columns == len(schema.names)
    leaves = [schema.names.index(name) for name in columns] if is_flat else range(metadata.num_columns)
    most = 0
    for group in range(metadata.num_row_groups):
        chunks = [metadata.row_group(group).column(leaf) for leaf in leaves]
        pages = [
            (3 if chunk.has_dictionary_page else 2) * min(chunk.total_uncompressed_size, _PAGE_BYTES)
            for chunk in chunks
        ]
        most = max(most, sum(pages) + _BUFFER_BYTES * len(chunks))
    return most


def _files(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that a path, or a list of them, stands for."""
    if isinstance(path, (str, os.PathLike)):
        path = Path(path)
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} holds no files that end in .parquet.")
    else:
        files = [Path(file) for file in path]
        if not files:
            raise ValueError("path is an empty list; pass one file at least.")
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"There is no file {missing[0]}.")
    return files


def _check_columns(file: Path, schema: Schema, columns: list[str]) -> None:
    """Refuse columns that a file does not have, or has twice."""
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise ValueError(f"{file} has no column {missing[0]!r}; it has {list(schema.names)[:20]}.")
    twice = [name for name in columns if schema.names.count(name) > 1 or columns.count(name) > 1]
    if twice:
        raise ValueError(f"{file}: the column {twice[0]!r} is there twice. Columns need names of their own.")
    if not columns:
        raise ValueError(f"{file}: columns is empty; name one feature at least.")


def _listed(schema: list[tuple[str, DataType]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in schema[:20])
