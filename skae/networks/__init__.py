"""Architectures as specifications: what the encoder and the decoder are made of."""

from skae.networks.convolutional import Convolutional
from skae.networks.custom import Custom
from skae.networks.dense import Dense
from skae.networks.dictionary import Dictionary
from skae.networks.recurrent import Recurrent
from skae.networks.recursive import Recursive

__all__ = ["Convolutional", "Custom", "Dense", "Dictionary", "Recurrent", "Recursive"]
