"""What the answer of a method must look like."""

from typing import Any

import numpy as np
import torch
from hard_tables import n_rows
from scipy.sparse import issparse

LEARNS = ("fit", "partial_fit", "fit_transform", "fit_predict")
# Methods that take rows, and give something for each of them.
ROWS_OUT = (
    "transform",
    "reconstruct",
    "denoise",
    "score_samples",
    "reconstruction_error",
    "contraction",
    "sample_posterior",
    "sample_missing",
    "sample_imputations",
    "decision_function",
    "predict",
    "p_values",
    "feature_contributions",
    "top_activating",
)


def cells(table: Any) -> np.ndarray:
    """Return an answer as an array with its gaps as NaN or None."""
    if issparse(table):
        return table.toarray()
    if isinstance(table, torch.Tensor):
        return table.detach().double().numpy()
    if hasattr(table, "get_column"):  # polars
        return np.array(table.rows(), dtype=object).reshape(table.shape)
    if hasattr(table, "to_pylist"):  # pyarrow
        return np.array([list(row.values()) for row in table.to_pylist()], dtype=object).reshape(table.shape)
    return np.asarray(table, dtype=object) if hasattr(table, "iloc") else np.asarray(table)


def gaps(table: np.ndarray) -> np.ndarray:
    """Return where cells are missing or infinite."""
    if table.dtype.kind in "fc":
        return ~np.isfinite(table)
    if table.dtype == object:
        return np.array(
            [
                value is None
                or type(value).__name__ in ("NAType", "NaTType")
                or value != value
                or (isinstance(value, (float, np.floating)) and not np.isfinite(value))
                for value in table.ravel()
            ],
            dtype=bool,
        ).reshape(table.shape)
    return np.zeros(table.shape, dtype=bool)


def is_empty(X: Any) -> np.ndarray:
    """Return which columns hold no value at all."""
    table = cells(X)
    return gaps(table).all(axis=0) if table.ndim == 2 else np.zeros(0, dtype=bool)


def wrong_answer(estimator: Any, method: str, X: Any, answer: Any, empty: np.ndarray) -> str | None:
    """Return what is wrong with an answer, None where nothing is.

    Parameters
    ----------
    estimator : object
        Whose method was called.
    method : str
        Its name.
    X : object
        What was passed first.
    answer : object
        What it gave.
    empty : ndarray of bool
        Columns that held no value in training, and so come back without one.

    Returns
    -------
    why : str or None
    """
    if method in ("fit", "partial_fit"):
        return None if answer is estimator else "it does not give itself back"
    if method in ("pickle", "clone", "repr"):
        return None
    if method == "truncated":
        return None if answer.n_components_ >= 1 else "no components"
    if method == "get_feature_names_out":
        return None if answer.dtype == object and answer.ndim == 1 else "names are no array of objects"
    if method == "score":
        is_number = isinstance(answer, (float, np.floating)) and np.isfinite(answer)
        return None if is_number else f"a score of {answer!r}"
    if method == "sample":
        return _wrong_table(answer, None, estimator.n_features_in_, empty)
    return _wrong_rows(estimator, method, X, answer, empty)


def _wrong_rows(estimator: Any, method: str, X: Any, answer: Any, empty: np.ndarray) -> str | None:
    n, d = n_rows(X), estimator.n_features_in_
    if method in ("sample_missing", "sample_imputations"):
        if not isinstance(answer, list) or not answer:
            return "no list of tables"
        width = d if method == "sample_missing" else len(estimator.get_feature_names_out())
        return next((why for table in answer if (why := _wrong_table(table, n, width, empty))), None)
    if method == "top_activating":
        return None if answer.ndim == 1 and answer.dtype.kind in "iu" and len(answer) <= n else "no positions"
    if method in ("transform", "fit_transform"):
        width = len(estimator.get_feature_names_out())
        parts = answer if isinstance(answer, tuple) else (answer,)
        return next((why for part in parts if (why := _wrong_table(part, n, width))), None)
    if method == "feature_contributions":
        return (
            None if answer.shape == (n, d) and not np.isinf(answer.to_numpy(float)).any() else "contributions"
        )
    if method in ("reconstruct", "denoise", "inverse_transform"):
        shape = tuple(getattr(X, "shape", ()))
        if len(shape) > 2 and method != "inverse_transform":
            return None if cells(answer).shape == shape else f"shape {cells(answer).shape}"
        return _wrong_table(answer, n, d, empty)
    if method == "sample_posterior":
        found = cells(answer)
        return "gaps" if gaps(found).any() else None if n in found.shape else f"shape {found.shape}"
    found = cells(answer)
    if found.ndim == 2 and method == "reconstruction_error":
        if found.shape != (n, d):
            return f"shape {found.shape} for {n} rows of {d} columns"
        return "infinite errors" if np.isinf(found).any() else None
    if found.shape != (n,):
        return f"shape {found.shape} for {n} rows"
    if method in ("predict", "fit_predict") and not set(found.tolist()) <= {-1, 1}:
        return f"labels {set(found.tolist())}"
    if method == "p_values" and not ((found > 0) & (found <= 1)).all():
        return f"p-values from {found.min()} to {found.max()}"
    return f"{int(gaps(found).sum())} of {n} values are not finite" if gaps(found).any() else None


def _wrong_table(answer: Any, n: int | None, d: int, empty: Any = ()) -> str | None:
    found = cells(answer)
    if found.ndim != 2 and not (found.ndim > 2 and int(np.prod(found.shape[1:])) == d):
        return f"shape {found.shape}"
    if (n is not None and len(found) != n) or int(np.prod(found.shape[1:])) != d:
        return f"shape {found.shape} for {n} rows of {d} columns"
    bad = gaps(found)
    if bad.ndim == 2 and len(empty) == bad.shape[1]:
        bad = bad[:, ~empty]
    return f"{int(bad.sum())} of {bad.size} cells are missing or infinite" if bad.any() else None
