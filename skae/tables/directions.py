"""Wide sparse tables, read through their leading directions, so that nothing as wide is ever dense.

An orthonormal basis of the directions in which rows extend most takes the place of the columns. Squared
errors inside it are those of the columns, and what lies outside is known: no network could give it back
through a linear last layer of that rank.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.decomposition import TruncatedSVD
from sklearn.utils.extmath import safe_sparse_dot

from skae._containers import as_matrix
from skae._counts import check_moderate
from skae._typing import Table
from skae.metrics import squared_errors
from skae.tables.columns import Columns

# Up to so many columns, rows are made dense: they are no larger than the codes of a wider table.
MOST_DENSE_COLUMNS = 256
# Directions beyond those that a code has components for; a basis costs the square of its length.
_MOST_SPARE = 512
_CHUNK_CELLS = 2**24
# Of the largest value: squares of smaller ones, or of those as large as its inverse, leave single precision.
_SMALLEST = 1e-12


class Directions(Columns):
    """The leading directions of a sparse table, in place of its columns.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        Training rows.
    n_components : int
        Components of the code. There are twice as many directions, but at least 256, at most 512 more than
        components, and never more than rows or columns.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.
    names : list of str, optional
        The names of the columns, where all are text.
    """

    is_plain: ClassVar[bool] = False
    is_by_column: ClassVar[bool] = False
    reads_sparse: ClassVar[bool] = True

    def __init__(
        self, X: Any, n_components: int, weight: np.ndarray | None, names: list[str] | None = None
    ) -> None:
        super().__init__(X.shape[1], names)
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
        # (n_features,) of the columns.
        self.means = np.asarray(mean, dtype=np.float64).ravel()

    @property
    def directions(self) -> np.ndarray | None:
        """Directions (n_features, n_inside) that rows inside are coordinates along."""
        return self.basis

    @property
    def n_inside(self) -> int:
        """Number of directions."""
        return self.basis.shape[1]

    def encode(self, X: Any) -> np.ndarray:
        """Return coordinates (n_samples, n_directions), in the dtype of X."""
        _check_moderate(X)
        return np.asarray(safe_sparse_dot(X, self.basis.astype(X.dtype, copy=False)))

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n_samples, n_features), which are dense."""
        return rows @ self.basis.T.astype(rows.dtype, copy=False)

    def left_out(self, X: object, inside: np.ndarray) -> np.ndarray:
        """Return the squared length of each row outside the directions, (n_samples,)."""
        return np.maximum(squared_lengths(X) - np.square(inside, dtype=np.float64).sum(axis=1), 0.0)

    def deviations(self, X: object) -> np.ndarray:
        """Return the squared distance of each row from the mean of the training rows, (n_samples,)."""
        crossed = np.asarray(safe_sparse_dot(X, self.means)).ravel()
        return squared_lengths(X) - 2 * crossed + self.means @ self.means

    def mean(self, centre: np.ndarray) -> np.ndarray:
        """Return the mean of each of the user's columns."""
        return self.means

    def slopes(self, slopes: np.ndarray) -> np.ndarray:
        """Return slopes by directions, (n, n_inside), as slopes by columns of X, (n, n_features)."""
        return slopes @ self.basis.T

    def explained(
        self,
        X: ArrayLike | Table,
        inside: np.ndarray,
        back: np.ndarray,
        centre: np.ndarray,
        weight: np.ndarray | None,
    ) -> float:
        """Return the share of the variance that came back; squared errors are those of the columns."""
        matrix = as_matrix(X)
        missed = squared_errors(inside, back).sum(axis=1) + self.left_out(matrix, inside)
        weight = np.ones(len(missed)) if weight is None else weight
        missed, total = weight @ missed, weight @ self.deviations(matrix)
        rounding = 1e3 * float(np.finfo(inside.dtype).eps) ** 2 * float(weight @ squared_lengths(matrix))
        if total <= rounding:
            # As `variance_explained_score` without any variance.
            return 1.0 if missed <= rounding else 0.0
        return float(1 - missed / total)

    def errors_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the squared error of each cell of the user's, (n_samples, n_features), which are dense."""
        matrix = as_matrix(X)
        dense = matrix.toarray() if issparse(matrix) else matrix
        return np.square(dense - self.decode(back).astype(np.float64))

    def errors_by_row(self, X: ArrayLike | Table, inside: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the mean of the squared errors of each row's cells, (n_samples,)."""
        matrix = as_matrix(X)
        return (squared_errors(inside, back).sum(axis=1) + self.left_out(matrix, inside)) / matrix.shape[1]

    def deviations_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Return the squared deviation of each cell of dense rows from the mean."""
        return np.square(as_matrix(X) - self.means)


def _check_moderate(X: Any) -> None:
    """Refuse values whose squares would overflow."""
    check_moderate(X.data[None] if issparse(X) else X)


def squared_lengths(X: Any) -> np.ndarray:
    """Return the squared length of each row of a sparse or dense table, (n_samples,), float64."""
    if issparse(X):
        X = X.astype(np.float64, copy=False)
        return np.asarray(X.multiply(X).sum(axis=1)).ravel()
    return np.square(X, dtype=np.float64).sum(axis=1)
