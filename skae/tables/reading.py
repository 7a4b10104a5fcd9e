"""From what users pass to numeric rows: arrays, DataFrames, sparse matrices, images and sequences."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from skae._containers import (
    FrameLayout,
    dense_columns,
    is_frame,
    is_sparse_frame,
    names_of,
    readable,
    to_pandas,
)
from skae._counts import check_moderate
from skae._typing import Dense, Table
from skae.tables.cells import is_number
from skae.tables.columns import Arrangement, Columns, Shaped
from skae.tables.directions import MOST_DENSE_COLUMNS, Directions
from skae.tables.mixed import MixedColumns

# The first is what everything else becomes.
_FLOATS: Any = [np.float64, np.float32]
_ALLOW_NAN: Any = "allow-nan"
_ANY: Any = None


class Validation(Protocol):
    """How scikit-learn validates the rows of an estimator, for a room that knows no estimator."""

    owner: str  # name of the estimator's class

    def __call__(self, X: object, **checks: object) -> Any:
        """Return rows as `sklearn.utils.validation.validate_data` does, with checks of `check_array`."""
        ...

    def names(self) -> list[str] | None:
        """Return the names of the columns, where they have names that are all text."""
        ...

    def weights(self, n_rows: int) -> np.ndarray | None:
        """Return the checked weights of so many rows as float64, None where all weigh alike."""
        ...


class Options(NamedTuple):
    """What an estimator says of its columns."""

    column_types: str | Mapping[Hashable, str] = "auto"
    scaling: str = "none"
    handle_unknown: str = "missing"
    n_components: int = 1  # where their number is not known yet, as many directions are there as for one
    architecture: Shaped | None = None  # says how images and sequences become rows


def read_training(
    X: ArrayLike | Table, options: Options, validate: Validation, min_samples: int = 2
) -> tuple[Columns, np.ndarray]:
    """Read the rows that an estimator is trained on.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        What the user passed.
    options : Options
        What the estimator says of its columns.
    validate : Validation
        How rows are validated.
    min_samples : int, default=2
        Fewest rows.

    Returns
    -------
    columns : Columns
        What turns rows of the user's into rows inside, and back.
    rows : ndarray of shape (n_samples, n_inside)
        The rows inside; float32 stays, everything else becomes float64.

    Raises
    ------
    ValueError
        If X is not a table of finite numbers of moderate size, or of columns that can be read.
    """
    table, arrangement = _arranged(X, options.architecture)
    has_kinds = declares_kinds(options.column_types)
    table = _table(table, has_kinds)
    is_declared = has_kinds or options.scaling not in ("auto", "none")
    is_array = isinstance(table, np.ndarray)
    if issparse(table) or (not is_array and is_sparse_frame(table)):
        if table.shape[1] > MOST_DENSE_COLUMNS:
            return _read_directions(table, options, is_declared, validate, min_samples)
        table = _dense(table, validate, min_samples)
    is_table = is_more(table) or is_declared
    if is_table and _has_own_kinds(table):
        columns, rows = _read_frame(table, options, validate, min_samples, arrangement)
        if is_frame(X):
            columns.layout = FrameLayout.of(X)
    else:
        rows = read_numbers(table if is_array else dense_columns(table), validate, min_samples)
        columns = Columns(rows.shape[1], validate.names(), arrangement)
        if is_table:
            columns, rows = _read_mixed(rows, options, validate, arrangement)
    columns.is_declared, columns.declares_kinds = is_declared, has_kinds
    if np.isnan(rows).all():
        raise ValueError("X holds no value at all: every cell is missing.")
    return columns, rows


def read(columns: Columns, X: ArrayLike | Table, validate: Validation, min_samples: int = 1) -> np.ndarray:
    """Read further rows.

    Parameters
    ----------
    columns : Columns
        From `read_training`.
    X : array-like of shape (n_samples, n_features)
        What the user passed.
    validate : Validation
        How rows are validated.
    min_samples : int, default=1
        Fewest rows.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_inside)

    Raises
    ------
    ValueError
        If X does not hold the columns of training, or infinite numbers.
    """
    table = _table(flat(columns, X), columns.declares_kinds)
    if issparse(table) or is_sparse_frame(table):
        if columns.reads_sparse:
            return columns.encode(_validated_sparse(table, validate, min_samples))
        # No wider than what stands for a wide one inside, or to be read like the dense rows of `fit`.
        table = _dense(table, validate, min_samples)
    if not ((is_more(table) or columns.is_declared) and _has_own_kinds(table)):
        return columns.encode(read_numbers(dense_columns(table), validate, min_samples))
    _check_frame(table, validate, min_samples)
    if columns.is_plain or columns.reads_sparse:
        raise ValueError(
            f"X holds text, but {validate.owner} was fitted on numbers alone. Pass columns like those of fit."
        )
    return _finite(columns.encode(table))


def unknown(columns: Columns, X: ArrayLike | Table) -> np.ndarray:
    """Return which cells hold a category that training has not seen.

    Parameters
    ----------
    columns : Columns
        From `read_training`.
    X : array-like of shape (n_samples, n_features)
        What the user passed, and `read` has taken.

    Returns
    -------
    unknown : ndarray of shape (n_samples, n_features)
    """
    return columns.unknown(_table(flat(columns, X), columns.declares_kinds))


def _arranged(X: object, architecture: Shaped | None) -> tuple[Any, Arrangement | None]:
    """Return rows as what is read here, and how they lay before."""
    if architecture is None:
        return (X if isinstance(X, np.ndarray) else readable(X)), None
    X, shape = Arrangement(architecture, None).flat(X)
    return X, Arrangement(architecture, shape)


def flat(columns: Columns, X: object) -> Any:
    """Return rows of training's shape as what is read here, images and sequences flat."""
    return readable(X) if columns.arrangement is None else columns.arrangement.flat(X)[0]


