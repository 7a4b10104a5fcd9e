"""scikit-learn's own tests of PCA, with an autoencoder in its place."""

import numpy as np
import pytest
from borrowed_tests import borrow
from in_place_of_pca import PCA

pytestmark = [
    pytest.mark.clients,
    # Two epochs may end a thousandth below PCA, on rows of noise.
    pytest.mark.filterwarnings("ignore:The first . ordered components:sklearn.exceptions.ConvergenceWarning"),
]

AXES = "compares axes, which a nonlinear decoder has none of: see components_ of the guide"
COVARIANCE = "asks for the covariance of a Gaussian model, of which there is none"
DENSITY = "score is the share of the variance that is explained, and no likelihood of a Gaussian model"
MLE = "asks for Minka's rule for the number of components; the knee takes its place here"
NOISE = "asks for the noise of a Gaussian model, of which there is none"
SINGULAR = "asks for singular values, which a nonlinear map has none of"
SOLVERS = "tests the choice between solvers of PCA, of which there is none"
WHITENED = "needs codes of the length of the data; here they are those of whitened components"
PRIVATE = "tests a private helper of Minka's rule"

LEFT_OUT = {
    "test_array_api_error_and_warnings_on_unsupported_params": SOLVERS,
    "test_assess_dimension_bad_rank": PRIVATE,
    "test_assess_dimension_rank_one": PRIVATE,
    "test_fit_mle_too_few_samples": MLE,
    "test_infer_dim_1": PRIVATE,
    "test_infer_dim_2": PRIVATE,
    "test_infer_dim_3": PRIVATE,
    "test_mle_redundant_data": MLE,
    "test_mle_simple_case": MLE,
    "test_n_components_mle": MLE,
    "test_n_components_mle_error": MLE,
    "test_n_components_none[*-arpack-*]": "arpack cannot find the last component; there is none here",
    "test_pca": COVARIANCE,
    "test_pca_array_api_compliance": "wants fitted attributes in the library of X; here they are of numpy",
    "test_pca_check_projection": WHITENED,
    "test_pca_check_projection_list": WHITENED,
    "test_pca_dim": MLE,
    "test_pca_explained_variance_empirical": WHITENED,
    "test_pca_mle_array_api_compliance": MLE,
    "test_pca_randomized_svd_n_oversamples": AXES,
    "test_pca_sanity_noise_variance": NOISE,
    "test_pca_score": DENSITY,
    "test_pca_score3": DENSITY,
    "test_pca_singular_values": SINGULAR,
    "test_pca_singular_values_consistency": SINGULAR,
    "test_pca_solver_equivalence": AXES,
    "test_pca_svd_solver_auto": SOLVERS,
    "test_pca_validation": "tests limits of solvers; a code may have as many components as one likes here",
    "test_pca_zero_noise_variance_edge_cases": NOISE,
    "test_small_eigenvalues_mle": PRIVATE,
    "test_sparse_pca_auto_arpack_singular_values_consistency": SINGULAR,
    "test_sparse_pca_solver_error": SOLVERS,
    "test_whitening": "sets whiten=False; here codes are always those of whitened components",
}


def same_fit(pca1, pca2, rtol=1e-7, atol=1e-12):
    """Check what scikit-learn's helper of this purpose does, of the attributes that there are."""
    for name in ("explained_variance_", "explained_variance_ratio_", "mean_"):
        np.testing.assert_allclose(getattr(pca1, name), getattr(pca2, name), rtol=rtol, atol=atol)
    for name in ("n_components_", "n_samples_", "n_features_in_"):
        assert getattr(pca1, name) == getattr(pca2, name)


def floats_stay(svd_solver, seed):
    """Check what scikit-learn's helper of this purpose does, but for axes."""
    X = np.random.RandomState(seed).rand(1000, 4)
    for dtype in (np.float32, np.float64):
        rows = X.astype(dtype)
        pca = PCA(n_components=3, svd_solver=svd_solver, random_state=seed).fit(rows)
        assert pca.transform(rows).dtype == pca.inverse_transform(pca.transform(rows)).dtype == dtype


def integers_become_float64(svd_solver):
    """Check what scikit-learn's helper of this purpose does, but for axes."""
    X = np.random.RandomState(0).randint(0, 1000, (1000, 4))
    codes = [
        PCA(n_components=3, random_state=0).fit_transform(X.astype(dtype)) for dtype in (np.int64, np.int32)
    ]
    assert codes[0].dtype == codes[1].dtype == np.float64
    np.testing.assert_array_equal(*codes)


globals().update(
    borrow(
        "sklearn.decomposition.tests.test_pca",
        {"sklearn.decomposition.PCA": PCA},
        LEFT_OUT,
        _check_fitted_pca_close=same_fit,
        check_pca_float_dtype_preservation=floats_stay,
        check_pca_int_dtype_upcast_to_double=integers_become_float64,
        # Up to 256 columns, sparse rows are made dense; wider ones are read through as many directions.
        SPARSE_N=200,
    )
)
