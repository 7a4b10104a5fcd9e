"""What encoders and decoders can do: the base class of all of them."""

from typing import NamedTuple

import torch
from torch import nn

from skae._spelling import refuse_misspelt
from skae.networks.bottlenecks import Bottleneck


class PlainLayers(NamedTuple):
    """Linear layers with one activation between them, and nothing else."""

    linear: list[nn.Linear]
    activation: str  # a key of `ACTIVATIONS`


class Reader(NamedTuple):
    """Weights (n_units, n_in) and biases (n_units,) that read what goes into a module."""

    weight: torch.Tensor
    bias: torch.Tensor


class Coder(nn.Module):
    """An encoder or a decoder: a module that maps rows, and what else may be asked of it.

    An architecture builds it with outputs of zero, see `last_layer`, so that the network starts as what lies
    beside it, the linear path.

    Attributes
    ----------
    takes_gaps : bool
        Whether an encoder has a way of its own with rows that hold NaN.
    starts_at_rows : bool
        Whether `start_at` takes anything of training rows.
    stacks : bool
        Whether several of one shape can be computed at once, see `skae.training.stack`: nothing in it draws,
        counts, or asks what a tensor holds.
    """

    takes_gaps: bool = False
    starts_at_rows: bool = False
    stacks: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_misspelt(cls, Coder)

    @property
    def given_module(self) -> nn.Module | None:
        """The user's own module that this is made of, if it is."""
        return None

    def last_layer(self) -> nn.Linear | nn.ConvTranspose2d | None:
        """Return the layer whose outputs are the module's, and start at zero; None where there is none."""
        return None

    @property
    def can_scale(self) -> bool:
        """Whether `scale` can multiply the outputs."""
        return self.last_layer() is not None

    @property
    def is_silent(self) -> bool:
        """Whether the outputs are zero whatever goes in, as at the start beside a linear path."""
        last = self.last_layer()
        return last is not None and not any(bool(parameter.any()) for parameter in last.parameters())

    def scale(self, factor: float) -> None:
        """Multiply the outputs by a factor, in place, where `can_scale`."""
        last = self.last_layer()
        if last is not None:
            for parameter in last.parameters():
                parameter.mul_(factor)

    def readers(self) -> list[Reader]:
        """List all that reads the inputs, which a linear map of them can be absorbed in.

        Returns
        -------
        readers : list of Reader
            None where a map cannot be absorbed.
        """
        return []

    @property
    def mirrors(self) -> bool:
        """Whether the weights of a decoder are those of its encoder, transposed."""
        return False

    def start_random(self, generator: torch.Generator) -> None:
        """Set the weights of the last layer at random, too, for networks without a linear path."""
        last = self.last_layer()
        if last is not None:
            nn.init.xavier_normal_(last.weight, generator=generator)

    def start_at_zero(self) -> None:
        """Let the outputs be zero, whatever the layers before the last one are."""
        last = self.last_layer()
        if last is not None:
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def start_at(self, rows: torch.Tensor, bottleneck: Bottleneck, generator: torch.Generator) -> None:
        """Start an encoder at training rows (n, n_features), and a bottleneck at what is made of them."""

    def parts(self) -> list["Coder"]:
        """Cut into one part for each layer of weights, from rows to rows; none where it cannot be cut."""
        return []

    def plain_layers(self) -> PlainLayers | None:
        """List the layers; None where there is more than linear ones and one activation between them."""
        return None

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return what each hidden layer puts out, (n, units) each, for rows (n, n_in); none if not known."""
        return []

    @property
    def n_hidden_units(self) -> int:
        """Number of columns of all `activations` together."""
        return 0


class Chain(Coder, nn.Sequential):
    """Modules one after the other, as a part of an encoder or a decoder."""
