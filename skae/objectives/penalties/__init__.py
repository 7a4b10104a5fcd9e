"""Penalties: what is added to the reconstruction loss."""

from skae.objectives.penalties.activity import ActivityKL, ActivityL1, ActivityL2
from skae.objectives.penalties.contraction import Contraction
from skae.objectives.penalties.gates import ActiveCount, GateFit, GateL1
from skae.objectives.penalties.revival import AuxK, Resample
from skae.objectives.penalties.weights import WeightL1

__all__ = [
    "ActiveCount",
    "ActivityKL",
    "ActivityL1",
    "ActivityL2",
    "AuxK",
    "Contraction",
    "GateFit",
    "GateL1",
    "Resample",
    "WeightL1",
]