def read_numbers(X: object, validate: Validation, min_samples: int) -> np.ndarray:
    """Validate numbers as scikit-learn does, and say which columns are not finite."""
    try:
        rows = validate(X, dtype=_FLOATS, ensure_min_samples=min_samples, ensure_all_finite=_ALLOW_NAN)
        return np.asarray(rows)
    except OverflowError as error:
        raise ValueError(
            f"X holds whole numbers that are too large for float64 ({error}). Divide them."
        ) from error
    except ValueError as error:
        if "infinity" in str(error):
            raise ValueError(f"{error}\n{_infinite_columns(X)}") from error
        raise


def read_table(X: Any, validate: Validation, min_samples: int = 1) -> Any:
    """Validate rows for an estimator that passes them on to an autoencoder.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        What the user passed.
    validate : Validation
        How rows are validated.
    min_samples : int, default=1
        Fewest rows.

    Returns
    -------
    X : DataFrame, ndarray or csr_matrix of shape (n_samples, n_features)
        As it is where it holds more than numbers, else floats, sparse ones in CSR form; gaps stay.

    Raises
    ------
    ValueError
        If there are too few rows, or values that are infinite.
    """
    if issparse(X):
        return validate(
            X,
            accept_sparse="csr",
            dtype=_FLOATS,
            ensure_min_samples=min_samples,
            ensure_all_finite=_ALLOW_NAN,
        )
    X = readable(X)
    check_has_columns(X)
    if not is_more(X):
        return read_numbers(dense_columns(X), validate, min_samples)
    X = validate(X, skip_check_array=True)
    if X.shape[0] < min_samples:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) while a minimum of {min_samples} is required."
        )
    return X


def read_target(columns: Columns, target: object, rows: np.ndarray) -> np.ndarray:
    """Read clean rows that belong to rows inside.

    Parameters
    ----------
    columns : Columns
        Those of the rows.
    target : array-like of shape (n_samples, n_features)
        What the user passed.
    rows : ndarray of shape (n_samples, n_inside)
        The rows that the encoder sees.

    Returns
    -------
    target : ndarray of shape (n_samples, n_inside)

    Raises
    ------
    ValueError
        If it has another shape, or infinite numbers.
    """
    name = "clean"
    target = readable(target)
    if not columns.is_plain:
        target = to_pandas(target)
        target = columns.encode(target if hasattr(target, "iloc") else np.asarray(target))
    target = np.asarray(check_array(target, dtype=_FLOATS, input_name=name, ensure_all_finite=_ALLOW_NAN))
    if target.shape != rows.shape:
        raise ValueError(
            f"{name} has shape {target.shape}, X has {rows.shape}: pass the clean row of each row of X."
        )
    # The target is checked as all rows are that are trained on.
    check_moderate(rows)
    return target.astype(rows.dtype, copy=False)


def check_has_columns(X: object) -> None:
    """Refuse a row or a column by itself, in the words of scikit-learn."""
    if len(getattr(X, "shape", (0, 0))) < 2:
        check_array(X, accept_sparse=True, dtype=_ANY, ensure_all_finite=False)


