"""Hidden activations by name: how the weights before each of them start, and how each is differentiated."""

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
    # The same function as the module. Overwrites what it is given, unless `from_input`.
    apply: Callable[[torch.Tensor], torch.Tensor]
    # Takes the gradient by its output, and its output (its input if `from_input`); puts the gradient by its
    # input in the place of the former and returns it. These are the operations that autograd calls: one pass
    # over the numbers, where ``gradient * (output > 0)`` makes three and takes four times as long (64 x 64:
    # 17 microseconds against 4).
    backward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    from_input: bool = False


def _same(values: torch.Tensor) -> torch.Tensor:
    return values


def _identity_backward(gradient: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    return gradient


def _in_place(
    operation: Callable[..., torch.Tensor],
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def backward(gradient: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return operation(gradient, kept, grad_input=gradient)

    return backward


def _relu_backward(gradient: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    return _aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)


def _elu_backward(gradient: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    # alpha, scale, input_scale, and that what follows is the output.
    return _aten.elu_backward.grad_input(gradient, 1.0, 1.0, 1.0, True, output, grad_input=gradient)


def _leaky_relu_backward(gradient: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    return _aten.leaky_relu_backward.grad_input(gradient, output, 0.01, True, grad_input=gradient)


_sigmoid_backward = _in_place(_aten.sigmoid_backward.grad_input)
_tanh_backward = _in_place(_aten.tanh_backward.grad_input)
_gelu_backward = _in_place(_aten.gelu_backward.grad_input)
_silu_backward = _in_place(_aten.silu_backward.grad_input)

# Keeps the variance through units that are zero half of the time (He et al. 2015).
_he = partial(nn.init.kaiming_normal_, nonlinearity="relu")
# Keeps the variance through units that are linear around zero (Glorot and Bengio 2010).
_glorot = nn.init.xavier_normal_

ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(nn.Identity, _glorot, _same, _identity_backward),
    "logistic": Activation(nn.Sigmoid, _glorot, torch.sigmoid_, _sigmoid_backward),
    "tanh": Activation(nn.Tanh, _glorot, torch.tanh_, _tanh_backward),
    "relu": Activation(nn.ReLU, _he, torch.relu_, _relu_backward),
    "gelu": Activation(nn.GELU, _he, functional.gelu, _gelu_backward, from_input=True),
    "silu": Activation(nn.SiLU, _he, functional.silu, _silu_backward, from_input=True),
    "elu": Activation(nn.ELU, _he, partial(functional.elu, inplace=True), _elu_backward),
    "leaky_relu": Activation(
        nn.LeakyReLU, _he, partial(functional.leaky_relu, inplace=True), _leaky_relu_backward
    ),
}
