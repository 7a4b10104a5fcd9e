"""Results of parts of a table, joined to one of all of it. Knows no source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse

from skae._containers import is_pandas
from skae._typing import Sparse

if TYPE_CHECKING:
    from pandas import DataFrame

# What is computed of a part of the rows.
Found: TypeAlias = "np.ndarray | DataFrame | Sparse"


class Parts:
    """Results of pieces of so many rows, in one output as far as they are arrays."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.filled = 0
        self.array: np.ndarray | None = None
        self.frames: list[DataFrame | Sparse] = []
        self.members: list[Parts] = []

    def add(self, found: Found | tuple[Found, ...]) -> None:
        """Add what was found of the next rows."""
        if isinstance(found, tuple):
            self.members = self.members or [Parts(self.n_rows) for _ in found]
            for member, part in zip(self.members, found, strict=True):
                member.add(part)
        elif not isinstance(found, np.ndarray):
            self.frames.append(found)
        else:
            if self.array is None:
                self.array = np.empty((self.n_rows, *found.shape[1:]), dtype=found.dtype)
            self.array[self.filled : self.filled + len(found)] = found
            self.filled += len(found)

    def joined(self) -> Any:
        """Return all of it."""
        if self.members:
            return tuple(member.joined() for member in self.members)
        if not self.frames:
            return self.array
        if not is_pandas(self.frames[0]):
            return scipy.sparse.vstack(self.frames, format="csr")
        import pandas

        return pandas.concat([frame for frame in self.frames if is_pandas(frame)], ignore_index=True)
