"""Tables as users have them, and the numeric columns that a network sees of them.

Text becomes one column a category, two values become 0 and 1, counts their logarithms, numbers are scaled if
asked to; what is missing becomes NaN. Everything is undone by `decode`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from skae._containers import is_pandas, take_column
from skae._counts import check_moderate
from skae._typing import Dense, Table
from skae.metrics import squared_errors, variance_explained_score
from skae.tables.columns import Arrangement, Columns, Scaling
from skae.tables.dtypes import cast_back
from skae.tables.kinds import make_column
from skae.tables.positions import positions

if TYPE_CHECKING:
    from pandas import Index

Scaler = StandardScaler | RobustScaler | QuantileTransformer
COLUMN_TYPES = ("numeric", "binary", "categorical", "count")
SCALINGS = ("auto", "none", "standard", "robust", "quantile")
# Columns that hardly vary would count without limit, were their loss divided by what little there is.
_LEAST_BASELINE = 0.05
# Rows of which the mean is taken at once: copies of them are small beside the table.
_MEAN_ROWS = 8192


class Header(NamedTuple):
    """What a DataFrame calls its columns, as plain data."""

    names: list[Any]
    levels: list[Hashable]  # names of the levels of names, more than one where names are tuples
    dtype: Any

    @classmethod
    def of(cls, labels: Index) -> Header:
        """Return the header of labels of pandas."""
        return cls(labels.tolist(), list(labels.names), labels.dtype)

    def labels(self) -> Index:
        """Return labels of pandas."""
        import pandas

        if len(self.levels) > 1:
            return pandas.MultiIndex.from_tuples(self.names, names=self.levels)
        return pandas.Index(self.names, dtype=self.dtype, name=self.levels[0], tupleize_cols=False)


class MixedColumns(Columns):
    """Columns of several kinds, or numbers that are scaled inside.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Training rows.
    column_types : "auto" or dict
        As in the estimators.
    handle_unknown : {"missing", "error"}
        For categories.
    names : list of str, optional
        The names of the columns, where all are text.
    arrangement : Arrangement, optional
        Of images and sequences.
    """

    is_plain: ClassVar[bool] = False

    def __init__(
        self,
        X: Dense,
        column_types: str | Mapping[Hashable, str],
        handle_unknown: str,
        names: list[str] | None = None,
        arrangement: Arrangement | None = None,
    ) -> None:
        super().__init__(X.shape[1], names, arrangement)
        called = column_names(X) if names is None else list(names)
        wanted = declared(column_types, called, X.shape[1])
        self.header = Header.of(X.columns) if is_pandas(X) else None
        self.columns = [
            make_column(take_column(X, j), wanted.get(j), handle_unknown, j if called is None else called[j])
            for j in range(X.shape[1])
        ]
        widths = [column.width for column in self.columns]
        self._owners = np.repeat(np.arange(X.shape[1]), widths)
        self.starts = np.cumsum([0, *widths])
        self._kinds = [column.kind for column in self.columns for _ in range(column.width)]
        self._is_numeric = np.array([kind == "numeric" for kind in self._kinds])
        self.is_mixed = not self._is_numeric.all()
        self.scaler: Any = None
        self.is_empty: np.ndarray | None = None
        # (n_features,) in the units of X; columns of several kinds have no such mean.
        self.means: np.ndarray | None = None
        self._loss_weights = np.ones(self.n_inside)

    @classmethod
    def of(
        cls,
        X: Dense,
        column_types: str | Mapping[Hashable, str],
        scaling: str,
        handle_unknown: str,
        names: list[str] | None = None,
        weight: np.ndarray | None = None,
        arrangement: Arrangement | None = None,
    ) -> tuple[Self, np.ndarray]:
        """Learn the columns of training rows.

        Parameters
        ----------
        X, column_types, handle_unknown, names, arrangement
            As for the class.
        scaling : {"none", "standard", "robust", "quantile"}
            For numeric columns.
        weight : ndarray of shape (n_samples,), optional
            Weights of rows. Robust scaling and quantiles do not heed them, in scikit-learn.

        Returns
        -------
        columns : MixedColumns
        rows : ndarray of shape (n_samples, n_inside)
            The training rows inside.
        """
        columns = cls(X, column_types, handle_unknown, names, arrangement)
        raw = columns._raw(X)
        if columns._is_numeric.any():
            columns.scaler = columns._fitted_scaler(scaling, raw, weight)
        if not columns.is_mixed:
            columns.means = means(raw, weight)
        rows = columns._scaled(raw)
        columns._loss_weights = columns._balanced(rows, np.ones(len(raw)) if weight is None else weight)
        return columns, rows

    def _fitted_scaler(self, scaling: str, raw: np.ndarray, weight: np.ndarray | None) -> Scaler | None:
        scaler = new_scaler(scaling, len(raw))
        if scaler is None:
            return None
        numbers = self._numbers(raw)
        if scaling == "standard":
            # Before its squares overflow, which would leave a column without any value.
            check_moderate(numbers)
        # A column without any value has no mean, and comes back as zero.
        self.is_empty = is_empty = np.asarray(np.isnan(numbers).all(axis=0))
        weights = {"sample_weight": weight} if scaling == "standard" and weight is not None else {}
        known = np.where(is_empty, 0.0, numbers) if is_empty.any() else numbers
        return scaler.fit(known, **weights)

    @property
    def n_inside(self) -> int:
        """Number of columns inside: one a category, one for anything else."""
        return len(self._owners)

    @property
    def owners(self) -> np.ndarray:
        """Position of the user's column that each column inside belongs to, (n_inside,)."""
        return self._owners

    @property
    def kinds(self) -> list[str]:
        """What each column inside holds, (n_inside,): "numeric", "binary", "categorical" or "count"."""
        return self._kinds

    @property
    def loss_weights(self) -> np.ndarray:
        """What the loss of each column inside is multiplied by, so that no kind drowns the others."""
        return self._loss_weights

    @property
    def is_numeric(self) -> np.ndarray:
        """Whether a column inside holds numbers as such, (n_inside,)."""
        return self._is_numeric

    @property
    def is_scaled(self) -> bool:
        """Whether numbers inside are in other units than those of X."""
        return self.scaler is not None

    @property
    def scaling(self) -> Scaling | None:
        """How numbers are scaled on their way inside; None where they are not."""
        if self.scaler is None:
            return None
        shift, factor = np.zeros(self.n_inside), np.ones(self.n_inside)
        if isinstance(self.scaler, QuantileTransformer):
            places = np.flatnonzero(self._is_numeric)
            quantiles, shares = np.asarray(self.scaler.quantiles_), np.asarray(self.scaler.references_)
            return Scaling(shift, factor, places, quantiles, shares)
        is_standard = isinstance(self.scaler, StandardScaler)
        shift[self._is_numeric] = self.scaler.mean_ if is_standard else self.scaler.center_
        factor[self._is_numeric] = self.scaler.scale_
        return Scaling(shift, factor)

    def slopes(self, slopes: np.ndarray) -> np.ndarray:
        """Return slopes by columns inside, (n, n_inside), per unit of X; of quantiles, as they are."""
        scaling = None if self.is_mixed else self.scaling
        return slopes if scaling is None else slopes / scaling.factor

    def encode(self, X: Table) -> np.ndarray:
        """Return numeric columns (n_samples, n_inside), NaN where missing."""
        return self._scaled(self._raw(X))

    def unknown(self, X: Table) -> np.ndarray:
        """Return which cells hold a category that training has not seen, (n_samples, n_features)."""
        return np.column_stack([column.unknown(take_column(X, j)) for j, column in enumerate(self.columns)])

    def _raw(self, X: Table) -> np.ndarray:
        own = getattr(X, "dtype", None)
        dtype = own if own in (np.float32, np.float64) else np.float64
        if isinstance(X, np.ndarray) and X.dtype == dtype and not self.is_mixed:
            return X
        parts = [column.encode(take_column(X, j)) for j, column in enumerate(self.columns)]
        return np.concatenate(parts, axis=1).astype(dtype, copy=False)

    def _numbers(self, inside: np.ndarray) -> np.ndarray:
        """Return the numeric columns; without a copy where there are no others."""
        return inside[:, self._is_numeric] if self.is_mixed else inside

    def _scaled(self, raw: np.ndarray) -> np.ndarray:
        if self.scaler is None:
            return raw
        if not self.is_mixed:
            return self.scaler.transform(raw)
        raw[:, self._is_numeric] = self.scaler.transform(raw[:, self._is_numeric])
        return raw

    def decode(self, rows: np.ndarray) -> Dense:
        """Return the user's table from numeric columns (n_samples, n_inside)."""
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
        if self.is_empty is not None:
            numbers[:, self.is_empty] = 0.0
        if not self.is_mixed:
            return numbers
        raw = rows.copy()
        raw[:, self._is_numeric] = numbers
        return raw

    def settle(self, means: np.ndarray, variances: np.ndarray) -> Scaling | None:
        """Take over means and variances of all rows; standard scaling is then by these.

        Ranks and medians stay those of the sample.
        """
        numeric, change = self._is_numeric, None
        if isinstance(self.scaler, StandardScaler):
            shift = np.where(numeric, np.nan_to_num(means), 0.0)
            factor = np.where(numeric & (variances > 0), np.sqrt(variances), 1.0)
            change = Scaling(shift, factor)
            mean, scale = np.asarray(self.scaler.mean_), np.asarray(self.scaler.scale_)
            self.scaler.mean_ = mean + scale * shift[numeric]
            self.scaler.scale_ = scale * factor[numeric]
            self.scaler.var_ = np.square(self.scaler.scale_)
            means = means - shift
        if self.scaler is not None:
            self.is_empty = np.isnan(means[numeric])
        if self.means is not None and not isinstance(self.scaler, QuantileTransformer):
            self.means = self.unscale(np.nan_to_num(means)[None])[0]
        return change

    def mean(self, centre: np.ndarray) -> np.ndarray:
        """Return the mean of each column in the units of X; with several kinds, that of columns inside."""
        return centre if self.means is None else self.means

    def explained_in_own_units(
        self,
        X: ArrayLike | Table,
        inside: np.ndarray,
        back: np.ndarray,
        centre: np.ndarray,
        weight: np.ndarray | None,
    ) -> float:
        """Return the share of the variance that came back in the units of X, of numbers alone."""
        if not self.is_scaled or self.is_mixed:
            return self.explained(X, inside, back, centre, weight)
        return variance_explained_score(X, self.unscale(back), mean=self.means, sample_weight=weight)

    def errors_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the squared error of each cell of the user's; those of a category's columns are added up."""
        return np.minimum(self._by_owner(squared_errors(inside, back)), np.finfo(np.float64).max)

    def deviations_by_cell(self, X: ArrayLike | Table, inside: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Return the squared deviation of each cell of the user's from the mean, added up alike."""
        return self._by_owner(super().deviations_by_cell(X, inside, centre))

    def _by_owner(self, cells: np.ndarray) -> np.ndarray:
        """Add up what the columns inside say (n_samples, n_inside), by the user's column; NaN stays."""
        return np.add.reduceat(cells, self.starts[:-1], axis=1)

    def _balanced(self, inside: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the factor of each loss: one over what the best constant leaves, in units of numbers."""
        weights = np.ones(inside.shape[1])
        if not self.is_mixed:
            return weights
        check_moderate(inside)
        there = ~np.isnan(inside)
        known = np.where(there, inside, 0.0)
        counts = np.maximum(weight @ there.astype(np.float64), np.finfo(float).tiny)
        means = weight @ known / counts
        variances = weight @ np.where(there, known - means, 0.0) ** 2 / counts
        unit = float(variances[self._is_numeric].mean()) if self._is_numeric.any() else 1.0
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
    """Return the loss of the best constant: the entropy of categories, the deviance of counts."""
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


def column_names(X: Dense) -> list[Hashable] | None:
    """Return the names of the columns of a DataFrame, else None."""
    return list(X.columns) if is_pandas(X) else None


def declared(
    column_types: str | Mapping[Hashable, str], names: Sequence[Hashable] | None, n_features: int
) -> dict[int, str]:
    """Return the types named by the user, by position."""
    if isinstance(column_types, str):
        return {}
    unknown = sorted(set(map(str, column_types.values())) - set(COLUMN_TYPES))
    if unknown:
        raise ValueError(f"column_types must be among {list(COLUMN_TYPES)}; got {unknown[0]!r}.")
    found = positions(list(column_types), names, n_features, "column_types")
    return dict(zip(found, column_types.values(), strict=True))


def new_scaler(scaling: str, n_rows: int) -> Scaler | None:
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
