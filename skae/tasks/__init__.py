"""What autoencoders are used for: estimators that hold one and know no network."""

from skae.tasks.imputation import AutoencoderImputer
from skae.tasks.outliers import AutoencoderOutlierDetector

__all__ = ["AutoencoderImputer", "AutoencoderOutlierDetector"]
