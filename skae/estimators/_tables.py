"""Tables as users have them, and the numeric columns that a network sees of them.

Text becomes one column a category, two values become 0 and 1, counts their logarithms, numbers are scaled if
asked to; what is missing becomes NaN. Everything is undone by `decode`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from skae._counts import check_moderate
from skae.estimators._cells import column_of, is_number
from skae.estimators._columns import positions
from skae.estimators._dtypes import cast_back
from skae.estimators._kinds import make_column

COLUMN_TYPES = ("numeric", "binary", "categorical", "count")
SCALINGS = ("auto", "none", "standard", "robust", "quantile")
# Columns that hardly vary would count without limit, were their loss divided by what little there is.
_LEAST_BASELINE = 0.05
# Rows of which the mean is taken at once: copies of them are small beside the table.
_MEAN_ROWS = 8192


class Owned(NamedTuple):
    """Which columns inside belong to which of the user's."""

    owners: np.ndarray  # (n_inside,) position of the user's column
    groups: list[int]  # the same, as numbers of groups
    kinds: list[str]  # by column inside


class Header(NamedTuple):
    """What a DataFrame calls its columns, as plain data."""

    names: list[Any]
    levels: list[Any]  # names of the levels of names, more than one where names are tuples
    dtype: Any

    @classmethod
    def of(cls, labels: Any) -> "Header":
        """Return the header of labels of pandas."""
        return cls(labels.tolist(), list(labels.names), labels.dtype)

    def labels(self) -> Any:
        """Return labels of pandas."""
        import pandas

        if len(self.levels) > 1:
            return pandas.MultiIndex.from_tuples(self.names, names=self.levels)
        return pandas.Index(self.names, dtype=self.dtype, name=self.levels[0], tupleize_cols=False)


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
        self.header = Header.of(X.columns) if hasattr(X, "iloc") else None
        self.columns = [
            make_column(column_of(X, j), wanted.get(j), handle_unknown, names[j] if names is not None else j)
            for j in range(X.shape[1])
        ]
        widths = [column.width for column in self.columns]
        owners = np.repeat(np.arange(X.shape[1]), widths)
        self.starts = np.cumsum([0, *widths])
        kinds = [column.kind for column in self.columns for _ in range(column.width)]
        self.inside = Owned(owners, owners.tolist(), kinds)
        self.numeric = np.array([kind == "numeric" for kind in kinds])
        raw = self._raw(X)
        self.scaler = new_scaler(scaling, len(raw)) if self.numeric.any() else None
        if self.scaler is not None:
            numbers = self._numbers(raw)
            if scaling == "standard":
                # Before its squares overflow, which would leave a column without any value.
                check_moderate(numbers)
            # A column without any value has no mean, and comes back as zero.
            self.is_empty = np.isnan(numbers).all(axis=0)
            weights = {"sample_weight": weight} if scaling == "standard" and weight is not None else {}
            known = np.where(self.is_empty, 0.0, numbers) if self.is_empty.any() else numbers
            self.scaler.fit(known, **weights)
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

    def unknown(self, X: Any) -> np.ndarray:
        """Return which cells hold a category that training has not seen, (n_samples, n_features)."""
        return np.column_stack([column.unknown(column_of(X, j)) for j, column in enumerate(self.columns)])

    def _raw(self, X: Any) -> np.ndarray:
        dtype = X.dtype if getattr(X, "dtype", None) in (np.float32, np.float64) else np.float64
        if isinstance(X, np.ndarray) and X.dtype == dtype and not self.is_mixed:
            return X
        parts = [column.encode(column_of(X, j)) for j, column in enumerate(self.columns)]
        return np.concatenate(parts, axis=1).astype(dtype, copy=False)

    def _numbers(self, inside: np.ndarray) -> np.ndarray:
        """Return the numeric columns; without a copy where there are no others."""
        return inside[:, self.numeric] if self.is_mixed else inside

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
        parts = [column.decode(raw[:, self._own(j)]) for j, column in enumerate(self.columns)]
        if self.header is None:
            if all(part.dtype != object for part in parts):
                return np.column_stack(parts).astype(rows.dtype, copy=False)
            table = np.empty((len(rows), len(parts)), dtype=object)
            for j, part in enumerate(parts):
                table[:, j] = part
            return table
        import pandas

        whole = {j: cast_back(parts[j], column.dtype) for j, column in enumerate(self.columns)}
        return pandas.DataFrame(whole).set_axis(self.header.labels(), axis=1)

    def _own(self, j: int) -> slice:
        """Return which columns inside belong to one of the user's."""
        return slice(self.starts[j], self.starts[j + 1])

    def unscale(self, rows: np.ndarray) -> np.ndarray:
        """Undo the scaling of numeric columns (n_samples, n_inside)."""
        if self.scaler is None:
            return rows
        numbers = self.scaler.inverse_transform(self._numbers(rows))
        numbers[:, self.is_empty] = 0.0
        if not self.is_mixed:
            return numbers
        raw = rows.copy()
        raw[:, self.numeric] = numbers
        return raw

    def by_owner(self, cells: np.ndarray) -> np.ndarray:
        """Add up what the columns inside say (n_samples, n_inside), by the user's column; NaN stays."""
        return np.add.reduceat(cells, self.starts[:-1], axis=1)

    def _weights(self, inside: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Give the factor of each loss: one over what the best constant leaves, in numeric columns' units."""
        weights = np.ones(inside.shape[1])
        if not self.is_mixed:
            return weights
        check_moderate(inside)
        there = ~np.isnan(inside)
        known = np.where(there, inside, 0.0)
        counts = np.maximum(weight @ there.astype(np.float64), np.finfo(float).tiny)
        means = weight @ known / counts
        variances = weight @ np.where(there, known - means, 0.0) ** 2 / counts
        unit = float(variances[self.numeric].mean()) if self.numeric.any() else 1.0
        for j, column in enumerate(self.columns):
            own = self._own(j)
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
    """Whether X is more than numbers to be taken as they are."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if kind in ("M", "m"):
        raise TypeError(
            f"X holds dates or times, {X.dtype}; a table argument must be a string, a number or a category. "
            "Drop them, or turn them into numbers such as the day of the year."
        )
    if scaling not in ("auto", "none"):
        return True
    if declares_kinds(column_types):
        return True
    if hasattr(X, "iloc"):
        return any(not is_number(dtype) for dtype in X.dtypes)
    return kind is not None and kind in "OUST" and holds_text(X)


def declares_kinds(column_types: Any) -> bool:
    """Whether the user has named columns that are no numbers."""
    return isinstance(column_types, Mapping) and any(kind != "numeric" for kind in column_types.values())


def holds_text(X: Any) -> bool:
    """Whether an array holds any text, or dates, for which numpy has numbers."""
    if X.dtype.kind in "UST":
        return True
    kinds = set(map(type, X.ravel().tolist()))
    return X.ndim == 2 and any(issubclass(kind, (str, np.datetime64, np.timedelta64)) for kind in kinds)


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
