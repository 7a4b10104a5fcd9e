"""Batches of rows that lie elsewhere: blocks in random order, mixed in memory, the next ones read meanwhile.

Knows neither files nor tables: of the rows it knows that they come block by block, centred and scaled.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch

from skae.networks.principal_axes import PrincipalAxes
from skae.objectives.batch import Batch
from skae.training.batches import InMemory, Rows

# Blocks of which rows meet in memory, at least.
_MET = 16
_Piece = tuple[np.ndarray, np.ndarray | None]


class Blocks(Protocol):
    """Rows that lie elsewhere."""

    @property
    def lengths(self) -> Sequence[int]:
        """Number of rows of each block."""
        ...

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        ...

    @property
    def n_open(self) -> int:
        """How many blocks may be read side by side."""
        ...

    def pieces(self, block: int) -> Iterator[_Piece]:
        """Read a block: some rows (n, n_features) at a time, and their weights (n,)."""
        ...


class Stream(NamedTuple):
    """The rows of a fit, where these do not lie in memory; what does is a sample of them."""

    blocks: Blocks
    n_mixed: int  # rows that are mixed at a time
    n_rows: int  # of the fit, held-out ones among them
    has_gaps: bool  # whether any cell is NaN
    axes: PrincipalAxes | None  # PCA of all training rows; None: that of the sample is good enough
    # Rows that all processes together train on, where these are several, each with a stream of its own.
    n_training: int | None = None
    is_kept: bool = False  # whether the rows of all blocks may lie in memory

    def n_batches(self, batch_size: int) -> int:
        """Return the batches of an epoch of all processes, whose rows together are a batch."""
        n_rows = sum(self.blocks.lengths) if self.n_training is None else self.n_training
        return -(-n_rows // batch_size)


class Streamed:
    """Batches of rows that lie elsewhere; see `Batches`.

    Blocks are read in random order until as many rows lie in memory as may be mixed; where these would be
    rows of fewer than sixteen blocks, several are read side by side, some rows of each in turn. Batches are
    taken from memory by index, while a thread reads what follows. What is read does not depend on how long
    it takes.

    Parameters
    ----------
    stream : Stream
    batch_size : int
        Upper bound of the rows of a batch, of all processes together. Batches of an epoch differ by one row
        at most; there are fewer where a process has fewer rows than all have batches.
    like : tensor
        Rows of the sample: batches are of its dtype, on its device.
    """

    def __init__(self, stream: Stream, batch_size: int, like: torch.Tensor) -> None:
        self.blocks = stream.blocks
        self.n_rows = sum(self.blocks.lengths)
        self.n_batches = min(stream.n_batches(batch_size), self.n_rows)
        self.is_weighted = self.blocks.is_weighted
        self._device = like.device
        n_mixed = min(self.n_rows, stream.n_mixed)
        self.n_open = min(self.blocks.n_open, _side_by_side(self.blocks.lengths, n_mixed))
        # One is filled while batches are taken from the other.
        self._buffers = [_Buffer(n_mixed, like, self.is_weighted) for _ in range(2)]

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Go over all rows once."""
        order = torch.randperm(len(self.blocks.lengths), generator=generator).tolist()
        sizes = _sizes(self.n_rows, self.n_batches)
        wanted, rest = next(sizes), None
        for rows in self._mixed(order):
            start, n_rows = 0, len(rows.target)
            index = torch.randperm(n_rows, generator=generator).to(self._device)
            while start < n_rows:
                part = rows.take(index[start : start + wanted])
                start += len(part.target)
                wanted -= len(part.target)
                rest = part if rest is None else _joined(rest, part)
                if not wanted:
                    yield Batch(rest.target, rest.target, rest.weight)
                    wanted, rest = next(sizes, 0), None

    def _mixed(self, order: Sequence[int]) -> Iterator[Rows]:
        """Yield as many rows as may be mixed, and read the next ones meanwhile."""
        reading = _InTurn(self.blocks, order, self.n_open)
        buffers = itertools.cycle(self._buffers)
        left = self.n_rows
        pool = ThreadPoolExecutor(1, thread_name_prefix="skae-reading")
        try:
            following = pool.submit(next(buffers).fill, reading)
            while left:
                filled = following.result()
                left -= filled.n_filled
                if not filled.n_filled:
                    raise ValueError(
                        f"The rows have changed since training began: {left} of them are missing."
                    )
                if left:
                    following = pool.submit(next(buffers).fill, reading)
                yield filled.rows(self._device)
        finally:
            # What is being read is finished; nobody waits for it.
            pool.shutdown(wait=False, cancel_futures=True)


