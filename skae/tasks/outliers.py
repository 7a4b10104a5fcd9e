"""Find and explain outliers by an ensemble of autoencoders."""

from __future__ import annotations

import dataclasses
import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.parallel import Parallel, delayed

from skae._containers import as_passed, is_pandas, take_column, take_rows
from skae._extras import import_extra
from skae._parameters import Declared
from skae._random import Streams
from skae._typing import Dense
from skae.estimators import AutoencoderTransformer, BaseAutoencoder
from skae.estimators._checks import (
    Interval,
    RealNotInt,
    StrOptions,
    check_apart,
    check_is_fitted,
    check_parameters,
    take_fit_params,
    unchanged_on_failure,
)
from skae.estimators._state import PlainState
from skae.tables import Directions
from skae.tables.cells import is_missing, missing_cells, values_of
from skae.tasks._density import Clusters, Density
from skae.tasks._members import MOST_SURPRISE, Member, Training, grow, quantile
from skae.tasks._rows import check_row_weights, check_rows, dense, is_wide, route, router

if TYPE_CHECKING:
    from pandas import DataFrame
    from sklearn.utils import Tags
    from sklearn.utils.metadata_routing import MetadataRouter

__all__ = ["AutoencoderOutlierDetector"]

_LEAST_CALIBRATED = 50
_AUTO = 0.05
_AUTO_SAMPLES = 256
# Numbers beyond are as odd as this one; their squares would overflow.
_LARGEST = 1e100
_N_DIRECTIONS = 128


