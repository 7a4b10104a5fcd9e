"""Dense autoencoders in numpy alone: neither torch nor scikit-learn is imported to load and use them."""

from skae.numpy._autoencoder import NumpyAutoencoder
from skae.numpy._reading import encoder

__all__ = ["NumpyAutoencoder", "encoder"]
