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
        Takes a network, rows and, unless `is_exact`, signs (n, n_components); gives a value a row.
    is_exact : bool
        Whether there is nothing to draw.
    stacks : bool, default=False
        Whether `squared_norm` does without autograd, of which torch's vectorised map takes no call.
    """

    judges = True
    reads_inputs = True
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
        inputs = passed.batch.inputs
        if self.is_exact:
            return self.norms(passed.network, inputs) / inputs.shape[1]
        signs = passed.draw
        if signs is None:
            # Held-out rows are judged by the same signs after every epoch.
            signs = self.draw(inputs, torch.Generator(inputs.device).manual_seed(0))
        return self.norms(passed.network, inputs, signs) / inputs.shape[1]
