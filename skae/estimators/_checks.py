"""Checks of parameters and of data. The one file that uses scikit-learn's private helpers."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, cast

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import (
    Interval,
    MissingValues,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, validate_data

from skae.estimators._sparse import MOST_DENSE_COLUMNS, Directions
from skae.estimators._tables import Table, needs_table
from skae.networks import Dense
from skae.objectives import LINKS, LOSSES, Objective, Reconstruction

__all__ = [
    "Interval",
    "MissingValues",
    "Options",
    "StrOptions",
    "check_code_activation",
    "check_codes",
    "check_count",
    "check_data",
    "check_is_fitted",
    "check_loss",
    "check_mixed",
    "check_n_components",
    "check_parameters",
    "check_target",
    "check_training",
    "check_weights",
    "unchanged_on_failure",
    "validate_data",
]

# Squares of larger values, summed over a table, may overflow float64.
_LARGEST = 1e100
# The first is what everything else becomes.
_FLOATS: Any = [np.float64, np.float32]


def check_parameters(estimator: Any) -> None:
    """Check each parameter by itself against the estimator's `_parameter_constraints`."""
    validate_parameter_constraints(
        estimator._parameter_constraints, estimator.get_params(deep=False), type(estimator).__name__
    )


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
    X = _as_rows(estimator, X, reset)
    if issparse(X):
        if X.shape[1] > MOST_DENSE_COLUMNS or getattr(estimator, "_table", None) is not None:
            return _from_sparse(estimator, X, reset, min_samples, sample_weight)
        # No wider than what stands for a wide one inside.
        _validated_sparse(estimator, X, reset, min_samples)
        X = X.toarray()
    is_table = needs_table(X, estimator.column_types, estimator.scaling)
    if reset:
        _checked_table_parameters(estimator)
        estimator._table = None
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if is_table and (hasattr(X, "iloc") or kind in ("O", "U", "S")):
        checked = _from_frame(estimator, X, reset, min_samples, sample_weight)
    else:
        checked = _from_numbers(estimator, X, reset, min_samples)
        if reset and is_table:
            estimator._table = _new_table(estimator, checked, sample_weight)
        if estimator._table is not None:
            checked = np.asarray(estimator._table.encode(checked))
    has_gaps = bool(np.isnan(checked).any())
    if has_gaps and estimator.solver == "recirculation":
        raise ValueError(
            "Input X contains NaN, and solver='recirculation' takes no missing values. Use solver='adam', or "
            "fill them first."
        )
    if has_gaps and hasattr(estimator.network, "check_gaps"):
        cast(Any, estimator.network).check_gaps(checked)
    if has_gaps and reset and np.isnan(checked).all():
        raise ValueError("X holds no value at all: every cell is missing.")
    if reset:
        largest = max(float(np.nanmax(checked)), -float(np.nanmin(checked)))
        if largest > _LARGEST:
            raise ValueError(
                f"X holds values up to {largest:.3g}; beyond {_LARGEST:.0e} their squares overflow. "
                "Divide the columns by a unit that suits them, e.g. with StandardScaler."
            )
    return checked


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
    except ValueError as error:
        if "infinity" in str(error):
            raise ValueError(f"{error}\n{_infinite_columns(X)}") from error
        raise


def _validated_sparse(estimator: Any, X: Any, reset: bool, min_samples: int) -> Any:
    return validate_data(
        estimator, X, reset=reset, dtype=_FLOATS, accept_sparse=["csr", "csc"], ensure_min_samples=min_samples
    )


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
        estimator._table = Directions(X, estimator.n_components, weight)
    elif estimator._table is None:
        return X.toarray()
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
    elif estimator._table is None:
        raise ValueError(
            f"X holds text, but {type(estimator).__name__} was fitted on numbers alone. Pass columns like "
            "those of fit."
        )
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
        constraints = {name: estimator._parameter_constraints[name]}
        validate_parameter_constraints(
            constraints, {name: getattr(estimator, name)}, type(estimator).__name__
        )


def _as_rows(estimator: Any, X: Any, reset: bool) -> Any:
    """Flatten images or sequences where the architecture is for such; remember their shape if `reset`."""
    network: Any = getattr(estimator, "network", None)
    given = None
    if hasattr(network, "to_rows"):
        table = np.asarray(X) if isinstance(X, (list, tuple)) else X
        if getattr(table, "ndim", 2) > 2:
            given, X = tuple(table.shape[1:]), network.to_rows(np.asarray(table))
    if isinstance(X, (list, tuple)) and any(isinstance(value, str) for row in X for value in np.ravel(row)):
        X = np.asarray(X, dtype=object)
    if reset:
        estimator._row_shape = given
    return X


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
    names = [str(name) for name in getattr(X, "columns", [])]
    counts = np.isinf(check_array(X, dtype=_FLOATS, ensure_all_finite=False)).sum(0)
    columns = np.flatnonzero(counts)
    listed = ", ".join(f"{names[j] if names else j} ({counts[j]})" for j in columns[:10])
    return (
        f"Infinite values by column: {listed}{', ...' if len(columns) > 10 else ''}. Drop these rows, or put "
        "NaN in their place: missing values are taken as they are."
    )


