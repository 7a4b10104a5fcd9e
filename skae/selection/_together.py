"""The one door to the training of many estimators at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from skae.estimators.base import BaseAutoencoder


class Job(NamedTuple):
    """One fit.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Not fitted; fitted in place.
    X : array-like of shape (n_samples, n_features)
        Training rows. Jobs that share their rows hold the same object.
    y : object, default=None
        Passed to `fit`.
    fit_params : dict or None, default=None
        Further arguments of `fit`, such as `sample_weight`.
    """

    estimator: BaseAutoencoder
    X: ArrayLike
    y: object = None
    fit_params: Mapping[str, ArrayLike] | None = None


def fit_together(jobs: Sequence[Job]) -> list[Exception | None]:
    """Fit estimators; one that fails does not keep the others from being fitted.

    Parameters
    ----------
    jobs : sequence of Job
        What to fit, in any order and of any shapes.

    Returns
    -------
    errors : list of Exception or None
        What the fit of each job raised, None where it went well.
    """
    return [_error_of(job) for job in jobs]


def _error_of(job: Job) -> Exception | None:
    try:
        job.estimator.fit(job.X, job.y, **(job.fit_params or {}))
    except Exception as error:
        return error
    return None
