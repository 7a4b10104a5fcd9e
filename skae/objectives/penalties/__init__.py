"""Penalties: what is added to the reconstruction loss."""

from skae.objectives.penalties.activity import ActivityKL, ActivityL1, ActivityL2
from skae.objectives.penalties.revival import AuxK
from skae.objectives.penalties.weights import WeightL1

__all__ = ["ActivityKL", "ActivityL1", "ActivityL2", "AuxK", "WeightL1"]
