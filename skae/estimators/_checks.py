"""Checks of parameters and of data. The one file that uses scikit-learn's private helpers."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skae.networks import Dense
from skae.objectives import LINKS, LOSSES, Objective, Reconstruction

__all__ = [
    "Interval",
    "Options",
    "StrOptions",
    "check_code_activation",
    "check_codes",
    "check_count",
    "check_data",
    "check_is_fitted",
    "check_loss",
    "check_n_components",
    "check_parameters",
    "check_target",
    "check_training",
    "unchanged_on_failure",
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


def check_data(estimator: Any, X: Any, reset: bool, min_samples: int = 1) -> np.ndarray:
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
    shape: Any = getattr(estimator, "network", None)
    X = _as_rows(estimator, X, reset)
    takes_gaps = getattr(shape, "takes_gaps", False)
    try:
        checked = np.asarray(
            validate_data(
                estimator,
                X,
                reset=reset,
                dtype=_FLOATS,
                ensure_min_samples=min_samples,
                ensure_all_finite="allow-nan" if takes_gaps else True,
            )
        )
    except ValueError as error:
        if "NaN" in str(error) or "infinity" in str(error):
            raise ValueError(f"{error}\n{_not_finite_columns(X)}") from error
        if "could not convert string" in str(error):
            raise ValueError(f"{error}. {_text_columns(X)}") from error
        raise
    if takes_gaps and np.isnan(checked).any():
        shape.check_gaps(checked)
    if reset:
        largest = max(float(np.nanmax(checked)), -float(np.nanmin(checked)))
        if largest > _LARGEST:
            raise ValueError(
                f"X holds values up to {largest:.3g}; beyond {_LARGEST:.0e} their squares overflow. "
                "Divide the columns by a unit that suits them, e.g. with StandardScaler."
            )
    return checked


def _as_rows(estimator: Any, X: Any, reset: bool) -> Any:
    """Flatten images or sequences where the architecture is for such; remember their shape if `reset`."""
    network: Any = getattr(estimator, "network", None)
    given = None
    if hasattr(network, "to_rows"):
        table = np.asarray(X) if isinstance(X, (list, tuple)) else X
        if getattr(table, "ndim", 2) > 2:
            given, X = tuple(table.shape[1:]), network.to_rows(np.asarray(table))
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
        and bool(np.isfinite(X).all())
    )


def _not_finite_columns(X: Any) -> str:
    names = [str(name) for name in getattr(X, "columns", [])]
    array = check_array(X, dtype=_FLOATS, ensure_all_finite=False)
    parts = []
    for kind, counts in (("NaN", np.isnan(array).sum(0)), ("infinite", np.isinf(array).sum(0))):
        columns = np.flatnonzero(counts)
        if len(columns):
            listed = ", ".join(f"{names[j] if names else j} ({counts[j]})" for j in columns[:10])
            parts.append(f"{kind} values by column: {listed}{', ...' if len(columns) > 10 else ''}.")
    return " ".join(parts) + " Drop these rows, or fill them with SimpleImputer or IterativeImputer first."


def _text_columns(X: Any) -> str:
    table = np.asarray(X, dtype=object)
    columns = [j for j in range(table.shape[1]) if any(isinstance(value, str) for value in table[:, j])]
    names = getattr(X, "columns", range(table.shape[1]))
    listed = ", ".join(str(names[j]) for j in columns[:10])
    return (
        f"Columns that hold text: {listed}{', ...' if len(columns) > 10 else ''}. "
        "Encode them first, e.g. with OneHotEncoder in a ColumnTransformer, or drop them."
    )


def check_target(estimator: Any, target: Any, X: np.ndarray) -> np.ndarray:
    """Validate clean rows that belong to X."""
    name = "clean"
    target = np.asarray(check_array(target, dtype=_FLOATS, input_name=name))
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
