"""What a penalty can do: the base class of all of them."""

from typing import Literal

import torch
from torch import nn

from skae._spelling import refuse_misspelt
from skae.objectives.batch import Pass


class Penalty(nn.Module):
    """A term that is added to the reconstruction loss; subclasses override `forward`.

    Parameters
    ----------
    coefficient : float, default=1.0
        What it is multiplied by.

    Attributes
    ----------
    coefficient : float
        The same; a penalty that weighs itself leaves it at 1.
    judges : bool
        Whether held-out rows are judged by it, too. The coefficient of such a penalty rises from zero over
        the beginning of training, see `warm_up`.
    warm_up : float
        Share of the training over which the coefficient of a penalty that judges rises; 0 for none.
    needs_output : bool
        Whether it reads the output of whole codes, which costs a further pass where codes are cut.
    stacks : bool
        Whether several can be computed at once: nothing in `forward` counts, or asks what a tensor holds.
    reads_inputs : bool
        Whether it passes what the encoder sees through the network once more, gaps and all.
    ignores_zeros : bool
        Whether further components whose codes and weights are all zero change neither its value nor any
        gradient, and have none of their own.
    divides : bool
        Whether the mean of its values over rows is that of its means over parts of the rows, each by the
        weight of these, and what it draws has a row for each. Subclasses have to say it for themselves.
    is_by_hand : bool
        Whether `skae.training.dense_gradient` knows its gradient.
    freedom : {"maps", "rotations", "none"}
        By which linear maps of the codes, that the decoder undoes, nothing is changed that it is there for:
        by any, by rotations, or by none, as holds for most penalties on codes.
    """

    judges: bool = False
    # Penalties on codes that push from the first step would empty codes that say nothing yet.
    warm_up: float = 0.1
    needs_output: bool = False
    stacks: bool = True
    reads_inputs: bool = False
    ignores_zeros: bool = False
    divides: bool = False
    is_by_hand: bool = False
    freedom: Literal["maps", "rotations", "none"] = "none"
    coefficient: float = 1.0

    def __init__(self, coefficient: float = 1.0) -> None:
        super().__init__()
        self.coefficient = coefficient

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_misspelt(cls, Penalty)
        if "divides" not in vars(cls):
            cls.divides = False

    def adapt(self, rows: torch.Tensor) -> None:
        """Take what is needed of the training rows (n_rows, n_features), once, before training."""

    def draw(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor | None:
        """Draw the randomness of one training step for its rows (n, n_features); None where there is none.

        The penalty is handed it as `Pass.draw`.
        """
        return None

    def move_codes(self, matrix: torch.Tensor, shift: torch.Tensor) -> None:
        """Take codes that are ``(code - shift) @ matrix`` from now on, as far as `freedom` allows it.

        Parameters
        ----------
        matrix : tensor of shape (n_components, n_components)
        shift : tensor of shape (n_components,)
        """

    def forward(self, passed: Pass) -> torch.Tensor:
        """Return one value a row, (n,), or a scalar where it belongs to the batch or to the weights.

        Parameters
        ----------
        passed : Pass
            Its `draw` is None where rows are judged.

        Returns
        -------
        values : tensor of shape (n,) or ()
        """
        raise NotImplementedError
