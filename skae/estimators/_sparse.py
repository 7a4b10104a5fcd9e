"""Wide sparse tables, read through their leading directions, so that nothing as wide is ever dense.

An orthonormal basis of the directions in which rows extend most takes the place of the columns. Squared
errors inside it are those of the columns, and what lies outside is known: no network could give it back
through a linear last layer of that rank.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.utils.extmath import safe_sparse_dot

from skae._counts import check_moderate

# Up to so many columns, rows are made dense: they are no larger than the codes of a wider table.
MOST_DENSE_COLUMNS = 256
# Directions beyond those that a code has components for; a basis costs the square of its length.
_MOST_SPARE = 512
_CHUNK_CELLS = 2**24
# Of the largest value: squares of smaller ones, or of those as large as its inverse, leave single precision.
_SMALLEST = 1e-12


class Directions:
    """The leading directions of a sparse table.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        Training rows.
    n_components : int
        Components of the code. There are twice as many directions, but at least 256, at most 512 more than
        components, and never more than rows or columns.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.
    """

    is_mixed = False
    # Squared errors along the directions, with what lies outside of them, are those of the columns.
    is_scaled = False

    def __init__(self, X: Any, n_components: int, weight: np.ndarray | None) -> None:
        n_directions = max(MOST_DENSE_COLUMNS, n_components + min(n_components, _MOST_SPARE))
        n_directions = min(n_directions, *X.shape)
        _check_moderate(X)
        scaled = X if weight is None else X.multiply(np.sqrt(weight)[:, None]).tocsr()
        largest = abs(scaled).max()
        if largest and not _SMALLEST <= largest <= 1 / _SMALLEST:
            # Directions have no unit, and squares of such values no place in single precision.
            scaled = scaled / largest
        # The same directions for every fit; in single precision, which halves what is largest here.
        with np.errstate(invalid="ignore"):
            # A share of no variance at all is no number.
            found = TruncatedSVD(n_directions, random_state=0).fit(scaled.astype(np.float32))
        self.basis = np.ascontiguousarray(np.asarray(found.components_).T, dtype=np.float32)
        weight = np.ones(X.shape[0]) if weight is None else weight
        mean = safe_sparse_dot(weight, X) / weight.sum()
        self.mean = np.asarray(mean, dtype=np.float64).ravel()
        self.numeric = np.ones(n_directions, dtype=bool)

    def encode(self, X: Any) -> np.ndarray:
        """Give coordinates (n_samples, n_directions), in the dtype of X."""
        _check_moderate(X)
        return np.asarray(safe_sparse_dot(X, self.basis.astype(X.dtype, copy=False)))

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Give rows (n_samples, n_features), which are dense."""
        return rows @ self.basis.T.astype(rows.dtype, copy=False)

    def left_out(self, X: Any, inside: np.ndarray) -> np.ndarray:
        """Give the squared length of each row outside the directions, (n_samples,)."""
        return np.maximum(squared_lengths(X) - np.square(inside, dtype=np.float64).sum(axis=1), 0.0)

    def deviations(self, X: Any) -> np.ndarray:
        """Give the squared distance of each row from the mean of the training rows, (n_samples,)."""
        crossed = np.asarray(safe_sparse_dot(X, self.mean)).ravel()
        return squared_lengths(X) - 2 * crossed + self.mean @ self.mean

    def errors_by_cell(self, X: Any, back: np.ndarray) -> np.ndarray:
        """Give squared errors (n_samples, n_features), which are dense, of what came back of coordinates."""
        dense = X.toarray() if hasattr(X, "toarray") else X
        return np.square(dense - self.decode(back).astype(np.float64))


def _check_moderate(X: Any) -> None:
    """Refuse values whose squares would overflow."""
    check_moderate(X.data[None] if hasattr(X, "multiply") else X)


def squared_lengths(X: Any) -> np.ndarray:
    """Give the squared length of each row of a sparse or dense table, (n_samples,), float64."""
    if hasattr(X, "multiply"):
        X = X.astype(np.float64, copy=False)
        return np.asarray(X.multiply(X).sum(axis=1)).ravel()
    return np.square(X, dtype=np.float64).sum(axis=1)