def check_weights(sample_weight: Any, X: Any, dtype: Any) -> np.ndarray | None:
    """Validate weights of rows; None where all weigh alike without having been given."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=dtype, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero for every row, so that there is nothing to learn from.")
    return weights


def check_target(estimator: Any, target: Any, X: np.ndarray) -> np.ndarray:
    """Validate clean rows that belong to X."""
    name = "clean"
    if estimator._table is not None:
        table = target if hasattr(target, "iloc") else np.asarray(target)
        target = estimator._table.encode(table)
    allow_nan: Any = "allow-nan"
    target = np.asarray(check_array(target, dtype=_FLOATS, input_name=name, ensure_all_finite=allow_nan))
    if target.shape != X.shape:
        raise ValueError(
            f"{name} has shape {target.shape}, X has {X.shape}: pass the clean row of each row of X."
        )
    return target.astype(X.dtype, copy=False)


def check_codes(Z: Any, n_components: int, estimator: Any) -> np.ndarray:
    """Validate codes for `inverse_transform`; sparse ones become dense."""
    if issparse(Z):
        Z = Z.toarray()
    Z = check_array(Z, dtype=_FLOATS)
    if Z.shape[1] != n_components:
        raise ValueError(
            f"Codes have {Z.shape[1]} columns, but this {type(estimator).__name__} was fitted with "
            f"n_components={estimator.n_components_}, and gives {n_components}. Pass what its transform gave."
        )
    return Z


def check_n_components(n_components: int, n_features: int) -> None:
    """Refuse code sizes that can only be a mistake."""
    limit = max(10_000, 64 * n_features)
    if n_components > limit:
        raise ValueError(
            f"n_components={n_components} for data with {n_features} columns is absurd: more than "
            f"{limit} components. Choose fewer, as a rule fewer than the columns."
        )


def check_training(estimator: Any, objective: Any) -> None:
    """Check that the way of training goes with the architecture and with what is minimised.

    Parameters
    ----------
    estimator : BaseAutoencoder
    objective : Objective
        What would be minimised.

    Raises
    ------
    ValueError
        If it does not.
    """
    specification = estimator._specification()
    if estimator.pretrain is not None and not getattr(specification, "has_parts", False):
        raise ValueError(
            "pretrain='layerwise' needs layers that can be trained one by one, those of Dense or "
            f"Convolutional; network is {type(specification).__name__}. Use pretrain=None."
        )
    if estimator.solver != "recirculation":
        return
    is_one_layer = (
        isinstance(specification, Dense)
        and not specification.hidden_layer_sizes
        and not specification.tied_weights
    )
    if not is_one_layer or estimator.loss != "squared_error" or not objective.reconstruction.is_centred:
        raise ValueError(
            "solver='recirculation' needs one layer each way and the squared error: hidden_layer_sizes=(), "
            "tied_weights=False, loss='squared_error' and output_activation='identity'."
        )
    parts = [*objective.penalties]
    for part, plain in ((objective, Objective), (objective.reconstruction, Reconstruction)):
        parts += [type(part).__name__] * (type(part) is not plain)
    if parts:
        raise ValueError(
            f"solver='recirculation' follows no gradient, and so none of {parts} of "
            f"{type(estimator).__name__}. Use solver='adam'."
        )


def check_mixed(estimator: Any) -> None:
    """Refuse losses that are not for columns of several kinds, each of which has its own."""
    if LOSSES[estimator.loss].from_output or estimator.output_activation not in ("auto", "identity"):
        raise ValueError(
            f"loss={estimator.loss!r} with output_activation={estimator.output_activation!r} is for tables "
            "of numbers; columns of several kinds have losses of their own. Use output_activation='auto' and "
            "loss='squared_error', 'huber' or 'absolute_error', which is then that of numeric columns."
        )


def check_count(count: int, name: str) -> None:
    """Refuse numbers of draws below 1."""
    if count < 1:
        raise ValueError(f"{name} must be at least 1; got {count!r}.")


def check_code_activation(code_activation: str, linear_path: bool) -> None:
    """Refuse a linear path to codes that are squashed."""
    if code_activation != "identity" and linear_path:
        raise ValueError(
            f"code_activation={code_activation!r} needs linear_path=False: a linear path and its "
            "start at PCA belong to codes that are not squashed."
        )


def check_loss(X: np.ndarray, loss: str, link: str) -> str:
    """Check that a loss, a link and the data fit each other; give the link's name.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    loss : str
        A key of `LOSSES`.
    link : str
        A key of `LINKS`, or "auto".

    Returns
    -------
    link : str
        The loss's own one for "auto".

    Raises
    ------
    ValueError
        If they do not fit.
    """
    chosen = LOSSES[loss]
    if link == "auto":
        link = chosen.links[0]
    if link not in chosen.links:
        raise ValueError(
            f"loss={loss!r} goes with output_activation {' or '.join(map(repr, chosen.links))}, not with "
            f"{link!r}. Leave output_activation='auto'."
        )
    lowest, highest = float(np.nanmin(X)), float(np.nanmax(X))
    for who, low, high in (
        (f"loss={loss!r}", chosen.lowest, chosen.highest),
        (f"output_activation={link!r}", LINKS[link].lowest, LINKS[link].highest),
    ):
        if lowest < low or highest > high:
            # The words of scikit-learn, which its checks look for.
            negative = "Negative values in data passed to fit: " if lowest < low == 0 else ""
            raise ValueError(
                f"{negative}{who} needs values in [{low:g}, {high:g}], but X lies in "
                f"[{lowest:g}, {highest:g}]. "
                "Scale X (e.g. with MinMaxScaler(clip=True)), or use loss='squared_error' with "
                "output_activation='identity'."
            )
    return link


@contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Put an estimator back as it was if what is done inside fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        # scikit-learn needs its own bookkeeping of callbacks to tear them down afterwards.
        callbacks = {name: value for name, value in vars(estimator).items() if "callback" in name}
        vars(estimator).clear()
        vars(estimator).update(before | callbacks)
        raise


def is_integer(value: Any) -> bool:
    """Tell whether a value is a whole number and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)
