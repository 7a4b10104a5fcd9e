"""scikit-learn estimators."""

from skae.estimators.autoencoder import AutoencoderTransformer
from skae.estimators.base import BaseAutoencoder

__all__ = ["AutoencoderTransformer", "BaseAutoencoder"]
