"""Rows of tables as the tasks pass them on: DataFrames, arrays and sparse matrices, and their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse, sparray
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from skae._containers import is_pandas, is_sparse
from skae._typing import Dense, Sparse, Table
from skae.estimators._checks import Validation, check_fit_params, check_weights, is_routing
from skae.tables.directions import MOST_DENSE_COLUMNS
from skae.tables.reading import read_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.base import BaseEstimator

__all__ = [
    "check_row_weights",
    "check_rows",
    "dense",
    "is_wide",
    "like",
    "put_back",
    "route",
    "router",
    "take_columns",
]


def check_rows(estimator: BaseEstimator, X: ArrayLike | Table, reset: bool, min_samples: int = 1) -> Any:
    """Validate rows for an estimator that passes them on; see `skae.tables.reading.read_table`.

    Parameters
    ----------
    estimator : object
        Takes over the names and number of columns if `reset`.
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        What the user passed.
    reset : bool
        True in `fit`.
    min_samples : int, default=1
        Fewest rows.

    Returns
    -------
    X : DataFrame, ndarray or csr_matrix of shape (n_samples, n_features)
    """
    return read_table(X, Validation(estimator, reset), min_samples)


def is_wide(table: Table) -> bool:
    """Whether a table is sparse, and has too many columns to be made dense."""
    return issparse(table) and table.shape[1] > MOST_DENSE_COLUMNS


def dense(table: Dense | Sparse) -> Dense:
    """Return sparse rows as an array; anything else as it is."""
    return table.toarray() if is_sparse(table) else table


def like(filled: Dense, X: object) -> Dense | csr_array | csr_matrix:
    """Return an array in CSR format if the original rows are sparse."""
    if not issparse(X):
        return filled
    return csr_array(filled) if isinstance(X, sparray) else csr_matrix(filled)


def take_columns(table: Dense, columns: np.ndarray) -> Dense:
    """Return some columns of a DataFrame or array."""
    if len(columns) == table.shape[1]:
        return table
    return table.iloc[:, columns] if is_pandas(table) else table[:, columns]


def put_back(filled: Dense, table: Any, kept: np.ndarray) -> Dense:
    """Return a table with dropped columns inserted again, as zeros."""
    if is_pandas(filled):
        return filled.reindex(columns=table.columns, fill_value=0)
    whole = np.zeros(table.shape, dtype=filled.dtype)
    whole[:, kept] = filled
    return whole


def check_row_weights(sample_weight: ArrayLike | None, table: Table) -> np.ndarray | None:
    """Return the weights of rows as float64, None if none were passed."""
    return check_weights(sample_weight, np.empty((table.shape[0], 1)), np.float64)


def router(owner: Any, model: Any) -> MetadataRouter:
    """Return the metadata that `fit` of a task requests itself, and those of the autoencoder inside.

    Parameters
    ----------
    owner : estimator
        The task.
    model : BaseAutoencoder
        The estimator inside. If it is not the user's own, it requests sample weights.

    Returns
    -------
    router : MetadataRouter
    """
    if owner.estimator is None and is_routing():
        model.set_fit_request(sample_weight=True)
    mapping = MethodMapping().add(caller="fit", callee="fit")
    return MetadataRouter(owner=owner).add_self_request(owner).add(estimator=model, method_mapping=mapping)


def route(
    owner: BaseEstimator, sample_weight: np.ndarray | None, params: dict[str, object]
) -> dict[str, object]:
    """Return the metadata to pass to `fit` of the autoencoder inside.

    Without metadata routing that is `sample_weight` alone, with it what its requests say.
    """
    check_fit_params(owner, params)
    if is_routing():
        return process_routing(owner, "fit", sample_weight=sample_weight, **params)["estimator"]["fit"]
    return {} if sample_weight is None else {"sample_weight": sample_weight}
