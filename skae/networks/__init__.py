"""Architectures as specifications: what the encoder and the decoder are made of."""

from skae.networks.custom import Custom
from skae.networks.dense import Dense
from skae.networks.dictionary import Dictionary

__all__ = ["Custom", "Dense", "Dictionary"]
