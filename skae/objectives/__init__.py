"""What training minimises. Torch only; imports nothing of `skae.networks`."""

from skae.objectives.batch import Batch, Pass
from skae.objectives.objective import Errors, Objective, weighted_mean
from skae.objectives.reconstruction import LINKS, LOSSES, Reconstruction

__all__ = ["LINKS", "LOSSES", "Batch", "Errors", "Objective", "Pass", "Reconstruction", "weighted_mean"]
