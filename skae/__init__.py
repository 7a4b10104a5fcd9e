"""Autoencoders that behave like scikit-learn's PCA, and start there."""

from importlib.metadata import version

from skae import datasets, metrics, networks
from skae.estimators import (
    AutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
)
from skae.training import DivergenceError

__version__ = version("skae")

__all__ = [
    "AutoencoderTransformer",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "DivergenceError",
    "SparseAutoencoderTransformer",
    "datasets",
    "metrics",
    "networks",
]
