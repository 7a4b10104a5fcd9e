"""Convolutional encoders and decoders for images and signals."""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils import skip_init

from skae._counts import check_count, check_sizes, is_integer
from skae.networks.activations import ACTIVATIONS
from skae.networks.architecture import Architecture
from skae.networks.coder import Chain, Coder, Reader
from skae.networks.dense import empty_linear, n_between, readers_of, zeroed
from skae.networks.dropout import Dropout


class Convolutional(Architecture):
    """Convolutions that halve an image step by step; the decoder mirrors them.

    Rows are flattened images, so that they pass through a Pipeline. Arrays of images, (n, channels, height,
    width) or (n, height, width) for one channel, are accepted as well, and returned in the same shape.

    Parameters
    ----------
    image_shape : tuple of int, default=None
        ``(height, width)`` or ``(height, width, channels)`` of the images that rows are, flattened in this
        order; ``(length,)`` for signals, ``(1, length, channels)`` for those of several channels. With None
        a row is a signal.
    channels : tuple of int, default=(16, 32)
        Channels of each layer of the encoder, at least one; each layer halves height and width. The
        decoder has them in reverse order, and restores odd sizes exactly.
    kernel_size : int, default=3
        Side of the kernels, odd; along a side of 1 it is 1.
    hidden_layer_sizes : tuple of int, default=()
        Fully connected layers between the convolutions and the code, mirrored in the decoder.
    activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", \
"leaky_relu"}, default="relu"
        Activation after each layer; weights start as for `Dense`.
    dropout : float in [0, 1), default=0.0
        Share of the units, after each layer, that is set to zero in each training step.
    batch_norm : bool, default=False
        Whether to normalise each channel by batch statistics before its activation.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.networks import Convolutional
    >>> X = load_digits().data[:500]
    >>> model = AutoencoderTransformer(8, network=Convolutional((8, 8)), max_iter=5, random_state=0)
    >>> model.fit(X).transform(X).shape
    (500, 8)
    """

    image_shape: tuple[int, ...] | None = dataclasses.field(default=None, kw_only=False)
    channels: tuple[int, ...] = (16, 32)
    kernel_size: int = 3
    hidden_layer_sizes: tuple[int, ...] = ()
    activation: Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "elu", "leaky_relu"] = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    has_parts: ClassVar[bool] = True
    takes_arrays: ClassVar[bool] = True

    @property
    def mixes_rows(self) -> bool:
        """Whether the code of a row depends, in training, on the other rows of its batch."""
        return self.batch_norm

    @property
    def row_kind(self) -> Literal["table", "images"]:
        """What rows are, for who shows them: signals are shown like tables."""
        return "images" if self.image_shape is not None and len(self.image_shape) >= 2 else "table"

    def row_shape(self, n_features: int) -> tuple[int, ...]:
        """Return height, width and, where they are given, channels.

        Parameters
        ----------
        n_features : int
            Number of columns.

        Returns
        -------
        shape : tuple of int
        """
        return (n_features,) if self.image_shape is None else tuple(self.image_shape)

    def build(
        self, n_features: int, code_in: int, code_out: int, generator: torch.Generator
    ) -> tuple[Coder, Coder]:
        """Build an encoder and a decoder whose outputs start at exactly zero.

        Parameters
        ----------
        n_features : int
            Number of values of a row: height times width times channels.
        code_in : int
            Number of outputs of the encoder.
        code_out : int
            Number of inputs of the decoder: components of the code.
        generator : torch.Generator
            The source of the initial weights.

        Returns
        -------
        encoder, decoder : torch.nn.Module
            Maps from (n, n_features) to (n, code_in) and from (n, code_out) to (n, n_features).

        Raises
        ------
        ValueError
            If a parameter is not valid, or `image_shape` does not hold n_features values.
        """
        shape = self._shape(n_features)
        self._check()
        return ConvolutionalEncoder(self, shape, code_in, generator), ConvolutionalDecoder(
            self, shape, code_out, generator
        )

    def _row_work(self, n_features: int, code_in: int, code_out: int) -> int:
        self._check()
        plan = _Plan(self, self._shape(n_features))
        hidden = itertools.pairwise((*plan.hidden, max(code_in, code_out)))
        convolutions = (
            n_in * n_out * math.prod(kernel) * math.prod(size)
            for n_in, n_out, kernel, size in zip(
                plan.channels, plan.channels[1:], plan.kernels, plan.sizes[1:], strict=False
            )
        )
        layers = (int(n_in) * int(n_out) for n_in, n_out in hidden)
        return max(*convolutions, *layers)

    def to_rows(self, X: np.ndarray) -> np.ndarray:
        """Flatten images, (n, channels, height, width) or (n, height, width), to rows.

        Parameters
        ----------
        X : ndarray
            Images.

        Returns
        -------
        rows : ndarray of shape (n, height * width * channels)

        Raises
        ------
        ValueError
            If the images are of another shape than `image_shape`.
        """
        height, width, channels = self._shape(math.prod(X.shape[1:]))
        if X.shape[1:] == (channels, height, width):
            return np.moveaxis(X, 1, -1).reshape(len(X), -1)
        if channels == 1 and X.shape[1:] == (height, width):
            return X.reshape(len(X), -1)
        if self.image_shape is None:
            raise ValueError(
                f"X has shape {X.shape}, and image_shape is None: arrays of images need "
                "image_shape=(height, width) or (height, width, channels)."
            )
        if X.shape[1:] == (height, width, channels):
            raise ValueError(
                f"X has shape {X.shape}, with channels last; arrays of images must have the order "
                f"(n, channels, height, width), here (n, {channels}, {height}, {width}): pass "
                "np.moveaxis(X, -1, 1), or flat rows, X.reshape(len(X), -1)."
            )
        raise ValueError(
            f"Images of shape {X.shape[1:]} do not fit image_shape={self.image_shape}: pass rows of "
            f"{height * width * channels} values, or arrays of shape (n, {channels}, {height}, {width})."
        )

    def from_rows(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Undo `to_rows`.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)
            Rows.
        shape : tuple of int
            What images had beside their number.

        Returns
        -------
        X : ndarray of shape (n, ...)
            Images.
        """
        if len(shape) == 2:
            return rows.reshape(len(rows), *shape)
        return np.moveaxis(rows.reshape(len(rows), *shape[1:], shape[0]), -1, 1)

    def _shape(self, n_features: int) -> tuple[int, int, int]:
        """Return height, width and channels."""
        shape: Any = self.image_shape
        given = (n_features,) if shape is None else tuple(shape) if isinstance(shape, Iterable) else ()
        if not 1 <= len(given) <= 3 or not all(is_integer(size) and size >= 1 for size in given):
            raise ValueError(
                "image_shape must be (height, width), (height, width, channels) or (length,), whole numbers "
                f"of at least 1; got {self.image_shape!r}."
            )
        if math.prod(given) != n_features:
            raise ValueError(
                f"image_shape={given} holds {math.prod(given)} values, but rows have {n_features}: they "
                "must be "
                "images flattened in the order height, width, channels."
            )
        full = {1: (1, *given, 1), 2: (*given, 1), 3: given}[len(given)]
        return cast(tuple[int, int, int], full)

    def _n_weights(self, n_features: int, code_in: int, code_out: int) -> int:
        shape = self._shape(n_features)
        self._check()
        plan = _Plan(self, shape)
        stages = sum(
            n_in * n_out * math.prod(kernel)
            for n_in, n_out, kernel in zip(plan.channels, plan.channels[1:], plan.kernels, strict=False)
        )
        return 2 * (stages + n_between((*plan.hidden, max(code_in, code_out))))

    def _check(self) -> None:
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        if not check_sizes(self.channels, "channels"):
            raise ValueError(f"channels must hold at least one number; got {self.channels!r}.")
        if check_count(self.kernel_size, "kernel_size") % 2 == 0:
            raise ValueError(f"kernel_size must be an odd number of at least 1; got {self.kernel_size!r}.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {self.activation!r}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {self.dropout!r}.")


class _Plan:
    """Sizes along the way from the image to the code."""

    def __init__(self, specification: Convolutional, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        self.channels = (channels, *specification.channels)
        self.sizes = [(height, width)]
        for _ in specification.channels:
            height, width = -(-height // 2), -(-width // 2)
            self.sizes.append((height, width))
        self.kernels = [
            tuple(specification.kernel_size if side > 1 else 1 for side in size) for size in self.sizes[:-1]
        ]
        self.strides = [tuple(2 if side > 1 else 1 for side in size) for size in self.sizes[:-1]]
        self.n_flat = self.channels[-1] * math.prod(self.sizes[-1])
        self.hidden = (self.n_flat, *specification.hidden_layer_sizes)

    def image(self, index: int) -> tuple[int, int, int]:
        """Return channels, height and width after so many layers."""
        return (self.channels[index], *self.sizes[index])


class _OnRows(Coder):
    """A stage of convolutions whose images come and go as rows.

    Parameters
    ----------
    stage : torch.nn.Module
    shape : tuple of int
        Channels, height and width of the images it takes.
    channels_last_in, channels_last_out : bool, default=False
        Whether rows hold an image in the order of the data: height, width, channels.
    """

    def __init__(
        self,
        stage: nn.Module,
        shape: tuple[int, int, int],
        channels_last_in: bool = False,
        channels_last_out: bool = False,
    ) -> None:
        super().__init__()
        self.stage = stage
        self.shape = shape
        self.channels_last_in, self.channels_last_out = channels_last_in, channels_last_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows to rows."""
        channels, height, width = self.shape
        if self.channels_last_in:
            images = x.reshape(x.shape[0], height, width, channels).permute(0, 3, 1, 2)
        else:
            images = x.reshape(x.shape[0], *self.shape)
        images = self.stage(images)
        return (images.permute(0, 2, 3, 1) if self.channels_last_out else images).flatten(1)