def kept(stream: Stream, batch_size: int, like: torch.Tensor) -> InMemory:
    """Return the same batches of rows that are read once, and stay in memory; takes what `Streamed` does."""
    blocks, n_rows = stream.blocks, sum(stream.blocks.lengths)
    reading = _InTurn(blocks, range(len(blocks.lengths)), 1)
    rows = _Buffer(n_rows, like, blocks.is_weighted).fill(reading).rows(like.device)
    batches = InMemory(rows.target, batch_size, weight=rows.weight)
    batches.n_batches = min(stream.n_batches(batch_size), n_rows)
    return batches


class _InTurn:
    """Blocks of which some are read side by side, a piece of each in turn.

    Parameters
    ----------
    blocks : Blocks
    order : sequence of int
        In which they are read.
    n_open : int
        How many are read side by side.
    """

    def __init__(self, blocks: Blocks, order: Sequence[int], n_open: int) -> None:
        self._pieces = _in_turn([blocks.pieces(block) for block in order], n_open)
        self._rows = np.empty((0, 0))
        self._weight: np.ndarray | None = None

    def take(self, n_rows: int) -> _Piece:
        """Return the next rows, so many at most, and their weights; none at the end."""
        while not len(self._rows):
            found = next(self._pieces, None)
            if found is None:
                break
            self._rows, self._weight = found
        rows, self._rows = self._rows[:n_rows], self._rows[n_rows:]
        weight = self._weight
        if weight is not None:
            weight, self._weight = weight[:n_rows], weight[n_rows:]
        return rows, weight


def _side_by_side(lengths: Sequence[int], n_mixed: int) -> int:
    """Return how many blocks are read side by side, so that rows of sixteen of them meet in memory.

    One where blocks are small: as many rows are in memory after each of them as if all were read in turn,
    and what reading a block takes is taken once.
    """
    usual = sum(length * length for length in lengths) / max(1, sum(lengths))
    return max(1, min(_MET, math.ceil(_MET * usual / n_mixed)))


def _in_turn(blocks: Sequence[Iterator[_Piece]], n_open: int) -> Iterator[_Piece]:
    """Take a piece of each open block in turn, and open the next block where one ends."""
    waiting = deque(blocks)
    opened = deque(waiting.popleft() for _ in range(min(n_open, len(waiting))))
    while opened:
        block = opened.popleft()
        piece = next(block, None)
        if piece is not None:
            yield piece
            opened.append(block)
        elif waiting:
            opened.appendleft(waiting.popleft())


class _Buffer:
    """Memory for rows that are mixed."""

    def __init__(self, n_rows: int, like: torch.Tensor, is_weighted: bool) -> None:
        # A GPU copies pinned memory without a detour.
        memory = {"dtype": like.dtype, "pin_memory": like.device.type == "cuda"}
        self.target = torch.empty(n_rows, like.shape[1], **memory)
        self.weight = torch.empty(n_rows, 1, **memory) if is_weighted else None
        self.n_filled = 0

    def fill(self, reading: "_InTurn") -> "_Buffer":
        """Read as many rows as there is room for; by numpy, whose threads are none of torch's."""
        target = self.target.numpy()
        weights = None if self.weight is None else self.weight.numpy()
        self.n_filled = 0
        while self.n_filled < len(target):
            rows, weight = reading.take(len(target) - self.n_filled)
            if not len(rows):
                break
            part = slice(self.n_filled, self.n_filled + len(rows))
            target[part] = rows
            if weights is not None and weight is not None:
                weights[part, 0] = weight
            self.n_filled += len(rows)
        return self

    def rows(self, device: torch.device) -> Rows:
        """Return what was read, on a device."""
        weight = None if self.weight is None else self.weight[: self.n_filled].to(device)
        return Rows(self.target[: self.n_filled].to(device), None, weight)


def _sizes(n_rows: int, n_batches: int) -> Iterator[int]:
    """Return the rows of each batch, which differ by one at most."""
    size, n_larger = divmod(n_rows, n_batches)
    return (size + (batch < n_larger) for batch in range(n_batches))


def _joined(one: Rows, other: Rows) -> Rows:
    weight = None
    if one.weight is not None and other.weight is not None:
        weight = torch.cat([one.weight, other.weight])
    return Rows(torch.cat([one.target, other.target]), None, weight)
