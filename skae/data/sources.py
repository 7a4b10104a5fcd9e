"""Sources of rows: tables that are read block by block, and never held as a whole. Knows no estimator."""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skae._containers import is_sparse
from skae._counts import check_count
from skae._typing import Dense, Table
from skae.data.joining import Parts

# Bytes of float32 rows from which arrays that lie elsewhere are read in blocks without being asked to.
LARGE = 2**30
# Bytes of a block of an array: small, so that many places of it are mixed.
_BLOCK_BYTES = 2**20
_FEWEST_ROWS = 64
# Bytes of float32 rows that are read at once, where each row is used by itself.
_PIECE_BYTES = 2**23
# What reading raises, of files that are damaged or gone among others.
_FAILURES = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError)
# Blocks that are mixed at a time, at least.
_MIXED_BLOCKS = 32
# Blocks that are read side by side, at most.
_OPEN = 16
# Rows below which folds choose the epoch, which wants them in memory.
_FEW = 1000
# The most columns of sparse tables that are read densely.
_MOST_SPARSE_COLUMNS = 256


class Array(Table, Protocol):
    """Anything with a shape, a dtype and slices of rows."""

    @property
    def dtype(self) -> DTypeLike:
        """Of the cells."""
        ...


class RowSource(ABC):
    """Rows in blocks, each of which can be read by itself; the base of all sources.

    Estimators take a source wherever the methods `fit`, `transform`, `inverse_transform`, `reconstruct`,
    `score`, `score_samples` and `reconstruction_error` take rows. Derive from it to read rows from anywhere
    else.

    Parameters
    ----------
    n_features : int
        Number of columns.
    lengths : sequence of int
        Number of rows of each block.
    max_bytes : int, default=268435456
        Bytes of float32 rows that training holds at once, at least 65,536: half of them are mixed and trained
        on while the other half is read. The sample that fits start from takes a quarter as much on top, and
        blocks on their way take little. Tables of fewer bytes, and those of fewer than 1,000 rows, are read
        into memory.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of columns.
    keeps_rows : bool
        Whether training reads all rows once and keeps them as float32; False reads them in each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.data import RowSource
    >>> class Drawn(RowSource):
    ...     def pieces(self, block, n_rows):
    ...         rows = np.random.default_rng(block).standard_normal((self.lengths[block], 3))
    ...         for start in range(0, len(rows), n_rows):
    ...             yield rows[start : start + n_rows]
    >>> source = Drawn(n_features=3, lengths=[1000, 1000, 500])
    >>> source.load().shape
    (2500, 3)
    """

    keeps_rows: bool = False

    def __init__(self, n_features: int, lengths: Sequence[int], max_bytes: int = 2**28) -> None:
        self.max_bytes = _check_bytes(max_bytes)
        self.lengths = [int(length) for length in lengths]
        self.shape: tuple[int, ...] = (sum(self.lengths), n_features)

    @property
    def is_small(self) -> bool:
        """Whether fits read all rows into memory, as there are few."""
        return 4 * int(np.prod(self.shape)) <= self.max_bytes or self.shape[0] < _FEW

    @property
    def n_open(self) -> int:
        """How many blocks training reads side by side at most: fewer where each of them takes much memory."""
        return _OPEN

    @abstractmethod
    def pieces(self, block: int, n_rows: int) -> Iterator[Dense]:
        """Read a block from its first row to its last.

        Parameters
        ----------
        block : int
            Number of the block, from 0.
        n_rows : int
            Rows of a piece, at most.

        Returns
        -------
        pieces : iterator of ndarray or DataFrame of shape (n_piece, n_features)
        """

    def read(self) -> Iterator[Dense]:
        """Read all rows, some at a time.

        Returns
        -------
        pieces : iterator of ndarray or DataFrame of shape (n_piece, n_features)

        Raises
        ------
        ValueError
            If a block cannot be read, or does not hold what it should; it says which one.
        """
        n_rows = max(_FEWEST_ROWS, _PIECE_BYTES // (4 * int(np.prod(self.shape[1:]))))
        for block in range(len(self.lengths)):
            yield from self.read_block(block, n_rows)

    def read_block(self, block: int, n_rows: int) -> Iterator[Dense]:
        """Read a block by `pieces`, and check what comes.

        Parameters
        ----------
        block : int
            Number of the block, from 0.
        n_rows : int
            Rows of a piece, at most.

        Returns
        -------
        pieces : iterator of ndarray or DataFrame of shape (n_piece, n_features)

        Raises
        ------
        ValueError
            If the block cannot be read, or does not hold what it should.
        """
        found, length = 0, self.lengths[block]
        reading = self.pieces(block, n_rows)
        while True:
            try:
                piece = next(reading, None)
            except _FAILURES as error:
                raise self.at_place(block, error) from error
            if piece is None:
                break
            found += piece.shape[0]
            if tuple(piece.shape[1:]) != self.shape[1:] or found > length:
                raise ValueError(
                    f"{self.place(block)}: {found} rows of shape {tuple(piece.shape[1:])} were read so far, "
                    f"{length} of shape {self.shape[1:]} announced."
                )
            yield piece
        if found < length:
            raise ValueError(f"{self.place(block)} ends early: {found} of {length} rows were read.")

    def at_place(self, block: int, error: Exception) -> Exception:
        """Return an error that says in which block another one was raised.

        Parameters
        ----------
        block : int
            Number of the block, from 0.
        error : Exception

        Returns
        -------
        error : TypeError or ValueError
        """
        kind = TypeError if isinstance(error, TypeError) else ValueError
        return kind(f"{self.place(block)}: {error}")

    def place(self, block: int) -> str:
        """Return what a block is called in errors.

        Parameters
        ----------
        block : int
            Number of the block, from 0.

        Returns
        -------
        place : str
        """
        start = sum(self.lengths[:block])
        return f"Block {block} of {type(self).__name__} (rows {start} to {start + self.lengths[block] - 1})"

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
            If columns have no names here.
        """
        raise ValueError(
            f"Columns of {type(self).__name__} have no names, so that there is no {name!r}. Pass an array of "
            f"{self.shape[0]} values."
        )

    def weights(self, sample_weight: ArrayLike | None) -> ArrayLike | None:
        """Return weights of rows as they are, unless they are the name of a column.

        Parameters
        ----------
        sample_weight : array-like of shape (n_samples,), str or None
            What was passed to `fit` or `score`.

        Returns
        -------
        sample_weight : array-like of shape (n_samples,) or None
        """
        return self.column(sample_weight) if isinstance(sample_weight, str) else sample_weight

    def load(self) -> Any:
        """Read all rows into memory.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
        """
        parts = Parts(self.shape[0])
        for piece in self.read():
            parts.add(piece)
        return parts.joined()

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *arguments: object, **settings: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is read in blocks, by fit, transform, inverse_transform, reconstruct, "
            "score, score_samples and reconstruction_error. Others need rows in memory: pass what load() "
            "returns; partial_fit takes what read() yields, one piece after the other."
        )


class ArrayRows(RowSource):
    """Rows of anything that has a shape, a dtype and slices: memory maps, HDF5 and zarr arrays.

    `fit`, `transform` and the other methods that take sources read `np.memmap`, arrays of h5py and zarr, and
    sparse tables of up to 256 columns in blocks by themselves, if they would take 1 GiB or more as dense
    float32. With this class smaller ones are read so, too, and arrays in memory, of which `fit` then makes no
    copy.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Numbers: an object with `shape`, `dtype`, and slices of rows that are arrays, or a sparse table of
        scipy. Images and sequences have more than two axes.
    max_bytes : int, default=268435456
        Bytes of float32 rows that training holds at once, see `RowSource`.

    Attributes
    ----------
    shape : tuple of int
        That of X.

    Raises
    ------
    TypeError
        If X has no shape and dtype, or one of other things than real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.data import ArrayRows
    >>> X = np.random.default_rng(0).standard_normal((5000, 10), dtype=np.float32)
    >>> rows = ArrayRows(X, max_bytes=2**16)
    >>> model = AutoencoderTransformer(3, max_iter=1, random_state=0).fit(rows)
    >>> model.transform(rows).shape
    (5000, 3)
    """

    def __init__(self, X: Array, max_bytes: int = 2**28) -> None:
        _check_array(X)
        max_bytes = _check_bytes(max_bytes)
        self.X = X.tocsr() if is_sparse(X) else X
        row_cells = max(1, int(np.prod(X.shape[1:])))
        n_rows = max(_FEWEST_ROWS, min(_BLOCK_BYTES, max_bytes // _MIXED_BLOCKS) // (4 * row_cells))
        # Chunks of HDF5 and zarr are read as a whole, whatever part of them is wanted.
        chunk = (getattr(X, "chunks", None) or (1,))[0]
        self.n_block_rows = n_rows = chunk * max(1, n_rows // chunk)
        lengths = [min(n_rows, X.shape[0] - start) for start in range(0, X.shape[0], n_rows)]
        super().__init__(X.shape[1], lengths, max_bytes)
        self.shape = tuple(int(size) for size in X.shape)

    def pieces(self, block: int, n_rows: int) -> Iterator[np.ndarray]:
        """Read a block, see `RowSource`.

        Parameters
        ----------
        block : int
            Number of the block, from 0.
        n_rows : int
            Rows of a piece, at most.

        Returns
        -------
        pieces : iterator of ndarray of shape (n_piece, n_features)
        """
        start = block * self.n_block_rows
        end = start + self.lengths[block]
        for first in range(start, end, n_rows):
            part = slice(first, min(end, first + n_rows))
            _check_file(self.X)
            yield self.X[part].toarray() if is_sparse(self.X) else np.array(self.X[part])
            _release(self.X)

    def load(self) -> Table:
        """Read all rows into memory.

        Returns
        -------
        X : ndarray or sparse table of shape (n_samples, n_features)
        """
        return self.X if is_sparse(self.X) else np.asarray(self.X[:])


def as_source(X: Any) -> RowSource | None:
    """Return rows that are to be read in blocks as a source, None for all others.

    Parameters
    ----------
    X : array-like
        Of any library.

    Returns
    -------
    source : RowSource or None
        Sources as they are; memory maps, arrays of h5py and zarr, and sparse tables of up to 256 columns
        where they would take 1 GiB or more as dense float32 rows.
    """
    if type(X) is np.ndarray:
        return None
    if isinstance(X, RowSource):
        return X
    is_elsewhere = isinstance(X, np.memmap) or type(X).__module__.partition(".")[0] in ("h5py", "zarr")
    if not (is_elsewhere or is_sparse(X)):
        return None
    shape = np.shape(X)
    if (
        len(shape) < 2
        or 4 * int(np.prod(shape)) < LARGE
        or (is_sparse(X) and shape[1] > _MOST_SPARSE_COLUMNS)
    ):
        return None
    return ArrayRows(X)


def _check_bytes(max_bytes: object) -> int:
    return check_count(max_bytes, "max_bytes", 2**16)


def _check_array(X: Array) -> None:
    if not (hasattr(X, "shape") and hasattr(X, "dtype") and hasattr(X, "__getitem__")):
        raise TypeError(
            f"X is a {type(X).__name__}, which lacks a shape, a dtype or slices of rows. Pass an array, e.g. "
            "np.memmap or an array of h5py or zarr."
        )
    if len(X.shape) < 2 or not X.shape[0] or not X.shape[1]:
        raise ValueError(f"X has shape {tuple(X.shape)}; rows and columns are needed, at least one of each.")
    if np.dtype(X.dtype).kind not in "biuf":
        raise TypeError(
            f"X has dtype {X.dtype}; blocks of arrays must hold real numbers. Convert it, or read a table of "
            "several kinds of columns with skae.data.ParquetRows."
        )


def _map_of(X: object) -> mmap.mmap | None:
    """Return the map of the file that a memory map of numpy, or a part of one, lies in."""
    while isinstance(X, np.ndarray):
        X = X.base
    return X if isinstance(X, mmap.mmap) else None


def _check_file(X: object) -> None:
    """Refuse a memory map whose file has become shorter, reading which would end the process."""
    mapped = _map_of(X)
    if mapped is None or not isinstance(X, np.memmap):
        return
    end = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
    if mapped.size() < end:
        raise ValueError(f"{X.filename} has {mapped.size()} bytes; {end} were there when it was opened.")


def _release(X: object) -> None:
    """Let the system forget the pages of a memory map that were read, which count as memory of the process.

    They stay in its cache of files. Not where changes to the array are its own, which would be lost.
    """
    mapped = _map_of(X) if isinstance(X, np.memmap) and X.mode != "c" else None
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