def _by_weights(layers: nn.Sequential) -> list[Coder]:
    """Cut layers into one part for each linear one, with all that follows it."""
    first = [index for index, module in enumerate(layers) if isinstance(module, nn.Linear)]
    return [Chain(*list(layers)[a:b]) for a, b in itertools.pairwise([*first, len(layers)])]


def _after(specification: Convolutional, n_units: int, norm: Any) -> list[nn.Module]:
    """Return the modules after a layer of weights."""
    modules: list[nn.Module] = [norm(n_units)] if specification.batch_norm else []
    modules.append(ACTIVATIONS[specification.activation].module())
    if specification.dropout:
        modules.append(Dropout(specification.dropout))
    return modules


def _started(layer: Any, specification: Convolutional, generator: torch.Generator) -> Any:
    ACTIVATIONS[specification.activation].initialise(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


class ConvolutionalEncoder(Coder):
    """Convolutions with a stride of two, then fully connected layers; the last one starts at zero.

    Parameters
    ----------
    specification : Convolutional
    shape : tuple of int
        Height, width and channels of the image.
    n_outputs : int
        Width of the code.
    generator : torch.Generator
        The source of the initial weights.
    """

    def __init__(
        self,
        specification: Convolutional,
        shape: tuple[int, int, int],
        n_outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.plan = plan = _Plan(specification, shape)
        stages = []
        for n_in, n_out, kernel, stride in zip(
            plan.channels, plan.channels[1:], plan.kernels, plan.strides, strict=False
        ):
            padding = tuple(side // 2 for side in kernel)
            layer = skip_init(nn.Conv2d, n_in, n_out, kernel, stride=stride, padding=padding)
            stages.append(
                nn.Sequential(
                    _started(layer, specification, generator), *_after(specification, n_out, nn.BatchNorm2d)
                )
            )
        self.convolutions = nn.Sequential(*stages)
        hidden = []
        for n_in, n_out in itertools.pairwise(plan.hidden):
            layer = _started(empty_linear(n_in, n_out), specification, generator)
            hidden += [layer, *_after(specification, n_out, nn.BatchNorm1d)]
        self.hidden = nn.Sequential(*hidden)
        self.last = zeroed(empty_linear(plan.hidden[-1], n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows (n, height * width * channels) to (n, n_outputs)."""
        images = x.reshape(x.shape[0], *self.shape).permute(0, 3, 1, 2)
        return self.last(self.hidden(self.convolutions(images).flatten(1)))

    def parts(self) -> list[Coder]:
        """Cut into one part for each layer of weights, each from rows to rows."""
        height, width, channels = self.shape
        found: list[Coder] = []
        shape = (channels, height, width)
        for index, stage in enumerate(self.convolutions):
            found.append(_OnRows(stage, shape, channels_last_in=index == 0))
            shape = self.plan.image(index + 1)
        return [*found, *_by_weights(self.hidden), Chain(self.last)]

    def last_layer(self) -> nn.Linear:
        """Return the last layer."""
        return self.last


class ConvolutionalDecoder(Coder):
    """Fully connected layers, then transposed convolutions back to the sizes that the encoder went through.

    Parameters
    ----------
    specification : Convolutional
    shape : tuple of int
        Height, width and channels of the image.
    n_inputs : int
        Components of the code.
    generator : torch.Generator
        The source of the initial weights.
    """

    def __init__(
        self,
        specification: Convolutional,
        shape: tuple[int, int, int],
        n_inputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.plan = plan = _Plan(specification, shape)
        self.first_shape = (plan.channels[-1], *plan.sizes[-1])
        hidden = []
        widths = (n_inputs, *reversed(plan.hidden))
        for n_in, n_out in itertools.pairwise(widths):
            layer = _started(empty_linear(n_in, n_out), specification, generator)
            hidden += [layer, *_after(specification, n_out, nn.BatchNorm1d)]
        self.hidden = nn.Sequential(*hidden)
        stages = []
        for index in reversed(range(len(plan.kernels))):
            layer = self._layer(plan, index)
            if index == 0:
                stages.append(nn.Sequential(zeroed(layer)))
                break
            _started(layer, specification, generator)
            # An output sums over the kernel's cells that the stride does not skip.
            with torch.no_grad():
                layer.weight *= (
                    plan.channels[index] * math.prod(plan.strides[index]) / plan.channels[index + 1]
                ) ** 0.5
            stages.append(nn.Sequential(layer, *_after(specification, plan.channels[index], nn.BatchNorm2d)))
        self.convolutions = nn.Sequential(*stages)

    @staticmethod
    def _layer(plan: _Plan, index: int) -> nn.ConvTranspose2d:
        """Return the layer that restores the sizes of one of the encoder."""
        kernel, stride = plan.kernels[index], plan.strides[index]
        padding = tuple(side // 2 for side in kernel)
        # What the stride's division left over: so odd sizes come back exactly.
        extra = tuple(
            wide - ((narrow - 1) * step - 2 * pad + side)
            for wide, narrow, step, pad, side in zip(
                plan.sizes[index], plan.sizes[index + 1], stride, padding, kernel, strict=True
            )
        )
        n_in, n_out = plan.channels[index + 1], plan.channels[index]
        return cast(
            nn.ConvTranspose2d,
            skip_init(
                nn.ConvTranspose2d,
                n_in,
                n_out,
                kernel,
                stride=stride,
                padding=padding,
                output_padding=extra,
            ),
        )

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Map codes (n, n_inputs) to rows (n, height * width * channels)."""
        images = self.convolutions(self.hidden(code).reshape(code.shape[0], *self.first_shape))
        return images.permute(0, 2, 3, 1).flatten(1)

    def parts(self) -> list[Coder]:
        """Cut into one part for each layer of weights, each from rows to rows."""
        n_stages = len(self.convolutions)
        found = [
            _OnRows(stage, self.plan.image(n_stages - index), channels_last_out=index == n_stages - 1)
            for index, stage in enumerate(self.convolutions)
        ]
        return [*_by_weights(self.hidden), *found]

    def readers(self) -> list[Reader]:
        """Return the first layer."""
        return readers_of(self.hidden[0])

    def last_layer(self) -> nn.ConvTranspose2d:
        """Return the last layer."""
        return cast(Any, self.convolutions[-1])[0]
