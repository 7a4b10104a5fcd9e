"""Hidden activations by name: how the weights before each of them start, and how each is differentiated."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

_aten = torch.ops.aten


class Activation(NamedTuple):
    """An activation, how the weights before it start, and its derivative."""

    module: Callable[[], nn.Module]
    initialise: Callable[..., torch.Tensor]  # takes weights and `generator`
    # The same function as the module. Overwrites what it is given, or, if `from_input`, writes to `out`.
    apply: Callable[..., torch.Tensor]
    # Takes the gradient by its output, its output (its input if `from_input`), and `grad_input`, where it
    # puts the gradient by its input, which may be the place of the former; returns it. These are the
    # operations that autograd calls: one pass over the numbers, where ``gradient * (output > 0)`` makes three
    # and takes four times as long (64 x 64: 17 microseconds against 4).
    backward: Callable[..., torch.Tensor]
    # The derivative at each input, in operations that can be differentiated again.
    slope: Callable[[torch.Tensor], torch.Tensor]
    from_input: bool = False


def _same(values: torch.Tensor) -> torch.Tensor:
    return values


def _identity_backward(
    gradient: torch.Tensor, output: torch.Tensor, grad_input: torch.Tensor
) -> torch.Tensor:
    return gradient if grad_input is gradient else grad_input.copy_(gradient)


def _elu_backward(gradient: torch.Tensor, output: torch.Tensor, grad_input: torch.Tensor) -> torch.Tensor:
    # alpha, scale, input_scale, and that what follows is the output.
    return _aten.elu_backward.grad_input(gradient, 1.0, 1.0, 1.0, True, output, grad_input=grad_input)


_relu_backward = partial(_aten.threshold_backward.grad_input, threshold=0)
_leaky_relu_backward = partial(_aten.leaky_relu_backward.grad_input, negative_slope=0.01, self_is_result=True)
_sigmoid_backward = _aten.sigmoid_backward.grad_input
_tanh_backward = _aten.tanh_backward.grad_input
_gelu_backward = _aten.gelu_backward.grad_input
_silu_backward = _aten.silu_backward.grad_input


def _logistic_slope(x: torch.Tensor) -> torch.Tensor:
    output = x.sigmoid()
    return output * (1 - output)


def _tanh_slope(x: torch.Tensor) -> torch.Tensor:
    return 1 - x.tanh().square()


def _relu_slope(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).to(x)


def _elu_slope(x: torch.Tensor) -> torch.Tensor:
    return x.clamp_max(0).exp()


def _leaky_slope(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).to(x) * 0.99 + 0.01


def _gelu_slope(x: torch.Tensor) -> torch.Tensor:
    return torch.special.ndtr(x) + x * (-x.square() / 2).exp() / (2 * math.pi) ** 0.5


def _silu_slope(x: torch.Tensor) -> torch.Tensor:
    share = x.sigmoid()
    return share * (1 + x * (1 - share))


# Keeps the variance through units that are zero half of the time (He et al. 2015).
_he = partial(nn.init.kaiming_normal_, nonlinearity="relu")
# Keeps the variance through units that are linear around zero (Glorot and Bengio 2010).
_glorot = nn.init.xavier_normal_

ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(nn.Identity, _glorot, _same, _identity_backward, torch.ones_like),
    "logistic": Activation(nn.Sigmoid, _glorot, torch.sigmoid_, _sigmoid_backward, _logistic_slope),
    "tanh": Activation(nn.Tanh, _glorot, torch.tanh_, _tanh_backward, _tanh_slope),
    "relu": Activation(nn.ReLU, _he, torch.relu_, _relu_backward, _relu_slope),
    "gelu": Activation(nn.GELU, _he, _aten.gelu.out, _gelu_backward, _gelu_slope, from_input=True),
    "silu": Activation(nn.SiLU, _he, _aten.silu.out, _silu_backward, _silu_slope, from_input=True),
    "elu": Activation(nn.ELU, _he, partial(functional.elu, inplace=True), _elu_backward, _elu_slope),
    "leaky_relu": Activation(
        nn.LeakyReLU,
        _he,
        partial(functional.leaky_relu, inplace=True),
        _leaky_relu_backward,
        _leaky_slope,
    ),
}
