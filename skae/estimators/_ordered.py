"""Ordered components: how many are tried, how many are kept, and what an estimator with fewer looks like."""

import copy
import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from skae._computing import threads
from skae.estimators import _checks, _tensors
from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import principal_axes
from skae.training.batches import Rows
from skae.training.fitted import Fitted

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


def most_components(estimator: Any, X: np.ndarray, weight: np.ndarray | None) -> int:
    """Return how many components to train, at most.

    For None as many as PCA has, held-out rows counted in; a warm start keeps those it has. Where
    `n_components` is a share of the variance, a tenth more than PCA needs for it, since of new rows a
    little less is explained than of those it was fitted to; for the knee, the same for a share of 0.99.

    Parameters
    ----------
    estimator : BaseAutoencoder
    X : ndarray of shape (n_samples, n_features)
        Rows that are trained on.
    weight : ndarray of shape (n_samples,), optional
        Their weights.

    Returns
    -------
    n_components : int
        For a share 100 at most, for the knee 32.
    """
    wanted = estimator.n_components
    if wanted is None:
        return estimator.n_components_ if estimator._is_warm() else min(X.shape)
    if _checks.is_integer(wanted):
        return int(wanted)
    share, most = (_KNEE_SHARE, _MOST_FOR_KNEE) if isinstance(wanted, str) else (wanted, _MOST)
    table = _tensors.to_rows(X, _tensors.measure(X, weight), torch.device("cpu")).nan_to_num()
    rows = Rows(table, weight=None if weight is None else _tensors.weights_to(weight, table)).scaled()
    with threads(len(rows) * rows.shape[1] * min(rows.shape)):
        axes = principal_axes(rows, most, torch.Generator().manual_seed(0))
    total = float(rows.square().sum(dtype=torch.float64)) / len(rows)
    if not len(axes.deviations) or total == 0:
        return 1
    reached = axes.deviations.square().cumsum(0) / total
    needed = 1 + int((reached <= share).sum())
    return min(most, rows.shape[1], 1 + math.ceil(1.1 * needed))


def finish(estimator: Any, fitted: Fitted, rows: torch.Tensor) -> None:
    """Add or take away what is known by number of components after a fit to rows (n_rows, n_features)."""
    if fitted.by_size is None:
        forget(estimator)
        return
    estimator.explained_variance_ = estimator.explained_variance_ratio_ * total_variance(
        rows, estimator._codec.frame.scale
    )
    choose(estimator)


def forget(estimator: Any) -> None:
    """Drop what an earlier fit found by number of components."""
    for name in (*_BY_SIZE, "_validations_by_size"):
        vars(estimator).pop(name, None)


def total_variance(rows: torch.Tensor, scale: float) -> float:
    """Compute the variance of all columns together, as PCA does, from their root mean square, the scale."""
    n_rows, n_features = rows.shape
    # A scale of one may also stand for rows of which nothing varies.
    varies = scale != 1.0 or bool((rows.abs() > 0.5).any())
    return varies * scale**2 * n_features * n_rows / (n_rows - 1)


def choose(estimator: Any) -> None:
    """Cut a fitted estimator after the components that its `n_components` asks for, if that is no number."""
    if _checks.is_sought(estimator.n_components):
        keep(estimator, chosen_size(estimator.n_components, estimator.cumulative_explained_variance_))


def shares(estimator: Any, X: Any, sample_weight: Any) -> np.ndarray:
    """Give what the first components of a fitted estimator explain of rows, (n_components,)."""
    check_ordered(estimator)
    inside = estimator._validated(X)
    weight, codes = estimator._weights(sample_weight, inside), estimator._codes(inside)
    backs = (estimator._codec.decode(codes[:, : size + 1]) for size in range(estimator.n_components_))
    columns, mean = estimator._columns, estimator._codec.frame.centre
    return np.array([columns.explained(X, inside, back, mean, weight) for back in backs])


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
    """Give the size at which a curve is farthest above the line between its ends (Satopää et al. 2011).

    The line begins at size 0, which explains nothing, so that one component may be the knee.
    """
    curve = np.concatenate([[0.0], by_size])
    line = np.linspace(0.0, curve[-1], len(curve))
    return max(1, int((curve - line).argmax()))


def attributes(fitted: Fitted) -> dict[str, Any]:
    """Give what users read of ordered components, by name."""
    if fitted.by_size is None:
        return {}
    objective: Any = fitted.objective
    validations = zip(*(validation.by_size for validation in fitted.history.validations), strict=True)
    return {
        "explained_variance_ratio_": np.diff(fitted.by_size, prepend=0.0),
        "cumulative_explained_variance_": fitted.by_size,
        "pca_cumulative_explained_variance_": fitted.pca_by_size,
        "_validations_by_size": dict(zip(objective.judged_sizes, validations, strict=False)),
    }


