"""Types that rooms share, as names to annotate with. Nothing is imported that is not there anyway.

pandas and matplotlib are optional, so that their classes are known to type checkers alone: modules that
use these names have ``from __future__ import annotations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Panels", "RandomState", "Sparse", "Table", "Transformer"]

# What `random_state` may be, as everywhere in scikit-learn.
RandomState: TypeAlias = int | np.random.RandomState | None
# Axes to draw on: one, whose area may be divided, several, or None for a new figure.
Panels: TypeAlias = "Axes | np.ndarray | list[Axes] | tuple[Axes, ...] | None"


class Table(Protocol):
    """Rows of any kind that can be counted: an array, a sparse table, a tensor or a DataFrame."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and of columns."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Return some rows, or some columns."""
        ...


class Sparse(Table, Protocol):
    """A sparse table of scipy."""

    def toarray(self) -> np.ndarray:
        """Return it dense."""
        ...

    def tocsr(self) -> Sparse:
        """Return it row by row."""
        ...

    def tocsc(self) -> Sparse:
        """Return it column by column."""
        ...


class Transformer(Protocol):
    """A fitted estimator with codes; rows come and go in whatever container it knows."""

    def transform(self, X: Any, /) -> Any:
        """Return the codes of rows."""
        ...
