"""Hidden activations by name, and the weight initialisation that belongs to each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn


class Activation(NamedTuple):
    """An activation and how the weights before it start."""

    module: Callable[[], nn.Module]
    initialise: Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def _he(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """He et al. 2015: keeps the variance through units that are zero half of the time."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _glorot(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Glorot and Bengio 2010: keeps the variance through units that are linear around zero."""
    return nn.init.xavier_normal_(weight, generator=generator)


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(nn.Identity, _glorot),
    "logistic": Activation(nn.Sigmoid, _glorot),
    "tanh": Activation(nn.Tanh, _glorot),
    "relu": Activation(nn.ReLU, _he),
    "gelu": Activation(nn.GELU, _he),
    "silu": Activation(nn.SiLU, _he),
    "elu": Activation(nn.ELU, _he),
    "leaky_relu": Activation(nn.LeakyReLU, _he),
}