def keep(estimator: Any, n_components: int) -> None:
    """Cut a fitted estimator with ordered components after the first ones, in place."""
    estimator.network_.keep(n_components)
    estimator.n_components_ = n_components
    estimator._codec = copy.copy(estimator._codec)
    # Copies in other dtypes know nothing of the cut.
    estimator._codec._copies = {}
    estimator._training_state = None
    estimator._keep(n_components)
    if not hasattr(estimator, "cumulative_explained_variance_"):
        return
    for name in _BY_SIZE:
        setattr(estimator, name, getattr(estimator, name)[:n_components])
    if estimator.validation_score_ is not None:
        scores = estimator._validations_by_size.get(n_components)
        estimator.validation_scores_ = None if scores is None else list(scores)
        estimator.validation_score_ = float(estimator.cumulative_explained_variance_[-1])
        estimator.pca_score_ = float(estimator.pca_cumulative_explained_variance_[-1])


def check_ordered(estimator: Any) -> None:
    """Refuse estimators that are not fitted, or whose components have no order."""
    _checks.check_is_fitted(estimator, "network_")
    if estimator.network_.n_components is None:
        raise ValueError(
            f"The components of this {type(estimator).__name__} have no order, so that the first ones alone "
            "give no rows back. Fit with ordered=True."
        )


def truncated(estimator: Any, n_components: int) -> Any:
    """Give a copy of a fitted estimator that has only the first components."""
    check_ordered(estimator)
    n_components = _checks.check_count(n_components, "n_components", 1, estimator.n_components_)
    shorter = copy.deepcopy(estimator).set_params(n_components=n_components, ordered=True)
    keep(shorter, n_components)
    return shorter


def check_whole(estimator: Any) -> None:
    """Refuse to go on training with components that were cut by hand."""
    network = getattr(estimator, "network_", None)
    if network is None or network.n_kept is None:
        return
    if estimator.warm_start or not _checks.is_sought(estimator.n_components):
        raise ValueError(
            f"This {type(estimator).__name__} was cut after {network.n_kept} of its {network.n_components} "
            "components, and cannot be trained further. Fit anew with an int for n_components, "
            f"{network.n_kept} for example, and warm_start=False."
        )


def whole(network: Autoencoder) -> Autoencoder:
    """Copy a network with all its components, to be trained further."""
    network = copy.deepcopy(network)
    if network.n_kept is not None:
        network.keep(network.n_components or network.n_kept)
    return network


def reopen(estimator: Any) -> int | None:
    """Let a fitted estimator train all components that it has; tell how many it gave to users."""
    network = estimator.network_
    estimator._largest_size = network.n_components or estimator.n_components_
    return network.n_kept


def close(estimator: Any, kept: int | None) -> None:
    """Give users as many components as before."""
    if kept is not None:
        state = estimator._training_state
        keep(estimator, kept)
        estimator._training_state = state


class OrderedComponents:
    """What estimators have whose first components may give rows back alone."""

    n_components: Any
    ordered: bool
    _largest_size: int

    def cumulative_explained_variance(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Give the share of the variance of rows that the first components explain, for every number of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weighs all alike.

        Returns
        -------
        shares : ndarray of shape (n_components,)
            The last one is `score`.

        Raises
        ------
        ValueError
            If the components have no order.
        """
        return shares(self, X, sample_weight)

    def truncated(self, n_components: int) -> Self:
        """Give the estimator that has only the first components, without a further fit.

        Parameters
        ----------
        n_components : int
            How many, between 1 and `n_components_`.

        Returns
        -------
        estimator : object
            A copy, fitted, whose codes are the first columns of this one's. It cannot be trained further. Its
            curves of training are those of the whole code, but for `validation_scores_`, which is None where
            this number of components was not judged after every epoch.

        Raises
        ------
        ValueError
            If the components have no order, or are not so many.
        """
        return truncated(self, n_components)

    def _is_ordered(self) -> bool:
        """Tell whether the first components alone give rows back."""
        return bool(self.ordered) or _checks.is_sought(self.n_components)

    @property
    def _size(self) -> int:
        """Number of components that are trained: for a share or the knee, as many as may be needed."""
        return int(self.n_components) if _checks.is_integer(self.n_components) else self._largest_size

    def _keep(self, n_components: int) -> None:
        """Forget what further attributes say of all but the first components."""
