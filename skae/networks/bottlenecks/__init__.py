"""Bottlenecks: what happens to a code, in training and in use."""

from skae.networks.bottlenecks.base import Bottleneck
from skae.networks.bottlenecks.binary import Binary
from skae.networks.bottlenecks.gated import Gated
from skae.networks.bottlenecks.gaussian import Gaussian, Posterior
from skae.networks.bottlenecks.jump import JumpReLU
from skae.networks.bottlenecks.rectified import Logistic, Rectified
from skae.networks.bottlenecks.top_k import BatchTopK, TopK

# What a code may pass, by name, where a user may choose.
CODE_ACTIVATIONS: dict[str, type[Bottleneck]] = {"identity": Bottleneck, "logistic": Logistic}

__all__ = [
    "CODE_ACTIVATIONS",
    "BatchTopK",
    "Binary",
    "Bottleneck",
    "Gated",
    "Gaussian",
    "JumpReLU",
    "Logistic",
    "Posterior",
    "Rectified",
    "TopK",
]
