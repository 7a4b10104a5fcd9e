"""Columns of the user's, and the numeric columns inside that a network sees of them."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import FrameLayout, readable
from skae._typing import Table
from skae.metrics import squared_errors, variance_explained_score
from skae.tables.kinds import Categories, Numbers

_LARGEST = np.finfo(np.float64).max
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


class Shaped(Protocol):
    """An architecture that takes images or sequences."""

    def to_rows(self, X: np.ndarray) -> np.ndarray:
        """Return images or sequences (n_samples, ...) as rows (n_samples, n_features)."""
        ...

    def from_rows(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return rows in the shape that each had."""
        ...


class Arrangement(NamedTuple):
    """How the cells of a row lie: as an image, or as a sequence."""

    architecture: Shaped
    shape: tuple[int, ...] | None  # None: rows were flat already

    def flat(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Return rows as they are read here, images and sequences flat, and the shape that each had.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            What the user passed.

        Returns
        -------
        X : array-like of shape (n_samples, n_features)
        shape : tuple of int or None
            None where the rows were flat already.
        """
        X = readable(X)
        try:
            table = np.asarray(X) if isinstance(X, (list, tuple)) else X
        except ValueError as error:
            raise ValueError(
                "X is a list of rows of different lengths. Pass rows of one length; sequences that end early "
                "end in NaN."
            ) from error
        if getattr(table, "ndim", 2) > 2:
            return self.architecture.to_rows(np.asarray(table)), tuple(table.shape[1:])
        return X, None

    def arranged(self, rows: Any) -> Any:
        """Return rows (n_samples, n_features) in the shape that they had."""
        return rows if self.shape is None else self.architecture.from_rows(rows, self.shape)


class Scaling(NamedTuple):
    """What is done to numbers on their way inside, column by column, as plain arrays."""

    shift: np.ndarray  # (n_inside,) subtracted first; zero where nothing is
    factor: np.ndarray  # (n_inside,) what it is divided by; one where it is by nothing
    # Of a map of quantiles to a normal distribution, which then takes the place of both:
    columns: np.ndarray | None = None  # (n_numeric,) positions inside
    quantiles: np.ndarray | None = None  # (n_quantiles, n_numeric)
    shares: np.ndarray | None = None  # (n_quantiles,) of rows below them


class Columns:
    """Columns of plain numbers, which lie inside as they are; the base of all others.

    What turns rows of the user's into rows inside and back. Reading makes one of the training rows
    (`skae.tables.read_training`); it is never changed afterwards.

    Parameters
    ----------
    n_features : int
        Number of the user's columns.
    names : list of str, optional
        Their names, where all are text.
    arrangement : Arrangement, optional
        Of images and sequences.

    Attributes
    ----------
    is_plain : bool
        Whether rows inside are those of the user.
    is_by_column : bool
        Whether each column inside belongs to one of the user's.
    reads_sparse : bool
        Whether sparse rows are read as they are, and never made dense.
    is_mixed : bool
        Whether there is anything but numbers.
    """

    is_plain: ClassVar[bool] = True
    is_by_column: ClassVar[bool] = True
    reads_sparse: ClassVar[bool] = False
    # What each column of the user's is, where that is asked for; none for plain numbers.
    columns: Sequence[Numbers | Categories] = ()

    def __init__(
        self, n_features: int, names: list[str] | None = None, arrangement: Arrangement | None = None
    ) -> None:
        self.n_features = n_features
        self.names = names
        self.arrangement = arrangement
        self.is_mixed = False
        # What a DataFrame of another library looked like, for rows on their way back.
        self.layout: FrameLayout | None = None
        # Whether parameters say that columns are more than numbers as they are, or what kinds they are of.
        self.is_declared = self.declares_kinds = False

    # ------------------------------------------------------------------ what is inside

    @property
    def n_inside(self) -> int:
        """Number of columns inside."""
        return self.n_features

    @property
    def owners(self) -> np.ndarray:
        """Position of the user's column that each column inside belongs to, (n_inside,)."""
        return np.arange(self.n_inside)

    @property
    def kinds(self) -> list[str]:
        """What each column inside holds, (n_inside,): "numeric", "binary", "categorical" or "count"."""
        return ["numeric"] * self.n_inside

    @property
    def is_numeric(self) -> np.ndarray:
        """Whether a column inside holds numbers as such, (n_inside,)."""
        return np.ones(self.n_inside, dtype=bool)

    @property
    def loss_weights(self) -> np.ndarray:
        """What the loss of each column inside is multiplied by, (n_inside,)."""
        return np.ones(self.n_inside)

    @property
    def is_scaled(self) -> bool:
        """Whether numbers inside are in other units than those of X."""
        return False

    @property
    def scaling(self) -> Scaling | None:
        """How numbers are scaled on their way inside; None where they are not."""
        return None

    @property
    def directions(self) -> np.ndarray | None:
        """Directions (n_features, n_inside) that rows inside are coordinates along; None for columns."""
        return None

    def holds_categories(self, j: int) -> bool:
        """Whether one of the user's columns holds categories, two or more."""
        return self.kinds[int(np.searchsorted(self.owners, j))] in ("binary", "categorical")

    def names_of(self, columns: np.ndarray) -> list[int | str]:
        """Return what columns of the user's are called, by their positions: names, or the positions."""
        return [int(j) if self.names is None else str(self.names[j]) for j in columns]

    def slopes(self, slopes: np.ndarray) -> np.ndarray:
        """Return slopes by columns inside, (n, n_inside), in the units and the columns of `mean`."""
        return slopes

    # ------------------------------------------------------------------ there and back

    def is_ready(self, X: object) -> TypeGuard[np.ndarray]:
        """Whether rows are such as validation would give them back, and lie inside as they are.

        For one row, scikit-learn's search for what kind of table it might be takes as long as all
        the rest of `transform`: 45 of 95 microseconds.
        """
        return (
            self.is_plain
            and type(X) is np.ndarray
            and X.dtype in _FLOATS
            and X.dtype.isnative
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == self.n_features
            and self.names is None
            and bool(np.isfinite(X).all())
        )

    def encode(self, X: Any) -> np.ndarray:
        """Return rows inside (n_samples, n_inside) of validated ones, NaN where a cell is missing."""
        return X

    def unscale(self, rows: np.ndarray) -> np.ndarray:
        """Return rows inside (n_samples, n_inside) with numbers in the units of X."""
        return rows

    def decode(self, rows: np.ndarray) -> Any:
        """Return the user's table, an array or a DataFrame of pandas, of rows inside."""
        return rows

    def as_read(self, rows: np.ndarray) -> Any:
        """Return rows inside as they were read in `fit`: tables, images or sequences."""
        return self.arranged(self.decode(rows))

    def arranged(self, table: object) -> Any:
        """Return rows of the user's that lie flat in the shape that they had: images or sequences."""
        return table if self.arrangement is None else self.arrangement.arranged(table)

    def as_given(self, rows: np.ndarray) -> Any:
        """Return the same, DataFrames in the library of the one of `fit`."""
        back = self.as_read(rows)
        return back if self.layout is None else self.layout.put(back)

    def unknown(self, X: Table) -> np.ndarray:
        """Return which cells hold a category that training has not seen, (n_samples, n_features)."""
        return np.zeros(X.shape, dtype=bool)

    def settle(self, means: np.ndarray, variances: np.ndarray) -> Scaling | None:
        """Take over what was measured of all rows, where the columns were learnt from a sample of them.

        Parameters
        ----------
        means, variances : ndarray of shape (n_inside,)
            Of the columns inside; NaN where no row has a value.

        Returns
        -------
        change : Scaling or None
            What is done to rows inside that were read before; None for nothing.
        """
        return None

    # ------------------------------------------------------------------ how well rows come back

    def mean(self, centre: np.ndarray) -> np.ndarray:
        """Return the mean of each column in the units of X; with several kinds, that of columns inside.

        Parameters
        ----------
        centre : ndarray of shape (n_inside,)
            Mean of the training rows inside.
        """
        return centre

    def explained(
        self,
        X: ArrayLike | Table,
        inside: np.ndarray,
        back: np.ndarray,
        centre: np.ndarray,
        weight: np.ndarray | None,
    ) -> float:
        """Return the share of the variance of rows that came back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows as the user has them.
        inside, back : ndarray of shape (n_samples, n_inside)
            Rows inside, and what came back of them.
        centre : ndarray of shape (n_inside,)
            Mean of the training rows inside.
        weight : ndarray of shape (n_samples,), optional
            Weights of rows.

        Returns
        -------
        score : float
        """
        return variance_explained_score(inside, back, mean=centre, sample_weight=weight)

    def explained_in_own_units(
        self,
        X: ArrayLike | Table,
        inside: np.ndarray,
        back: np.ndarray,
        centre: np.ndarray,
        weight: np.ndarray | None,
    ) -> float:
        """Return the same in the units of X, where they differ from those inside; see `explained`."""
        return self.explained(X, inside, back, centre, weight)

    def errors_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the squared error of each cell of the user's, (n_samples, n_features); see `explained`."""
        return squared_errors(inside, back)

    def errors_by_row(self, X: ArrayLike | Table, inside: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the mean of the squared errors of each row's cells, (n_samples,); see `explained`."""
        return row_means(self.errors_by_cell(X, inside, back))

    def errors(
        self,
        X: ArrayLike | Table,
        inside: np.ndarray,
        back: np.ndarray,
        by_cell: bool,
        new: np.ndarray | None,
    ) -> np.ndarray:
        """Return the squared errors of rows, cells that hold a category not seen in training among them.

        Parameters
        ----------
        X, inside, back
            As for `explained`.
        by_cell : bool
            Whether those of cells are wanted, (n_samples, n_features), or their means, (n_samples,).
        new : ndarray of shape (n_samples, n_features), optional
            Which cells hold such a category; none by default.

        Returns
        -------
        errors : ndarray
        """
        if new is None or not new.any():
            return self.errors_by_cell(X, inside, back) if by_cell else self.errors_by_row(X, inside, back)
        # It would have a column of ones for itself, for which nothing is given back, and zeros in the others.
        others = self.errors_by_cell(X, np.zeros_like(back), back)
        cells = np.where(new, 1.0 + others, self.errors_by_cell(X, inside, back))
        return cells if by_cell else row_means(cells)

    def deviations_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Return the squared deviation of each cell of the user's from the mean; see `explained`."""
        return np.square(np.subtract(inside, centre, dtype=np.float64))


def row_means(errors: np.ndarray) -> np.ndarray:
    """Return the mean of each row over the cells that are not NaN, 0 where there is none.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_features)
        Of cells.

    Returns
    -------
    means : ndarray of shape (n_samples,)

    """
    # Errors that overflow are the largest number, and so is the mean of a row of them.
    with np.errstate(over="ignore"):
        if not np.isnan(errors).any():
            return np.minimum(errors.mean(axis=1), _LARGEST)
        means = np.nansum(errors, axis=1) / np.maximum((~np.isnan(errors)).sum(axis=1), 1)
    return np.minimum(means, _LARGEST)
