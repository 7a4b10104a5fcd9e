"""The shrinking autoencoder: a penalty keeps its codes small."""

from numbers import Real
from typing import ClassVar

import torch

from skae.estimators._checks import Interval
from skae.estimators.base import BaseAutoencoder
from skae.objectives import Objective, Pass, Reconstruction
from skae.objectives.penalties import Penalty


class CodeNorm(Penalty):
    """Squared norm of the code of a row, over the number of columns."""

    # Held-out rows are judged by it, too: else the epoch with the largest codes would be the best one.
    judges = True

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value a row."""
        return passed.code.square().sum(1) / passed.batch.inputs.shape[1]


class ShrinkingAutoencoderTransformer(BaseAutoencoder):
    """Keep codes small, and give up first what explains least.

    Parameters
    ----------
    alpha : float, default=0.01
        Weight of the squared norm of the code of a row, at least 0. The other parameters are described by
        the base.
    """

    alpha: float = 0.01

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseAutoencoder._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
    }
    # Small codes may explain less than PCA: no warning.
    _rivals_pca: ClassVar[bool] = False

    def _objective(self, reconstruction: Reconstruction) -> Objective:
        objective = super()._objective(reconstruction)
        objective.add_penalty("code_norm", CodeNorm(self.alpha))
        return objective
