"""Fully connected encoders and decoders."""

import dataclasses
from collections.abc import Iterable
from itertools import pairwise
from typing import ClassVar, Literal, TypeVar, cast

import torch
from torch import nn
from torch.nn import functional

from skae._counts import check_sizes
from skae.networks.activations import ACTIVATIONS
from skae.networks.architecture import Architecture
from skae.networks.coder import Chain, Coder, PlainLayers, Reader
from skae.networks.dropout import Dropout

LayerT = TypeVar("LayerT", bound=nn.Module)

_NAMES = {type(activation.module()): name for name, activation in ACTIVATIONS.items()}
_ACTIVATION_MODULES = tuple(_NAMES)


class Dense(Architecture):
    """Fully connected layers; the decoder mirrors the encoder.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 64)
        Number of units of each hidden layer of the encoder, from the input towards
        the code. The decoder has them in reverse order. ``()`` is one affine map
        each.
    activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", \
"leaky_relu"}, default="relu"
        Activation of the hidden layers. Weights before "identity", "logistic" and
        "tanh" start as Glorot and Bengio (2010) suggest, before all others as He et al.
        (2015) do; biases start at zero.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units that is set to zero in each training step.
    batch_norm : bool, default=False
        Whether to normalise each hidden layer by batch statistics (Ioffe and Szegedy 2015) before
        its activation. In use, the statistics are constants, so that no row depends
        on another.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder, with biases of its own.

    Examples
    --------
    >>> from skae.networks import Dense
    >>> Dense((64, 32), activation="tanh")
    Dense(hidden_layer_sizes=(64, 32), activation='tanh')
    """

    hidden_layer_sizes: tuple[int, ...] = dataclasses.field(default=(128, 64), kw_only=False)
    activation: Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", "leaky_relu"] = "relu"
    dropout: float = 0.0
    batch_norm: bool = False
    tied_weights: bool = False

    has_parts: ClassVar[bool] = True
    has_activations: ClassVar[bool] = True
    takes_flags: ClassVar[bool] = True

    @property
    def takes_code_flags(self) -> bool:
        """Whether the decoder can be told which components are there."""
        return not self.tied_weights

    @property
    def is_tied(self) -> bool:
        """Whether the decoder uses the transposed weights of the encoder."""
        return self.tied_weights

    @property
    def mixes_rows(self) -> bool:
        """Whether the code of a row depends, in training, on the other rows of its batch."""
        return self.batch_norm

    @property
    def n_plain_layers(self) -> int | None:
        """Number of hidden layers, None where there is more than linear layers and activations."""
        n_hidden = len(self.hidden_layer_sizes)
        return None if n_hidden and (self.dropout or self.batch_norm) else n_hidden

    def build(
        self,
        n_features: int,
        code_in: int,
        code_out: int,
        generator: torch.Generator,
        n_flags: int = 0,
        n_code_flags: int = 0,
    ) -> tuple[Coder, Coder]:
        """Build an encoder and a decoder whose outputs start at exactly zero.

        Parameters
        ----------
        n_features : int
            Number of columns of the data.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of inputs of the decoder: components of the code.
        generator : torch.Generator
            The source of the initial weights.
        n_flags : int, default=0
            Number of further inputs of the encoder, after those of the columns.
        n_code_flags : int, default=0
            Number of further inputs of the decoder, after those of the code; 0 with tied weights.

        Returns
        -------
        encoder, decoder : torch.nn.Module
            Maps from (n, n_features + n_flags) to (n, code_in) and from (n, code_out + n_code_flags)
            to (n, n_features). Where nothing else is added to them (no linear path), call
            `start_random` on both.

        Raises
        ------
        ValueError
            If a size, the activation or the dropout is not valid.
        """
        self._check(code_in, code_out)
        encoder_sizes = (n_features + n_flags, *self.hidden_layer_sizes, code_in)
        decoder_sizes = (code_out + n_code_flags, *reversed(self.hidden_layer_sizes), n_features)
        encoder = Layers(encoder_sizes, self, generator)
        mirrored = encoder.linear_layers()[::-1] if self.tied_weights else None
        return encoder, Layers(decoder_sizes, self, generator, mirrored)

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        widths = (n_features, *self.hidden_layer_sizes, max(code_in, code_out))
        return max(int(n_in) * int(n_out) for n_in, n_out in pairwise(widths))

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        self._check(code_in, code_out)
        into, out_of = ((n_features, *self.hidden_layer_sizes, code) for code in (code_in, code_out))
        return n_between(into) + (0 if self.tied_weights else n_between(out_of))

    def _check(self, code_in: int, code_out: int) -> None:
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {self.activation!r}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {self.dropout!r}.")
        if self.tied_weights and code_in != code_out:
            raise ValueError(
                "tied_weights=True needs a code that leaves the encoder as wide as it enters "
                f"the decoder; here the encoder gives {code_in} outputs for {code_out} components."
            )


def n_between(sizes: Iterable[int]) -> int:
    """Return the number of weights between fully connected layers of some sizes."""
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


class _Empty(nn.Linear):
    """A linear layer with no values yet: that of torch would draw them from the global generator."""

    def reset_parameters(self) -> None:
        """Leave the values alone, and be a linear layer as any other from now on."""
        _become_linear(self)


