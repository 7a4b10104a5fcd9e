"""What every estimator shares: scikit-learn's methods around a trained network.

Knows no variant by name. A variant fills seats (`_seats`) and adds read-outs of its own; it never overrides
`fit`, `transform` or `inverse_transform`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.callback import with_callbacks

from skae._computing import learning, threads
from skae._containers import as_passed
from skae.data.blockwise import by_blocks, explained
from skae.data.sources import as_source
from skae.estimators import _checks
from skae.estimators._declaration import PCANames
from skae.estimators._learning import BegunFit, Learning
from skae.estimators._reports import NotebookFigures, warn
from skae.estimators._seats import Inside
from skae.estimators._state import AutoencoderState
from skae.networks.architecture import architecture_in
from skae.networks.autoencoder import Autoencoder
from skae.tables.cells import with_index_of
from skae.tables.reading import flat, unknown
from skae.training.courses import fit_all


class BaseAutoencoder(
    PCANames,
    AutoencoderState,
    NotebookFigures,
    ClassNamePrefixFeaturesOutMixin,
    Learning,
):
    """Base class of all autoencoders.

    Attributes
    ----------
    encoder_ : torch.nn.Module
        Maps rows (n, n_features), in the units of X whatever the `scaling`, to codes; shares its weights with
        `network_`. With columns of several kinds, rows have a column of zeros and ones a category, and counts
        as log(1 + count).
    decoder_ : torch.nn.Module
        Maps codes to such rows; shares its weights with `network_`. Both take any floating dtype and compute
        in that of their weights.
    network_ : Autoencoder
        The trained network, between centred and scaled rows.
    objective_ : Objective
        The objective that was minimised.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has names that are all strings.
    mean_ : ndarray of shape (n_features,)
        Mean of each column over its observed cells, in the units of X whatever the `scaling`. With
        columns of several kinds, that of each column inside.
    scale_ : float
        The number that centred (and scaled) data is divided by: its root mean square over all cells.
    n_samples_ : int
        Number of rows with a positive weight in `fit`, including held-out ones; those of all calls of
        `partial_fit` together.
    n_iter_ : int
        Number of epochs run; in cross-validation, by each fold.
    best_iter_ : int
        The epoch whose weights were kept; 0 is the PCA start.
    loss_curve_ : list of float
        Mean training loss of each epoch; in cross-validation, mean of the folds. Of `partial_fit`, the last
        10,000 calls.
    validation_scores_ : list of float or None
        Variance explained on held-out rows, from the start (index 0) to the last epoch.
        None if no rows were held out. In cross-validation, about 20 epochs are judged, those that are chosen
        from; the entry of another epoch is that of the last one before it that was.
    validation_score_ : float or None
        The same for the epoch kept.
    pca_score_ : float or None
        Variance explained by PCA with as many components on the same held-out rows, fitted on
        the same training rows.
    fit_time_ : float
        Training time in seconds, including epoch selection. Not after `partial_fit`.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of held-out rows that each further component explains (of the training rows
        if none are held out). Only with `ordered`. Below 1,000 rows and beyond 32 components, it is
        interpolated between 32 sizes. Not after `partial_fit`.
    explained_variance_ : ndarray of shape (n_components,)
        The same in squared units of X (with `scaling`, of the columns inside): the ratio times the variance
        of all columns together. Only with `ordered`, as the next two, and none of them after `partial_fit`.
    cumulative_explained_variance_ : ndarray of shape (n_components,)
        Share of the variance that the components up to each explain together.
    pca_cumulative_explained_variance_ : ndarray of shape (n_components,)
        The same for PCA, on the same rows.
    target_weight_ : float
        The weight of the target, where `target_weight` is not 0.
    target_score_, pca_target_score_, columns_target_score_ : float
        Share of the best constant's loss that a linear model of the target explains on held-out rows: on the
        codes, on as many principal components, and on all columns. Only with `target_weight`, where some rows
        are held out.
    """

    @by_blocks
    def transform(self, X: ArrayLike) -> np.ndarray:
        """Map rows to codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, in the units and with the columns of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes, in float32 for float32 rows and else in float64. At the PCA start they are
            the whitened principal components.
        """
        _checks.check_is_fitted(self, "network_")
        return as_passed(self._encode(self._validated(X)), X)

    @by_blocks
    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Map codes back to rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as returned by `transform`. With `ordered`, fewer columns are the first components alone.

        Returns
        -------
        X_back : ndarray or DataFrame of shape (n_samples, n_features)
            Rows in the units of the data, in the dtype of the codes. If `fit` had a DataFrame with more than
            numbers, a DataFrame of its library (pandas, polars, pyarrow) with its dtypes, and with
            the index of the codes if they have one.
        """
        _checks.check_is_fitted(self, "network_")
        is_cut = self.network_.n_components is not None and self._n_features_out == self.n_components_
        fewest = 1 if is_cut else self._n_features_out
        codes = _checks.check_codes(X, self._n_features_out, self, fewest)
        return self._given_back(self._decode(codes), X)

    @by_blocks
    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Map rows to codes and back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_back : ndarray or DataFrame of shape (n_samples, n_features)
            Reconstructions, in the units of the data: an array for numbers, else a DataFrame of
            the library of the one of `fit` (pandas, polars, pyarrow), with its dtypes.
        """
        _checks.check_is_fitted(self, "network_")
        return self._given_back(self._reconstructed(X)[1], X)

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of the variance of rows that their codes explain.

        ``1 - SSE / SST`` with the sums of squares of the reconstruction errors and of the
        deviations from the training mean: 1 is perfect, 0 no better than the mean. For PCA
        use `skae.metrics.variance_explained`, as `PCA.score` is a log-likelihood. Missing cells are
        ignored. With `scaling` or columns of several kinds, it refers to the columns inside: scaled numbers,
        and one column of zeros and ones for each category.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weights all rows equally.

        Returns
        -------
        score : float
            Share of variance explained, at most 1.
        """
        _checks.check_is_fitted(self, "network_")
        source = as_source(X)
        if source is not None:
            weight = self._weights(source.weights(sample_weight), source)
            return explained(self._inside, source, weight)
        inside, back = self._reconstructed(X)
        weight = self._weights(sample_weight, inside)
        return self._columns.explained(X, inside, back, self._codec.frame.centre, weight)

    def __variance_explained__(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute `skae.metrics.variance_explained`: `score`, in the units of X whatever the `scaling`."""
        _checks.check_is_fitted(self, "network_")
        inside, back = self._reconstructed(X)
        weight, centre = self._weights(sample_weight, inside), self._codec.frame.centre
        return self._columns.explained_in_own_units(flat(self._columns, X), inside, back, centre, weight)

    @by_blocks
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the negative reconstruction error of each row: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus `reconstruction_error`.
        """
        return -self.reconstruction_error(X)

    @by_blocks
    def reconstruction_error(self, X: ArrayLike, per_feature: bool = False) -> np.ndarray:
        """Return the squared reconstruction error of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        per_feature : bool, default=False
            Whether to return the error of each cell instead of their mean.

        Returns
        -------
        errors : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors in squared units of X, as float64; NaN for missing cells. With `scaling` or
            columns of several kinds, of the columns inside; those of the columns of one categorical column
            are summed. A category that `fit` has not seen has an error of at least 1: that of a column of its
            own, which nothing is given back for.
        """
        _checks.check_is_fitted(self, "network_")
        inside, back = self._reconstructed(X)
        new = unknown(self._columns, X) if self._is_mixed() else None
        return as_passed(self._columns.errors(X, inside, back, per_feature, new), X)

    # ------------------------------------------------------------------ inside

    @property
    def _inside(self) -> Inside:
        """What tasks and reports use of a fitted estimator beside its public methods."""
        return Inside(self)

    def _given_back(self, rows: np.ndarray, X: object) -> Any:
        """Return rows computed from X: arrays in the library of X, DataFrames in that of `fit`."""
        back = self._columns.as_given(rows)
        return as_passed(back, X) if isinstance(back, np.ndarray) else with_index_of(X, back)

    def _reconstructed(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        X = self._validated(X)
        return X, self._codec.decode(self._codes(X))

    def _output_in(self, network: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Return what `transform` gives of centred and scaled rows: `_encode` as a graph to record."""
        return self._codes_in(network, rows)

    @property
    def _searches_codes(self) -> bool:
        """Whether codes are searched for row by row, so that there is no graph."""
        return False

    def _codes_of(self, output: torch.Tensor) -> torch.Tensor:
        """Return codes of what `transform` gave: the beginning of `_decode` as a graph to record."""
        return output

    @property
    def _n_features_out(self) -> int:
        return self.n_components_


class Job(NamedTuple):
    """One fit among several.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted in place.
    X, y : array-like and object
        Training rows, and what else `fit` is passed.
    fit_params : dict or None, default=None
        Further arguments of `fit`, such as `sample_weight`.
    """

    estimator: BaseAutoencoder
    X: ArrayLike
    y: object = None
    fit_params: Mapping[str, Any] | None = None

    @property
    def can_join(self) -> bool:
        """Whether the fit is the one of this package, with nothing outside, and no time, of its own."""
        estimator = self.estimator
        architecture = architecture_in(estimator.network)
        is_known = estimator.network is None or (architecture is not None and not architecture.draws_globally)
        is_own = type(estimator).fit.__module__.startswith("skae.")
        is_own &= not vars(estimator).get("_skl_callbacks") and estimator.max_time is None
        return is_known and is_own and set(self.fit_params or ()) <= {"sample_weight"}

    def run(self) -> Exception | None:
        """Fit alone; return what was raised."""
        try:
            self.estimator.fit(self.X, self.y, **(self.fit_params or {}))
        except Exception as error:
            return error
        return None


def fit_together(jobs: Sequence[Job]) -> list[Exception | None]:
    """Fit estimators, side by side where they can be; one that fails does not keep the others from it.

    Parameters
    ----------
    jobs : sequence of Job

    Returns
    -------
    errors : list of Exception or None
        What each fit raised; its estimator is then not fitted.
    """
    _checks.check_apart([job.estimator.checkpoint for job in jobs])
    errors: list[Exception | None] = [None] * len(jobs)
    begun: dict[int, BegunFit] = {}
    for number, job in enumerate(jobs):
        try:
            if len(jobs) > 1 and job.can_join:
                with _checks.unchanged_on_failure(job.estimator), learning():
                    begun[number] = job.estimator._begin_fit(job.X, job.y, **(job.fit_params or {}))
            else:
                errors[number] = job.run()
        except Exception as error:
            errors[number] = error
    if begun:
        errors = _end_together(jobs, begun, errors)
    for job in jobs:
        _close(job.estimator)
    return errors


@with_callbacks
def _close(estimator: BaseAutoencoder) -> None:
    """Let scikit-learn end what it began for callbacks with the fit."""


def _end_together(
    jobs: Sequence[Job], begun: Mapping[int, BegunFit], errors: list[Exception | None]
) -> list[Exception | None]:
    """Train what was begun, and return the errors of all jobs."""
    hands = begun.values()
    try:
        with learning(), threads(sum(hand.fitting.work for hand in hands)):
            results = fit_all([hand.fitting for hand in hands], [hand.reports for hand in hands])
    except Exception:
        # Something of one of them, a function of the user's for example, failed in the midst of all.
        return [jobs[number].run() if number in begun else error for number, error in enumerate(errors)]
    for (number, hand), result in zip(begun.items(), results, strict=True):
        try:
            if isinstance(result, Exception):
                raise result
            estimator = jobs[number].estimator
            with _checks.unchanged_on_failure(estimator), learning():
                estimator._end_fit(hand, result, estimator._fitted_attributes(result, hand.frame))
            warn(estimator, result)
        except Exception as error:
            errors[number] = error
    return errors
