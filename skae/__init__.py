"""Autoencoders that behave like scikit-learn's PCA."""

from importlib.metadata import version

from skae import compare, datasets, inspection, metrics, networks, selection, tasks
from skae.estimators import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    BinaryAutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.inspection import report
from skae.training import DivergenceError

__version__ = version("skae")

__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderTransformer",
    "BinaryAutoencoderTransformer",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "DivergenceError",
    "SparseAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "compare",
    "datasets",
    "inspection",
    "metrics",
    "networks",
    "report",
    "selection",
    "tasks",
]
