"""Which columns are reconstructed badly, over many rows and in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import as_rows, names_of
from skae._counts import check_count, is_integer
from skae._typing import Table
from skae.inspection._drawing import (
    BLUE,
    GREY,
    ORANGE,
    Display,
    as_text,
    in_legend,
    one_axes,
    set_title,
    shortened,
    shown,
)
from skae.inspection._rows import (
    deviations,
    drawn,
    labels_of,
    n_rows,
    numbered,
    reach,
    reconstruct,
    tables,
    take,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["FeatureErrorDisplay"]

_MOST_FEATURES = 30
_MOST_ROWS = 20_000
# A row whose errors are this much larger would leave no bar to be seen.
_FAR = 20.0


class FeatureErrorDisplay(Display):
    """Error of each column, the largest first, and that of one row.

    By default the share of the column's variance that is left unexplained: 0 is perfect, 1 no better than
    the mean. With ``relative=False`` the root mean squared error, each column in its own units. For columns
    of text it is the share of the cells that are reconstructed as another value; with `relative`, divided by
    that of the best constant, the most frequent value. Constant columns have no share, and are left out; the
    title says so, and how many columns are shown.

    Parameters
    ----------
    errors : array-like of shape (n_features,)
        Error of each column; NaN leaves it out.
    row_errors : array-like of shape (n_features,), default=None
        Errors of one row: its squared error divided by the column's variance, or its absolute error.
    relative : bool, default=True
        Whether errors are shares of the variance.
    feature_names : sequence of str, default=None
        Names of the columns. None numbers them.
    row_name : str, default="one row"
        Name of the row.
    max_features : int, default=30
        Number of columns to show: those with the largest errors, of the row if there is one.
    units : str, default="units of X"
        Units of columns, for the label.
    n_samples : int, default=None
        Number of rows that errors were computed on, for the title.

    Attributes
    ----------
    ax_ : Axes
        Axes of the plot.
    figure_ : Figure
        Figure of the plot.
    bars_ : BarContainer
        Bars of the columns shown, from the top down.
    points_ : Line2D or None
        Errors of the row.
    features_ : ndarray of int
        Positions of the columns shown, from the top down.

    See Also
    --------
    ReconstructionDisplay : The cells themselves.
    skae.tasks.AutoencoderOutlierDetector : Finds outliers, and predicts each column from the others.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import FeatureErrorDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = AutoencoderTransformer(1, max_iter=10, random_state=0).fit(X)
    >>> display = FeatureErrorDisplay.from_estimator(model, X)
    >>> display.ax_.get_yticklabels()[0].get_text()
    'sepal width (cm)'
    """

    def __init__(
        self,
        errors: ArrayLike,
        row_errors: ArrayLike | None = None,
        *,
        relative: bool = True,
        feature_names: Sequence[str] | None = None,
        row_name: str = "one row",
        max_features: int = _MOST_FEATURES,
        units: str = "units of X",
        n_samples: int | None = None,
    ) -> None:
        self.errors = errors
        self.row_errors = row_errors
        self.relative = relative
        self.feature_names = feature_names
        self.row_name = row_name
        self.max_features = max_features
        self.units = units
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | Table,
        *,
        relative: bool = True,
        row: int | None = None,
        max_features: int = _MOST_FEATURES,
        max_samples: int = _MOST_ROWS,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw the errors of the columns of X.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`: an autoencoder, PCA, or a Pipeline or search
            that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        relative : bool, default=True
            Whether errors are shares of the column's variance over these rows.
        row : int, default=None
            Position in X of a row to mark.
        max_features : int, default=30
            Number of columns to show.
        max_samples : int, default=20000
            Maximum number of rows to compute errors on, drawn at random, the same ones every time.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : FeatureErrorDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no inverse.
        ValueError
            If there is no such row.
        """
        X = as_rows(X)
        kept = drawn(n_rows(X), check_count(max_samples, "max_samples"))
        wanted = kept if row is None else np.r_[kept, _checked_row(row, n_rows(X))]
        reached = reach(estimator, take(X, wanted), cls.__name__)
        back = reconstruct(reached.model, reached.X, cls.__name__)
        display = cls._of(reached.X, back, row is not None, relative)
        display.feature_names = reached.names
        display.units = reached.units
        return display._finish(row, n_rows(X), max_features, X).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike | Table,
        X_back: ArrayLike | Table,
        *,
        relative: bool = True,
        row: int | None = None,
        max_features: int = _MOST_FEATURES,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw the errors of given reconstructions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        X_back : array-like of the same shape
            Their reconstructions.
        relative : bool, default=True
            Whether errors are shares of the column's variance over these rows.
        row : int, default=None
            Position in X of a row to mark.
        max_features : int, default=30
            Number of columns to show.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : FeatureErrorDisplay
            Display of the plot.

        Raises
        ------
        ValueError
            If shapes differ, or there is no such row.
        """
        X, X_back = as_rows(X), as_rows(X_back)
        if tuple(X.shape) != tuple(X_back.shape):
            raise ValueError(
                f"X has shape {tuple(X.shape)}, its reconstruction {tuple(X_back.shape)}; they must be equal."
            )
        n = n_rows(X)
        wanted = np.arange(n) if row is None else np.r_[np.arange(n), _checked_row(row, n)]
        display = cls._of(take(X, wanted), take(X_back, wanted), row is not None, relative)
        names = names_of(X)
        display.feature_names = None if names is None else [str(name) for name in names]
        return display._finish(row, n, max_features, X).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `Axes.barh`.

        Returns
        -------
        display : FeatureErrorDisplay
            The display itself.

        Raises
        ------
        ValueError
            If names or errors of the row do not fit, or no column varies.
        """
        errors = np.asarray(self.errors, dtype=float)
        n_features = len(errors)
        names = numbered("column", n_features) if self.feature_names is None else list(self.feature_names)
        if len(names) != n_features:
            raise ValueError(f"feature_names must hold {n_features} names; got {len(names)}.")
        row = None if self.row_errors is None else np.asarray(self.row_errors, dtype=float)
        if row is not None and len(row) != n_features:
            raise ValueError(f"row_errors must hold {n_features} errors; got {len(row)}.")
        n_varying = int((~np.isnan(errors)).sum())
        if n_varying == 0:
            raise ValueError("All columns of X are constant, so that there is no error to show.")
        # Chosen by the row, if there is one, and sorted by all rows.
        key = np.where(np.isnan(errors), -np.inf, errors if row is None else np.nan_to_num(row))
        most = min(check_count(self.max_features, "max_features"), n_varying)
        largest = np.argsort(-key, kind="stable")[:most]
        self.features_ = largest[np.argsort(-errors[largest], kind="stable")]
        height = 1.3 + 0.22 * most
        self.ax_ = one_axes(ax, type(self).__name__, (6.8, max(2.4, height)))
        self.figure_ = self.ax_.figure
        at = np.arange(most)
        style = {"color": BLUE, "label": "all rows", **kwargs}
        self.bars_ = self.ax_.barh(at, errors[self.features_], **style)
        self.points_ = None
        if row is not None:
            self._mark(row[self.features_], errors[self.features_])
        self.ax_.set_yticks(at, shortened([names[feature] for feature in self.features_]), fontsize="small")
        self.ax_.set(ylim=(most - 0.4, -0.6), xlabel=self._label())
        self._finish_axes(n_features, n_varying, most)
        return self

    # ------------------------------------------------------------------ inside

    @classmethod
    def _of(cls, X: ArrayLike | Table, X_back: ArrayLike | Table, has_row: bool, relative: bool) -> Self:
        """Measure errors; the last row is the one to mark, if there is one."""
        (table, back), is_number = tables(X, X_back)
        missed = np.where(is_number, (table - back) ** 2, np.where(np.isnan(table), np.nan, table != back))
        base = _base(table[:-1] if has_row else table, is_number)
        over_rows = missed[:-1] if has_row else missed
        n_there = np.maximum((~np.isnan(over_rows)).sum(axis=0), 1)
        errors = np.nansum(over_rows, axis=0) / n_there
        unit = np.where(base > 0, base, np.nan) if relative else np.ones(len(base))
        both = np.stack([errors, missed[-1]]) / unit
        if not relative:
            both = np.where(is_number, np.sqrt(both), both)
        return cls(both[0], both[1] if has_row else None, relative=relative, n_samples=len(over_rows))

    def _finish(self, row: int | None, n: int, max_features: int, X: Table) -> Self:
        """Add what is known from the caller's table only."""
        self.max_features = max_features
        self._n_rows = n
        if row is not None:
            index = labels_of(X)
            self.row_name = f"row {row if index is None else index[row]}"
        return self

    # How many rows there were before they were thinned.
    _n_rows: int | None = None

    def _label(self) -> str:
        if self.relative:
            return "share of the column's variance left unexplained"
        return f"root mean squared error, {self.units}"

    def _mark(self, row: np.ndarray, errors: np.ndarray) -> None:
        name = in_legend(as_text(self.row_name))
        label = f"{name}: {'squared error over the variance' if self.relative else 'absolute error'}"
        (self.points_,) = self.ax_.plot(
            row, np.arange(len(row)), "D", color=ORANGE, markersize=5, label=label, clip_on=False
        )
        largest = np.nanmax(row) if np.isfinite(row).any() else 0.0
        if largest > _FAR * np.nanmax(errors) > 0:
            # Linear as far as bars go, so that errors of none are still seen.
            power = int(np.ceil(np.log10(np.nanmax(errors))))
            self.ax_.set_xscale("symlog", linthresh=10.0**power)
        self.ax_.legend(loc="best", fontsize="small")

    def _finish_axes(self, n_features: int, n_varying: int, most: int) -> None:
        self.ax_.set_xlim(left=0)
        if self.relative and self.ax_.get_xlim()[1] > 0.7:
            self.ax_.axvline(1, color=GREY, linestyle="--", linewidth=1.0, zorder=0)
            self.ax_.set_xlim(right=max(1.05, self.ax_.get_xlim()[1]))
        parts = [shown(most, n_features, "columns")]
        if most < n_varying:
            parts[0] += f", worst in {self.row_name}" if self.row_errors is not None else ", the worst"
        if n_varying < n_features:
            parts.append(f"{n_features - n_varying} without variance left out")
        if self.n_samples is not None:
            parts.append(shown(self.n_samples, self._n_rows or self.n_samples, "rows"))
        set_title(self.ax_, "; ".join(parts))


def _base(table: np.ndarray, is_number: np.ndarray) -> np.ndarray:
    """Return the error of the best constant for each column: its variance, or the share of rarer values."""
    base = deviations(table)[1] ** 2
    for j in np.flatnonzero(~is_number):
        there = table[~np.isnan(table[:, j]), j]
        counts = np.unique(there, return_counts=True)[1]
        base[j] = 1 - counts.max() / counts.sum() if len(counts) else 0.0
    return base


def _checked_row(row: object, n: int) -> int:
    if not is_integer(row) or not -n <= row < n:
        raise ValueError(f"row must be a position in 0 to {n - 1}; got {row!r}.")
    return int(row) % n
