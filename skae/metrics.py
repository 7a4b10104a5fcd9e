"""Measures by which codes of PCA and of autoencoders can be compared: variance explained, and continuity."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.manifold import trustworthiness
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_consistent_length

from skae._counts import moderate
from skae._typing import Table

__all__ = ["continuity", "squared_errors", "variance_explained", "variance_explained_score"]


def continuity(X: ArrayLike | Table, X_embedded: ArrayLike, *, n_neighbors: int = 5) -> float:
    """Return to what extent neighbours in X are neighbours in the codes.

    The counterpart of `sklearn.manifold.trustworthiness`, which is low where codes put together rows that are
    far apart: continuity is low where they separate rows that are close together (Venna and Kaski 2001).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    X_embedded : array-like of shape (n_samples, n_components)
        Their codes.
    n_neighbors : int, default=5
        Size of neighbourhoods, less than half of the number of rows.

    Returns
    -------
    score : float
        From 0 to 1, the best; about one half for random codes.

    Raises
    ------
    ValueError
        If the numbers of rows differ, or are too few.

    See Also
    --------
    sklearn.manifold.trustworthiness : The same with rows and codes exchanged.
    skae.compare.compare_reducers : Both, and other measures, of several reducers.

    Notes
    -----
    Memory grows with the square of the number of rows, time a little faster: for large tables pass the same
    sample of a few thousand rows and codes. Values of samples of different sizes cannot be compared.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import continuity
    >>> X = load_iris().data
    >>> round(continuity(X, PCA(1).fit_transform(X)), 2)
    0.96
    """
    X, X_embedded = (np.asarray(check_array(_dense(table))) for table in (X, X_embedded))
    check_consistent_length(X, X_embedded)
    return float(trustworthiness(X_embedded, X, n_neighbors=n_neighbors))


def squared_errors(X: np.ndarray, X_back: np.ndarray) -> np.ndarray:
    """Return the squared difference of each cell.

    Parameters
    ----------
    X, X_back : ndarray of shape (n_samples, n_features)
        Rows and their reconstructions.

    Returns
    -------
    errors : ndarray of shape (n_samples, n_features)
        In squared units of X, as float64; the largest float64 where they overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import squared_errors
    >>> squared_errors(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    array([[0., 4.]])
    """
    # What overflows is beyond every number there is: the largest one, so that sums and ranks go on.
    with np.errstate(over="ignore"):
        errors = np.asarray(np.square(np.subtract(X, X_back, dtype=np.float64)))
    return np.minimum(errors, np.finfo(np.float64).max, out=errors)


def variance_explained_score(
    X: ArrayLike | Table,
    X_back: ArrayLike,
    *,
    mean: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the share of the variance of rows that their reconstruction explains.

    ``1 - SSE / SST``: one minus the sum of squared errors over the sum of squared
    deviations from the mean, over all cells. Columns count by their variance, as in PCA.

    Parameters
    ----------
    X, X_back : array-like or sparse matrix of shape (n_samples, n_features)
        Rows and their reconstructions. Cells of X that are NaN do not count. Sparse ones are made dense.
    mean : array-like of shape (n_features,), default=None
        Mean that deviations are taken from, usually that of the training rows. None
        is the mean of X.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of rows. None weights all rows equally.

    Returns
    -------
    score : float
        1 is perfect, 0 is no better than the mean; may be negative. Without any variance it
        is 1 if the reconstruction is exact, else 0.

    Raises
    ------
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> from skae.metrics import variance_explained_score
    >>> round(variance_explained_score([[0.0], [2.0]], [[0.5], [2.0]]), 3)
    0.875
    """
    allow_nan: Any = "allow-nan"
    X, X_back = _dense(X), _dense(X_back)
    rows = np.asarray(check_array(X, ensure_all_finite=allow_nan), dtype=np.float64)
    back = np.asarray(check_array(X_back), dtype=np.float64)
    if rows.shape != back.shape:
        raise ValueError(f"X has shape {rows.shape}, its reconstruction {back.shape}; they must be equal.")
    weight = None if sample_weight is None else moderate(np.asarray(sample_weight, dtype=np.float64))
    if weight is not None and not weight.all() and weight.any():
        rows, back, weight = (part[weight > 0] for part in (rows, back, weight))
    centre = _means(rows, weight) if mean is None else np.asarray(mean, dtype=np.float64)
    # Cells that are not there are neither missed nor explained.
    gaps = np.isnan(rows)
    if gaps.any():
        rows, back = (np.where(gaps, centre, table) for table in (rows, back))
    deviations = rows - centre
    # One unit for both sums: squares of large values must not overflow.
    unit = float(np.abs(deviations).max())
    # What is left of constant columns is rounding of their values, as in training.
    if unit <= 10 * np.finfo(np.float64).eps * float(np.abs(rows).max()):
        return 1.0 if np.allclose(rows, back) else 0.0
    missed, total = np.square((rows - back) / unit), np.square(deviations / unit)
    if weight is not None:
        missed, total = weight @ missed, weight @ total
    return float(1 - missed.sum() / total.sum())


def _dense(table: Any) -> ArrayLike:
    """Return a table that is not sparse."""
    return table.toarray() if issparse(table) else table


def _means(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the mean of each column over its observed cells."""
    if weight is None:
        return np.nanmean(rows, axis=0)
    there = ~np.isnan(rows)
    return weight @ np.where(there, rows, 0.0) / (weight @ there)


def variance_explained(
    estimator: Any, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
) -> float:
    """Score any fitted reducer by the variance that its reconstruction explains.

    It has the signature of a scorer, so that it can be passed as ``scoring=`` to
    `GridSearchCV` and similar functions, where it makes PCA and autoencoders comparable.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `inverse_transform`: PCA, an autoencoder, a Pipeline
        that ends in one, or a search whose best estimator is one. In a Pipeline the variance is that of
        the rows that reach the last step, as in ``Pipeline.score``: after a StandardScaler all columns count
        equally. Samplers of imbalanced-learn are skipped, as in ``Pipeline.score``.
    X : array-like of shape (n_samples, n_features)
        Rows, usually held out.
    y : Ignored
        Present for the convention of scorers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of rows. None weights all rows equally.

    Returns
    -------
    score : float
        See `variance_explained_score`; deviations are from the training mean where the estimator has a
        `mean_`, else from the mean of X.

    Raises
    ------
    TypeError
        If the estimator has no inverse.

    Notes
    -----
    The units are those of X, whatever an estimator does to columns inside, so that scores of a search over
    `scaling` are comparable. Tables of several kinds of columns have no common unit: for them, the score
    refers to the columns inside, like `score` of the autoencoders.

    `mean_` is assumed to be in the units of X, as that of PCA is. An estimator that takes more than tables of
    numbers can compute the score itself, in a method ``__variance_explained__(X, sample_weight)``.
    All estimators of skae have it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import variance_explained
    >>> X = load_iris().data
    >>> round(variance_explained(PCA(2).fit(X), X), 3)
    0.978
    """
    if hasattr(estimator, "best_estimator_"):
        return variance_explained(estimator.best_estimator_, X, y, sample_weight)
    if isinstance(estimator, Pipeline):
        *before, last = [step for _, step in estimator.steps if step not in (None, "passthrough")] or [None]
        for step in before:
            # Samplers have no transform: they are for training rows alone.
            X = step.transform(X) if hasattr(step, "transform") else X
        return variance_explained(last, X, y, sample_weight)
    if hasattr(estimator, "__variance_explained__"):
        return estimator.__variance_explained__(X, sample_weight)
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no inverse_transform, so its codes cannot be turned back into "
            "rows. Use a reducer that can, e.g. PCA or KernelPCA(fit_inverse_transform=True)."
        )
    X_back = estimator.inverse_transform(estimator.transform(X))
    mean = getattr(estimator, "mean_", None)
    return variance_explained_score(X, X_back, mean=mean, sample_weight=sample_weight)
