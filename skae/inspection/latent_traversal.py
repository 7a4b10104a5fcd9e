"""Rows along one component of the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import as_rows
from skae._counts import check_count
from skae._typing import Table
from skae.inspection._drawing import (
    PALETTE,
    Display,
    as_text,
    in_legend,
    mosaic,
    no_frame,
    one_axes,
    set_title,
    shortened,
    show_picture,
    shown,
)
from skae.inspection._rows import (
    check_component,
    codes,
    component_names,
    decoder,
    deviations,
    images,
    in_deviations,
    kind_of_rows,
    like,
    numbered,
    reach,
    sequences,
    tables,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["LatentTraversalDisplay"]

# Rows that codes are measured on.
_MOST_ROWS = 20_000
_ENDS = (0.02, 0.98)


class LatentTraversalDisplay(Display):
    """Rows decoded from codes of which one component varies and the others stay at their medians.

    The component takes values at equally spaced quantiles from 2 % to 98 % of its codes. Where some of these
    are the same, as for codes that are often zero, the steps between them are
    equal; where all are, those between the least code and the largest one. Images are drawn as a strip; of
    tables, the columns that change the most, at most eight, in standard deviations about their mean; of
    sequences, the value that changes the most, one line for each code. Quantiles are those of at most 20,000
    rows, the same ones every time. Columns of text are left
    out.

    Parameters
    ----------
    values : array-like of shape (n_steps,)
        Codes of the component.
    X_back : array-like of shape (n_steps, ...)
        The rows that they decode to.
    component_name : str, default="component 0"
        Name of the component.
    kind : {"auto", "images", "table", "sequences"}, default="auto"
        How to draw. "auto" is "images" with `image_shape` or for arrays of more than two dimensions, else
        "table".
    image_shape : tuple of int, default=None
        ``(height, width)`` or ``(height, width, channels)`` of flat rows that are images.
    feature_names : sequence of str, default=None
        Names of the columns. None numbers them.
    reference : array-like of shape (n_samples, n_features), default=None
        Rows that tables take means and standard deviations from. None takes `X_back`.
    units : str, default="units of X"
        Units of cells, for the labels.

    Attributes
    ----------
    ax_ : Axes
        Axes of the plot.
    figure_ : Figure
        Figure of the plot.
    image_ : AxesImage or None
        The strip of images.
    lines_ : list of Line2D
        One line for each column, or for each code of sequences; empty for images.
    features_ : ndarray of int
        Positions of the columns that are shown, those that change most first; empty for images.

    See Also
    --------
    LatentSpaceDisplay : Where rows lie in the code.
    LatentFeatureDisplay : Which columns drive which component.

    Notes
    -----
    The medians of all components together may be a code that no row has.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LatentTraversalDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = AutoencoderTransformer(2, max_iter=10, random_state=0).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(model, X, component=0)
    >>> sorted(line.get_label() for line in display.lines_)[0]
    'petal length (cm)'
    """

    def __init__(
        self,
        values: ArrayLike,
        X_back: ArrayLike | Table,
        *,
        component_name: str = "component 0",
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        reference: ArrayLike | Table | None = None,
        units: str = "units of X",
    ) -> None:
        self.values = values
        self.X_back = X_back
        self.component_name = component_name
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.reference = reference
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | Table,
        *,
        component: int = 0,
        n_steps: int = 7,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw rows along a component of an estimator.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`: an autoencoder, PCA, or a Pipeline or search
            that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows whose codes give the range of the component.
        component : int, default=0
            Number of the component.
        n_steps : int, default=7
            Number of codes, at least 2.
        image_shape : tuple of int, default=None
            Shape of flat rows that are images; known for convolutional networks that have it.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LatentTraversalDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no inverse.
        ValueError
            If there is no such component, or its codes are all the same.
        """
        n_steps = check_count(n_steps, "n_steps", 2)
        reached = reach(estimator, X, cls.__name__, _MOST_ROWS)
        model = reached.model
        decode = decoder(model, cls.__name__)
        Z = codes(model, reached.X)
        component = check_component(component, Z.shape[1])
        values = _values(Z[:, component], component, n_steps)
        path = np.tile(np.median(Z, axis=0), (len(values), 1))
        path[:, component] = values
        back = decode(like(path, reached.X))
        kind = kind_of_rows(reached.X, model, image_shape)
        if kind == "images":
            back = images(back, model, image_shape)
        elif kind == "sequences":
            back = sequences(back, model)
        display = cls(
            values,
            back,
            component_name=component_names(model, Z.shape[1])[component],
            kind=kind,
            feature_names=reached.names if kind == "table" else None,
            reference=reached.X if kind == "table" else None,
            units=reached.units,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `Axes.imshow` for images, such as ``cmap="gray"``, or to `Axes.plot` for lines.

        Returns
        -------
        display : LatentTraversalDisplay
            The display itself.

        Raises
        ------
        ValueError
            If kind, shapes or names do not fit.
        """
        values = np.asarray(self.values, dtype=float)
        back = as_rows(self.X_back)
        if len(values) != back.shape[0]:
            raise ValueError(f"X_back must hold a row for each of {len(values)} codes; got {back.shape[0]}.")
        kind = kind_of_rows(back, None, self.image_shape) if self.kind == "auto" else self.kind
        self.image_, self.lines_, self.features_ = None, [], np.array([], dtype=int)
        if kind == "images":
            self._draw_images(ax, values, images(back, None, self.image_shape), kwargs)
        elif kind == "sequences":
            self._draw_sequences(ax, values, sequences(back, None), kwargs)
        elif kind == "table":
            self._draw_table(ax, values, back, kwargs)
        else:
            raise ValueError(f"kind must be 'auto', 'images', 'table' or 'sequences'; got {kind!r}.")
        self.figure_ = self.ax_.figure
        return self

    # ------------------------------------------------------------------ inside

    def _draw_images(
        self, ax: Axes | None, values: np.ndarray, pictures: np.ndarray, kwargs: dict[str, object]
    ) -> None:
        n, height, width = pictures.shape[:3]
        self.ax_ = one_axes(ax, type(self).__name__, (float(np.clip(1.0 * n + 1.6, 4.0, 13.0)), 1.9))
        low, high = float(pictures.min()), float(pictures.max())
        if pictures.ndim == 4:
            pictures = (pictures - low) / ((high - low) or 1.0)
        large, _, across = mosaic(pictures, n)
        style = {"cmap": "gray_r", "vmin": low, "vmax": high, **kwargs}
        self.image_ = show_picture(self.ax_, large, **style)
        labels = [f"{value:.2g}".replace("-", "\N{MINUS SIGN}") for value in values]
        self.ax_.set_xticks((width - 1) / 2 + across * np.arange(n), labels)
        self.ax_.set_yticks([])
        self.ax_.set(xlabel=f"code of {as_text(self.component_name)}", ylim=(height - 0.5, -0.5))
        no_frame(self.ax_)
        if pictures.ndim == 3:
            self.ax_.figure.colorbar(self.image_, ax=self.ax_, label=self.units, shrink=0.9, pad=0.01)

    def _draw_table(
        self, ax: Axes | None, values: np.ndarray, back: object, kwargs: dict[str, object]
    ) -> None:
        given = (back,) if self.reference is None else (back, self.reference)
        found, is_number = tables(*given)
        names = numbered("column", len(is_number)) if self.feature_names is None else list(self.feature_names)
        if len(names) != len(is_number):
            raise ValueError(f"feature_names must hold {len(is_number)} names; got {len(names)}.")
        if not is_number.any():
            raise ValueError(
                "X has columns of text only, and lines need numbers. LatentFeatureDisplay shows which ones "
                "move a component; or pass codes of your own to inverse_transform."
            )
        moved = in_deviations(found[0], *deviations(found[-1]))
        change = np.where(is_number, np.ptp(moved, axis=0), -1.0)
        self.features_ = np.argsort(-change, kind="stable")[: min(len(PALETTE), is_number.sum())]
        self.ax_ = one_axes(ax, type(self).__name__, (7.2, 4.2))
        for colour, feature in zip(PALETTE, self.features_, strict=False):
            name = in_legend(shortened([str(names[feature])])[0])
            style = {"color": colour, "marker": "o", "markersize": 4, "label": name, **kwargs}
            self.lines_ += self.ax_.plot(values, moved[:, feature], **style)
        self.ax_.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        self.ax_.set(
            xlabel=f"code of {as_text(self.component_name)}",
            ylabel="standard deviations of the column,\nabout its mean",
        )
        self.ax_.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
        n_shown, n_columns = len(self.features_), len(is_number)
        if n_shown < n_columns:
            set_title(self.ax_, f"{shown(n_shown, n_columns, 'columns')}, those that change most")

    def _draw_sequences(
        self, ax: Axes | None, values: np.ndarray, back: np.ndarray, kwargs: dict[str, object]
    ) -> None:
        self.features_ = np.array([np.ptp(back, axis=0).max(axis=0).argmax()])
        self.ax_ = one_axes(ax, type(self).__name__)
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        mapped = ScalarMappable(Normalize(values.min(), values.max()), "viridis")
        for value, sequence in zip(values, back, strict=True):
            style = {"color": mapped.to_rgba(value), **kwargs}
            self.lines_ += self.ax_.plot(sequence[:, self.features_[0]], **style)
        self.ax_.figure.colorbar(mapped, ax=self.ax_, label=f"code of {as_text(self.component_name)}")
        n_values = back.shape[2]
        label = f"value {self.features_[0]}" if n_values > 1 else "value"
        self.ax_.set(xlabel="step", ylabel=f"{label}, {self.units}")
        if n_values > 1:
            set_title(self.ax_, f"{shown(1, n_values, 'values of a step')}, the one that changes most")


def _values(found: np.ndarray, component: int, n_steps: int) -> np.ndarray:
    """Return the codes to decode."""
    values = np.quantile(found, np.linspace(*_ENDS, n_steps))
    if len(np.unique(values)) == n_steps:
        return values
    if values[-1] > values[0]:
        return np.linspace(values[0], values[-1], n_steps)
    if found.max() == found.min():
        raise ValueError(
            f"component {component} has the code {found[0]:.3g} for every row of X, so that it cannot be "
            "varied. Choose another one, or pass rows that differ."
        )
    return np.linspace(found.min(), found.max(), n_steps)
