"""scikit-learn's own tests of Pipeline and FeatureUnion, with an autoencoder in place of PCA."""

import pytest
from borrowed_tests import borrow
from in_place_of_pca import PCA

pytestmark = [
    pytest.mark.clients,
    # Of the classifiers in these tests, which scikit-learn lets pass.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

RESAMPLING = (
    "imbalanced-learn, imported by another test, adds its method to those that scikit-learn routes to"
)
LEFT_OUT = {
    "test_metadata_routing_for_pipeline[fit_resample]": RESAMPLING,
    "test_metadata_routing_error_for_pipeline[fit_resample]": RESAMPLING,
}

globals().update(borrow("sklearn.tests.test_pipeline", {"sklearn.decomposition.PCA": PCA}, LEFT_OUT))
