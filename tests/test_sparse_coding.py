"""Codes of rows as sums of atoms, by figures made by hand."""

import numpy as np
import pytest

from skae._sparse_coding import refit_codes, search_codes

ATOMS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.8, 0.0]])
ROWS = np.array([[2.0, 0.0, 0.0], [0.0, -3.0, 1.0]])


def test_matching_pursuit_takes_the_atoms_that_give_most_back():
    codes = search_codes(ROWS, ATOMS, "omp", n_active=1, alpha=0.0)
    np.testing.assert_allclose(codes, [[2, 0, 0], [0, -3, 0]], atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_the_lasso_draws_codes_towards_zero_by_half_its_weight_in_typical_rows(alpha):
    # Orthogonal atoms: each code is the projection, less half the weight times the root of the columns.
    atoms = np.eye(3)
    shrunk = alpha * 3**0.5 / 2
    if not alpha:
        alpha = 1e-12
    codes = search_codes(ROWS, atoms, "lasso", n_active=1, alpha=alpha)
    expected = np.sign(ROWS) * np.maximum(np.abs(ROWS) - shrunk, 0)
    np.testing.assert_allclose(codes, expected, atol=1e-6)


def test_codes_are_refitted_where_they_are_not_zero():
    codes = refit_codes(ROWS, ATOMS, np.array([[0.1, 0.0, 0.0], [0.0, 0.5, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(codes, [[2, 0, 0], [0, -3, 0]], rtol=1e-6)
    assert codes.dtype == np.float32
