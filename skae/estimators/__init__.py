"""scikit-learn estimators."""

from skae.estimators.adversarial import AdversarialAutoencoderTransformer
from skae.estimators.autoencoder import AutoencoderTransformer
from skae.estimators.base import BaseAutoencoder
from skae.estimators.binary import BinaryAutoencoderTransformer
from skae.estimators.contractive import ContractiveAutoencoderTransformer
from skae.estimators.denoising import DenoisingAutoencoderTransformer
from skae.estimators.sparse import SparseAutoencoderTransformer
from skae.estimators.variational import VariationalAutoencoderTransformer

__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderTransformer",
    "BaseAutoencoder",
    "BinaryAutoencoderTransformer",
    "ContractiveAutoencoderTransformer",
    "DenoisingAutoencoderTransformer",
    "SparseAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
]
