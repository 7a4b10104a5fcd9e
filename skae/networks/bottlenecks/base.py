"""What happens to a code between encoder and decoder, in training and in use."""

import torch
from torch import nn

from skae._spelling import refuse_misspelt


class Bottleneck(nn.Module):
    """The real-valued code, passed on as it is; the base of every other bottleneck.

    A bottleneck that rectifies, selects, samples or rounds codes overrides these
    methods. What it learns are parameters, what it counts are buffers, so that
    its `state_dict` is all there is to save.

    Attributes
    ----------
    starts_at_codes : bool
        Whether `start` does anything: true of every bottleneck that overrides it.
    changes_codes : bool
        Whether codes leave it, in training, other than they enter: true of every bottleneck that overrides
        `forward` or `read`.
    draws_codes : bool
        Whether `draw` gives anything: true of every bottleneck that overrides it.
    stacks : bool
        Whether several can be computed at once, as `Coder.stacks`.
    divides : bool
        Whether, in training, rows have the codes that they have beside any others, nothing is counted, and
        what is drawn has a row for each: true where neither `forward` nor `draw` is overridden, else it has
        to be said.
    n_inputs : int
        Outputs that the encoder must have for each component.
    """

    starts_at_codes: bool = False
    changes_codes: bool = False
    draws_codes: bool = False
    stacks: bool = True
    divides: bool = True
    n_inputs: int = 1

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_misspelt(cls, Bottleneck)
        cls.starts_at_codes = cls.start is not Bottleneck.start
        cls.draws_codes = cls.draw is not Bottleneck.draw
        if "divides" not in vars(cls):
            cls.divides = cls.forward is Bottleneck.forward and not cls.draws_codes
        cls.changes_codes = (cls.forward, cls.read) != (Bottleneck.forward, Bottleneck.read)

    def start(self, pre: torch.Tensor) -> None:
        """Set what is learnt to something sensible for the first encoder outputs (n_rows, width)."""

    def draw(self, n_rows: int, generator: torch.Generator) -> torch.Tensor | None:
        """Draw the randomness of one training step, or None where there is none."""
        return None

    def forward(self, pre: torch.Tensor, draw: torch.Tensor | None = None) -> torch.Tensor:
        """Return the codes of a training pass.

        Parameters
        ----------
        pre : tensor of shape (n_rows, width)
            What the encoder put out.
        draw : tensor, optional
            The randomness of this step, from `draw`.

        Returns
        -------
        code : tensor of shape (n_rows, n_components)
        """
        return self.read(pre)

    def read(self, pre: torch.Tensor) -> torch.Tensor:
        """Return codes in use: deterministic, and each row from itself alone."""
        return pre

    def keep(self, n_components: int) -> None:
        """Forget all but the first components, where something is drawn or measured for each of them."""
