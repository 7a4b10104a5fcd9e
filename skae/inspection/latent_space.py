"""Where rows lie in the code: points, classes, a colour bar, or their density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import as_rows, is_sparse, names_of, readable, take_column
from skae._typing import Table
from skae.inspection._drawing import (
    BLUE,
    MARKERS,
    PALETTE,
    Display,
    as_text,
    colours,
    inside,
    map_with_gaps,
    markers,
    one_axes,
    set_title,
    shortened,
    shown,
)
from skae.inspection._rows import (
    as_values,
    check_component,
    codes,
    component_names,
    drawn,
    n_rows,
    numbered,
    reach,
    take,
)
from skae.tables.cells import as_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["LatentSpaceDisplay"]

# More points than this are one blot.
_MOST_POINTS = 20_000
# Whole numbers with more values than this are amounts, not classes.
_MOST_NUMBERED = 20
# As many as colours and markers tell apart.
_MOST_CLASSES = len(PALETTE) * len(MARKERS)
# How much wider than its central 99 % an axis may be.
_SQUEEZED = 2.5


class _Colours(NamedTuple):
    """What points are coloured by."""

    values: np.ndarray  # numbers, or positions of classes with -1 for missing ones
    classes: list[str] | None  # names of classes


class LatentSpaceDisplay(Display):
    """Codes of rows, two or three components against each other.

    Classes get a legend, numbers a colour bar. More than 20,000 rows are drawn as their density without
    colours, and else sampled down to 20,000, the same ones every time; the title says so. An axis ends at the
    0.5 % and 99.5 % quantiles where a few distant rows would squeeze all others; the title says how many rows
    lie outside.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes.
    y : array-like of shape (n_samples,), default=None
        Values to colour by. Text, booleans and whole numbers with at most 20 values are classes; other
        numbers are continuous.
    components : tuple of int, default=(0, 1)
        Two components, or three for a plot in three dimensions.
    target_names : sequence of str, default=None
        Names of the classes, in the order of their sorted values.
    color_name : str, default=None
        Name of y, for the legend or the colour bar.
    component_names : sequence of str, default=None
        Names of all components. None numbers them.

    Attributes
    ----------
    ax_ : Axes
        Axes of the plot.
    figure_ : Figure
        Figure of the plot.
    scatter_ : PathCollection, list of PathCollection, or None
        The points; a list with one item for each class. None where the density is drawn.
    hexbin_ : PolyCollection or None
        The density.
    colorbar_ : Colorbar or None
        Colour bar of numbers or of the density.
    legend_ : Legend or None
        Legend of classes.

    See Also
    --------
    LatentTraversalDisplay : Rows along a component.

    Notes
    -----
    The first components are no more important than others unless the estimator orders them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LatentSpaceDisplay
    >>> iris = load_iris()
    >>> model = AutoencoderTransformer(2, max_iter=10, random_state=0).fit(iris.data)
    >>> display = LatentSpaceDisplay.from_estimator(
    ...     model, iris.data, iris.target, target_names=iris.target_names
    ... )
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['setosa', 'versicolor', 'virginica']
    """

    def __init__(
        self,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        target_names: Sequence[str] | None = None,
        color_name: str | None = None,
        component_names: Sequence[str] | None = None,
    ) -> None:
        self.Z = Z
        self.y = y
        self.components = components
        self.target_names = target_names
        self.color_name = color_name
        self.component_names = component_names

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | Table,
        y: ArrayLike | None = None,
        *,
        color: str | int | None = None,
        components: Sequence[int] = (0, 1),
        target_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw the codes of rows.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform`: an autoencoder, PCA, or a Pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Values to colour by.
        color : str or int, default=None
            Name or position of the column of X to colour by, instead of y.
        components : tuple of int, default=(0, 1)
            Two or three components.
        target_names : sequence of str, default=None
            Names of the classes, in the order of their sorted values.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        ValueError
            If there is no such component or column.
        """
        if y is not None and color is not None:
            raise ValueError("Points have one colour each: pass either y or color, not both.")
        X = as_rows(X)
        name = getattr(y, "name", None)
        if color is not None:
            y, name = _column(X, color)
        n = n_rows(X)
        if y is not None:
            y = _checked(y, n)
            # Codes that are not drawn need not be found.
            X = take(X, drawn(n, _MOST_POINTS))
        reached = reach(estimator, X, cls.__name__)
        Z = codes(reached.model, reached.X)
        names = component_names(reached.model, Z.shape[1])
        display = cls(
            Z,
            None if y is None else y[drawn(n, _MOST_POINTS)],
            components=components,
            target_names=target_names,
            color_name=None if name is None else str(name),
            component_names=names,
        )
        display._n_rows = n
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        target_names: Sequence[str] | None = None,
        color_name: str | None = None,
        component_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw given codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Values to colour by.
        components : tuple of int, default=(0, 1)
            Two or three components.
        target_names : sequence of str, default=None
            Names of the classes, in the order of their sorted values.
        color_name : str, default=None
            Name of y.
        component_names : sequence of str, default=None
            Names of all components.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            Display of the plot.
        """
        display = cls(
            Z,
            y,
            components=components,
            target_names=target_names,
            color_name=color_name if color_name is not None else getattr(y, "name", None),
            component_names=component_names,
        )
        return display.plot(ax, **kwargs)

    # How many rows there were before they were thinned.
    _n_rows: int | None = None

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; of ``projection="3d"`` for three components. None makes a figure.
        **kwargs : dict
            Passed to `Axes.scatter`, or to `Axes.hexbin` where the density is drawn.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If components, y or names do not fit the codes.
        """
        Z = np.asarray(readable(self.Z), dtype=float)
        if Z.ndim != 2:
            raise ValueError(f"Z must be a table (n_samples, n_components); got shape {Z.shape}.")
        wanted = self._components(Z.shape[1])
        is_deep = len(wanted) == 3
        y = None if self.y is None else _checked(self.y, len(Z))
        self.ax_ = one_axes(ax, type(self).__name__, (6.2, 5.0), "3d" if is_deep else None)
        self.figure_ = self.ax_.figure
        if is_deep != (self.ax_.name == "3d"):
            raise ValueError(
                f"{len(wanted)} components need axes with {'three' if is_deep else 'two'} dimensions: make "
                f"ax with{'' if is_deep else 'out'} projection='3d', or pass None."
            )
        self.scatter_ = self.hexbin_ = self.colorbar_ = self.legend_ = None
        self._limit(Z[:, wanted])
        is_dense = y is None and not is_deep and len(Z) > _MOST_POINTS
        kept = np.arange(len(Z)) if is_dense else drawn(len(Z), _MOST_POINTS)
        points = Z[np.ix_(kept, np.array(wanted))]
        if is_dense:
            self._draw_density(points, kwargs)
        elif y is None:
            self.scatter_ = self.ax_.scatter(*points.T, **{**_style(len(kept)), "color": BLUE, **kwargs})
        else:
            self._draw_coloured(points, _as_colours(y, self.target_names), kept, kwargs)
        self._label(wanted, points)
        return self

    # ------------------------------------------------------------------ inside

    def _components(self, n_components: int) -> list[int]:
        given = list(self.components) if np.ndim(self.components) == 1 else [self.components]
        if len(given) not in (2, 3):
            raise ValueError(f"components must be two or three numbers; got {self.components!r}.")
        if n_components < len(given):
            raise ValueError(
                f"components={tuple(given)} need codes of at least {len(given)} components; these have "
                f"{n_components}."
            )
        return [check_component(component, n_components) for component in given]

    def _limit(self, points: np.ndarray) -> None:
        """Set the limits of the axes."""
        for axis, values in zip("xyz", points.T, strict=False):
            low, high = values.min(), values.max()
            near, far = np.quantile(values, [0.005, 0.995])
            if far > near and high - low > _SQUEEZED * (far - near):
                low, high = near, far
            getattr(self.ax_, f"set_{axis}lim")(*inside(low, high))

    def _is_seen(self, points: np.ndarray) -> np.ndarray:
        limits = [getattr(self.ax_, f"get_{axis}lim")() for axis, _ in zip("xyz", points.T, strict=False)]
        low, high = np.transpose(limits)
        return ((points >= low) & (points <= high)).all(axis=1)

    def _draw_density(self, points: np.ndarray, kwargs: dict[str, object]) -> None:
        limits = (*self.ax_.get_xlim(), *self.ax_.get_ylim())
        style = {"gridsize": 60, "bins": "log", "mincnt": 1, "cmap": "viridis", "extent": limits, **kwargs}
        self.hexbin_ = self.ax_.hexbin(*points[self._is_seen(points)].T, **style)
        self.colorbar_ = self.figure_.colorbar(self.hexbin_, ax=self.ax_, label="rows in a cell")

    def _draw_coloured(
        self, points: np.ndarray, found: _Colours, kept: np.ndarray, kwargs: dict[str, object]
    ) -> None:
        values, style = found.values[kept], _style(len(kept))
        if found.classes is not None and len(found.classes) <= _MOST_CLASSES:
            self._draw_classes(points, values, found.classes, {**style, **kwargs})
            return
        style = {**style, "plotnonfinite": True, **kwargs}
        style["cmap"] = map_with_gaps(style.get("cmap", "viridis"))
        self.scatter_ = self.ax_.scatter(*points.T, c=values, **style)
        pad: dict[str, Any] = {"pad": 0.12, "shrink": 0.75} if self.ax_.name == "3d" else {}
        self.colorbar_ = self.figure_.colorbar(
            self.scatter_, ax=self.ax_, label=as_text(self.color_name or "y"), **pad
        )
        if self.colorbar_.solids is not None:
            self.colorbar_.solids.set_alpha(1.0)
        if found.classes is not None:
            ticks = np.unique(np.linspace(0, len(found.classes) - 1, 12).round().astype(int))
            self.colorbar_.set_ticks(
                ticks.tolist(), labels=shortened([found.classes[tick] for tick in ticks], 16)
            )

    def _draw_classes(
        self, points: np.ndarray, values: np.ndarray, classes: list[str], style: dict[str, object]
    ) -> None:
        self.scatter_ = []
        painted = zip(colours(len(classes)), markers(len(classes)), strict=True)
        if (values < 0).any():
            self.ax_.scatter(*points[values < 0].T, **{**style, "color": "0.8", "label": "missing"})
        for number, (colour, marker) in enumerate(painted):
            own = points[values == number]
            # Names that begin with "_" would be left out, and are written below.
            look = {"color": colour, "marker": marker, **style, "label": f"class {number}"}
            self.scatter_.append(self.ax_.scatter(*own.T, **look))
        n_columns = 1 if len(classes) <= 16 else 2
        self.legend_ = self.ax_.legend(
            title=None if self.color_name is None else as_text(self.color_name),
            loc="upper left",
            # Corners of three dimensions are empty; beside them constrained layout finds no room.
            bbox_to_anchor=(0.0, 1.0) if self.ax_.name == "3d" else (1.01, 1.0),
            borderaxespad=0.0,
            frameon=False,
            ncols=n_columns,
            fontsize="small",
            markerscale=1.5,
        )
        for handle in self.legend_.legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)
        for text, name in zip(self.legend_.get_texts()[-len(classes) :], shortened(classes), strict=True):
            text.set_text(name)

    def _label(self, wanted: list[int], points: np.ndarray) -> None:
        Z = as_rows(self.Z)
        names = self.component_names
        if names is None:
            names = numbered("component", Z.shape[1])
        elif len(names) != Z.shape[1]:
            raise ValueError(f"component_names must hold {Z.shape[1]} names; got {len(names)}.")
        for axis, component in zip("xyz", wanted, strict=False):
            getattr(self.ax_, f"set_{axis}label")(shortened([str(names[component])], 40)[0])
        title = shown(len(points), self._n_rows or n_rows(Z), "rows")
        n_outside = int((~self._is_seen(points)).sum())
        if n_outside:
            title += f", {n_outside:,} of them outside the picture"
        set_title(self.ax_, title)


