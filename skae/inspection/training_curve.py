"""Training curves: the loss, the variance explained on held-out rows, and that of PCA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from skae.inspection._drawing import BLUE, GREY, ORANGE, Display, as_text, inside, one_axes
from skae.inspection._rows import fitted_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

__all__ = ["TrainingCurveDisplay"]

# Losses that fall further than this are told apart on a logarithmic axis only.
_FAR = 10.0


class TrainingCurveDisplay(Display):
    """Loss and held-out variance explained by epoch, with the level of PCA and the epoch that was kept.

    Parameters
    ----------
    loss_curve : sequence of float
        Mean training loss of each epoch, from epoch 1 on.
    validation_scores : sequence of float, default=None
        Variance explained on held-out rows, from epoch 0, the start, on. None if none were held out.
    pca_score : float, default=None
        What PCA explains on the same rows.
    best_iter : int, default=None
        The epoch whose weights were kept.
    name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    ax_ : Axes
        The axes of the scores; those of the loss if there are no scores.
    loss_ax_ : Axes
        The axes of the loss: at the right if there are scores.
    figure_ : Figure
        Figure of the plot.
    line_ : Line2D or None
        The held-out scores.
    loss_line_ : Line2D
        The loss.
    pca_line_ : Line2D or None
        The level of PCA.
    best_point_ : Line2D or None
        The epoch that was kept.

    See Also
    --------
    ExplainedVarianceDisplay : Variance explained by the number of components.

    Notes
    -----
    The loss is that of centred and scaled rows, with the penalties of the estimator. Scores far below that of
    PCA, such as those of a random start, are cut off at the bottom.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import TrainingCurveDisplay
    >>> model = AutoencoderTransformer(1, max_iter=20, random_state=0).fit(load_iris().data)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'variance explained on held-out rows'
    """

    def __init__(
        self,
        loss_curve: Sequence[float],
        validation_scores: Sequence[float] | None = None,
        pca_score: float | None = None,
        best_iter: int | None = None,
        name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.pca_score = pca_score
        self.best_iter = best_iter
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: BaseEstimator, *, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the training curves of an estimator.

        Parameters
        ----------
        estimator : autoencoder of skae
            Fitted, or a Pipeline or search that ends in one.
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            Display of the plot.

        Raises
        ------
        NotFittedError
            If the estimator was not fitted.
        TypeError
            If it keeps no `loss_curve_`.
        """
        model = fitted_model(estimator, cls.__name__)
        if not hasattr(model, "loss_curve_"):
            raise TypeError(
                f"{cls.__name__} needs the loss_curve_ of an autoencoder; {type(model).__name__} has none, "
                "as it is not trained by epochs."
            )
        if len(model.loss_curve_) == 0:
            raise ValueError(f"This {type(model).__name__} was trained for no epoch; set max_iter higher.")
        display = cls(
            model.loss_curve_,
            getattr(model, "validation_scores_", None),
            getattr(model, "pca_score_", None),
            getattr(model, "best_iter_", None),
            type(model).__name__,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: object) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on; None makes a figure.
        **kwargs : dict
            Passed to `Axes.plot` for the line of the held-out scores, or of the loss if there are none.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.
        """
        self.ax_ = one_axes(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        self.line_ = self.pca_line_ = self.best_point_ = None
        has_scores = self.validation_scores is not None
        self.loss_ax_ = self.ax_.twinx() if has_scores else self.ax_
        self._draw_loss({} if has_scores else kwargs)
        if has_scores:
            self._draw_scores(kwargs)
        lines = [self.line_, self.pca_line_, self.best_point_, self.loss_line_]
        lines = [line for line in lines if line is not None]
        if len(lines) > 1:
            # Below the picture: the curves may be anywhere in it.
            self.ax_.legend(
                handles=lines,
                loc="upper center",
                bbox_to_anchor=(0.5, -0.16),
                ncols=2 if len(lines) < 4 else 4,
                frameon=False,
                fontsize="small",
            )
        n_epochs = max(len(self.loss_curve), len(self.validation_scores or ()) - 1)
        self.ax_.set(xlabel="epoch", title=as_text(self.name or ""), xlim=inside(0, n_epochs))
        self.ax_.locator_params(axis="x", integer=True)
        return self

    def _draw_loss(self, kwargs: dict[str, object]) -> None:
        loss = np.asarray(self.loss_curve, dtype=float)
        style = {"color": GREY, "linewidth": 1.2, "label": "training loss", **kwargs}
        if len(loss) == 1:
            style["marker"] = "o"
        (self.loss_line_,) = self.loss_ax_.plot(np.arange(1, len(loss) + 1), loss, **style)
        self.loss_ax_.set_ylabel("training loss of scaled rows", color="0.35")
        if loss.min() > 0 and loss.max() > _FAR * loss.min():
            self.loss_ax_.set_yscale("log")

    def _draw_scores(self, kwargs: dict[str, object]) -> None:
        scores = np.asarray(self.validation_scores, dtype=float)
        style = {"color": BLUE, "label": "held-out rows", **kwargs}
        (self.line_,) = self.ax_.plot(np.arange(len(scores)), scores, **style)
        if self.pca_score is not None:
            self.pca_line_ = self.ax_.axhline(
                self.pca_score,
                color="black",
                linestyle="--",
                linewidth=1.0,
                label=f"PCA: {self.pca_score:.3f}",
            )
        if self.best_iter is not None and self.best_iter < len(scores):
            kept = scores[self.best_iter]
            (self.best_point_,) = self.ax_.plot(
                [self.best_iter],
                [kept],
                "o",
                color=ORANGE,
                markersize=8,
                label=f"kept, epoch {self.best_iter}: {kept:.3f}",
            )
        self.ax_.set_ylabel("variance explained on held-out rows")
        levels = [scores.max(), np.quantile(scores, 0.05)]
        levels += [self.pca_score] if self.pca_score is not None else []
        if scores.min() < min(levels) - 2 * (max(levels) - min(levels)):
            self.ax_.set_ylim(*inside(min(levels), max(levels)))
        # Scores lie above the loss, whose axes were added later.
        self.ax_.set_zorder(self.loss_ax_.get_zorder() + 1)
        self.ax_.patch.set_visible(False)
