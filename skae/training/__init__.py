"""The training loop and what it is made of. Knows no estimator and no variant."""

from skae.training.alone import Alone
from skae.training.batches import Batches, InMemory
from skae.training.held_out import HeldOut, assured_gains, explained, pool, total_squares, weights_of
from skae.training.layerwise import pretrain
from skae.training.loop import DivergenceError, History, Run, Validation, checked, train
from skae.training.recirculation import RecirculationStep
from skae.training.solvers import SOLVERS, Solver
from skae.training.steps import SCHEDULES, GradientStep, LBFGSStep, Schedule, Step

__all__ = [
    "SCHEDULES",
    "SOLVERS",
    "Alone",
    "Batches",
    "DivergenceError",
    "GradientStep",
    "HeldOut",
    "History",
    "InMemory",
    "LBFGSStep",
    "RecirculationStep",
    "Run",
    "Schedule",
    "Solver",
    "Step",
    "Validation",
    "assured_gains",
    "checked",
    "explained",
    "pool",
    "pretrain",
    "total_squares",
    "train",
    "weights_of",
]
