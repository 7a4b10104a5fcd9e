"""From what users pass to numeric rows: arrays, DataFrames, sparse matrices, images and sequences."""

from typing import Any, cast

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from skae._containers import (
    FrameLayout,
    dense_columns,
    is_frame,
    is_sparse_frame,
    names_of,
    readable,
    to_pandas,
)
from skae.estimators._checks import check_moderate, check_parameter, check_weights, is_integer
from skae.estimators._sparse import MOST_DENSE_COLUMNS, Directions
from skae.estimators._tables import Table, declares_kinds, needs_table

__all__ = ["check_codes", "check_data", "check_table", "check_target", "flat"]

# The first is what everything else becomes.
_FLOATS: Any = [np.float64, np.float32]


def check_data(
    estimator: Any, X: Any, reset: bool, min_samples: int = 1, sample_weight: Any = None
) -> np.ndarray:
    """Validate rows as scikit-learn does, and say which columns are not finite.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Takes over the names and number of columns if `reset`.
    X : array-like of shape (n_samples, n_features)
        What the user passed.
    reset : bool
        True in `fit`.
    min_samples : int, default=1
        Fewest rows.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of rows, for what is measured of a table.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        float32 stays, everything else becomes float64.

    Raises
    ------
    ValueError
        If X is not a table of finite numbers of moderate size.
    """
    if not reset and _is_ready(estimator, X):
        return X
    given = X
    X = _as_table(estimator, X, reset)
    if issparse(X) or is_sparse_frame(X):
        if X.shape[1] > MOST_DENSE_COLUMNS if reset else isinstance(estimator._table, Directions):
            return _from_sparse(estimator, X, reset, min_samples, sample_weight)
        # No wider than what stands for a wide one inside, or to be read like the dense rows of `fit`.
        X = dense_columns(X) if hasattr(X, "iloc") else _dense(estimator, X, reset, min_samples)
    is_table = needs_table(X, estimator.column_types, estimator.scaling)
    if reset:
        _checked_table_parameters(estimator)
        estimator._table = None
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if is_table and (hasattr(X, "iloc") or kind in ("O", "U", "S")):
        checked = _from_frame(estimator, X, reset, min_samples, sample_weight)
        if reset and is_frame(given):
            estimator._layout = FrameLayout.of(given)
    else:
        checked = _from_numbers(estimator, dense_columns(X), reset, min_samples)
        if reset and is_table:
            estimator._table = _new_table(estimator, checked, sample_weight)
            checked = estimator._table.take_rows()
        elif estimator._table is not None:
            checked = np.asarray(estimator._table.encode(checked))
    has_gaps = bool(np.isnan(checked).any())
    if has_gaps and not estimator._solver_takes_gaps():
        raise ValueError(
            f"Input X contains NaN, and solver={estimator.solver!r} takes no missing values. Use "
            "solver='adam', or fill them first."
        )
    if has_gaps and hasattr(estimator.network, "check_gaps"):
        cast(Any, estimator.network).check_gaps(checked)
    if has_gaps and reset and np.isnan(checked).all():
        raise ValueError("X holds no value at all: every cell is missing.")
    return checked


def check_table(estimator: Any, X: Any, reset: bool, min_samples: int = 1) -> Any:
    """Validate rows for an estimator that passes them on to an autoencoder.

    Parameters
    ----------
    estimator : object
        Takes over the names and number of columns if `reset`.
    X : array-like or DataFrame of shape (n_samples, n_features)
        What the user passed.
    reset : bool
        True in `fit`.
    min_samples : int, default=1
        Fewest rows.

    Returns
    -------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        As it is where it holds more than numbers, else floats; gaps stay.

    Raises
    ------
    ValueError
        If there are too few rows, or values that are infinite.
    """
    X = readable(X)
    _check_has_columns(X)
    if not needs_table(X, "auto", "none"):
        return _from_numbers(estimator, dense_columns(X), reset, min_samples)
    X = validate_data(estimator, X, reset=reset, skip_check_array=True)
    if X.shape[0] < min_samples:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) while a minimum of {min_samples} is required."
        )
    return X


def _from_numbers(estimator: Any, X: Any, reset: bool, min_samples: int) -> np.ndarray:
    """Validate numbers as scikit-learn does."""
    try:
        return np.asarray(
            validate_data(
                estimator,
                X,
                reset=reset,
                dtype=_FLOATS,
                ensure_min_samples=min_samples,
                ensure_all_finite=cast(Any, "allow-nan"),
            )
        )
    except OverflowError as error:
        raise ValueError(
            f"X holds whole numbers that are too large for float64 ({error}). Divide them."
        ) from error
    except ValueError as error:
        if "infinity" in str(error):
            raise ValueError(f"{error}\n{_infinite_columns(X)}") from error
        raise


def _validated_sparse(estimator: Any, X: Any, reset: bool, min_samples: int) -> Any:
    return validate_data(
        estimator, X, reset=reset, dtype=_FLOATS, accept_sparse=["csr", "csc"], ensure_min_samples=min_samples
    )


def _dense(estimator: Any, X: Any, reset: bool, min_samples: int) -> np.ndarray:
    _validated_sparse(estimator, X, reset, min_samples)
    return X.toarray()


def _from_sparse(estimator: Any, X: Any, reset: bool, min_samples: int, sample_weight: Any) -> np.ndarray:
    """Validate a wide sparse table, and give its rows along its leading directions."""
    X = _validated_sparse(estimator, X, reset, min_samples)
    if reset:
        _checked_table_parameters(estimator)
        if estimator.scaling not in ("auto", "none") or not isinstance(estimator.column_types, str):
            raise ValueError(
                "A sparse table is read through its leading directions, and so has no columns inside that "
                "scaling or column_types could speak of. Use scaling='auto' and column_types='auto'."
            )
        weight = check_weights(sample_weight, np.empty((X.shape[0], 1)), np.float64)
        # Where their number is not known yet, 256 directions are there for as many components.
        n_components = estimator.n_components if is_integer(estimator.n_components) else 1
        estimator._table = Directions(X, n_components, weight)
    return estimator._table.encode(X)


