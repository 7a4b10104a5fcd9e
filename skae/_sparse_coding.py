"""Codes of rows as sums of given atoms: by matching pursuit, by the lasso, and refitted by least squares.

Knows no network and no estimator.
"""

import warnings
from typing import Any, Literal

import numpy as np
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso

from skae._quiet import collected


def search_codes(
    rows: np.ndarray, atoms: np.ndarray, method: Literal["omp", "lasso"], n_active: int, alpha: float
) -> np.ndarray:
    """Search the codes that give rows back best.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        In float64.
    atoms : ndarray of shape (n_components, n_columns)
        Of norm one, in float64.
    method : {"omp", "lasso"}
        Orthogonal matching pursuit, or the lasso.
    n_active : int
        Codes of a row that are not zero, for "omp".
    alpha : float
        Weight of the absolute codes, as of the estimator's penalty, for "lasso".

    Returns
    -------
    codes : ndarray of shape (n_rows, n_components)

    Warns
    -----
    ConvergenceWarning
        If the search ended early for any row.
    """
    with collected() as messages:
        found = _by_omp(rows, atoms, n_active) if method == "omp" else _by_lasso(rows, atoms, alpha)
    if messages:
        remedy = "Lower n_active" if method == "omp" else "Raise alpha"
        warnings.warn(
            f"inference={method!r} ended early for {len(messages)} of {len(rows)} rows, with the "
            f"codes found so far. {remedy}, or fit with fewer components, which are less alike. The "
            f"first case: {str(messages[0].message).strip()}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return found


def _by_omp(rows: np.ndarray, atoms: np.ndarray, n_active: int) -> np.ndarray:
    # As many atoms as columns give every row back.
    return sparse_encode(rows, atoms, algorithm="omp", n_nonzero_coefs=min(n_active, rows.shape[1]))


def _by_lasso(rows: np.ndarray, atoms: np.ndarray, alpha: float) -> np.ndarray:
    n_columns = rows.shape[1]
    gram: Any = atoms @ atoms.T
    # That of scikit-learn halves the squared error, and means it over the columns. All is as `sparse_encode`
    # has it, but for the seeds, which it draws from the global generator, one a row.
    lasso = Lasso(
        alpha * n_columns**0.5 / 2 / n_columns,
        fit_intercept=False,
        precompute=gram,
        max_iter=10_000,
        tol=1e-8,
        random_state=np.random.RandomState(0),
    )
    return lasso.fit(atoms.T, rows.T, check_input=False).coef_.reshape(len(rows), len(atoms))


def refit_codes(rows: np.ndarray, atoms: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Refit the codes of each row that are not zero by least squares.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        In float64.
    atoms : ndarray of shape (n_components, n_columns)
        In float64.
    codes : ndarray of shape (n_rows, n_components)

    Returns
    -------
    codes : ndarray of shape (n_rows, n_components)
        In the dtype of those passed.
    """
    refitted = np.zeros_like(codes)
    for number, (row, code) in enumerate(zip(rows, codes, strict=True)):
        active = np.flatnonzero(code)
        refitted[number, active] = np.linalg.lstsq(atoms[active].T, row, rcond=None)[0]
    return refitted
