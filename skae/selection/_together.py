"""The one door to the training of many estimators at once."""

from skae.estimators.base import Job, fit_together

__all__ = ["Job", "fit_together"]
