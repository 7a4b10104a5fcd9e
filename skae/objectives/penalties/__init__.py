"""Penalties: what is added to the reconstruction loss."""

from skae.objectives.penalties.weights import WeightL1

__all__ = ["WeightL1"]
