"""scikit-learn estimators."""

from skae.estimators.autoencoder import AutoencoderTransformer
from skae.estimators.base import BaseAutoencoder
from skae.estimators.contractive import ContractiveAutoencoderTransformer
from skae.estimators.denoising import DenoisingAutoencoderTransformer
from skae.estimators.sparse import SparseAutoencoderTransformer

__all__ = [
    "AutoencoderTransformer",
    "BaseAutoencoder",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "SparseAutoencoderTransformer",
]
