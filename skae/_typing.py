"""Types that rooms share, as names to annotate with. Nothing is imported that is not there anyway.

pandas and matplotlib are optional, so that their classes are known to type checkers alone: modules that
use these names have ``from __future__ import annotations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame, Series

__all__ = ["Column", "Dense", "Model", "Panels", "RandomState", "Reducer", "Sparse", "Table", "Transformer"]

# What `random_state` may be, as everywhere in scikit-learn.
RandomState: TypeAlias = int | np.random.RandomState | None
# Rows of single cells, and a column of them.
Dense: TypeAlias = "np.ndarray | DataFrame"
Column: TypeAlias = "np.ndarray | Series"
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

    @property
    def dtype(self) -> np.dtype:
        """Of the cells."""
        ...

    @property
    def nnz(self) -> int:
        """Number of cells that are stored."""
        ...

    def toarray(self) -> np.ndarray:
        """Return it dense."""
        ...

    def tocsr(self) -> Sparse:
        """Return it row by row."""
        ...

    def tocsc(self) -> Sparse:
        """Return it column by column."""
        ...


@runtime_checkable
class Model(Protocol):
    """An estimator that learns from rows and a target, such as a classifier."""

    def fit(self, X: Any, y: object, /) -> Any:
        """Learn from rows and a target."""
        ...


class Transformer(Protocol):
    """A fitted estimator with codes; rows come and go in whatever container it knows."""

    def transform(self, X: Any, /) -> Any:
        """Return the codes of rows."""
        ...


class Reducer(Transformer, Protocol):
    """An estimator that has codes once it is fitted."""

    def fit(self, X: Any, y: object = None, /) -> Any:
        """Learn from rows."""
        ...
