"""Distributions that codes may be asked to have, by name."""

import math
from collections.abc import Callable

import numpy as np
import torch

from skae._random import normal, uniform

Prior = Callable[[int, int, torch.Generator], torch.Tensor]

_N_CLUSTERS = 10
# Radius and spread of the clusters: their neighbours are five deviations apart.
_RADIUS, _SPREAD = 1.5, 0.18


def _normal(n_rows: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    return normal((n_rows, n_components), generator)


def _uniform(n_rows: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    return 2 * uniform((n_rows, n_components), generator) - 1


def _mixture(n_rows: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    """Ten round clusters on a circle in the first two components (one: on a line); the others are normal."""
    drawn = _normal(n_rows, n_components, generator)
    cluster = torch.randint(_N_CLUSTERS, (n_rows,), generator=generator, device=generator.device)
    if n_components == 1:
        places = (cluster - (_N_CLUSTERS - 1) / 2)[:, None] * (2 * _RADIUS / _N_CLUSTERS)
        return places + _SPREAD / 3 * drawn
    angle = cluster * (2 * math.pi / _N_CLUSTERS)
    circle = _RADIUS * torch.stack([angle.cos(), angle.sin()], 1)
    return torch.cat([circle + _SPREAD * drawn[:, :2], drawn[:, 2:]], 1)


PRIORS: dict[str, Prior] = {"normal": _normal, "uniform": _uniform, "mixture": _mixture}


class UserPrior:
    """A user's function of numpy as a prior.

    Parameters
    ----------
    function : callable
        Takes the number of rows, the number of components and a `numpy.random.Generator`; gives an array
        (n_rows, n_components).
    """

    def __init__(self, function: Callable[[int, int, np.random.Generator], object]) -> None:
        self.function = function

    def __call__(self, n_rows: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
        """Draw."""
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        drawn = np.asarray(self.function(n_rows, n_components, np.random.default_rng(int(seed))))
        if drawn.shape != (n_rows, n_components) or not np.isfinite(drawn).all():
            raise ValueError(
                f"prior must give finite numbers of shape ({n_rows}, {n_components}); got shape "
                f"{drawn.shape}."
            )
        return torch.from_numpy(drawn.astype(np.float32)).to(generator.device)
