"""Checks of parameters and of data. The one file that uses scikit-learn's private helpers."""

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._param_validation import (
    MissingValues,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config, _wrap_data_with_container
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    check_array,
    check_is_fitted,
    validate_data,
)

from skae._containers import readable
from skae._counts import check_count, check_draws, check_moderate, check_weights_fit, is_integer, moderate
from skae.networks.architecture import Architecture
from skae.objectives import LINKS, LOSSES, Objective, Reconstruction
from skae.tables.reading import check_has_columns
from skae.training import SOLVERS

__all__ = [
    "Interval",
    "MissingValues",
    "Options",
    "RealNotInt",
    "StrOptions",
    "Validation",
    "check_code_activation",
    "check_codes",
    "check_count",
    "check_draws",
    "check_fit_params",
    "check_function",
    "check_is_fitted",
    "check_loss",
    "check_mixed",
    "check_moderate",
    "check_n_components",
    "check_parameter",
    "check_parameters",
    "check_streamed",
    "check_training",
    "check_weights",
    "check_weights_fit",
    "in_container",
    "is_integer",
    "is_routing",
    "output_container",
    "take_fit_params",
    "unchanged_on_failure",
]


class Interval(_Interval):
    """scikit-learn's interval of numbers, which truth values are none of: ``True`` is no size and no rate."""

    def is_satisfied_by(self, val: object) -> bool:
        """Whether a value is a number in the interval."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


def check_parameter(estimator: Any, name: str) -> None:
    """Check one parameter by itself."""
    constraints = {name: estimator._parameter_constraints[name]}
    validate_parameter_constraints(constraints, {name: getattr(estimator, name)}, type(estimator).__name__)


def check_parameters(estimator: Any) -> None:
    """Check each parameter by itself against the estimator's `_parameter_constraints`."""
    validate_parameter_constraints(
        estimator._parameter_constraints, estimator.get_params(deep=False), type(estimator).__name__
    )


def check_weights(sample_weight: object, X: object, dtype: object) -> np.ndarray | None:
    """Validate weights of rows; None where all weigh alike without having been given."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(readable(sample_weight), X, dtype=dtype, ensure_non_negative=True)
    if not np.isfinite(weights).all():
        # A single number for all rows passes scikit-learn's check.
        raise ValueError(f"sample_weight must hold finite numbers of at least 0; got {sample_weight!r}.")
    if not weights.any():
        raise ValueError("sample_weight is zero for every row, so that there is nothing to learn from.")
    return moderate(weights)


class Validation:
    """How scikit-learn validates the rows of an estimator; see `skae.tables.Validation`.

    Parameters
    ----------
    estimator : object
        Takes over the names and number of columns if `reset`.
    reset : bool
        True in `fit`.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the rows.
    """

    def __init__(self, estimator: object, reset: bool, sample_weight: object = None) -> None:
        self.owner = type(estimator).__name__
        self._estimator = estimator
        self._reset = reset
        self._sample_weight = sample_weight

    def __call__(self, X: Any, **checks: Any) -> Any:
        """Return rows as `validate_data` does."""
        return validate_data(self._estimator, X, reset=self._reset, **checks)

    def names(self) -> list[str] | None:
        """Return the names of the columns, where they have names that are all text."""
        names = getattr(self._estimator, "feature_names_in_", None)
        return None if names is None else names.tolist()

    def weights(self, n_rows: int) -> np.ndarray | None:
        """Return the checked weights of so many rows as float64, None where all weigh alike."""
        return check_weights(self._sample_weight, np.empty((n_rows, 1)), np.float64)


def check_codes(Z: Any, n_components: int, estimator: Any, fewest: int) -> np.ndarray:
    """Validate codes of `fewest` to `n_components` columns for `inverse_transform`; densify sparse ones."""
    Z = readable(Z)
    if issparse(Z):
        Z = Z.toarray()
    check_has_columns(Z)
    floats: Any = [np.float64, np.float32]
    Z = check_array(Z, dtype=floats)
    if not fewest <= Z.shape[1] <= n_components:
        raise ValueError(
            f"Codes have {Z.shape[1]} columns, but this {type(estimator).__name__} was fitted with "
            f"n_components={estimator.n_components_}, and gives {n_components}. Pass what its transform gave."
        )
    return Z


def check_fit_params(estimator: object, params: dict[str, object]) -> None:
    """Refuse metadata beyond the signature of `fit` where routing is off."""
    _raise_for_params(params, estimator, "fit")


def is_routing() -> bool:
    """Whether scikit-learn routes metadata."""
    return bool(_routing_enabled())


def take_fit_params(X: object, params: dict[str, object], rows: np.ndarray) -> dict[str, object]:
    """Return metadata of some rows: what has a value a row is cut, anything else stays."""
    return _check_method_params(X, params, rows)


def check_n_components(n_components: int, n_features: int) -> None:
    """Refuse code sizes that can only be a mistake."""
    limit = max(10_000, 64 * n_features)
    if n_components > limit:
        raise ValueError(
            f"n_components={n_components} is too large for data with {n_features} columns: at most {limit} "
            "are allowed. Choose fewer, usually fewer than the columns."
        )


def check_function(function: Callable[..., object], name: str, n_arguments: int) -> None:
    """Refuse what can be called but not with the arguments that it would get.

    Parameters
    ----------
    function : callable
        The user's.
    name : str
        Name of the parameter that holds it.
    n_arguments : int
        Number of positional arguments.
    """
    wanted = f"{name} must be a function that takes {n_arguments} arguments"
    if isinstance(function, type):
        raise TypeError(f"{wanted}; got the class {function.__name__}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # Some functions written in C do not tell.
        return
    try:
        signature.bind(*range(n_arguments))
    except TypeError as error:
        raise TypeError(f"{wanted}; got {function!r}, which takes {signature}: {error}.") from None


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
    if estimator.pretrain is not None and not specification.has_parts:
        raise ValueError(
            "pretrain='layerwise' needs layers that can be trained one by one, those of Dense or "
            f"Convolutional; network is {type(specification).__name__}. Use pretrain=None."
        )
    if SOLVERS[estimator.solver].follows_gradient:
        return
    is_one_layer = specification.n_plain_layers == 0 and not specification.is_tied
    if not is_one_layer or estimator.loss != "squared_error" or not objective.reconstruction.is_centred:
        raise ValueError(
            f"solver={estimator.solver!r} needs one layer each way and the squared error: "
            "hidden_layer_sizes=(), tied_weights=False, loss='squared_error' and "
            "output_activation='identity'."
        )
    parts = [*objective.penalties]
    for part, plain in ((objective, Objective), (objective.reconstruction, Reconstruction)):
        parts += [type(part).__name__] * (type(part) is not plain)
    if parts:
        raise ValueError(
            f"solver={estimator.solver!r} follows no gradient, and so none of {parts} of "
            f"{type(estimator).__name__}. Use solver='adam'."
        )


def check_streamed(
    solver: str, n_init: int, checkpoint: object, target: object, target_weight: float | str
) -> None:
    """Refuse ways of training that need all rows in memory, where these are read in blocks."""
    advice = "Use rows in memory, e.g. those of load() of a source, or a part of them."
    if SOLVERS[solver].all_rows:
        raise ValueError(f"solver={solver!r} takes all rows at once, but X is read in blocks. {advice}")
    for name, is_given in (("clean", target is not None), ("target_weight", bool(target_weight))):
        if is_given:
            raise ValueError(f"{name}= is for rows in memory, but X is read in blocks. {advice}")
    if n_init > 1:
        raise ValueError(
            f"n_init={n_init} would read all rows once for each start, as X is read in blocks. Use "
            "n_init=1, or one fit for each random_state."
        )
    if checkpoint is not None:
        raise ValueError(
            "checkpoint= compares the rows with those of the fit before, but X is read in blocks. Use "
            f"checkpoint=None. {advice}"
        )


def check_mixed(estimator: Any) -> None:
    """Refuse losses that are not for columns of several kinds, each of which has its own."""
    if LOSSES[estimator.loss].from_output or estimator.output_activation not in ("auto", "identity"):
        raise ValueError(
            f"loss={estimator.loss!r} with output_activation={estimator.output_activation!r} is for tables "
            "of numbers; columns of several kinds have losses of their own. Use output_activation='auto' and "
            "loss='squared_error', 'huber' or 'absolute_error', which is then that of numeric columns."
        )


def check_code_activation(code_activation: str, linear_path: bool) -> None:
    """Refuse a linear path to codes that are squashed."""
    if code_activation != "identity" and linear_path:
        raise ValueError(
            f"code_activation={code_activation!r} needs linear_path=False: a linear path and its "
            "start at PCA belong to codes that are not squashed."
        )


def check_loss(X: np.ndarray, loss: str, link: str) -> str:
    """Check that a loss, a link and the data fit each other; return the link's name.

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


