"""How many components are enough: variance explained by the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.inspection._drawing import BLUE, GREY, ORANGE, Display, as_text, in_legend, inside, one_axes
from skae.inspection._rows import fitted_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["ExplainedVarianceDisplay"]

_MOST_MARKERS = 40
# Curves that end below this run through the corner where the legend would be.
_LOW = 0.5


class ExplainedVarianceDisplay(Display):
    """Cumulative variance explained by the number of components, and that of PCA.

    Parameters
    ----------
    cumulative : array-like of shape (n_components,)
        Share of the variance that the first 1, 2, ... components explain.
    pca_cumulative : array-like of shape (n_components,), default=None
        The same for PCA.
    share : float, default=0.95
        Share in (0, 1] to draw a line at; the fewest components that reach it are marked. None draws none.
    name : str, default=None
        Name of the estimator, for the legend.

    Attributes
    ----------
    ax_ : Axes
        Axes of the plot.
    figure_ : Figure
        Figure of the plot.
    line_ : Line2D
        The estimator's curve.
    pca_line_ : Line2D or None
        The curve of PCA.
    share_line_ : Line2D or None
        The line at `share`.
    n_reaching_ : int or None
        The fewest components that explain `share`; None if all of them do not.

    See Also
    --------
    TrainingCurveDisplay : Variance explained by epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import ExplainedVarianceDisplay
    >>> pca = PCA(40).fit(load_digits().data)
    >>> ExplainedVarianceDisplay.from_estimator(pca, share=0.9).n_reaching_
    21
    """

    def __init__(
        self,
        cumulative: ArrayLike,
        pca_cumulative: ArrayLike | None = None,
        share: float | None = 0.95,
        name: str | None = None,
    ) -> None:
        self.cumulative = cumulative
        self.pca_cumulative = pca_cumulative
        self.share = share
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, share: float | None = 0.95, ax: Axes | None = None, **kwargs: object
    ) -> Self:
        """Draw what the first components of an estimator explain.

        Parameters
        ----------
        estimator : object
            Fitted with ``ordered=True``, or PCA, or a Pipeline or search that ends in one.
        share : float, default=0.95
            Share in (0, 1] to draw a line at. None draws none.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ExplainedVarianceDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If its components have no order.
        """
        model = fitted_model(estimator, cls.__name__)
        cumulative = getattr(model, "cumulative_explained_variance_", None)
        if cumulative is None:
            ratio = getattr(model, "explained_variance_ratio_", None)
            if ratio is None:
                raise TypeError(
                    f"{cls.__name__} needs ordered components; "
                    f"{type(model).__name__} has no explained_variance_ratio_. Fit it with ordered=True, or "
                    "pass a PCA."
                )
            cumulative = np.cumsum(ratio)
        pca = getattr(model, "pca_cumulative_explained_variance_", None)
        return cls(cumulative, pca, share, type(model).__name__).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `Axes.plot` for the line of the estimator.

        Returns
        -------
        display : ExplainedVarianceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `share` is not in (0, 1].
        """
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"share must lie in (0, 1], or be None; got {self.share!r}.")
        values = np.atleast_1d(np.asarray(self.cumulative, dtype=float))
        self.ax_ = one_axes(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        sizes = np.arange(1, len(values) + 1)
        marker = "o" if len(values) <= _MOST_MARKERS else None
        style = {
            "color": BLUE,
            "marker": marker,
            "markersize": 4,
            "label": in_legend(as_text(self.name or "estimator")),
            **kwargs,
        }
        (self.line_,) = self.ax_.plot(sizes, values, **style)
        self.pca_line_ = self.share_line_ = self.n_reaching_ = None
        lowest = float(values.min())
        if self.pca_cumulative is not None:
            pca = np.atleast_1d(np.asarray(self.pca_cumulative, dtype=float))
            lowest = min(lowest, float(pca.min()))
            (self.pca_line_,) = self.ax_.plot(
                np.arange(1, len(pca) + 1), pca, "--", color="black", linewidth=1.2, label="PCA"
            )
        if self.share is not None:
            self._mark(values)
        # From zero on: the height is a share of the whole.
        self.ax_.set(
            xlabel="number of components",
            ylabel="variance explained, cumulative",
            ylim=inside(min(0.0, lowest), 1.0, 0.02),
        )
        if len(values) > 1:
            self.ax_.set_xlim(*inside(1, len(values), 0.03))
        self.ax_.locator_params(axis="x", integer=True)
        # Curves rise to the right: below them there is room, unless they stay low.
        self.ax_.legend(loc="lower right" if values[-1] > _LOW else "center right")
        return self

    def _mark(self, values: np.ndarray) -> None:
        """Draw the line at the share, and the first size on it or above."""
        share = self.share or 0.0
        reaching = np.flatnonzero(values >= share)
        if len(reaching):
            self.n_reaching_ = int(reaching[0]) + 1
            plural = "component explains" if self.n_reaching_ == 1 else "components explain"
            label = f"{self.n_reaching_} {plural} {share:g}"
            self.ax_.plot(
                [self.n_reaching_], [values[reaching[0]]], "o", color=ORANGE, markersize=9, zorder=3
            )
            self.ax_.axvline(self.n_reaching_, color=ORANGE, linewidth=0.8, linestyle=":")
        else:
            label = f"{share:g} is not reached by {len(values)}"
        colour = ORANGE if len(reaching) else GREY
        self.share_line_ = self.ax_.axhline(share, color=colour, linewidth=1.0, linestyle=":", label=label)
