"""Rows that come as batches from a function or a generator, of which only the number is known beforehand."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from skae._containers import readable, take_rows
from skae._counts import check_count
from skae._typing import Dense
from skae.data.sources import ArrayRows, RowSource

Batches = Iterable[Dense] | Callable[[], Iterable[Dense]]


class BatchRows(RowSource):
    """Rows that a function, or a generator, gives batch by batch.

    A function is called whenever the rows are read: twice before training, and once an epoch. It has to give
    the same rows each time. What can be gone through several times, such as a list of arrays, is gone through
    again. A generator can be read once, and so its rows are written to a temporary file at once, which has
    to hold them (in the folder that `tempfile` finds); the file is gone with this object.

    Parameters
    ----------
    batches : callable or iterable
        Gives arrays or DataFrames (n_batch, n_features), of any number of rows each; a callable takes no
        arguments and returns an iterable of them. Generators have to give arrays of real numbers.
    n_rows : int
        Number of all rows, at least 1.
    max_bytes : int, default=268435456
        Bytes of float32 rows that training holds at once, see `RowSource`.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of columns.

    Raises
    ------
    TypeError
        If a batch is no table.
    ValueError
        If there is no batch. Fits refuse what gives more or fewer rows than `n_rows`, or batches of other
        columns, and say which batch it was.

    See Also
    --------
    ArrayRows : Rows of an array that lies elsewhere, which are read in random order.

    Notes
    -----
    Batches of a function are mixed as far as `max_bytes` reaches, and no further: rows that are sorted should
    be put into another order, or be read by `ArrayRows` or `ParquetRows`. Those of a generator lie in a file
    and are mixed as those of `ArrayRows`.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.data import BatchRows
    >>> def batches():
    ...     random = np.random.default_rng(0)
    ...     for _ in range(20):
    ...         yield random.standard_normal((250, 10), dtype=np.float32)
    >>> rows = BatchRows(batches, n_rows=5000, max_bytes=2**16)
    >>> model = AutoencoderTransformer(3, max_iter=1, random_state=0).fit(rows)
    >>> model.n_samples_
    5000
    """

    def __init__(self, batches: Batches, n_rows: int, max_bytes: int = 2**28) -> None:
        n_rows = check_count(n_rows, "n_rows", 1)
        self.batches = batches
        opened = _opened(batches)
        first = next(opened, None)
        if first is None:
            raise ValueError(f"There is no batch, but n_rows={n_rows}. Pass what gives tables of rows.")
        first = _table(first, 1)
        # A generator goes on where it stands; all others begin anew.
        self._once = itertools.chain([first], opened) if opened is batches else None
        self._spooled: ArrayRows | None = None
        super().__init__(first.shape[1], [n_rows], max_bytes)
        if self._once is not None:
            self._spool(first)

    def pieces(self, block: int, n_rows: int) -> Iterator[Dense]:
        """Read all rows, see `RowSource`.

        Parameters
        ----------
        block : int
            0, as all batches together are one block, but for those of a generator.
        n_rows : int
            Rows of a piece, at most.

        Returns
        -------
        pieces : iterator of ndarray or DataFrame of shape (n_piece, n_features)
        """
        if self._spooled is not None:
            yield from self._spooled.pieces(block, n_rows)
            return
        for batch in self._checked(_opened(self.batches)):
            for start in range(0, batch.shape[0], n_rows):
                yield take_rows(batch, slice(start, start + n_rows))

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
        return super().place(block) if len(self.lengths) > 1 else type(self).__name__

    def _checked(self, batches: Iterator[Dense]) -> Iterator[Dense]:
        """Go over batches, and refuse those that are not as they were announced."""
        wanted, n_features = self.shape
        n_read = number = 0
        for number, batch in enumerate(batches, start=1):
            batch = _table(batch, number)
            n_read += batch.shape[0]
            if batch.shape[1] != n_features:
                raise ValueError(f"batch {number} has {batch.shape[1]} columns, batch 1 has {n_features}.")
            if n_read > wanted:
                raise ValueError(
                    f"batch {number} goes beyond n_rows={wanted}: {n_read} rows were read so far. Set n_rows "
                    "to the number of all rows."
                )
            yield batch
        if n_read < wanted:
            raise ValueError(
                f"the batches end after batch {number} with {n_read} rows, and n_rows={wanted}. Set n_rows "
                "to the number of all rows."
            )

    def _spool(self, first: Dense) -> None:
        """Write the rows of a generator, of which the first batch is known, to a temporary file."""
        dtype = first.dtype if isinstance(first, np.ndarray) else None
        if dtype is None or dtype.kind not in "biuf":
            raise TypeError(
                "Batches of a generator have to be arrays of real numbers, which are kept in a file, as it "
                f"can be read once; batch 1 is a {type(first).__name__}{f' of {dtype}' if dtype else ''}. "
                "Pass a function that returns a new generator."
            )
        kept = np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)
        with tempfile.TemporaryFile(prefix="skae-batches-") as file:
            try:
                for batch in self._checked(self._once or iter(())):
                    np.ascontiguousarray(batch, dtype=kept).tofile(file)
            except ValueError as error:
                raise ValueError(f"{type(self).__name__}: {error}") from error
            file.flush()
            # The map keeps the file, which has no name, for as long as it is there.
            rows = np.memmap(file, kept, "r", shape=self.shape)
        self._once = None
        self._spooled = ArrayRows(rows, self.max_bytes)
        self.lengths = self._spooled.lengths


def _opened(batches: Batches) -> Iterator[Dense]:
    return iter(batches() if callable(batches) else batches)


def _table(batch: object, number: int) -> Dense:
    """Return a batch as a table that can be cut."""
    table = readable(batch)
    if len(getattr(table, "shape", ())) != 2:
        raise TypeError(
            f"Batch {number} is a {type(batch).__name__}; an array or a DataFrame of shape "
            "(n_batch, n_features) is wanted."
        )
    return table