def _become_linear(layer: nn.Linear) -> None:
    layer.__class__ = nn.Linear


def empty_linear(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
    """Return a linear layer with no values yet."""
    # `torch.nn.utils.skip_init` takes ten times as long.
    return _Empty(n_in, n_out, bias)


def zeroed(layer: LayerT) -> LayerT:
    """Set the weights and the bias of a layer to zero, in place; return it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Layers(Coder, nn.Sequential):
    """Linear layers with activations between them; the last one starts at zero.

    Parameters
    ----------
    sizes : tuple of int
        Widths from input to output.
    specification : Dense
        Activation, dropout and normalisation.
    generator : torch.Generator
        The source of the initial weights.
    mirrored : list of nn.Linear, optional
        Layers whose transposed weights are used, in this order.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        specification: Dense,
        generator: torch.Generator,
        mirrored: list[nn.Linear] | None = None,
    ) -> None:
        modules: list[nn.Module] = []
        activation = ACTIVATIONS[specification.activation]
        for index, (n_in, n_out) in enumerate(pairwise(sizes)):
            linear = empty_linear(n_in, n_out) if mirrored is None else Transposed(mirrored[index], n_out)
            nn.init.zeros_(linear.bias)
            modules.append(linear)
            last = index == len(sizes) - 2
            if isinstance(linear, nn.Linear):
                nn.init.zeros_(linear.weight) if last else activation.initialise(
                    linear.weight, generator=generator
                )
            if not last:
                if specification.batch_norm:
                    modules.append(nn.BatchNorm1d(n_out))
                modules.append(activation.module())
                if specification.dropout:
                    modules.append(Dropout(specification.dropout))
        super().__init__(*modules)
        self.stacks = not (specification.batch_norm or specification.dropout)
        if mirrored is not None:
            self._centre_output()

    def activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the output of each hidden layer, (n, units) each, for rows (n, n_in)."""
        found = []
        for module in list(self)[:-1]:
            x = module(x)
            if isinstance(module, _ACTIVATION_MODULES):
                found.append(x)
        return found

    def linear_layers(self) -> list[nn.Linear]:
        """List the layers that have weights of their own."""
        return [module for module in self if isinstance(module, nn.Linear)]

    def plain_layers(self) -> PlainLayers | None:
        """List the layers; None where there is dropout, normalisation or a layer of shared weights."""
        linear, between = self.linear_layers(), {type(module) for module in list(self)[1::2]}
        if len(self) != 2 * len(linear) - 1 or len(between) > 1 or not between <= _NAMES.keys():
            return None
        return PlainLayers(linear, _NAMES[between.pop()] if between else "identity")

    def parts(self) -> list[Coder]:
        """Cut into one part for each layer of weights, with all that follows it."""
        first = [index for index, module in enumerate(self) if isinstance(module, (nn.Linear, Transposed))]
        return [Chain(*list(self)[a:b]) for a, b in pairwise([*first, len(self)])]

    def start_at_zero(self) -> None:
        """Let the outputs be zero, whatever the layers before the last one are."""
        if self.last_layer() is None:
            self._centre_output()
        super().start_at_zero()

    def last_layer(self) -> nn.Linear | None:
        """Return the last layer, None where its weights are another one's."""
        last = self[-1]
        return last if isinstance(last, nn.Linear) else None

    def readers(self) -> list[Reader]:
        """Return the first layer."""
        return readers_of(self[0])

    @property
    def mirrors(self) -> bool:
        """Whether the weights are another one's, transposed."""
        return isinstance(self[0], Transposed)

    @property
    def n_hidden_units(self) -> int:
        """Number of units of all hidden layers."""
        return sum(module.out_features for module in self.linear_layers()[:-1])

    @torch.no_grad()
    def _centre_output(self) -> None:
        # Mirrored weights end in the encoder's first layer, which is not zero; their inputs
        # are constant because they begin with its last layer, which is. So a bias suffices.
        was_training = self.training
        self.eval()
        first, last = (cast(Transposed, self[place]) for place in (0, -1))
        n_in, bias = first.linear.out_features, last.bias
        bias -= self(torch.zeros(1, n_in, dtype=bias.dtype, device=bias.device))[0]
        self.train(was_training)


def readers_of(layer: nn.Module) -> list[Reader]:
    """Return the weights (n_out, n_in) and biases of a linear layer, shared ones as they are used."""
    is_linear = isinstance(layer, (nn.Linear, Transposed))
    return [Reader(layer.weight, layer.bias)] if is_linear else []


class Transposed(nn.Module):
    """A linear layer that uses another one's weights transposed, and its own bias.

    Parameters
    ----------
    linear : nn.Linear
        The layer whose weights are shared.
    n_out : int, optional
        The first so many of its inputs are given back; all by default.
    """

    def __init__(self, linear: nn.Linear, n_out: int | None = None) -> None:
        super().__init__()
        self.linear = linear
        self.bias = nn.Parameter(torch.zeros(linear.in_features if n_out is None else n_out))

    @property
    def weight(self) -> torch.Tensor:
        """The shared weights as they are used here, (n_out, out_features of the shared layer)."""
        return self.linear.weight[:, : len(self.bias)].T

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, out_features) to (n, in_features) of the shared layer."""
        return functional.linear(x, self.weight, self.bias)
