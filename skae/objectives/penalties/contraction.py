"""A penalty on how far codes move when rows do."""

from collections.abc import Callable

import torch

from skae.objectives.batch import Pass
from skae.objectives.penalties.base import Penalty

Measure = Callable[..., torch.Tensor]


class Contraction(Penalty):
    """Squared Frobenius norm of the encoder's Jacobian, over the number of columns (Rifai et al. 2011).

    Over the columns because the loss is a mean over cells: the ratio of the two is that of the paper, whose
    loss is a sum.

    Parameters
    ----------
    coefficient : float
        What it is multiplied by after the warm-up.
    n_components : int
        Width of the code.
    squared_norm : callable
        Takes a network, filled rows, which of their cells were there or None, and, unless `is_exact`, signs
        (n, n_components); gives a value a row.
    is_exact : bool
        Whether there is nothing to draw.
    stacks : bool, default=False
        Whether `squared_norm` does without autograd, of which torch's vectorised map takes no call.
    """

    judges = True
    # A rotation changes no length.
    freedom = "rotations"

    def __init__(
        self,
        coefficient: float,
        n_components: int,
        squared_norm: Measure,
        is_exact: bool,
        stacks: bool = False,
    ) -> None:
        super().__init__(coefficient)
        self.stacks = stacks
        self.n_components = n_components
        self.norms = squared_norm
        self.is_exact = is_exact

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor | None:
        """Draw the signs of one step."""
        if self.is_exact:
            return None
        shape = (len(rows), self.n_components)
        return torch.randint(2, shape, generator=generator, device=rows.device).to(rows) * 2 - 1

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value for each row."""
        network, batch = passed.network, passed.batch
        filled = network.filled(batch.inputs) if batch.filled is None else (batch.filled, batch.there)
        n_features = batch.inputs.shape[1]
        if self.is_exact:
            return self.norms(network, *filled) / n_features
        signs = passed.draw
        if signs is None:
            # Held-out rows are judged by the same signs after every epoch.
            signs = self.draw(batch.inputs, torch.Generator(batch.inputs.device).manual_seed(0))
        return self.norms(network, *filled, signs) / n_features