def _style(n_points: int) -> dict[str, Any]:
    """Return size and alpha for a number of points."""
    size = float(np.clip(30_000 / max(n_points, 1), 4, 24))
    return {"s": size, "alpha": float(np.clip(2_000 / max(n_points, 1), 0.25, 0.8)), "linewidths": 0}


def _column(X: Table, color: str | int) -> tuple[np.ndarray, str]:
    """Return a column of X and its name."""
    columns = names_of(X)
    if columns is not None and color in columns:
        position = columns.index(color)
    elif isinstance(color, str):
        known = "X has no names" if columns is None else f"X has {', '.join(map(str, list(columns)[:10]))}"
        raise ValueError(f"color must be a column of X; got {color!r}, and {known}.")
    elif not 0 <= color < X.shape[1]:
        raise ValueError(f"color must be a column in 0 to {X.shape[1] - 1}; got {color!r}.")
    else:
        position = int(color)
    if is_sparse(X):
        values = X.tocsc()[:, [position]].toarray()[:, 0]
    else:
        values = as_values(take_column(X, position))
    name = columns[position] if columns is not None else f"column {position}"
    return values, str(name)


def _checked(y: object, n: int) -> np.ndarray:
    values = as_values(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or len(values) != n:
        raise ValueError(f"y must hold one value for each of the {n} rows; got shape {values.shape}.")
    return values


def _as_colours(y: np.ndarray, target_names: Sequence[str] | None) -> _Colours:
    """Decide between classes and continuous values."""
    try:
        numbers = as_numbers(y)
    except (TypeError, ValueError):
        numbers = None
    if numbers is not None and y.dtype.kind not in "bUS":
        there = numbers[~np.isnan(numbers)]
        is_whole = len(there) > 0 and bool((there == np.round(there)).all())
        few = is_whole and len(np.unique(there)) <= _MOST_NUMBERED
        if target_names is None and not few:
            return _Colours(numbers, None)
        levels, found = np.unique(there, return_inverse=True)
        positions = np.full(len(y), -1)
        positions[~np.isnan(numbers)] = found
        names = [f"{level:g}" for level in levels]
    else:
        missing = np.array([value is None or value != value for value in y], dtype=bool)
        text = np.array([str(value) for value in y])
        levels, found = np.unique(text[~missing], return_inverse=True)
        positions = np.full(len(y), -1)
        positions[~missing] = found
        names = [str(level) for level in levels]
    if target_names is not None:
        if len(target_names) != len(names):
            raise ValueError(
                f"target_names must hold {len(names)} names, one for each value of y; got "
                f"{len(target_names)}."
            )
        names = [str(name) for name in target_names]
    return _Colours(positions, names)