def is_more(X: Any) -> bool:
    """Whether rows hold more than numbers."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if kind in ("M", "m"):
        raise TypeError(
            f"X holds dates or times, {X.dtype}; a table argument must be a string, a number or a category. "
            "Drop them, or turn them into numbers such as the day of the year."
        )
    if hasattr(X, "iloc"):
        return any(not is_number(dtype) for dtype in X.dtypes)
    return kind is not None and kind in "OUST" and holds_text(X)


def declares_kinds(column_types: object) -> bool:
    """Whether the user has named columns that are no numbers."""
    return isinstance(column_types, Mapping) and any(kind != "numeric" for kind in column_types.values())


def holds_text(X: np.ndarray) -> bool:
    """Whether an array holds any text, or dates, for which numpy has numbers."""
    if X.dtype.kind in "UST":
        return True
    kinds = set(map(type, X.ravel().tolist()))
    return X.ndim == 2 and any(issubclass(kind, (str, np.datetime64, np.timedelta64)) for kind in kinds)


def _table(X: object, declares_kinds: bool) -> Any:
    check_has_columns(X)
    return to_pandas(X) if declares_kinds else X


def _has_own_kinds(X: object) -> bool:
    """Whether each column may hold something else."""
    return hasattr(X, "iloc") or getattr(getattr(X, "dtype", None), "kind", None) in ("O", "U", "S")


def _validated_sparse(X: object, validate: Validation, min_samples: int) -> Any:
    return validate(X, dtype=_FLOATS, accept_sparse=["csr", "csc"], ensure_min_samples=min_samples)


def _dense(X: Any, validate: Validation, min_samples: int) -> Any:
    if hasattr(X, "iloc"):
        return dense_columns(X)
    _validated_sparse(X, validate, min_samples)
    return X.toarray()


def _read_directions(
    X: Any, options: Options, is_declared: bool, validate: Validation, min_samples: int
) -> tuple[Columns, np.ndarray]:
    """Validate a wide sparse table, and give its rows along its leading directions."""
    X = _validated_sparse(X, validate, min_samples)
    if is_declared or not isinstance(options.column_types, str):
        raise ValueError(
            "A sparse table is read through its leading directions, and so has no columns inside that "
            "scaling or column_types could speak of. Use scaling='auto' and column_types='auto'."
        )
    columns = Directions(X, options.n_components, validate.weights(X.shape[0]), validate.names())
    return columns, columns.encode(X)


def _read_frame(
    X: Dense, options: Options, validate: Validation, min_samples: int, arrangement: Arrangement | None
) -> tuple[MixedColumns, np.ndarray]:
    """Validate a table that holds more than numbers, and give its columns inside."""
    _check_frame(X, validate, min_samples)
    columns, rows = _read_mixed(X, options, validate, arrangement)
    return columns, _finite(rows)


def _read_mixed(
    X: Dense, options: Options, validate: Validation, arrangement: Arrangement | None
) -> tuple[MixedColumns, np.ndarray]:
    # A table of several kinds is for those who want no preprocessing in front.
    scaling = "standard" if options.scaling == "auto" else options.scaling
    return MixedColumns.of(
        X,
        options.column_types,
        scaling,
        options.handle_unknown,
        validate.names(),
        validate.weights(X.shape[0]),
        arrangement,
    )


def _check_frame(X: Table, validate: Validation, min_samples: int) -> None:
    validate(X, skip_check_array=True)
    if len(X.shape) != 2 or X.shape[1] == 0 or X.shape[0] < min_samples:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) and shape {tuple(X.shape)} while a minimum of "
            f"{min_samples} and one column is required by {validate.owner}."
        )


def _finite(rows: np.ndarray) -> np.ndarray:
    if np.isinf(rows).any():
        raise ValueError(f"Input X contains infinity.\n{_infinite_columns(rows)}")
    return rows


def _infinite_columns(X: object) -> str:
    names = [str(name) for name in names_of(X) or []]
    counts = np.isinf(check_array(X, dtype=_FLOATS, ensure_all_finite=False)).sum(0)
    columns = np.flatnonzero(counts)
    listed = ", ".join(f"{names[j] if names else j} ({counts[j]})" for j in columns[:10])
    return (
        f"Infinite values by column: {listed}{', ...' if len(columns) > 10 else ''}. Drop these rows, or put "
        "NaN in their place: missing values are taken as they are."
    )
