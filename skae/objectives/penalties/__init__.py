"""Penalties: what is added to the reconstruction loss."""

from skae.objectives.penalties.activity import ActivityKL, ActivityL1, ActivityL2
from skae.objectives.penalties.adversary import Adversary
from skae.objectives.penalties.base import Penalty
from skae.objectives.penalties.bits import Balance, Decorrelation
from skae.objectives.penalties.contraction import Contraction
from skae.objectives.penalties.divergence import Divergence
from skae.objectives.penalties.gates import ActiveCount, GateFit, GateL1
from skae.objectives.penalties.nonlinearity import Nonlinearity, Straightness
from skae.objectives.penalties.revival import AuxK, Resample, Revival
from skae.objectives.penalties.target import LinearHead
from skae.objectives.penalties.weights import WeightL1

__all__ = [
    "ActiveCount",
    "ActivityKL",
    "ActivityL1",
    "ActivityL2",
    "Adversary",
    "AuxK",
    "Balance",
    "Contraction",
    "Decorrelation",
    "Divergence",
    "GateFit",
    "GateL1",
    "LinearHead",
    "Nonlinearity",
    "Penalty",
    "Resample",
    "Revival",
    "Straightness",
    "WeightL1",
]
