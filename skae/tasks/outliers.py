"""Find rows that an autoencoder of the others does not give back, and say why."""

import dataclasses
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin, clone

from skae._containers import as_passed
from skae._extras import import_extra
from skae._parameters import Declared
from skae._random import Streams
from skae.estimators import AutoencoderTransformer, BaseAutoencoder
from skae.estimators._checks import (
    Interval,
    StrOptions,
    check_is_fitted,
    check_parameters,
    unchanged_on_failure,
)
from skae.estimators._data import check_table
from skae.estimators._state import PlainState

__all__ = ["AutoencoderOutlierDetector"]

_LEAST_ROWS = 10
# Parts of a column's deviation below which an error is none: columns that are given back exactly.
_LEAST_DEVIATION = 0.01
_CALIBRATION = 0.2
_AUTO = 0.05
_N_REFERENCE = 256


class Member(NamedTuple):
    """One autoencoder of the ensemble, and what its errors and codes are measured by."""

    model: BaseAutoencoder
    deviations: np.ndarray  # (n_inside,) of the errors of each column
    centre: np.ndarray  # (n_components,) of codes
    precision: np.ndarray  # (n_components, n_components)
    reference: np.ndarray  # (n_reference, n_inside) some of the rows trained on

    def surprise(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Give signed errors in deviations (n, n_inside), and the squared distances of codes (n,)."""
        inside = self.model._validated(X)
        codes = self.model._codes(inside)
        back = self.model._codec.decode(codes)
        off = codes - self.centre
        distances = np.einsum("ij,jk,ik->i", off, self.precision, off)
        return (inside - back) / self.deviations, distances

    def scores(self, X: Any) -> np.ndarray:
        """Give the surprise of each row, about one where nothing is odd."""
        errors, distances = self.surprise(X)
        there = ~np.isnan(errors)
        squared = np.where(there, errors, 0.0) ** 2
        # Rows with gaps: as if the missing cells were as surprising as the others.
        share = errors.shape[1] / np.maximum(there.sum(axis=1), 1)
        n_terms = errors.shape[1] + len(self.centre)
        return (squared.sum(axis=1) * share + distances) / n_terms


class AutoencoderOutlierDetector(PlainState, Declared, OutlierMixin, BaseEstimator):
    """Find rows that a model of the others gives back badly, or whose codes lie far out.

    An ensemble of small autoencoders, each of a subsample of the rows and with a code of another size.
    Errors are measured in deviations of each column's errors, so that columns that are easy to give back
    count as much as the others; each autoencoder is then trained again without the rows that surprised it
    most, so that outliers among the training rows do not teach it. Read more in the guide,
    :doc:`/guide/outliers`.

    Parameters
    ----------
    estimator : autoencoder of skae, default=None
        What learns the rows; cloned for each member of the ensemble, with other seeds. None is an
        `AutoencoderTransformer` of standardised columns, with 1, 2, a quarter and half as many components as
        columns in turn.
    n_estimators : int, default=8
        Members of the ensemble, at least 1.
    max_samples : int, float or "all", default=256
        Rows that each member sees: a number, a share in (0, 1], or all. Few rows hold few outliers, and
        members that differ.
    n_refits : int, default=1
        How often each member is trained again without the rows that surprise it most. 0 suits training rows
        that are known to be clean.
    trim : float, default=0.2
        Share of the rows left out by each refit, in (0, 0.5].
    contamination : "auto" or float, default="auto"
        Share of outliers among the training rows, in (0, 0.5]: sets `offset_`. "auto" is 0.05.
    random_state : int, RandomState instance or None, default=None
        Source of the subsamples and of the seeds of the members.

    Attributes
    ----------
    estimators_ : list
        The fitted autoencoders.
    offset_ : float
        ``decision_function(X) = score_samples(X) - offset_``.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Sorted scores of rows that no member has seen: what `p_values` compares with.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has names that are all strings.

    Raises
    ------
    ValueError
        At `fit`, if a parameter or the data cannot be used.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Trees that part rows at random.

    Notes
    -----
    A fifth of the rows, where there are 50 or more, is held out for `p_values`.

    References
    ----------
    .. [1] Chen, J., Sathe, S., Aggarwal, C. and Turaga, D. (2017). Outlier detection with autoencoder
       ensembles. SIAM International Conference on Data Mining.
    .. [2] Zhou, C. and Paffenroth, R. C. (2017). Anomaly detection with robust deep autoencoders. KDD.
    .. [3] Bates, S., Candes, E., Lei, L., Romano, Y. and Sesia, M. (2023). Testing for outliers with
       conformal p-values. Annals of Statistics 51(1), 149-178.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae.tasks import AutoencoderOutlierDetector
    >>> X = load_iris().data
    >>> detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(X)
    >>> odd = X[:1] * [1, 3, 1, 1]
    >>> detector.predict(odd)
    array([-1])
    >>> int(detector.feature_contributions(odd, units="deviations").iloc[0].abs().argmax())
    1
    """

    estimator: BaseAutoencoder | None = dataclasses.field(default=None, kw_only=False)
    n_estimators: int = 8
    max_samples: int | float | str = 256
    n_refits: int = 1
    trim: float = 0.2
    contamination: float | str = "auto"
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "estimator": [BaseAutoencoder, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [
            StrOptions({"all"}),
            Interval(Integral, 2, None, closed="left"),
            Interval(Real, 0, 1, closed="right"),
        ],
        "n_refits": [Interval(Integral, 0, None, closed="left")],
        "trim": [Interval(Real, 0, 0.5, closed="right")],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "random_state": ["random_state"],
    }

    _further_classes: ClassVar[dict[str, type]] = {"tasks.Member": Member}
    _learnt_together: ClassVar[tuple[str, ...]] = ("estimators_", "offset_", "calibration_scores_")

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with or without outliers; gaps, text and categories as for the estimator inside.
        y : Ignored
            Present for the conventions of scikit-learn.

        Returns
        -------
        self : object
            The fitted detector.
        """
        with unchanged_on_failure(self):
            check_parameters(self)
            table = self._validated(X, reset=True)
            streams = Streams(self.random_state)
            order = streams.numpy("split").permutation(table.shape[0])
            n_held_out = int(_CALIBRATION * len(order)) if len(order) >= 50 else 0
            held_out, training = order[:n_held_out], order[n_held_out:]
            members = [
                self._member(take(table, training), index, streams) for index in range(self.n_estimators)
            ]
            self._members = members
            self.estimators_ = [member.model for member in members]
            scores = self._scores(table)
            self.calibration_scores_ = np.sort(scores[held_out if n_held_out else order])
            self.offset_ = self._offset(scores)
        return self

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Give how usual each row is: the higher, the more.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean, over members, of the logarithm of the surprise: a row's squared errors, each in
            deviations of its column's errors, and the squared distance of its code, on average. About 0
            for rows like those of training.
        """
        return as_passed(self._scored(X), X)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Give how usual each row is, above the limit for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Tell outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        return as_passed(np.where(self._scored(X) - self.offset_ < 0, -1, 1), X)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Give how likely a row as odd as this one is among rows like those of training.

        Conformal: compared with rows that were held out. If a row is like those, the chance of a value of at
        most `p` is at most `p`, whatever the model. It takes the held-out rows for usual ones; outliers among
        them make the values larger than they might be.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that were not trained on.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            In (0, 1]; the least that is possible is one over one more than the number of rows held out.
        """
        n_below = np.searchsorted(self.calibration_scores_, self._scored(X), side="right")
        return as_passed((1 + n_below) / (1 + len(self.calibration_scores_)), X)

    def feature_contributions(self, X: ArrayLike, units: str = "data") -> Any:
        """Tell why rows are odd: how far each column is from what the other columns lead to expect.

        Each column is hidden in turn and told by the others, since an odd cell that is seen would move
        what is expected of all the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        units : {"data", "deviations"}, default="data"
            Units of the errors: those of each column, or deviations of the column's errors, which tell what
            is odd about them.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            Value less expected value, mean over members: above 0 where a row has more than expected. For
            columns that are no numbers, how unlikely the value was: between 0 and 1. NaN for missing cells.
        """
        check_is_fitted(self, "estimators_")
        if units not in ("data", "deviations"):
            raise ValueError(f"units must be 'data' or 'deviations'; got {units!r}.")
        pandas = import_extra("pandas", "pandas", "feature_contributions")
        table = self._validated(X, reset=False)
        found = np.mean([_contributions(member, table, units) for member in self._members], axis=0)
        names = getattr(self, "feature_names_in_", np.arange(cast(Any, self).n_features_in_))
        return pandas.DataFrame(
            found, columns=names, index=cast(Any, X).index if hasattr(X, "iloc") else None
        )

    # ------------------------------------------------------------------ inside

    def _validated(self, X: Any, reset: bool) -> Any:
        return check_table(self, X, reset, min_samples=2 if reset else 1)

    def _scored(self, X: Any) -> np.ndarray:
        """Return the scores of rows as an array, whatever the rows are."""
        check_is_fitted(self, "estimators_")
        return self._scores(self._validated(X, reset=False))

    def _member(self, table: Any, index: int, streams: Streams) -> Member:
        random = streams.numpy("rows", index)
        rows = take(table, random.permutation(table.shape[0])[: self._n_samples(table.shape[0])])
        seed = int(random.randint(2**31 - 1))
        member = self._fitted(rows, index, seed)
        for _ in range(self.n_refits):
            surprise = member.scores(rows)
            kept = surprise <= np.quantile(surprise, 1 - self.trim)
            if kept.sum() < _LEAST_ROWS:
                break
            rows = take(rows, np.flatnonzero(kept))
            member = self._fitted(rows, index, seed)
        return member

    def _n_samples(self, n_rows: int) -> int:
        if isinstance(self.max_samples, str):
            return n_rows
        if isinstance(self.max_samples, Integral):
            return min(int(self.max_samples), n_rows)
        return max(2, int(float(self.max_samples) * n_rows))

    def _fitted(self, rows: Any, index: int, seed: int) -> Member:
        if self.estimator is None:
            n_features = rows.shape[1]
            sizes = (1, 2, max(1, n_features // 4), max(1, n_features // 2))
            # Briefly: what takes long to learn is what outliers have in common.
            model = AutoencoderTransformer(
                sizes[index % 4], scaling="standard", max_iter=20, validation_fraction=0.2
            )
        else:
            model = cast(BaseAutoencoder, clone(self.estimator))
        model = model.set_params(random_state=seed).fit(rows)
        inside = model._validated(rows)
        codes = model._codes(inside)
        errors = inside - model._codec.decode(codes)
        deviations = _root_mean_square(errors) + _LEAST_DEVIATION * _spread(inside)
        centre = codes.mean(axis=0)
        covariance = np.atleast_2d(np.cov(codes.T, bias=True))
        ridge = 1e-6 * max(float(np.trace(covariance)) / len(centre), 1e-12)
        precision = np.linalg.pinv(covariance + ridge * np.eye(len(centre)))
        return Member(model, deviations, centre, precision, inside[:_N_REFERENCE])

    def _scores(self, table: Any) -> np.ndarray:
        total = np.zeros(table.shape[0])
        for member in self._members:
            total -= np.log(member.scores(table) + 1e-12)
        return total / len(self._members)

    def _offset(self, scores: np.ndarray) -> float:
        share = _AUTO if self.contamination == "auto" else cast(float, self.contamination)
        return float(np.quantile(scores, share))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _root_mean_square(cells: np.ndarray) -> np.ndarray:
    """Give that of each column over the cells that are there, NaN where none is."""
    counts = (~np.isnan(cells)).sum(axis=0)
    means = np.nansum(cells**2, axis=0) / np.maximum(counts, 1)
    return np.where(counts > 0, np.sqrt(means), np.nan)


def _spread(inside: np.ndarray) -> np.ndarray:
    """Give the deviation of each column, 1 where nothing varies."""
    means = np.nansum(inside, axis=0) / np.maximum((~np.isnan(inside)).sum(axis=0), 1)
    spread = _root_mean_square(inside - means)
    return np.where(spread > 0, spread, 1 / _LEAST_DEVIATION)


def take(table: Any, rows: np.ndarray) -> Any:
    """Give some rows of a DataFrame or array."""
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def _expected_errors(model: Any, inside: np.ndarray) -> np.ndarray:
    """Give what each of the user's columns is off what the others lead to expect, in columns inside."""
    table = model._table
    owners = np.arange(inside.shape[1]) if table is None else table.inside.owners
    errors = np.empty_like(inside)
    for owner in range(owners.max() + 1):
        own = owners == owner
        hidden = inside.copy()
        hidden[:, own] = np.nan
        errors[:, own] = inside[:, own] - model._codec.decode(model._codes(hidden))[:, own]
    return errors


def _contributions(member: Member, table: Any, units: str) -> np.ndarray:
    """Give the signed errors of the user's columns, each told by the others, (n, n_features)."""
    model: Any = member.model
    inside = model._validated(table)
    errors = _expected_errors(model, inside)
    known = model._table
    if units == "deviations":
        usual = _root_mean_square(_expected_errors(model, member.reference))
        errors = errors / np.maximum(usual, member.deviations)
        if known is None:
            return errors
    elif known is None:
        return errors
    else:
        # In units of the data: what is there, less the same without its error.
        in_data = known.unscale(inside) - known.unscale(inside - errors)
        errors = np.where(known.numeric & ~np.isnan(inside), in_data, errors)
    first = np.searchsorted(known.inside.owners, np.arange(len(known.columns)))
    largest = np.maximum.reduceat(np.abs(errors), first, axis=1)
    is_number = [column.kind in ("numeric", "count") for column in known.columns]
    return np.where(is_number, errors[:, first], largest)
