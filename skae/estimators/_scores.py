"""How well rows come back, in the columns inside or, for sparse tables, in those of the user."""

from typing import Any

import numpy as np

from skae._containers import as_matrix
from skae.estimators._sparse import Directions, squared_lengths
from skae.estimators._tables import Table
from skae.metrics import squared_errors, variance_explained_score

_LARGEST = np.finfo(np.float64).max


def explained(
    table: Table | Directions | None,
    X: Any,
    inside: np.ndarray,
    back: np.ndarray,
    mean: np.ndarray,
    weight: np.ndarray | None,
) -> float:
    """Give the share of the variance of rows that came back.

    Parameters
    ----------
    table : Table, Directions or None
        What stands between the user's columns and those inside.
    X : array-like of shape (n_samples, n_features)
        Rows as the user has them.
    inside, back : ndarray of shape (n_samples, n_inside)
        Rows inside, and what came back of them.
    mean : ndarray of shape (n_inside,)
        Of the training rows.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.

    Returns
    -------
    score : float
    """
    if not isinstance(table, Directions):
        return variance_explained_score(inside, back, mean=mean, sample_weight=weight)
    X = as_matrix(X)
    missed = squared_errors(inside, back).sum(axis=1) + table.left_out(X, inside)
    weight = np.ones(len(missed)) if weight is None else weight
    missed, total = weight @ missed, weight @ table.deviations(X)
    rounding = 1e3 * float(np.finfo(inside.dtype).eps) ** 2 * float(weight @ squared_lengths(X))
    if total <= rounding:
        # As `variance_explained_score` without any variance.
        return 1.0 if missed <= rounding else 0.0
    return float(1 - missed / total)


def explained_in_own_units(X: Any, back: np.ndarray, table: Table, weight: np.ndarray | None) -> float:
    """Compute the share of the variance of rows that came back, in the units of X rather than scaled ones.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows as the user has them, numbers alone.
    back : ndarray of shape (n_samples, n_features)
        What came back of them inside.
    table : Table
        What scales them.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows.

    Returns
    -------
    score : float
    """
    return variance_explained_score(X, table.unscale(back), mean=table.mean, sample_weight=weight)


def errors_by_cell(
    table: Table | Directions | None, X: Any, inside: np.ndarray, back: np.ndarray
) -> np.ndarray:
    """Give the squared error of each cell of the user's, (n_samples, n_features); see `explained`."""
    if isinstance(table, Directions):
        return table.errors_by_cell(as_matrix(X), back)
    errors = squared_errors(inside, back)
    return errors if table is None else np.minimum(table.by_owner(errors), _LARGEST)


def errors_by_row(
    table: Table | Directions | None, X: Any, inside: np.ndarray, back: np.ndarray
) -> np.ndarray:
    """Give the mean of the squared errors of each row's cells, (n_samples,); see `explained`."""
    if isinstance(table, Directions):
        X = as_matrix(X)
        return (squared_errors(inside, back).sum(axis=1) + table.left_out(X, inside)) / X.shape[1]
    return row_means(errors_by_cell(table, X, inside, back))


def row_means(errors: np.ndarray) -> np.ndarray:
    """Give the mean of each row over the cells that are not NaN, 0 where there is none.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_features)
        Of cells.

    Returns
    -------
    means : ndarray of shape (n_samples,)

    """
    # Errors that overflow are the largest number, and so is the mean of a row of them.
    with np.errstate(over="ignore"):
        if not np.isnan(errors).any():
            return np.minimum(errors.mean(axis=1), _LARGEST)
        means = np.nansum(errors, axis=1) / np.maximum((~np.isnan(errors)).sum(axis=1), 1)
    return np.minimum(means, _LARGEST)
