"""Displays of fitted autoencoders, in scikit-learn's convention, and a report about them.

Drawing needs matplotlib, the page needs plotly; both are imported when they are needed.
"""

from skae.inspection._report import report
from skae.inspection.dictionary import DictionaryDisplay
from skae.inspection.explained_variance import ExplainedVarianceDisplay
from skae.inspection.feature_error import FeatureErrorDisplay
from skae.inspection.latent_feature import LatentFeatureDisplay, latent_feature_importances
from skae.inspection.latent_space import LatentSpaceDisplay
from skae.inspection.latent_traversal import LatentTraversalDisplay
from skae.inspection.reconstruction import ReconstructionDisplay
from skae.inspection.training_curve import TrainingCurveDisplay

__all__ = [
    "DictionaryDisplay",
    "ExplainedVarianceDisplay",
    "FeatureErrorDisplay",
    "LatentFeatureDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "ReconstructionDisplay",
    "TrainingCurveDisplay",
    "latent_feature_importances",
    "report",
]