def _from_frame(estimator: Any, X: Any, reset: bool, min_samples: int, sample_weight: Any) -> np.ndarray:
    """Validate a table that holds more than numbers, and give its numeric columns."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if len(X.shape) != 2 or X.shape[1] == 0 or X.shape[0] < min_samples:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) and shape {tuple(X.shape)} while a minimum of "
            f"{min_samples} and one column is required by {type(estimator).__name__}."
        )
    if reset:
        estimator._table = _new_table(estimator, X, sample_weight)
        checked = estimator._table.take_rows()
    elif estimator._table is None:
        raise ValueError(
            f"X holds text, but {type(estimator).__name__} was fitted on numbers alone. Pass columns like "
            "those of fit."
        )
    else:
        checked = estimator._table.encode(X)
    if np.isinf(checked).any():
        raise ValueError(f"Input X contains infinity.\n{_infinite_columns(checked)}")
    return checked


def _new_table(estimator: Any, X: Any, sample_weight: Any) -> Table:
    scaling = estimator.scaling
    if scaling == "auto":
        # A table of several kinds is for those who want no preprocessing in front.
        scaling = "standard"
    names = getattr(estimator, "feature_names_in_", None)
    weight = check_weights(sample_weight, np.empty((X.shape[0], 1)), np.float64)
    return Table(X, estimator.column_types, scaling, estimator.handle_unknown, names, weight)


def _checked_table_parameters(estimator: Any) -> None:
    for name in ("column_types", "scaling", "handle_unknown"):
        check_parameter(estimator, name)


def flat(estimator: Any, X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return rows as what is read here, images and sequences flat.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its architecture says how images and sequences become rows.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        What the user passed.

    Returns
    -------
    X : array-like of shape (n_samples, n_features)
    shape : tuple of int or None
        That of an image or sequence; None where the rows were flat already.
    """
    network: Any = getattr(estimator, "network", None)
    X = readable(X)
    if hasattr(network, "to_rows"):
        try:
            table = np.asarray(X) if isinstance(X, (list, tuple)) else X
        except ValueError as error:
            raise ValueError(
                "X is a list of rows of different lengths. Pass rows of one length; sequences that end early "
                "end in NaN."
            ) from error
        if getattr(table, "ndim", 2) > 2:
            return network.to_rows(np.asarray(table)), tuple(table.shape[1:])
    return X, None


def _as_table(estimator: Any, X: Any, reset: bool) -> Any:
    """Return rows as what is read here, images and sequences flat; remember their shape if `reset`."""
    X, given = flat(estimator, X)
    _check_has_columns(X)
    if reset:
        estimator._row_shape, estimator._layout = given, None
    return to_pandas(X) if declares_kinds(estimator.column_types) else X


def _check_has_columns(X: Any) -> None:
    """Refuse a row or a column by itself, in the words of scikit-learn."""
    if len(getattr(X, "shape", (0, 0))) < 2:
        check_array(X, accept_sparse=True, dtype=cast(Any, None), ensure_all_finite=False)


def _is_ready(estimator: Any, X: Any) -> bool:
    """Tell whether X is as `validate_data` would give it back.

    For one row, scikit-learn's search for what kind of table it might be takes as long as all
    the rest of `transform`: 45 of 95 microseconds.
    """
    return (
        type(X) is np.ndarray
        and X.dtype in _FLOATS
        and X.dtype.isnative
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and estimator._table is None
        and bool(np.isfinite(X).all())
    )


def _infinite_columns(X: Any) -> str:
    names = [str(name) for name in names_of(X) or []]
    counts = np.isinf(check_array(X, dtype=_FLOATS, ensure_all_finite=False)).sum(0)
    columns = np.flatnonzero(counts)
    listed = ", ".join(f"{names[j] if names else j} ({counts[j]})" for j in columns[:10])
    return (
        f"Infinite values by column: {listed}{', ...' if len(columns) > 10 else ''}. Drop these rows, or put "
        "NaN in their place: missing values are taken as they are."
    )


def check_target(estimator: Any, target: Any, X: np.ndarray) -> np.ndarray:
    """Validate clean rows that belong to X."""
    name = "clean"
    target = readable(target)
    if estimator._table is not None:
        target = to_pandas(target)
        target = estimator._table.encode(target if hasattr(target, "iloc") else np.asarray(target))
    allow_nan: Any = "allow-nan"
    target = np.asarray(check_array(target, dtype=_FLOATS, input_name=name, ensure_all_finite=allow_nan))
    if target.shape != X.shape:
        raise ValueError(
            f"{name} has shape {target.shape}, X has {X.shape}: pass the clean row of each row of X."
        )
    # The target is checked as all rows are that are trained on.
    check_moderate(X)
    return target.astype(X.dtype, copy=False)


def check_codes(Z: Any, n_components: int, estimator: Any, fewest: int) -> np.ndarray:
    """Validate codes of `fewest` to `n_components` columns for `inverse_transform`; densify sparse ones."""
    Z = readable(Z)
    if issparse(Z):
        Z = Z.toarray()
    _check_has_columns(Z)
    Z = check_array(Z, dtype=_FLOATS)
    if not fewest <= Z.shape[1] <= n_components:
        raise ValueError(
            f"Codes have {Z.shape[1]} columns, but this {type(estimator).__name__} was fitted with "
            f"n_components={estimator.n_components_}, and gives {n_components}. Pass what its transform gave."
        )
    return Z
