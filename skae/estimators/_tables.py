"""Tables as users have them, and the numeric columns that a network sees of them.

Text becomes one column a category, two values become 0 and 1, counts their logarithms, numbers are scaled if
asked to; what is missing becomes NaN. Everything is undone by `decode`.
"""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple, cast

import numpy as np
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from skae.estimators._cells import as_numbers, column_of, is_missing, is_number, values_of
from skae.estimators._columns import positions

COLUMN_TYPES = ("numeric", "binary", "categorical", "count")
SCALINGS = ("auto", "none", "standard", "robust", "quantile")
_MOST_CATEGORIES = 255
# Columns that hardly vary would count without limit, were their loss divided by what little there is.
_LEAST_BASELINE = 0.05
# Rows of which the mean is taken at once: copies of them are small beside the table.
_MEAN_ROWS = 8192


class Numbers:
    """A column of numbers that stays one; also counts, as logarithms.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        As the user has them.
    dtype : object
        The dtype to give back.
    is_count : bool
        Whether they are counts.
    """

    width = 1

    def __init__(self, values: np.ndarray, dtype: Any, is_count: bool, name: Any) -> None:
        self.kind = "count" if is_count else "numeric"
        self.dtype = dtype
        self.name = name
        known = self.read(values)
        known = known[~np.isnan(known)]
        if is_count and len(known) and (known.min() < 0 or (known != np.round(known)).any()):
            raise ValueError(
                f"column_types says that column {name!r} holds counts, but it holds {known.min():g} among "
                "others. Counts are whole numbers of at least 0; use 'numeric'."
            )

    def read(self, values: np.ndarray) -> np.ndarray:
        """Give numbers, NaN where missing."""
        try:
            return as_numbers(values)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self.name!r} holds numbers in training, and here something else: {error}. Convert "
                "it, or say column_types={...: 'categorical'} in training."
            ) from error

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Give the column inside, (n_samples, 1)."""
        numbers = self.read(values_of(values))
        return (np.log1p(np.maximum(numbers, 0)) if self.kind == "count" else numbers)[:, None]

    def decode(self, inside: np.ndarray) -> np.ndarray:
        """Give values back, whole ones where the column held whole numbers."""
        numbers = inside[:, 0].astype(np.float64)
        if self.kind == "count":
            numbers = np.expm1(np.minimum(numbers, 700.0))
        if is_whole(self.dtype):
            return np.round(numbers)
        return numbers


class Categories:
    """A column of categories: one column each inside, or a single one for two values.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        As the user has them.
    dtype : object
        The dtype to give back.
    levels : sequence, optional
        All categories, where the dtype knows them; by default those found.
    is_binary : bool
        Whether there are two, which become 0 and 1.
    handle_unknown : {"missing", "error"}
        What becomes of categories that training has not seen.
    """

    def __init__(
        self,
        values: np.ndarray,
        dtype: Any,
        levels: Sequence[Any] | None,
        is_binary: bool,
        handle_unknown: str,
        name: Any,
    ) -> None:
        found = {value for value in values if not is_missing(value)}
        self.name, self.dtype, self.handle_unknown = name, dtype, handle_unknown
        self.levels = [level for level in levels if level in found] if levels is not None else ordered(found)
        self.known = {level: code for code, level in enumerate(self.levels)}
        if len(self.levels) > _MOST_CATEGORIES:
            raise ValueError(
                f"Column {name!r} holds {len(self.levels)} different values, e.g. {self.levels[0]!r}; more "
                f"than {_MOST_CATEGORIES} are no categories. Drop it, make numbers of it, or group values."
            )
        if is_binary and len(self.levels) > 2:
            raise ValueError(
                f"column_types says that column {name!r} is binary, but it holds {len(self.levels)} values: "
                f"{self.levels[:5]}. Use 'categorical'."
            )
        self.kind = "binary" if is_binary else "categorical"
        self.width = 1 if is_binary else max(1, len(self.levels))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Give the columns inside, (n_samples, width), NaN where missing."""
        codes, missing = self._codes(values)
        unknown = (codes < 0) & ~missing
        if self.handle_unknown == "error" and unknown.any():
            raise ValueError(
                f"Column {self.name!r} holds {np.asarray(values)[unknown][0]!r}, which training has not "
                f"seen; it knows {self.levels[:5]}. Use handle_unknown='missing', or train with it."
            )
        inside = np.full((len(values), self.width), np.nan)
        there = codes >= 0
        if self.kind == "binary":
            inside[there, 0] = codes[there]
        else:
            inside[there] = np.eye(self.width)[codes[there]]
        return inside

    def _codes(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Give the number of each value, -1 where it has none, and tell which are missing."""
        if hasattr(values, "isna"):
            # Ten times as fast as looking them up one by one.
            import pandas

            codes = pandas.Index(self.levels, dtype=object).get_indexer(values.astype(object))
            return codes, values.isna().to_numpy()
        codes = np.fromiter((self._code(value) for value in values), int, len(values))
        return codes, np.fromiter((is_missing(value) for value in values), bool, len(values))

    def _code(self, value: Any) -> int:
        try:
            return self.known.get(value, -1)
        except TypeError as error:  # a list, say
            raise TypeError(
                f"Column {self.name!r} holds {value!r}; a category argument must be a string or a number."
            ) from error

    def decode(self, inside: np.ndarray) -> np.ndarray:
        """Give the most likely category of each row."""
        if not self.levels:
            return np.full(len(inside), None, dtype=object)
        codes = (inside[:, 0] >= 0.5).astype(int) if self.kind == "binary" else inside.argmax(axis=1)
        found = np.empty(len(self.levels), dtype=object)
        found[:] = self.levels
        if all(isinstance(level, (int, float, np.number)) for level in self.levels):
            found = np.array(self.levels)
        return found[np.minimum(codes, len(self.levels) - 1)]


class Owned(NamedTuple):
    """Which columns inside belong to which of the user's."""

    owners: np.ndarray  # (n_inside,) position of the user's column
    groups: list[int]  # the same, as numbers of groups
    kinds: list[str]  # by column inside


class Table:
    """The columns of a user's table, and their numeric ones.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Training rows.
    column_types : "auto" or dict
        As in the estimators.
    scaling : {"none", "standard", "robust", "quantile"}
        For numeric columns.
    handle_unknown : {"missing", "error"}
        For categories.
    names : sequence of str, optional
        The names of the columns, where X has none of its own.
    weight : ndarray of shape (n_samples,), optional
        Weights of rows. Robust scaling and quantiles do not heed them, in scikit-learn.
    """

    def __init__(
        self,
        X: Any,
        column_types: Any,
        scaling: str,
        handle_unknown: str,
        names: Any = None,
        weight: np.ndarray | None = None,
    ) -> None:
        names = column_names(X) if names is None else list(names)
        wanted = declared(column_types, names, X.shape[1])
        self.names = names
        self.is_frame = hasattr(X, "iloc")
        self.columns = [
            make_column(column_of(X, j), wanted.get(j), handle_unknown, names[j] if names is not None else j)
            for j in range(X.shape[1])
        ]
        owners = np.repeat(np.arange(X.shape[1]), [column.width for column in self.columns])
        kinds = [column.kind for column in self.columns for _ in range(column.width)]
        self.inside = Owned(owners, owners.tolist(), kinds)
        self.numeric = np.array([kind == "numeric" for kind in kinds])
        raw = self._raw(X)
        self.scaler = new_scaler(scaling, len(raw)) if self.numeric.any() else None
        if self.scaler is not None:
            with warnings.catch_warnings():
                # Columns without any value have no mean; they come back as zero.
                warnings.simplefilter("ignore", RuntimeWarning)
                weights = {"sample_weight": weight} if scaling == "standard" and weight is not None else {}
                self.scaler.fit(raw[:, self.numeric], **weights)
        # (n_features,) in the units of X; columns of several kinds have no such mean.
        self.mean = None if self.is_mixed else means(raw, weight)
        # What `encode` would give of these rows, for whoever made the table.
        self.rows: np.ndarray | None = self._scaled(raw)
        self.weights = self._weights(self.rows, np.ones(len(raw)) if weight is None else weight)

    @property
    def is_mixed(self) -> bool:
        """Whether there is anything but numbers."""
        return not self.numeric.all()

    @property
    def is_scaled(self) -> bool:
        """Return whether rows inside are numbers in other units than those of X."""
        return self.scaler is not None and not self.is_mixed

    def take_rows(self) -> np.ndarray:
        """Give the numeric columns of the rows that the table was made of, once."""
        rows, self.rows = self.rows, None
        return cast(np.ndarray, rows)

    def encode(self, X: Any) -> np.ndarray:
        """Give numeric columns (n_samples, n_inside), NaN where missing."""
        return self._scaled(self._raw(X))

    def _raw(self, X: Any) -> np.ndarray:
        dtype = X.dtype if getattr(X, "dtype", None) in (np.float32, np.float64) else np.float64
        if isinstance(X, np.ndarray) and X.dtype == dtype and not self.is_mixed:
            return X
        parts = [column.encode(column_of(X, j)) for j, column in enumerate(self.columns)]
        return np.concatenate(parts, axis=1).astype(dtype, copy=False)

    def _scaled(self, raw: np.ndarray) -> np.ndarray:
        if self.scaler is None:
            return raw
        if not self.is_mixed:
            return self.scaler.transform(raw)
        raw[:, self.numeric] = self.scaler.transform(raw[:, self.numeric])
        return raw

    def decode(self, rows: np.ndarray) -> Any:
        """Give the user's table back from numeric columns (n_samples, n_inside)."""
        raw = self.unscale(rows)
        if not self.is_mixed:
            return raw
        parts = [column.decode(raw[:, self.inside.owners == j]) for j, column in enumerate(self.columns)]
        if not self.is_frame:
            if all(part.dtype != object for part in parts):
                return np.column_stack(parts).astype(rows.dtype, copy=False)
            table = np.empty((len(rows), len(parts)), dtype=object)
            for j, part in enumerate(parts):
                table[:, j] = part
            return table
        import pandas

        return pandas.DataFrame(
            {
                j: cast_back(part, column.dtype)
                for j, (part, column) in enumerate(zip(parts, self.columns, strict=True))
            }
        ).set_axis(self.names, axis=1)

    def unscale(self, rows: np.ndarray) -> np.ndarray:
        """Undo the scaling of numeric columns (n_samples, n_inside)."""
        if self.scaler is None:
            return rows
        raw = rows.copy()
        raw[:, self.numeric] = np.nan_to_num(self.scaler.inverse_transform(rows[:, self.numeric]))
        return raw

    def by_owner(self, cells: np.ndarray) -> np.ndarray:
        """Add up what the columns inside say (n_samples, n_inside), by the user's column; NaN stays."""
        return np.add.reduceat(
            cells, np.searchsorted(self.inside.owners, np.arange(len(self.columns))), axis=1
        )

    def _weights(self, inside: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Give the factor of each loss: one over what the best constant leaves, in numeric columns' units."""
        weights = np.ones(inside.shape[1])
        there = ~np.isnan(inside)
        known = np.where(there, inside, 0.0)
        counts = np.maximum(weight @ there, np.finfo(float).tiny)
        means = weight @ known / counts
        variances = weight @ np.where(there, known - means, 0.0) ** 2 / counts
        unit = float(variances[self.numeric].mean()) if self.numeric.any() else 1.0
        for j, column in enumerate(self.columns):
            own = self.inside.owners == j
            if column.kind != "numeric":
                weights[own] = unit / max(
                    _LEAST_BASELINE, baseline(column.kind, inside[:, own], means[own], weight)
                )
        return weights


def means(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Compute the mean of each column over its cells that are there, (n_features,); 0 where none is."""
    total, count = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for start in range(0, len(rows), _MEAN_ROWS):
        part = rows[start : start + _MEAN_ROWS]
        share = np.ones(len(part)) if weight is None else weight[start : start + _MEAN_ROWS]
        total += share @ np.nan_to_num(part.astype(np.float64, copy=False))
        count += share @ ~np.isnan(part)
    return total / np.maximum(count, np.finfo(float).tiny)


def baseline(kind: str, inside: np.ndarray, means: np.ndarray, weight: np.ndarray) -> float:
    """Give the loss of the best constant: the entropy of categories, the deviance of counts."""
    if kind == "count":
        there = ~np.isnan(inside[:, 0])
        counts, weight = np.expm1(inside[there, 0]), weight[there]
        mean = np.average(counts, weights=weight) if weight.any() else 0.0
        if not mean:
            return 0.0
        logs = np.log(np.where(counts > 0, counts, 1.0) / mean)
        return float(np.average(2 * (counts * logs - (counts - mean)), weights=weight))
    shares = np.append(means, 1 - means) if kind == "binary" else means
    return float(-sum(share * np.log(share) for share in shares if share > 0))


def needs_table(X: Any, column_types: Any, scaling: str) -> bool:
    """Tell whether X is more than numbers to be taken as they are."""
    if scaling not in ("auto", "none"):
        return True
    if declares_kinds(column_types):
        return True
    if hasattr(X, "iloc"):
        return any(not is_number(dtype) for dtype in X.dtypes)
    return getattr(X, "dtype", None) is not None and X.dtype.kind in "OUST" and holds_text(X)


def declares_kinds(column_types: Any) -> bool:
    """Whether the user has named columns that are no numbers."""
    return isinstance(column_types, Mapping) and any(kind != "numeric" for kind in column_types.values())


def holds_text(X: Any) -> bool:
    """Tell whether an array holds any text that is no number."""
    if X.dtype.kind in "US":
        return True
    return X.ndim == 2 and any(isinstance(value, str) for value in X.ravel())


def is_whole(dtype: Any) -> bool:
    """Tell whether a dtype is of whole numbers."""
    return getattr(dtype, "kind", None) in ("i", "u")


def ordered(found: set) -> list:
    """Sort values, those of several types by the names of their types first."""
    return sorted(found, key=lambda value: (type(value).__name__, value))


def column_names(X: Any) -> Any:
    """Give the names of the columns of a DataFrame, else None."""
    return list(X.columns) if hasattr(X, "columns") else None


def declared(column_types: Any, names: Any, n_features: int) -> dict[int, str]:
    """Give the types that the user has named, by position."""
    if isinstance(column_types, str):
        return {}
    unknown = sorted(set(map(str, column_types.values())) - set(COLUMN_TYPES))
    if unknown:
        raise ValueError(f"column_types must be among {list(COLUMN_TYPES)}; got {unknown[0]!r}.")
    found = positions(list(column_types), names, n_features, "column_types")
    return dict(zip(found, column_types.values(), strict=True))


def make_column(column: Any, kind: str | None, handle_unknown: str, name: Any) -> Numbers | Categories:
    """Make out what a column is, unless that was said, and how it is to be read."""
    dtype, values = column.dtype, values_of(column)
    if getattr(dtype, "kind", None) in ("M", "m"):
        raise TypeError(
            f"Column {name!r} holds dates or times; a table argument must be a string, a number or a "
            "category. Drop it, or turn it into numbers such as the day of the year."
        )
    levels = list(dtype.categories) if hasattr(dtype, "categories") else None
    if kind is None:
        kind = _guess(values, dtype, levels)
    if kind in ("numeric", "count"):
        return Numbers(values, dtype, kind == "count", name)
    return Categories(values.astype(object), dtype, levels, kind == "binary", handle_unknown, name)


def _guess(values: np.ndarray, dtype: Any, levels: list | None) -> str:
    if levels is None and values.dtype != object:
        return "binary" if getattr(dtype, "kind", None) == "b" else "numeric"
    if levels is None:
        found = {type(value) for value in values if not is_missing(value)}
        odd = [one.__name__ for one in found if not issubclass(one, (str, bool, np.bool_, Number))]
        if odd:
            raise TypeError(
                f"A column holds values of type {odd[0]}; an argument must be a string or a number."
            )
        if not any(issubclass(one, str) or one is bool for one in found):
            return "numeric"
    return "binary" if len({value for value in values if not is_missing(value)}) == 2 else "categorical"


def new_scaler(scaling: str, n_rows: int) -> Any:
    """Return scikit-learn's scaler for the name, None for none."""
    if scaling == "none":
        return None
    scalers = {
        "standard": StandardScaler(),
        "robust": RobustScaler(),
        "quantile": QuantileTransformer(
            n_quantiles=min(1000, n_rows), output_distribution="normal", random_state=0
        ),
    }
    # Arrays, whatever the user has told scikit-learn to give in general.
    return scalers[scaling].set_output(transform="default")


def cast_back(values: np.ndarray, dtype: Any) -> Any:
    """Give values of a column their dtype back."""
    import pandas

    return pandas.Series(values).astype(dtype)
