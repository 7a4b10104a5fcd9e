"""Rows and their reconstructions: images, tables or sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._containers import as_rows, names_of
from skae._typing import Table
from skae.inspection._drawing import (
    BLUE,
    ORANGE,
    Display,
    map_with_gaps,
    mosaic,
    no_frame,
    one_axes,
    set_title,
    several_axes,
    shortened,
    show_picture,
    shown,
)
from skae.inspection._rows import (
    chosen,
    deviations,
    drawn,
    fitted_model,
    images,
    in_deviations,
    kind_of_rows,
    labels_of,
    n_rows,
    numbered,
    reach,
    reconstruct,
    sequences,
    tables,
    take,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["ReconstructionDisplay"]

_KINDS = ("images", "table", "sequences")
_MOST_ROWS = {"images": 10, "table": 30, "sequences": 6}
_MOST_COLUMNS = 40
# Tables with more columns than this have their three parts below each other.
_MOST_BESIDE = 12
_MOST_VALUES = 3
_MOST_REFERENCE = 2_000


class ReconstructionDisplay(Display):
    """Rows, their reconstructions, and the errors: as images, as heat maps or as lines.

    Images: one column for each row of X. Tables: three heat maps, each column in standard deviations about
    its mean, with at most 40 columns, those with the largest errors among the rows shown, in the order of X;
    text is shown by its position in sorted order; missing cells are grey. Sequences: lines, at most 3 values
    of a step, those with the largest errors.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Rows to show.
    X_back : array-like of the same shape
        Their reconstructions.
    kind : {"auto", "images", "table", "sequences"}, default="auto"
        How to draw. "auto" is "images" with `image_shape` or for arrays of more than two dimensions, else
        "table".
    image_shape : tuple of int, default=None
        ``(height, width)`` or ``(height, width, channels)`` of flat rows that are images.
    feature_names : sequence of str, default=None
        Names of the columns; for sequences, of the values of a step. None numbers them.
    row_names : sequence, default=None
        Names of the rows. None numbers them.
    reference : array-like of shape (n_reference, n_features), default=None
        Rows that tables take means and standard deviations from. None takes X.
    units : str, default="units of X"
        Units of cells, for the labels.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_lines, n_columns)
        Axes of the plot.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        Figure of the plot.
    images_ : list of AxesImage
        Images: one of originals above reconstructions, and one of errors, ``X_back - X``. Tables: one
        each. Empty for sequences.
    lines_ : list of Line2D
        For sequences: originals and reconstructions in turn. Else empty.
    features_ : ndarray of int
        Positions of the columns, or values of a step, that are shown. Empty for images.

    See Also
    --------
    FeatureErrorDisplay : The error of each column over many rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data[:300]
    >>> model = AutoencoderTransformer(8, max_iter=10, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), rows=[0, 10, 20])
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['original', 'reconstruction', 'error']
    """

    def __init__(
        self,
        X: ArrayLike | Table,
        X_back: ArrayLike | Table,
        *,
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
        row_names: Iterable[object] | None = None,
        reference: ArrayLike | Table | None = None,
        units: str = "units of X",
    ) -> None:
        self.X = X
        self.X_back = X_back
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.row_names = row_names
        self.reference = reference
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | Table,
        *,
        kind: str = "auto",
        rows: int | Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw rows and their reconstructions by an estimator.

        Parameters
        ----------
        estimator : object
            Fitted, with `transform` and `inverse_transform`: an autoencoder, PCA, or a Pipeline or search
            that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows, or arrays of images or sequences where the network takes them.
        kind : {"auto", "images", "table", "sequences"}, default="auto"
            How to draw. "auto" is "images" with `image_shape`, for arrays of more than two dimensions and
            for convolutional networks, "sequences" for recurrent and recursive ones, else "table".
        rows : int or list of int, default=None
            Number of rows, at equal distances in X, or their positions. None takes at most 10 images, 30
            rows of a table, 6 sequences.
        image_shape : tuple of int, default=None
            Shape of flat rows that are images; known for convolutional networks that have it.
        ax : Axes or array of Axes, default=None
            Axes to draw on; the area of one is divided where several are needed. None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it has no inverse.
        ValueError
            If kind, rows or `image_shape` do not fit X.
        """
        X = as_rows(X)
        model = fitted_model(estimator, cls.__name__)
        kind = kind_of_rows(X, model, image_shape) if kind == "auto" else _checked_kind(kind)
        positions = chosen(n_rows(X), rows, _MOST_ROWS[kind])
        reached = reach(estimator, take(X, positions), cls.__name__)
        back = reconstruct(reached.model, reached.X, cls.__name__)
        parts: list[Table] = [reached.X, back]
        reference = None
        if kind == "images":
            parts = [images(part, model, image_shape) for part in parts]
        elif kind == "sequences":
            parts = [sequences(part, model) for part in parts]
        else:
            reference = reach(estimator, X, cls.__name__, _MOST_REFERENCE).X
        index = labels_of(X)
        display = cls(
            *parts,
            kind=kind,
            feature_names=reached.names if kind == "table" else None,
            row_names=positions if index is None else index[positions],
            reference=reference,
            units=reached.units,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike | Table,
        X_back: ArrayLike | Table,
        *,
        kind: str = "auto",
        rows: int | Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Axes | None = None,
        **kwargs: object,
    ) -> Self:
        """Draw rows and their reconstructions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows.
        X_back : array-like of the same shape
            Their reconstructions.
        kind : {"auto", "images", "table", "sequences"}, default="auto"
            How to draw. "auto" is "images" with `image_shape` or for arrays of more than two dimensions, else
            "table".
        rows : int or list of int, default=None
            Number of rows, at equal distances in X, or their positions. None takes at most 10 images, 30
            rows of a table, 6 sequences.
        image_shape : tuple of int, default=None
            Shape of flat rows that are images.
        ax : Axes or array of Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ReconstructionDisplay
            Display of the plot.
        """
        X, X_back = as_rows(X), as_rows(X_back)
        if tuple(X.shape) != tuple(X_back.shape):
            raise ValueError(
                f"X has shape {tuple(X.shape)}, its reconstruction {tuple(X_back.shape)}; they must be equal."
            )
        kind = kind_of_rows(X, None, image_shape) if kind == "auto" else _checked_kind(kind)
        positions = chosen(n_rows(X), rows, _MOST_ROWS[kind])
        names, index = names_of(X), labels_of(X)
        display = cls(
            take(X, positions),
            take(X_back, positions),
            kind=kind,
            image_shape=image_shape,
            feature_names=None if names is None else [str(name) for name in names],
            row_names=positions if index is None else index[positions],
            reference=take(X, drawn(n_rows(X), _MOST_REFERENCE)) if kind == "table" else None,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            Axes to draw on; the area of one is divided where several are needed. None makes a figure.
        **kwargs : dict
            Passed to `Axes.imshow` for originals and reconstructions, such as ``cmap="gray"``; for sequences,
            to `Axes.plot` for the lines of reconstructions.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If kind, shapes or names do not fit.
        """
        X, X_back = as_rows(self.X), as_rows(self.X_back)
        kind = kind_of_rows(X, None, self.image_shape) if self.kind == "auto" else _checked_kind(self.kind)
        self.images_, self.lines_, self.features_ = [], [], np.array([], dtype=int)
        if kind == "images":
            before, after = (images(part, None, self.image_shape) for part in (X, X_back))
            self._draw_images(ax, before, after, kwargs)
        elif kind == "sequences":
            self._draw_sequences(ax, sequences(X, None), sequences(X_back, None), kwargs)
        else:
            self._draw_table(ax, X, X_back, kwargs)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    # ------------------------------------------------------------------ inside

    def _rows_of(self, n: int) -> list[str]:
        names = range(n) if self.row_names is None else self.row_names
        return shortened([str(name) for name in names], 16)

    def _draw_images(
        self, ax: Axes | None, X: np.ndarray, back: np.ndarray, kwargs: dict[str, object]
    ) -> None:
        n, height, width = X.shape[:3]
        size = (float(np.clip(0.85 * n + 2.4, 5.0, 13.0)), 3.6)
        ax = one_axes(ax, type(self).__name__, size)
        self.axes_ = np.array([[ax]], dtype=object)
        error = back - X
        if error.ndim == 4:
            # One signed error a pixel; colours of errors would say little.
            error = error.mean(axis=3)
        low, high = float(np.nanmin(X)), float(np.nanmax(X))
        both = np.concatenate([X, back])
        if X.ndim == 4:
            both = np.clip((both - low) / ((high - low) or 1.0), 0, 1)
        large, down, across = mosaic(both, n)
        style = {"cmap": "gray_r", "vmin": low, "vmax": high, **kwargs}
        self.images_.append(show_picture(ax, large, **style))
        limit = float(np.nanmax(np.abs(error))) or 1.0
        strip = mosaic(error, n)[0]
        errors = show_picture(ax, strip, 2 * down, cmap="RdBu_r", vmin=-limit, vmax=limit)
        self.images_.append(errors)
        ax.set(xlim=(-0.5, large.shape[1] - 0.5), ylim=(2 * down + height - 0.5, -0.5))
        middle = (height - 1) / 2
        ax.set_yticks(middle + down * np.arange(3), ["original", "reconstruction", "error"])
        ax.set_xticks((width - 1) / 2 + across * np.arange(n), self._rows_of(n))
        ax.set_xlabel("row of X")
        no_frame(ax)
        ax.figure.colorbar(errors, ax=ax, label=f"error, {self.units}", shrink=0.8, pad=0.01)
        if X.ndim == 3:
            ax.figure.colorbar(self.images_[0], ax=ax, label=f"value, {self.units}", shrink=0.8, pad=0.01)

    def _draw_table(
        self, ax: Axes | None, X: ArrayLike | Table, back: object, kwargs: dict[str, object]
    ) -> None:
        given = (X, back) if self.reference is None else (X, back, self.reference)
        (X, back, *reference), _ = tables(*given)
        if X.shape != back.shape:
            raise ValueError(f"X has shape {X.shape}, its reconstruction {back.shape}; they must be equal.")
        scale = deviations(reference[0] if reference else X)
        X, back = (in_deviations(table, *scale) for table in (X, back))
        error = back - X
        worst = np.argsort(-np.nan_to_num(error**2).mean(axis=0), kind="stable")[:_MOST_COLUMNS]
        self.features_ = np.sort(worst)
        n_features, n_shown = X.shape[1], len(self.features_)
        names = numbered("column", n_features) if self.feature_names is None else list(self.feature_names)
        if len(names) != n_features:
            raise ValueError(f"feature_names must hold {n_features} names; got {len(names)}.")
        beside = n_shown <= _MOST_BESIDE
        shape = (1, 3) if beside else (3, 1)
        size = (max(7.0, 2.4 + 0.8 * n_shown), 1.8 + 0.16 * len(X)) if beside else (9.5, 2.0 + 0.36 * len(X))
        self.axes_ = several_axes(ax, type(self).__name__, shape, size, sharex=True, sharey=True)
        parts = [table[:, self.features_] for table in (X, back, error)]
        # One scale for all three, so that an error can be compared with what it is an error of.
        limit = float(np.nanquantile(np.abs(parts[0]), 0.98)) if np.isfinite(parts[0]).any() else 1.0
        style = {"vmin": -(limit or 1.0), "vmax": limit or 1.0, "aspect": "auto", **kwargs}
        style["cmap"] = map_with_gaps(style.get("cmap", "RdBu_r"))
        style.setdefault("interpolation", "nearest")
        titles = ("original", "reconstruction", "error")
        for axis, part, title in zip(self.axes_.flat, parts, titles, strict=True):
            self.images_.append(axis.imshow(part, **style))
            axis.set_title(title, fontsize="medium")
        self._label_table(names, len(X), beside)

    def _label_table(self, names: list[str], n: int, beside: bool) -> None:
        first, last = self.axes_.flat[0], self.axes_.flat[-1]
        every = 1 if n <= 16 else 2
        rows = self._rows_of(n)[::every]
        wanted = shortened([names[feature] for feature in self.features_])
        for axis in self.axes_.flat:
            if axis is last or beside:
                axis.set_xticks(np.arange(len(wanted)), wanted, rotation=90, fontsize="small")
            else:
                axis.tick_params(labelbottom=False)
            axis.set_yticks(np.arange(n)[::every], rows, fontsize="small")
            if axis is first or not beside:
                axis.set_ylabel("row of X")
            else:
                axis.tick_params(labelleft=False)
        figure = first.figure
        figure.colorbar(
            self.images_[0],
            ax=list(self.axes_.flat),
            label="standard deviations of the column, about its mean",
            extend="both",
            extendfrac=0.02,
            aspect=40,
            pad=0.02,
        )
        if len(names) > len(wanted):
            title = f"original: {shown(len(wanted), len(names), 'columns')}, those with the largest errors"
            set_title(first, title)

    def _draw_sequences(
        self, ax: Axes | None, X: np.ndarray, back: np.ndarray, kwargs: dict[str, object]
    ) -> None:
        n, n_steps, n_values = X.shape
        missed = np.nanmean((back - X) ** 2, axis=(0, 1))
        self.features_ = np.sort(np.argsort(-missed, kind="stable")[:_MOST_VALUES])
        n_lines, across = len(self.features_), n
        if n_lines == 1 and n > 3:
            n_lines, across = -(-n // 3), 3
        size = (max(5.0, 2.8 * across), 0.8 + 2.0 * n_lines)
        several = several_axes(ax, type(self).__name__, (n_lines, across), size, sharex=True, sharey="row")
        self.axes_ = several
        names = numbered("value", n_values) if self.feature_names is None else list(self.feature_names)
        rows = self._rows_of(n)
        steps = np.arange(n_steps)
        for panel, axis in enumerate(several.flat):
            value, row = (0, panel) if len(self.features_) == 1 else divmod(panel, n)
            if row >= n:
                axis.set_visible(False)
                continue
            feature = self.features_[value]
            self.lines_ += axis.plot(steps, X[row, :, feature], color=BLUE, label="original")
            style = {"color": ORANGE, "linestyle": "--", "label": "reconstruction", **kwargs}
            self.lines_ += axis.plot(steps, back[row, :, feature], **style)
            if value == 0:
                axis.set_title(f"row {rows[row]}", fontsize="medium")
            if panel % across == 0:
                name = shortened([str(names[feature])])[0] if n_values > 1 else "value"
                axis.set_ylabel(f"{name}, {self.units}")
            if panel + across >= several.size:
                axis.set_xlabel("step")
        # Below the picture: curves may be anywhere in it.
        several[-1, 0].legend(
            fontsize="small", loc="upper left", bbox_to_anchor=(0.0, -0.3), ncols=2, frameon=False
        )


def _checked_kind(kind: str) -> str:
    if kind not in _KINDS:
        raise ValueError(f"kind must be 'auto', 'images', 'table' or 'sequences'; got {kind!r}.")
    return kind