class AutoencoderOutlierDetector(PlainState, Declared, CallbackSupportMixin, OutlierMixin, BaseEstimator):
    """Find rows that are reconstructed badly, or whose codes are far from those of other rows.

    An ensemble of small autoencoders, each of a subsample of the rows and with a code of another size.
    Errors are in standard deviations of each column's errors, so that columns that are easy to reconstruct
    count as much as the others. Each autoencoder is then trained again without the rows with the largest
    anomalies, so that outliers among the training rows have less influence. Read more in the guide,
    :doc:`/guide/outliers`.

    Parameters
    ----------
    estimator : autoencoder of skae, default=None
        Estimator that is cloned for each member of the ensemble, with other seeds. None is an
        `AutoencoderTransformer` of standardised columns, with 1, 2, a quarter and half as many components as
        columns in turn.
    n_estimators : int, default=8
        Number of members of the ensemble, at least 1.
    max_samples : int, float, "auto" or "all", default="auto"
        Rows that each member is trained on: a number of at least 2, a share in (0, 1], or all that are not
        held out for `p_values`. "auto" is 256, or all if there are fewer. Small samples hold few outliers,
        and make members differ.
    n_refits : int, default=1
        Number of times that each member is trained again without the rows with the largest anomalies. Use 0
        if the training rows are known to be clean.
    trim : float, default=0.2
        Share of the rows left out by each refit, in (0, 0.5].
    contamination : "auto" or float, default="auto"
        Share of outliers among the training rows, in (0, 0.5]: sets `offset_`. "auto" is 0.05.
    calibration_fraction : float, default=0.2
        Share of the rows that no member sees, for `p_values`, in [0, 0.5]; none if there are fewer than 50
        rows. If none are held out, `p_values` compares with the training rows, and is not valid.
    warm_start : bool, default=False
        Whether `fit` keeps the members of the previous fit, and only adds those missing to `n_estimators`.
    n_jobs : int or None, default=None
        Number of processes, as in `joblib`. The members of each are trained side by side; results do not
        depend on `n_jobs` but for rounding.
    random_state : int, RandomState instance or None, default=None
        Source of the subsamples and of the seeds of the members.

    Attributes
    ----------
    estimators_ : list
        The fitted autoencoders.
    max_samples_ : int
        Number of rows that each member is trained on.
    offset_ : float
        ``decision_function(X) = score_samples(X) - offset_``.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Sorted scores of rows that no member has seen, which `p_values` compares with; of all rows if none
        are held out.
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
    sklearn.ensemble.IsolationForest : Trees that split rows at random.

    Notes
    -----
    What cannot be computed is an outlier: numbers beyond what the network can take, categories that training
    has not seen, and rows without any value get the lowest possible scores, which are finite.

    Sparse rows with more than 256 columns are read through their 256 leading directions; the norm of the
    residual outside of them is one more column of the members.

    Callbacks are called for each fit of a member, and passed to the members, as in scikit-learn's searches.

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
    max_samples: int | float | str = "auto"
    n_refits: int = 1
    trim: float = 0.2
    contamination: float | str = "auto"
    calibration_fraction: float = 0.2
    warm_start: bool = False
    n_jobs: int | None = None
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "estimator": [BaseAutoencoder, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [
            StrOptions({"auto", "all"}),
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
        ],
        "n_refits": [Interval(Integral, 0, None, closed="left")],
        "trim": [Interval(Real, 0, 0.5, closed="right")],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "calibration_fraction": [Interval(Real, 0, 0.5, closed="both")],
        "warm_start": ["boolean"],
        "n_jobs": [Interval(Integral, -(2**15), 2**15, closed="both"), None],
        "random_state": ["random_state"],
    }

    _further_classes: ClassVar[dict[str, type]] = {
        "tasks.Member": Member,
        "tasks.Density": Density,
        "tasks.Clusters": Clusters,
    }
    _learnt_together: ClassVar[tuple[str, ...]] = ("estimators_", "offset_", "calibration_scores_")

    @with_callbacks
    def fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Fit the ensemble.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with or without outliers; missing values, text and categories as for the estimator inside.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0: twice the weight counts like the row twice, in the members and in
            the shares `trim` and `contamination`. None weights all rows equally.
        **params : dict
            Metadata that `fit` of the estimator inside requests, with ``enable_metadata_routing=True``.

        Returns
        -------
        self : object
            The fitted detector.
        """
        with unchanged_on_failure(self):
            check_parameters(self)
            members = self._kept_members()
            table = self._validated(X, reset=not members)
            weight = check_row_weights(sample_weight, table)
            params = route(self, weight, params)
            if weight is not None:
                # Rows that weigh nothing are not there.
                used = np.flatnonzero(weight)
                params = take_fit_params(table, params, used)
                table, weight = take_rows(table, used), weight[used]
                weight = weight if (weight == np.round(weight)).all() else weight / weight.mean()
            streams = self._streams = self._streams if members else Streams(self.random_state)
            order = streams.numpy("split").permutation(table.shape[0])
            is_enough = len(order) >= _LEAST_CALIBRATED
            n_held_out = int(self.calibration_fraction * len(order)) if is_enough else 0
            held_out, training = order[:n_held_out], order[n_held_out:]
            if not members:
                self._directions = self._new_directions(table, training, weight)
                table = table if self._directions is None else self._along(self._directions, table)
            self.max_samples_ = self._n_samples(len(training), table.shape[0])
            self._members = members + self._new_members(table, training, weight, params, len(members))
            self.estimators_ = [member.model for member in self._members]
            self._categories = self._seen_categories(take_rows(table, training))
            scores = self._scores(table)
            self._calibrate(scores, held_out if n_held_out else order, weight)
            self.offset_ = self._offset(scores, weight)
        return self

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the score of each row: the lower, the more abnormal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean over members of the logarithm of the anomaly: the mean of a row's squared errors,
            each in standard deviations of its column's errors, and the squared distance of its code. About 0
            for rows like those of training.
        """
        return as_passed(self._scored(X), X)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the score of each row minus the threshold for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        return as_passed(np.where(self._scored(X) - self.offset_ < 0, -1, 1), X)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Return conformal p-values: how likely a score as low as that of a row is among held-out rows.

        If a row is like the held-out rows, the probability of a value of at most `p` is at most `p`, whatever
        the model. Outliers among the held-out rows make p-values larger.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that were not trained on.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            In (0, 1]; the smallest possible value is ``1 / (n_calibration + 1)``.
        """
        scores = self._scored(X)
        n_below = np.searchsorted(self.calibration_scores_, scores, side="right")
        if self._calibration_weights is None:
            return as_passed((1 + n_below) / (1 + len(self.calibration_scores_)), X)
        weights = self._calibration_weights
        return as_passed((1 + weights[n_below]) / (1 + weights[-1]), X)

    def feature_contributions(self, X: ArrayLike, units: str = "data") -> DataFrame:
        """Explain rows: how far each column is from its expected value given the other columns.

        Each column is hidden in turn and predicted from the others, since a visible unusual cell would change
        the expected values of all columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        units : {"data", "deviations"}, default="data"
            Units of the errors: those of each column, or standard deviations of the column's errors, which
            are comparable between columns.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_features)
            Value minus expected value, mean over members: positive if a value is larger than expected. For
            columns that are not numbers, one minus the probability of the value. NaN for missing cells.

        Raises
        ------
        ValueError
            If `units` is not known, or the rows of `fit` were sparse with more than 256 columns.
        """
        check_is_fitted(self, "estimators_")
        if units not in ("data", "deviations"):
            raise ValueError(f"units must be 'data' or 'deviations'; got {units!r}.")
        pandas = import_extra("pandas", "pandas", "feature_contributions")
        if self._directions is not None:
            raise ValueError(
                "The rows of fit were sparse with more than 256 columns, so the members know their leading "
                "directions, not their columns. For feature_contributions choose up to 256 columns."
            )
        table = self._validated(X, reset=False)
        found = np.mean([member.contributions(table, units) for member in self._members], axis=0)
        names = getattr(self, "feature_names_in_", np.arange(found.shape[1]))
        return pandas.DataFrame(found, columns=names, index=X.index if is_pandas(X) else None)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that `fit` requests, and those of the estimator inside.

        Returns
        -------
        routing : MetadataRouter
        """
        return router(self, AutoencoderTransformer() if self.estimator is None else clone(self.estimator))

    # ------------------------------------------------------------------ inside

    def _validated(self, X: ArrayLike, reset: bool) -> Any:
        table = check_rows(self, X, reset, min_samples=2 if reset else 1)
        if reset:
            return _moderate(table if is_wide(table) else dense(table))
        return (
            _moderate(dense(table))
            if self._directions is None
            else self._along(self._directions, _moderate(table))
        )

    def _scored(self, X: ArrayLike) -> np.ndarray:
        """Return the scores of rows as an array, whatever the rows are."""
        check_is_fitted(self, "estimators_")
        return self._scores(self._validated(X, reset=False))

    def _kept_members(self) -> list[Member]:
        """Return the members that a warm start keeps."""
        members = getattr(self, "_members", []) if self.warm_start else []
        if self.n_estimators < len(members):
            raise ValueError(
                f"n_estimators={self.n_estimators} must be larger or equal to len(estimators_)="
                f"{len(members)} when warm_start==True. Set warm_start=False to start anew."
            )
        if members and self.n_estimators == len(members):
            warnings.warn(
                "Warm-start fitting without increasing n_estimators does not fit new members.", stacklevel=4
            )
        return members

    def _new_directions(
        self, table: Any, training: np.ndarray, weight: np.ndarray | None
    ) -> Directions | None:
        """Return the directions of wide sparse rows, None for other rows."""
        if not is_wide(table):
            return None
        weight = None if weight is None else weight[training]
        return Directions(table[training], _N_DIRECTIONS, weight)

    @staticmethod
    def _along(directions: Directions, table: Any) -> np.ndarray:
        """Return rows along the directions, and the norm of each one outside of them."""
        # In single precision, sums of large values would overflow.
        table = table.astype(np.float64)
        inside = directions.encode(table)
        return _moderate(np.column_stack([inside, np.sqrt(directions.left_out(table, inside))]))

    def _n_samples(self, n_training: int, n_rows: int) -> int:
        wanted = self.max_samples
        if isinstance(wanted, str):
            return n_training if wanted == "all" else min(_AUTO_SAMPLES, n_training)
        if not isinstance(wanted, Integral):
            return max(2, int(float(wanted) * n_training))
        if wanted > n_rows:
            warnings.warn(
                f"max_samples ({wanted}) is greater than the total number of samples ({n_rows}). max_samples "
                "will be set to n_samples for estimation.",
                stacklevel=4,
            )
        return min(int(wanted), n_training)

    def _new_members(
        self,
        table: Dense,
        training: np.ndarray,
        weight: np.ndarray | None,
        params: dict[str, Any],
        first: int,
    ) -> list[Any]:
        """Return the members from a first one on."""
        numbers = range(first, self.n_estimators)
        context = self._init_callback_context(max_subtasks=len(numbers), sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, X=table)
        owner = clone(self)
        planned = []
        for index in numbers:
            random = self._streams.numpy("rows", index)
            drawn = training[random.permutation(len(training))[: self.max_samples_]]
            rows, seed = take_rows(table, drawn), int(random.randint(2**31 - 1))
            planned.append(
                Training(
                    self._model(rows.shape[1], index).set_params(random_state=seed),
                    rows,
                    None if weight is None else weight[drawn],
                    take_fit_params(table, params, drawn),
                    self.trim,
                    self.n_refits,
                    seed,
                    owner,
                    context.subcontext(
                        task_name="member", task_id=index - first, max_subtasks=1 + self.n_refits
                    ),
                )
            )
        # Those of one process are trained side by side.
        n_jobs = 1 if self.n_jobs is None else effective_n_jobs(self.n_jobs)
        n_parts = max(1, min(n_jobs, len(planned)))
        check_apart([training.model.checkpoint for training in planned])
        parts = [planned[part::n_parts] for part in range(n_parts)]
        grown = Parallel(n_jobs=self.n_jobs)(delayed(grow)(part) for part in parts if part)
        context.call_on_fit_task_end(estimator=self, X=table)
        by_part = [list(part) for part in grown if part is not None]
        return [by_part[index % n_parts][index // n_parts] for index in range(len(planned))]

    def _model(self, n_features: int, index: int) -> BaseAutoencoder:
        if self.estimator is not None:
            return cast(BaseAutoencoder, clone(self.estimator))
        sizes = (1, 2, max(1, n_features // 4), max(1, n_features // 2))
        # Briefly: what takes long to learn is what outliers have in common.
        return AutoencoderTransformer(
            sizes[index % 4],
            hidden_layer_sizes=(128, 64),
            scaling="standard",
            learning_rate_init=0.02,
            weight_decay=0.1,
            input_noise=0.0,
            max_iter=20,
            validation_fraction=0.2,
        )

    def _seen_categories(self, training: Dense) -> dict[int, set]:
        """Return the categories that training has seen, by position of their columns."""
        columns = [member.model._inside.columns for member in self._members]
        if not columns[0].is_mixed:
            return {}
        return {
            j: {value for value in values_of(take_column(training, j)).tolist() if not is_missing(value)}
            for j in range(columns[0].n_features)
            if any(one.holds_categories(j) for one in columns)
        }

    def _never_seen(self, table: Dense) -> np.ndarray:
        """Return which rows hold a category that training has not seen, or no value at all."""
        missing = missing_cells(table)
        found = np.asarray(missing.all(axis=1))
        for j, known in self._categories.items():
            values = values_of(take_column(table, j))
            new = np.fromiter(
                (value not in known for value in values.tolist()), dtype=bool, count=len(values)
            )
            found |= new & ~missing[:, j]
        return found

    def _scores(self, table: Dense) -> np.ndarray:
        total = np.zeros(table.shape[0])
        for member in self._members:
            total -= np.log(member.scores(table) + 1e-12)
        return np.where(self._never_seen(table), -np.log(MOST_SURPRISE), total / len(self._members))

    def _calibrate(self, scores: np.ndarray, rows: np.ndarray, weight: np.ndarray | None) -> None:
        """Keep sorted scores of some rows, and the total weight below each of them."""
        order = rows[np.argsort(scores[rows])]
        self.calibration_scores_ = scores[order]
        self._calibration_weights = None if weight is None else np.append(0.0, np.cumsum(weight[order]))

    def _offset(self, scores: np.ndarray, weight: np.ndarray | None) -> float:
        share = _AUTO if isinstance(self.contamination, str) else self.contamination
        return quantile(scores, share, weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags


def _moderate(table: Any) -> Any:
    """Return a table whose numbers are cut off where their squares would overflow."""
    if issparse(table):
        table = table.copy()
        table.data = _moderate(table.data)
        return table
    if not hasattr(table, "iloc"):
        return np.clip(table, -_LARGEST, _LARGEST) if table.dtype == np.float64 else table
    for j, dtype in enumerate(table.dtypes):
        if dtype == np.float64 and (np.abs(table.iloc[:, j]) > _LARGEST).any():
            table = table.copy()
            table.isetitem(j, table.iloc[:, j].clip(-_LARGEST, _LARGEST))
    return table
