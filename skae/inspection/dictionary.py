"""The atoms that rows are sums of: as images, or as bars of their largest weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._counts import check_count
from skae.inspection._drawing import (
    BLUE,
    ORANGE,
    Display,
    mosaic,
    no_frame,
    one_axes,
    set_title,
    several_axes,
    shortened,
    show_picture,
    shown,
)
from skae.inspection._rows import fitted_model, images, numbered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DictionaryDisplay"]

_MOST_PICTURES = 40
_MOST_PANELS = 12
_MOST_WEIGHTS = 6
_PANELS_ACROSS = 4
# Room for a number above a picture, in parts of its side.
_ROOM = 0.35


class DictionaryDisplay(Display):
    """Components of a sparse autoencoder or of PCA, ordered by the number of rows that use them.

    Images are each divided by their largest weight, so that pale atoms are visible. Without `image_shape`,
    each component has a panel of bars, of its six largest weights in units of X.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        The atoms.
    frequency : array-like of shape (n_components,), default=None
        Share of the rows that use each of them.
    image_shape : tuple of int, default=None
        ``(height, width)`` or ``(height, width, channels)`` of components that are images.
    n_components : int, default=None
        Maximum number to show. None shows 40 images, 12 panels of bars.
    feature_names : sequence of str, default=None
        Names of the columns. None numbers them.
    units : str, default="units of X"
        Units of weights, for the labels.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_lines, n_columns)
        Axes of the plot.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        Figure of the plot.
    image_ : AxesImage or None
        All images in one.
    bars_ : list of BarContainer
        Bars of each component that is shown, from the largest weight down; empty for images.
    shown_ : ndarray of int
        Numbers of the components that are shown, in this order.

    See Also
    --------
    LatentFeatureDisplay : Which columns drive which component, for networks of any kind.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoderTransformer
    >>> from skae.inspection import DictionaryDisplay
    >>> X = load_digits().data[:300]
    >>> model = SparseAutoencoderTransformer(32, n_active=4, max_iter=5, random_state=0).fit(X)
    >>> display = DictionaryDisplay.from_estimator(model, image_shape=(8, 8), n_components=10)
    >>> bool(display.shown_[0] == model.activation_frequency_.argmax())
    True
    """

    def __init__(
        self,
        components: ArrayLike,
        frequency: ArrayLike | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        n_components: int | None = None,
        feature_names: Sequence[str] | None = None,
        units: str = "units of X",
    ) -> None:
        self.components = components
        self.frequency = frequency
        self.image_shape = image_shape
        self.n_components = n_components
        self.feature_names = feature_names
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: Sequence[int] | None = None,
        n_components: int | None = None,
        feature_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw the components of an estimator.

        Parameters
        ----------
        estimator : object
            Fitted, with `components_`: a sparse autoencoder, PCA, or a Pipeline or search that ends in one.
        image_shape : tuple of int, default=None
            Shape of components that are images. None draws bars.
        n_components : int, default=None
            Maximum number to show. None shows 40 images, 12 panels of bars.
        feature_names : sequence of str, default=None
            Names of the columns. None takes those of the fit.
        ax : Axes or array of Axes, default=None
            Axes to draw on; the area of one is divided for bars. None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : DictionaryDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no `components_`.
        """
        model = fitted_model(estimator, cls.__name__)
        if not hasattr(model, "components_"):
            raise TypeError(
                f"{cls.__name__} needs components_; {type(model).__name__} has none, as its decoder is no "
                "sum of atoms. Use SparseAutoencoderTransformer or PCA, or look at LatentTraversalDisplay."
            )
        width = np.shape(model.components_)[1]
        if feature_names is None:
            known = getattr(model, "feature_names_in_", None)
            # Tables with text and wide sparse ones have other columns inside than outside.
            feature_names = known if known is not None and len(known) == width else None
        is_behind = model is not estimator and hasattr(estimator, "steps") and len(estimator.steps) > 1
        display = cls(
            model.components_,
            getattr(model, "activation_frequency_", None),
            image_shape=image_shape,
            n_components=n_components,
            feature_names=feature_names,
            units=f"units behind {type(estimator.steps[-2][1]).__name__}" if is_behind else "units of X",
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            Axes to draw on; the area of one is divided for bars. None makes a figure.
        **kwargs : dict
            Passed to `Axes.imshow` for images, or to `Axes.barh` for bars.

        Returns
        -------
        display : DictionaryDisplay
            The display itself.

        Raises
        ------
        ValueError
            If shapes, names or `n_components` do not fit.
        """
        atoms = np.asarray(self.components, dtype=float)
        if atoms.ndim != 2:
            raise ValueError(f"components must be a table (n_components, n_features); got {atoms.shape}.")
        most = self.n_components
        if most is None:
            most = _MOST_PANELS if self.image_shape is None else _MOST_PICTURES
        most = check_count(most, "n_components", beside=", or None")
        order = np.arange(len(atoms))
        if self.frequency is not None:
            order = np.argsort(-np.asarray(self.frequency, dtype=float), kind="stable")
        self.shown_ = order[:most]
        self.image_, self.bars_ = None, []
        if self.image_shape is None:
            self._draw_bars(ax, atoms, kwargs)
        else:
            self._draw_images(ax, images(atoms, None, self.image_shape), kwargs)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    # ------------------------------------------------------------------ inside

    def _title(self, n: int) -> str:
        title = shown(len(self.shown_), n, "components")
        return f"{title}, those used most" if self.frequency is not None and len(self.shown_) < n else title

    def _draw_images(self, ax: Axes | None, pictures: np.ndarray, kwargs: dict[str, object]) -> None:
        n_atoms = len(pictures)
        pictures = pictures[self.shown_]
        largest = np.abs(pictures).reshape(len(pictures), -1).max(axis=1)
        largest = np.where(largest > 0, largest, 1.0).reshape(-1, *[1] * (pictures.ndim - 1))
        pictures = pictures / largest
        if pictures.ndim == 4:
            # Signed colours: grey is nothing.
            pictures = (pictures + 1) / 2
        across = min(len(pictures), 10)
        n_lines = -(-len(pictures) // across)
        size = (max(4.0, 0.85 * across + 1.2), max(2.2, 0.9 * n_lines + 0.7))
        ax = one_axes(ax, type(self).__name__, size)
        self.axes_ = np.array([[ax]], dtype=object)
        large, down, right = mosaic(pictures, across, _ROOM)
        self.image_ = show_picture(ax, large, **{"cmap": "RdBu_r", "vmin": -1, "vmax": 1, **kwargs})
        for index, component in enumerate(self.shown_):
            line, column = divmod(index, across)
            at = (column * right + (pictures.shape[2] - 1) / 2, line * down - 0.6)
            ax.text(*at, str(component), ha="center", va="bottom", fontsize="x-small")
        # Numbers of the first line stand above the pictures.
        ax.set(xticks=[], yticks=[], ylim=(large.shape[0] - 0.5, -0.5 - _ROOM * pictures.shape[1]))
        no_frame(ax)
        set_title(ax, self._title(n_atoms))
        if pictures.ndim == 3:
            label = "weight, in parts\nof the largest"
            ax.figure.colorbar(self.image_, ax=ax, label=label, shrink=0.9, pad=0.02)

    def _draw_bars(self, ax: Axes | None, atoms: np.ndarray, kwargs: dict[str, object]) -> None:
        n_atoms, n_features = atoms.shape
        names = numbered("column", n_features) if self.feature_names is None else list(self.feature_names)
        if len(names) != n_features:
            raise ValueError(f"feature_names must hold {n_features} names; got {len(names)}.")
        n_panels = len(self.shown_)
        across = min(n_panels, _PANELS_ACROSS)
        n_lines = -(-n_panels // across)
        n_bars = min(n_features, _MOST_WEIGHTS)
        size = (3.0 * across + 0.6, (0.7 + 0.2 * n_bars) * n_lines + 0.6)
        self.axes_ = several_axes(ax, type(self).__name__, (n_lines, across), size, sharex=True)
        for index, axis in enumerate(self.axes_.flat):
            if index >= n_panels:
                axis.set_visible(False)
                continue
            component = self.shown_[index]
            largest = np.argsort(-np.abs(atoms[component]), kind="stable")[:n_bars]
            weights = atoms[component, largest]
            style = {"color": [BLUE if weight >= 0 else ORANGE for weight in weights], **kwargs}
            self.bars_.append(axis.barh(np.arange(n_bars), weights, **style))
            axis.set_yticks(
                np.arange(n_bars), shortened([names[feature] for feature in largest], 18), fontsize="small"
            )
            axis.invert_yaxis()
            axis.axvline(0, color="black", linewidth=0.8)
            title = f"component {component}"
            if self.frequency is not None:
                title += f", in {np.asarray(self.frequency)[component]:.0%} of rows"
            axis.set_title(title, fontsize="small")
            if index + across >= n_panels:
                axis.tick_params(labelbottom=True)
                axis.set_xlabel(f"weight, {self.units}", fontsize="small")
        what = f"; the {n_bars} largest of {n_features:,} weights each" if n_bars < n_features else ""
        if what or n_panels < n_atoms:
            figure = self.axes_.flat[0].figure
            # The title of the whole, unless the figure belongs to somebody else.
            if ax is None:
                figure.suptitle(self._title(n_atoms) + what, fontsize="medium")
