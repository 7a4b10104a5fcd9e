"""Ordered components: how many are tried, how many are kept, and what an estimator with fewer looks like.

Nothing here is called in a fit whose components have no order.
"""

import copy
import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from skae._computing import threads
from skae.estimators import _checks
from skae.estimators._seats import Seats
from skae.estimators._target import TARGET_SCORES
from skae.networks.principal_axes import principal_axes
from skae.training import tensors
from skae.training.batches import Rows
from skae.training.fitted import BySize, Fitted

# Components tried at most where their number is asked for by a share or the knee.
_MOST = 100
_MOST_FOR_KNEE = 32
_KNEE_SHARE = 0.99
# What users read of components, by their number.
_BY_SIZE = (
    "explained_variance_",
    "explained_variance_ratio_",
    "cumulative_explained_variance_",
    "pca_cumulative_explained_variance_",
)


class OrderedComponents(Seats):
    """What estimators have whose first components may give rows back alone."""

    def cumulative_explained_variance(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the share of the variance of rows that the first components explain, by their number.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weights all rows equally.

        Returns
        -------
        shares : ndarray of shape (n_components,)
            The last one is `score`.

        Raises
        ------
        ValueError
            If the components have no order.
        """
        self._check_ordered()
        inside = self._validated(X)
        weight, codes = self._weights(sample_weight, inside), self._codes(inside)
        backs = (self._codec.decode(codes[:, : size + 1]) for size in range(self.n_components_))
        columns, mean = self._columns, self._codec.frame.centre
        return np.array([columns.explained(X, inside, back, mean, weight) for back in backs])

    def truncated(self, n_components: int) -> Self:
        """Return the estimator that has only the first components, without a further fit.

        Parameters
        ----------
        n_components : int
            Number of components, between 1 and `n_components_`.

        Returns
        -------
        estimator : object
            A fitted copy, whose codes are the first columns of those of this estimator. It cannot be trained
            further. Its training curves are those of the whole code, except `validation_scores_`, which is
            None if this number of components was not evaluated after every epoch.

        Raises
        ------
        ValueError
            If the components have no order, or are fewer.
        """
        self._check_ordered()
        n_components = _checks.check_count(n_components, "n_components", 1, self.n_components_)
        shorter = copy.deepcopy(self)
        shorter.n_components, shorter.ordered = n_components, True
        shorter._cut(n_components)
        return shorter

    def _check_ordered(self) -> None:
        """Refuse to cut components that are not fitted, or have no order."""
        _checks.check_is_fitted(self, "network_")
        if self.network_.n_components is None:
            raise ValueError(
                f"The components of this {type(self).__name__} have no order, so that the first ones alone "
                "give no rows back. Fit with ordered=True."
            )

    # ------------------------------------------------------------------ before training

    def _most_sought(self) -> int:
        """Return how many components are tried at most, where their number is to be found."""
        return _MOST_FOR_KNEE if isinstance(self.n_components, str) else _MOST

    def _enough_components(self, sought: float | str, X: np.ndarray, weight: np.ndarray | None) -> int:
        """Return how many components to train, where their number is to be found.

        For a share of the variance a tenth more than PCA needs for it, since of new rows a little less is
        explained than of those it was fitted to; for the knee, the same for a share of 0.99.

        Parameters
        ----------
        sought : float or "elbow"
            A share of the variance, or the knee.
        X : ndarray of shape (n_samples, n_features)
            Rows that are trained on.
        weight : ndarray of shape (n_samples,), optional
            Their weights.

        Returns
        -------
        n_components : int
            For a share 100 at most, for the knee 32.
        """
        share = _KNEE_SHARE if isinstance(sought, str) else sought
        most = self._most_sought()
        table = tensors.to_rows(X, tensors.frame_of(X, weight), torch.device("cpu")).nan_to_num()
        rows = Rows(table, weight=tensors.weights_to(weight, table)).scaled()
        with threads(len(rows) * rows.shape[1] * min(rows.shape)):
            axes = principal_axes(rows, most, torch.Generator().manual_seed(0))
        total = float(rows.square().sum(dtype=torch.float64)) / len(rows)
        if not len(axes.deviations) or total == 0:
            return 1
        reached = axes.deviations.square().cumsum(0) / total
        needed = 1 + int((reached <= share).sum())
        return min(most, rows.shape[1], 1 + math.ceil(1.1 * needed))

    def _check_whole(self) -> None:
        """Refuse to go on training with components that were cut by hand."""
        if self.warm_start or self._sought is None:
            network = self.network_
            raise ValueError(
                f"This {type(self).__name__} was cut after {network.n_kept} of its {network.n_components} "
                "components, and cannot be trained further. Fit anew with an int for n_components, "
                f"{network.n_kept} for example, and warm_start=False."
            )

    # ------------------------------------------------------------------ after training

    def _attributes_by_size(self, by_size: BySize, fitted: Fitted) -> dict[str, Any]:
        """Return what users read of ordered components, by name."""
        validations = zip(*(validation.by_size for validation in fitted.history.validations), strict=True)
        return {
            "explained_variance_ratio_": np.diff(by_size.explained, prepend=0.0),
            "cumulative_explained_variance_": by_size.explained,
            "pca_cumulative_explained_variance_": by_size.by_pca,
            "_validations_by_size": dict(zip(fitted.objective.judged_sizes, validations, strict=False)),
        }

    def _finish_order(self, rows: torch.Tensor) -> None:
        """Take variances of a fit to rows (n_rows, n_features), and cut where the number is to be found."""
        total = total_variance(rows, self._codec.frame.scale)
        self.explained_variance_ = self.explained_variance_ratio_ * total
        if self._sought is not None:
            self._cut(chosen_size(self._sought, self.cumulative_explained_variance_))

    def _cut(self, n_components: int) -> None:
        """Keep the first components alone, in place."""
        self.network_.keep(n_components)
        self.n_components_ = n_components
        self._codec = copy.copy(self._codec)
        # Copies in other dtypes know nothing of the cut.
        self._codec._copies = {}
        self._training_state = None
        vars(self).pop("_going", None)
        self._keep(n_components)
        for name in ("components_", "linearity_"):
            if name in vars(self):
                setattr(self, name, getattr(self, name)[:n_components])
        for name in TARGET_SCORES:
            # Of all components.
            vars(self).pop(name, None)
        if "cumulative_explained_variance_" not in vars(self):
            return
        for name in _BY_SIZE:
            setattr(self, name, getattr(self, name)[:n_components])
        if self.validation_score_ is not None:
            scores = self._validations_by_size.get(n_components)
            self.validation_scores_ = None if scores is None else list(scores)
            self.validation_score_ = float(self.cumulative_explained_variance_[-1])
            self.pca_score_ = float(self.pca_cumulative_explained_variance_[-1])

    def _cut_again(self, n_components: int) -> None:
        """Keep as many components as before further rows were learnt, and go on with the training later."""
        going = self._going
        self._cut(n_components)
        self._going = going


def total_variance(rows: torch.Tensor, scale: float) -> float:
    """Compute the variance of all columns together, as PCA does, from their root mean square, the scale."""
    n_rows, n_features = rows.shape
    # A scale of one may also stand for rows of which nothing varies.
    varies = scale != 1.0 or bool((rows.abs() > 0.5).any())
    return varies * scale**2 * n_features * n_rows / (n_rows - 1)


def chosen_size(n_components: float | str, by_size: np.ndarray) -> int:
    """Choose how many components to keep.

    Parameters
    ----------
    n_components : float or "elbow"
        The share of the variance that is wanted, or the knee of the curve.
    by_size : ndarray of shape (n_components,)
        What the first components explain.

    Returns
    -------
    size : int
    """
    if isinstance(n_components, str):
        return knee(by_size)
    # More than the share, as PCA has it.
    reached = by_size > n_components
    if not reached.any():
        # What is said of it, is said once the fit is done.
        return len(by_size)
    return int(reached.argmax()) + 1


def knee(by_size: np.ndarray) -> int:
    """Return the size at which a curve is farthest above the line between its ends (Satopää et al. 2011).

    The line begins at size 0, which explains nothing, so that one component may be the knee.
    """
    curve = np.concatenate([[0.0], by_size])
    line = np.linspace(0.0, curve[-1], len(curve))
    return max(1, int((curve - line).argmax()))
