"""Architectures as specifications: what the encoder and the decoder are made of."""

from skae.networks.custom import Custom
from skae.networks.dense import Dense

__all__ = ["Custom", "Dense"]
