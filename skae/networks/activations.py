"""Hidden activations by name, and the weight initialisation that belongs to each."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn


class Activation(NamedTuple):
    """An activation and how the weights before it start."""

    module: Callable[[], nn.Module]
    initialise: Callable[..., torch.Tensor]  # takes weights and `generator`


# Keeps the variance through units that are zero half of the time (He et al. 2015).
_he = partial(nn.init.kaiming_normal_, nonlinearity="relu")
# Keeps the variance through units that are linear around zero (Glorot and Bengio 2010).
_glorot = nn.init.xavier_normal_

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
