"""Impute missing values by an autoencoder."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.impute import MissingIndicator

from skae._containers import as_wanted, is_pandas, take_column, take_rows
from skae._parameters import Declared
from skae._random import Streams
from skae._typing import Dense, RandomState
from skae.estimators import BaseAutoencoder, DenoisingAutoencoderTransformer
from skae.estimators._checks import (
    MissingValues,
    check_count,
    check_is_fitted,
    check_parameters,
    in_container,
    output_container,
    take_fit_params,
    unchanged_on_failure,
)
from skae.estimators._state import PlainState
from skae.tables.cells import fill, is_missing, joined, missing_cells, with_gaps
from skae.tables.reading import holds_text
from skae.tasks._rows import (
    check_row_weights,
    check_rows,
    dense,
    like,
    put_back,
    route,
    router,
    take_columns,
)
from skae.training.plan import Steps

if TYPE_CHECKING:
    from sklearn.utils import Tags
    from sklearn.utils.metadata_routing import MetadataRouter

__all__ = ["AutoencoderImputer"]

# Rows that residuals are measured on, and the share of their cells that is hidden for it.
_RESIDUAL_ROWS = 10_000
_HIDDEN = 0.1


class ImputingAutoencoder(DenoisingAutoencoderTransformer):
    """Denoising autoencoder with settings for imputation.

    The default of `AutoencoderImputer`. Only hidden cells count in its loss, since no others are imputed.
    """

    # Chosen on weatherAUS: `benchmarks/imputation.py`.
    n_components: int | float | Literal["elbow"] | None = dataclasses.field(default=32, kw_only=False)
    hidden_layer_sizes: Any = (128, 128)
    corruption: Any = "missing"
    corruption_level: Any = 0.2
    emphasis: float | None = 1.0
    scaling: Any = "standard"
    learning_rate_init: Any = 0.005
    weight_decay: Any = 0.02

    # For folds a tenth of the steps: on iris, wine, diabetes and breast cancer no cell was filled worse.
    _n_steps: ClassVar[Steps] = Steps(folds=150, few=1500, many=1500)


class AutoencoderImputer(PlainState, Declared, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Impute missing values from the other values of the row, also for rows not seen in `fit`.

    By default, a denoising autoencoder learns to predict cells that are hidden from it. DataFrames may hold
    text and categories, which are imputed like numbers. Read more in the guide,
    :doc:`/guide/tables`.

    Parameters
    ----------
    estimator : autoencoder of skae, default=None
        Estimator that is cloned and fitted. None is an ``ImputingAutoencoder``: a
        `DenoisingAutoencoderTransformer` that hides cells (``corruption="missing"``) and is trained for 1,500
        steps, 150 below 1,000 rows. Its parameters can be set and searched over as well, e.g.
        ``estimator__n_components``: `set_params` then puts it here.
    missing_values : number, str or None, default=nan
        Placeholder for missing values. NaN, None and pandas' NA are always missing. Not 0 for sparse rows, in
        which all cells that are not stored are 0.
    add_indicator : bool, default=False
        Whether to add columns that say which cells were missing, those of `MissingIndicator`.
    keep_empty_features : bool, default=False
        Whether to keep columns without any value in `fit`, filled with 0, rather than drop them.
    random_state : int, RandomState instance or None, default=None
        Passed to the estimator, and used to compute residuals. None leaves the estimator its own.

    Attributes
    ----------
    estimator_ : autoencoder
        The fitted estimator.
    indicator_ : MissingIndicator or None
        Transformer that adds the indicator columns.
    residuals_ : list of ndarray
        For each numeric column inside, the errors at hidden cells, which `sample_imputations` adds to
        imputed values. Empty for other columns.
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
    sklearn.impute.IterativeImputer : One regression for each column.

    Notes
    -----
    Observed cells stay as they are. Imputed numbers lie between the smallest and the largest value of the
    column in `fit`.

    References
    ----------
    .. [1] Vincent, P., Larochelle, H., Bengio, Y. and Manzagol, P.-A. (2008). Extracting and composing robust
       features with denoising autoencoders. ICML.
    .. [2] Gondara, L. and Wang, K. (2018). MIDA: multiple imputation using denoising autoencoders. PAKDD.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae.tasks import AutoencoderImputer
    >>> X = load_iris().data
    >>> gaps = X.copy()
    >>> gaps[::3, 2] = np.nan
    >>> imputer = AutoencoderImputer(random_state=0).fit(gaps)
    >>> filled = imputer.transform(gaps)
    >>> bool(np.abs(filled - X)[::3, 2].mean() < 0.5)
    True
    """

    estimator: BaseAutoencoder | None = dataclasses.field(default=None, kw_only=False)
    missing_values: object = np.nan
    add_indicator: bool = False
    keep_empty_features: bool = False
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "estimator": [BaseAutoencoder, None],
        "missing_values": [MissingValues()],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
    }

    _learnt_together: ClassVar[tuple[str, ...]] = ("estimator_", "indicator_", "residuals_")

    def set_params(self, **params: object) -> Self:
        """Set parameters of this estimator and of the one inside.

        Parameters
        ----------
        **params : dict
            Parameters by name, including ``estimator__<parameter>``. If `estimator` is None, it is then
            replaced by the default estimator.

        Returns
        -------
        self : object
            The imputer.
        """
        is_inside = any(name.startswith("estimator__") for name in params)
        if is_inside and params.get("estimator", self.estimator) is None:
            params = {**params, "estimator": ImputingAutoencoder()}
        return super().set_params(**params)

    @with_callbacks
    def fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Fit the estimator, and compute its residuals.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows with missing values. Sparse rows are made dense; missing values must be stored in them.
        y : Ignored
            Present for the conventions of Pipeline.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0: twice the weight counts like the row twice. None weights all rows
            equally.
        **params : dict
            Metadata that `fit` of the estimator inside requests, with ``enable_metadata_routing=True``.

        Returns
        -------
        self : object
            The fitted imputer.
        """
        with unchanged_on_failure(self):
            check_parameters(self)
            table = self._validated(X, reset=True)
            weight = check_row_weights(sample_weight, table)
            params = route(self, weight, params)
            if weight is not None:
                # Rows that weigh nothing are not there.
                used = np.flatnonzero(weight)
                params = take_fit_params(table, params, used)
                table, weight = take_rows(table, used), weight[used]
            missing = missing_cells(table)
            self._kept = np.flatnonzero(~missing.all(axis=0) | (table.shape[0] == 0))
            if not len(self._kept):
                raise ValueError("X holds no value at all: every cell is missing.")
            self.indicator_ = new_indicator().fit(as_cells(missing)) if self.add_indicator else None
            rows = take_columns(table, self._kept)
            model = self._fit_inside(rows, params)
            inside = model._inside.rows(rows)
            self._lowest, self._highest = np.nanmin(inside, axis=0), np.nanmax(inside, axis=0)
            self.residuals_ = self._residuals(inside, weight)
        return self

    def transform(self, X: ArrayLike) -> Dense:
        """Impute the missing values of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns of `fit`.

        Returns
        -------
        X_filled : ndarray, DataFrame or sparse matrix of shape (n_samples, n_features_out)
            An array for numbers, in CSR format if X is sparse; a DataFrame, of the library of X and with its
            dtypes, if that of `fit` held more than numbers. With `set_output`, one of pandas or
            polars, for sparse rows, too.
        """
        check_is_fitted(self, "estimator_")
        table = self._validated(X, reset=False)
        rows = take_columns(table, self._kept)
        inside = self.estimator_._inside.rows(rows)
        return self._wanted(table, fill(rows, self._decoded(self._predicted(inside))), X)

    def sample_imputations(
        self, X: ArrayLike, n_samples: int = 5, random_state: RandomState = None
    ) -> list[Dense]:
        """Draw several imputations from the distribution of the missing values.

        A `VariationalAutoencoderTransformer` draws from its own distribution (`sample_missing`). Any other
        estimator draws a residual of the column for each number, and categories by their probabilities; with
        ``dropout`` in its layers, each draw uses a network with other units dropped.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns of `fit`.
        n_samples : int, default=5
            Number of tables to draw.
        random_state : int, RandomState instance or None, default=None
            An int gives the same draws every time.

        Returns
        -------
        tables : list of ndarray, DataFrame or sparse matrix
            Tables as from `transform`, in the container of `set_output` if any; observed cells are the
            same in all.
        """
        check_is_fitted(self, "estimator_")
        check_count(n_samples, "n_samples")
        table = self._validated(X, reset=False)
        rows = take_columns(table, self._kept)
        model = cast(Any, self.estimator_)
        if hasattr(model, "sample_missing"):
            draws = model.sample_missing(rows, n_samples, random_state)
            return [in_container(self._wanted(table, draw, X), X, self) for draw in draws]
        streams = Streams(random_state)
        inside = model._inside.rows(rows)
        noise, generator = streams.numpy("residuals"), streams.torch("noise")
        drawn = (self._decoded(self._drawn(inside, noise, generator)) for _ in range(n_samples))
        return [in_container(self._wanted(table, fill(rows, one), X), X, self) for one in drawn]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns of the output of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns, if `fit` saw none.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self, "estimator_")
        names = feature_names(self, input_features)
        kept = names if self.keep_empty_features else names[self._kept]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that `fit` requests, and those of the estimator inside.

        Returns
        -------
        routing : MetadataRouter
        """
        return router(self, self._inside())

    # ------------------------------------------------------------------ inside

    def _inside(self) -> BaseAutoencoder:
        """Return the estimator to fit."""
        if self.estimator is None:
            return ImputingAutoencoder(random_state=self.random_state)
        model = cast(BaseAutoencoder, clone(self.estimator))
        return model if self.random_state is None else model.set_params(random_state=self.random_state)

    def _fit_inside(self, rows: Dense, params: dict[str, Any]) -> BaseAutoencoder:
        """Fit the estimator inside, with callbacks."""
        model = self._inside()
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=rows)
        task = context.subcontext(task_name="fit-estimator")
        with task.propagate_callback_context(model):
            task.call_on_fit_task_begin(estimator=self, X=rows)
            self.estimator_ = model.fit(rows, **params)
            task.call_on_fit_task_end(estimator=self, X=rows)
        context.call_on_fit_task_end(estimator=self, X=rows)
        return self.estimator_

    def _validated(self, X: ArrayLike, reset: bool) -> Dense:
        """Return a DataFrame as it is or an array, with NaN for missing values."""
        value = self.missing_values
        if issparse(X) and not is_missing(value) and value == 0:
            raise ValueError(
                "Imputation not possible when missing_values == 0 and input is sparse: each cell that is not "
                "stored would be missing. Provide a dense array instead."
            )
        X = dense(check_rows(self, X, reset))
        if reset:
            self._has_text = not is_pandas(X) and X.dtype.kind in "OUST" and holds_text(X)
        elif self._has_text and X.dtype.kind != "O":
            # Rows of text that miss everything look like numbers.
            X = X.astype(object)
        return with_gaps(X, value)

    def _predicted(self, inside: np.ndarray) -> np.ndarray:
        model = self.estimator_._inside
        back = model.back(model.codes(inside))
        return np.clip(back, self._lowest, self._highest)

    def _decoded(self, inside: np.ndarray) -> Dense:
        return self.estimator_._inside.columns.as_given(inside)

    def _drawn(
        self, inside: np.ndarray, noise: np.random.RandomState, generator: torch.Generator
    ) -> np.ndarray:
        back = self.estimator_._inside.draw(inside, generator)
        for column, residuals in enumerate(self.residuals_):
            if len(residuals):
                back[:, column] += noise.choice(residuals, len(back))
        return np.clip(back, self._lowest, self._highest)

    def _residuals(self, inside: np.ndarray, weight: np.ndarray | None) -> list[np.ndarray]:
        """Return the errors at hidden cells of training rows, for each column."""
        model = self.estimator_
        random = Streams(self.random_state).numpy("hidden")
        if weight is None:
            inside = inside[:_RESIDUAL_ROWS]
        else:
            n_rows = min(len(inside), _RESIDUAL_ROWS)
            inside = inside[random.choice(len(inside), n_rows, p=weight / weight.sum())]
        owners = model._inside.columns.owners
        hidden = (random.uniform(size=(len(inside), owners.max() + 1)) < _HIDDEN)[:, owners]
        missed = inside - self._predicted(np.where(hidden, np.nan, inside))
        counted = hidden & ~np.isnan(inside)
        # A column of which chance has hidden nothing is taken from what is seen.
        counted = np.where(counted.any(axis=0), counted, ~np.isnan(inside))
        numeric = model._inside.columns.is_numeric
        return [missed[counted[:, j], j] if numeric[j] else np.empty(0) for j in range(len(owners))]

    def _wanted(self, table: Dense, filled: Dense, X: ArrayLike) -> Dense:
        """Return imputed rows with all columns, in the container of X; arrays are not wrapped yet."""
        filled, container = self._finished(table, filled), output_container(self)
        # scikit-learn's imputers refuse sparse rows where a DataFrame is wanted; nothing stands against one.
        return as_wanted(like(filled, X) if container == "default" else filled, X, container)

    def _finished(self, table: Dense, filled: Dense) -> Dense:
        """Insert empty columns again if they are kept, and add the indicators."""
        if self.keep_empty_features and len(self._kept) < table.shape[1]:
            filled = put_back(filled, table, self._kept)
        if self.indicator_ is None:
            return filled
        added = self.indicator_.transform(as_cells(missing_cells(table)))
        if not is_pandas(filled):
            return np.hstack([filled, np.asarray(added, dtype=filled.dtype)])
        names = self.get_feature_names_out()[filled.shape[1] :]
        return joined([*(take_column(filled, j) for j in range(filled.shape[1])), *added.T], filled, names)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = is_missing(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def feature_names(estimator: Any, input_features: ArrayLike | None) -> np.ndarray:
    """Return the names of the columns seen in `fit`, and check those that are passed."""
    known = getattr(estimator, "feature_names_in_", None)
    if input_features is not None:
        given = np.asarray(input_features, dtype=object)
        if given.ndim != 1:
            raise ValueError(f"input_features must be a list of names, one a column; got {input_features!r}.")
        if known is not None and not np.array_equal(known, given):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(given) != estimator.n_features_in_:
            raise ValueError(
                "input_features should have length equal to number of features "
                f"({estimator.n_features_in_}), got {len(given)}"
            )
        return given
    if known is not None:
        return known
    return np.array([f"x{j}" for j in range(estimator.n_features_in_)], dtype=object)


def new_indicator() -> MissingIndicator:
    """Return scikit-learn's indicator of missing values, which gives arrays whatever the global output is."""
    return MissingIndicator(error_on_new=False).set_output(transform="default")


def as_cells(missing: np.ndarray) -> np.ndarray:
    """Return an array with NaN for missing values, for scikit-learn's indicator."""
    return np.where(missing, np.nan, 0.0)
