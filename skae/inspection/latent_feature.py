"""Which columns drive which component, in numbers and as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skae._containers import as_rows, is_frame, is_pandas, is_sparse, readable, with_cells, with_column
from skae._counts import check_count
from skae._typing import RandomState, Table, Transformer
from skae.inspection._drawing import Display, one_axes, set_title, shortened, shown
from skae.inspection._rows import (
    Reached,
    as_percent,
    codes,
    component_names,
    deviations,
    drawn,
    like,
    loadings,
    n_rows,
    numbered,
    reach,
    tables,
    take,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["LatentFeatureDisplay", "latent_feature_importances"]

_METHODS = ("permutation", "gradient", "linear")
_LABELS = {
    "permutation": "mean squared change,\nin variances of the code",
    "gradient": "mean absolute slope,\nin deviations of the code\nby one of the column",
    "linear": "slope of the best line,\nin deviations of the code\nby one of the column",
}
# Half the width of central differences, in standard deviations of the column: far above rounding in float32.
_STEP = 0.02
_MOST_FEATURES = 40
_MOST_COMPONENTS = 30
# Heat maps with as few cells as this have room for numbers.
_MOST_NUMBERS = 80


def latent_feature_importances(
    estimator: BaseEstimator,
    X: ArrayLike | Table,
    method: str = "permutation",
    n_repeats: int = 5,
    random_state: RandomState = None,
    max_samples: int = 2_000,
) -> np.ndarray:
    """Compute how much each column drives each component.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform`: an autoencoder, PCA, or a Pipeline or search that ends in one. Behind
        earlier steps, columns are those that reach the last one.
    X : array-like of shape (n_samples, n_features)
        Rows.
    method : {"permutation", "gradient", "linear"}, default="permutation"
        "permutation" is the mean squared change of each code, divided by the variance of the code, when the
        column is shuffled over rows: 2 where the code depends on this column alone, 0 where it does not
        depend on it. "gradient" is the mean absolute slope, in standard deviations of the code by one of the
        column, from central differences; it needs numbers. "linear" are the slopes of the best linear
        approximation in the same units, with their signs: `components_` of an autoencoder, whose
        `linearity_` says how much of each code they explain.
    n_repeats : int, default=5
        How often each column is shuffled.
    random_state : int, RandomState instance or None, default=None
        Source of the rows and of the shuffling.
    max_samples : int, default=2000
        Maximum number of rows to use, drawn at random.

    Returns
    -------
    importances : ndarray of shape (n_components, n_features)
        At least 0, but for "linear". 0 for components and columns that do not vary.

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If it has no `transform`.
    ValueError
        If a parameter is not valid, method="gradient" and X holds text, or method="linear" and the estimator
        has no `components_` and `linearity_` by the columns of X.

    See Also
    --------
    LatentFeatureDisplay : The same as a heat map.

    Notes
    -----
    Redundant columns share their importance in "gradient" and "linear", and shuffling one of them makes rows
    that do not occur. All methods describe the encoder, not causes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import latent_feature_importances
    >>> X = load_iris().data
    >>> latent_feature_importances(PCA(2).fit(X), X, random_state=0).argmax(axis=1)
    array([2, 0])
    """
    return _importances(estimator, X, method, n_repeats, random_state, max_samples)[0]


def _importances(
    estimator: BaseEstimator,
    X: ArrayLike | Table,
    method: str,
    n_repeats: int,
    random_state: RandomState,
    max_samples: int,
) -> tuple[np.ndarray, Reached, int]:
    """Return importances, what they refer to, and the number of rows used."""
    if method not in _METHODS:
        raise ValueError(f"method must be 'permutation', 'gradient' or 'linear'; got {method!r}.")
    n_repeats = check_count(n_repeats, "n_repeats")
    max_samples = check_count(max_samples, "max_samples", 2)
    random = check_random_state(random_state)
    X = as_rows(X)
    rows = take(X, drawn(n_rows(X), max_samples, random))
    reached = reach(estimator, rows, "latent_feature_importances")
    if n_rows(rows) < 2:
        raise ValueError("X must hold at least 2 rows, as importances compare rows; got 1.")
    spread = deviations(codes(reached.model, reached.X))[1]
    # As few rows as these may be dense.
    table = reached.X.toarray() if is_sparse(reached.X) else reached.X
    if method == "permutation":
        found = _by_shuffling(reached.model, table, spread, n_repeats, random)
    elif method == "linear":
        found = _by_components(reached.model, table, spread)
    else:
        found = _by_slopes(reached.model, table, spread)
    return found, reached, n_rows(rows)


def _shuffled(X: Table, j: int, order: np.ndarray) -> Table:
    """Return rows with one column in another order."""
    if is_pandas(X):
        other = X.copy()
        other.isetitem(j, X.iloc[order, j].set_axis(X.index))
        return other
    if is_frame(X):
        return with_column(X, j, order)
    other = readable(X).reshape(n_rows(X), -1).copy()
    other[:, j] = other[order, j]
    return like(other.reshape(X.shape), X)


def _like(X: Table, cells: np.ndarray) -> Table:
    """Return a table like X that holds these numbers."""
    if is_pandas(X):
        return type(X)(cells, columns=X.columns, index=X.index)
    if is_frame(X):
        return with_cells(X, cells)
    return like(cells.reshape(X.shape), X)


def _by_shuffling(
    model: Transformer, X: Table, spread: np.ndarray, n_repeats: int, random: np.random.RandomState
) -> np.ndarray:
    usual = codes(model, X)
    found = np.zeros((len(spread), math.prod(X.shape[1:])))
    for j in range(found.shape[1]):
        for _ in range(n_repeats):
            order = random.permutation(len(usual))
            found[:, j] += ((codes(model, _shuffled(X, j, order)) - usual) ** 2).mean(axis=0)
    return _over(found, n_repeats * spread**2)


def _by_slopes(model: Transformer, X: Table, spread: np.ndarray) -> np.ndarray:
    (table,), is_number = tables(X)
    if not is_number.all():
        raise ValueError(
            "method='gradient' needs columns of numbers, as slopes are taken along them; column "
            f"{np.flatnonzero(~is_number)[0]} holds text. Use method='permutation'."
        )
    steps = _STEP * deviations(table)[1]
    found = np.zeros((len(spread), table.shape[1]))
    for j in np.flatnonzero(steps):
        ends = []
        for sign in (1, -1):
            moved = table.copy()
            moved[:, j] += sign * steps[j]
            ends.append(codes(model, _like(X, moved)))
        found[:, j] = np.abs(ends[0] - ends[1]).mean(axis=0)
    return _over(found, 2 * _STEP * spread)


def _by_components(model: object, X: Table, spread: np.ndarray) -> np.ndarray:
    found = loadings(model, X, spread)
    if found is None:
        raise ValueError(
            "method='linear' shows components_ and linearity_ by columns of numbers as X has them, and this "
            f"{type(model).__name__} does not have them. Use method='gradient', or 'permutation' for text."
        )
    return found


def _over(found: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Divide each component's line by its unit; 0 where that is 0."""
    return np.where(unit[:, None] > 0, found / np.where(unit > 0, unit, 1.0)[:, None], 0.0)


class LatentFeatureDisplay(Display):
    """Heat map of how much each column drives each component.

    At most 40 columns are shown, those that drive any of the components shown most, in the order of X, and at
    most 30 components, the first ones; the title says so. Colours and numbers are those of
    `latent_feature_importances`. With method="linear", names of components say how linear they are.

    Parameters
    ----------
    importances : array-like of shape (n_components, n_features)
        As returned by `latent_feature_importances`.
    method : {"permutation", "gradient", "linear"}, default="permutation"
        Method by which they were computed, for the label.
    feature_names : sequence of str, default=None
        Names of the columns. None numbers them.
    component_names : sequence of str, default=None
        Names of the components. None numbers them.
    n_samples : int, default=None
        Number of rows that they were computed on, for the title.
    linearity : array-like of shape (n_components,), default=None
        Share of each component that a linear approximation explains, for the labels.

    Attributes
    ----------
    ax_ : Axes
        Axes of the plot.
    figure_ : Figure
        Figure of the plot.
    image_ : AxesImage
        The heat map.
    colorbar_ : Colorbar
        Its scale.
    features_ : ndarray of int
        Positions of the columns that are shown.

    See Also
    --------
    latent_feature_importances : The numbers.
    LatentTraversalDisplay : The other way round: the effect of a component on columns.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LatentFeatureDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = AutoencoderTransformer(2, max_iter=10, random_state=0).fit(X)
    >>> display = LatentFeatureDisplay.from_estimator(model, X, random_state=0)
    >>> display.importances.shape
    (2, 4)
    """

    def __init__(
        self,
        importances: ArrayLike,
        *,
        method: str = "permutation",
        feature_names: Sequence[str] | None = None,
        component_names: Sequence[str] | None = None,
        n_samples: int | None = None,
        linearity: ArrayLike | None = None,
    ) -> None:
        self.importances = importances
        self.method = method
        self.feature_names = feature_names
        self.component_names = component_names
        self.n_samples = n_samples
        self.linearity = linearity

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | Table,
        *,
        method: str = "permutation",
        n_repeats: int = 5,
        random_state: RandomState = None,
        max_samples: int = 2_000,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Compute how much columns drive components, and draw it.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform`: an autoencoder, PCA, or a Pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        method : {"permutation", "gradient", "linear"}, default="permutation"
            See `latent_feature_importances`.
        n_repeats : int, default=5
            How often each column is shuffled.
        random_state : int, RandomState instance or None, default=None
            Source of the rows and of the shuffling.
        max_samples : int, default=2000
            Maximum number of rows to use, drawn at random.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentFeatureDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no `transform`.
        ValueError
            If a parameter is not valid.
        """
        found, reached, n_used = _importances(estimator, X, method, n_repeats, random_state, max_samples)
        display = cls(
            found,
            method=method,
            feature_names=reached.names,
            component_names=component_names(reached.model, len(found)),
            n_samples=n_used,
            linearity=reached.model.linearity_ if method == "linear" else None,
        )
        display._n_rows = n_rows(as_rows(X))
        return display.plot(ax, **kwargs)

    # How many rows there were before they were thinned.
    _n_rows: int | None = None

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `Axes.imshow`.

        Returns
        -------
        display : LatentFeatureDisplay
            The display itself.

        Raises
        ------
        ValueError
            If names do not fit.
        """
        values = np.asarray(readable(self.importances), dtype=float)
        if values.ndim != 2:
            raise ValueError(f"importances must be a table (n_components, n_features); got {values.shape}.")
        n_components, n_features = values.shape
        names = [
            numbered(what, n) if given is None else list(given)
            for what, n, given in (
                ("component", n_components, self.component_names),
                ("column", n_features, self.feature_names),
            )
        ]
        for what, found, n in zip(("component", "feature"), names, values.shape, strict=True):
            if len(found) != n:
                raise ValueError(f"{what}_names must hold {n} names; got {len(found)}.")
        n_lines = min(n_components, _MOST_COMPONENTS)
        largest = np.argsort(-abs(values[:n_lines]).max(axis=0), kind="stable")[:_MOST_FEATURES]
        self.features_ = np.sort(largest)
        cells = values[:n_lines, self.features_]
        columns = shortened([names[1][feature] for feature in self.features_])
        # Names stand upright, and the label of the colour bar needs some height beside them.
        height = 0.6 + max(2.2, 0.24 * n_lines) + 0.075 * max(map(len, columns))
        size = (max(5.0, 2.6 + 0.24 * cells.shape[1]), height)
        if cells.size <= _MOST_NUMBERS:
            size = (max(size[0], 2.6 + 0.6 * cells.shape[1]), size[1])
        self.ax_ = one_axes(ax, type(self).__name__, size)
        self.figure_ = self.ax_.figure
        top, is_signed = float(abs(cells).max()) or 1.0, self.method == "linear"
        colours = {"cmap": "RdBu_r", "vmin": -top} if is_signed else {"cmap": "viridis", "vmin": 0.0}
        style = {**colours, "vmax": top, "aspect": "auto", **kwargs}
        self.image_ = self.ax_.imshow(cells, interpolation="nearest", **style)
        if cells.size <= _MOST_NUMBERS:
            self._write_numbers(cells, top)
        self.ax_.set_xticks(np.arange(len(columns)), columns, rotation=90, fontsize="small")
        self.ax_.set_yticks(np.arange(n_lines), self._labels(names[0][:n_lines]), fontsize="small")
        label = _LABELS[self.method]
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=label, pad=0.02)
        self._write_title(cells.shape, values.shape)
        return self

    def _labels(self, names: list[str]) -> list[str]:
        """Return the names of components, and how linear they are if that is known."""
        names = shortened(names)
        if self.linearity is None:
            return names
        shares = np.asarray(self.linearity)[: len(names)]
        return [f"{name}\n{as_percent(share)} linear" for name, share in zip(names, shares, strict=True)]

    def _write_numbers(self, cells: np.ndarray, top: float) -> None:
        for (line, column), value in np.ndenumerate(cells):
            # Dark are the ends of signed colours, and the lower one of the others.
            is_dark = abs(value) > 0.6 * top if self.method == "linear" else value <= 0.6 * top
            colour = "white" if is_dark else "black"
            self.ax_.text(
                column, line, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="x-small"
            )

    def _write_title(self, drawn_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
        parts = []
        if drawn_shape[1] < shape[1]:
            parts.append(f"{shown(drawn_shape[1], shape[1], 'columns')}, those that matter most")
        if drawn_shape[0] < shape[0]:
            parts.append(f"the first {shown(drawn_shape[0], shape[0], 'components')}")
        if self.n_samples is not None:
            parts.append(shown(self.n_samples, self._n_rows or self.n_samples, "rows"))
        set_title(self.ax_, "; ".join(parts))