def output_container(estimator: object) -> str:
    """Return the container that `transform` is told to give, "default" for none."""
    return _get_output_config("transform", estimator)["dense"]


def in_container(found: object, X: object, estimator: object) -> Any:
    """Return what was computed of rows in the container of `set_output`, as scikit-learn wraps `transform`.

    Parameters
    ----------
    found : ndarray or DataFrame of shape (n_samples, n_features_out)
        With the columns that `transform` gives.
    X : array-like of shape (n_samples, n_features)
        The rows, as they were passed.
    estimator : object
        Fitted, with `get_feature_names_out`.

    Returns
    -------
    found : ndarray or DataFrame of shape (n_samples, n_features_out)
    """
    return _wrap_data_with_container("transform", found, X, estimator)


def check_apart(checkpoints: Sequence[str | os.PathLike[str] | None]) -> None:
    """Refuse to let fits that are made side by side keep their states in files that are each for one fit.

    Parameters
    ----------
    checkpoints : sequence of path-like or None
        Of the estimators.

    Raises
    ------
    ValueError
        If there are several, and any of them is not None.
    """
    named = [os.fspath(path) for path in checkpoints if path is not None]
    if named and len(checkpoints) > 1:
        raise ValueError(
            f"checkpoint= is for one fit, and {len(checkpoints)} fits would keep their states in "
            f"{named[0]!r}. Leave it at None here, and set it on an estimator that is fitted alone."
        )


@contextmanager
def unchanged_on_failure(estimator: object) -> Iterator[None]:
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


def check_linear(model: Any, architecture: Architecture) -> None:
    """Refuse `linearity` without a linear path, and ``encoder="linear"`` where it cannot be exchanged."""
    reason = None
    if model.encoder != "linear":
        if model.linearity and not model.linear_path:
            raise ValueError("linearity is about what is added to the linear path; use linear_path=True.")
    elif architecture.is_tied:
        reason = "tied_weights=True, whose decoder uses the weights of the encoder"
    elif architecture.draws_globally or architecture.takes_gaps or architecture.has_atoms:
        reason = f"network={type(architecture).__name__}, whose encoder reads rows in a way of its own"
    elif model.pretrain is not None:
        reason = f"pretrain={model.pretrain!r}, which trains the layers of the encoder"
    if reason is not None:
        raise ValueError(f"encoder='linear' does not go with {reason}. Use encoder='nonlinear'.")
