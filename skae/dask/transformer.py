"""The transformer of dask collections."""

from __future__ import annotations

import time
import warnings
from numbers import Real
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skae._counts import check_count
from skae._random import Streams
from skae._typing import Dense
from skae.dask import lazy
from skae.dask._distributed import Client, Table, client_at_hand
from skae.dask.partitions import (
    Shape,
    counts_of,
    examine_all,
    filled_of,
    fit_whole,
    is_plain,
    learn_first,
    measure_all,
    n_rows_of,
)
from skae.dask.rounds import Cluster, Limits, Rounds
from skae.estimators import BaseAutoencoder
from skae.estimators._checks import check_is_fitted, check_parameters
from skae.training.plan import FOLDS_BELOW
from skae.training.solvers import SOLVERS

Rows: TypeAlias = "Table | ArrayLike"
Weights: TypeAlias = "Table | ArrayLike | None"
Found: TypeAlias = "Table | Dense"


class DaskTransformer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Fit an estimator to a dask collection, on all workers that hold its partitions.

    Each worker trains on its own partitions, and gradients are averaged over the rows of all in each step, so
    that partitions may be of any length. `batch_size` counts the rows of all workers together; "auto" takes
    for each of them what one would take alone, as long as that leaves 2,700 steps. The result is an ordinary
    estimator. What is computed before training (mean, scale, categories, PCA, held-out rows) is found where
    the partitions lie; the client sees none of them.

    Parameters
    ----------
    estimator : estimator of skae
        What is fitted; a copy of it is.
    client : distributed.Client, default=None
        Of the cluster. None takes the one at hand, see `distributed.get_client`. It is no part of
        `get_params`, nor of pickles.
    max_restarts : int, default=3
        Times that training goes on from its last state after a worker was lost.
    timeout : float, default=60
        Seconds that workers wait for each other, above 0.
    max_bytes : int, default=268435456
        Bytes of float32 rows that a worker holds for training beside its partitions, at least 65,536: all of
        them where they fit, else some at a time, see `skae.data.RowSource`.

    Attributes
    ----------
    estimator_ : estimator of skae
        The fitted estimator, which knows nothing of dask.
    n_restarts_ : int
        Times that training went on after a worker was lost.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has names that are all strings.

    See Also
    --------
    skae.data.ParquetRows : Rows that do not fit into the memory of one machine, on one machine.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from skae import AutoencoderTransformer
    >>> from skae.dask import DaskTransformer
    >>> options = {"processes": False, "dashboard_address": ":0"}
    >>> client = Client(n_workers=2, threads_per_worker=1, **options)
    >>> X = da.random.default_rng(0).standard_normal((2000, 5), chunks=(500, -1))
    >>> model = DaskTransformer(AutoencoderTransformer(2, max_iter=1)).fit(X)
    >>> model.transform(X)
    dask.array<_array_of, shape=(2000, 2), dtype=float64, chunksize=(500, 2), chunktype=numpy.ndarray>
    >>> model.estimator_
    AutoencoderTransformer(max_iter=1)
    >>> client.close()
    """

    def __init__(
        self,
        estimator: BaseAutoencoder,
        client: Client | None = None,
        *,
        max_restarts: int = 3,
        timeout: float = 60,
        max_bytes: int = 2**28,
    ) -> None:
        self.estimator = estimator
        self._client = client
        self.max_restarts = max_restarts
        self.timeout = timeout
        self.max_bytes = max_bytes

    @property
    def client(self) -> Client:
        """The client of the cluster: the one that was passed, else the one at hand."""
        if self._client is not None:
            return self._client
        try:
            return client_at_hand()
        except ValueError as error:
            raise ValueError(
                "There is no client of dask. Make one, e.g. distributed.Client(), or pass client=."
            ) from error

    @client.setter
    def client(self, client: Client | None) -> None:
        self._client = client

    # ------------------------------------------------------------------ scikit-learn's conventions

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # A client is a connection: it is neither copied, nor shown, nor pickled.
        return [name for name in super()._get_param_names() if name != "client"]

    def __sklearn_clone__(self) -> Self:
        copied = type(self)(self.estimator, self._client)
        for name, value in self.get_params(deep=False).items():
            setattr(copied, name, clone(value, safe=False))
        return copied

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_client": None}

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in vars(self)

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Rows, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the estimator.

        Fewer than 1,000 rows, and rows that are no collection of dask, are fitted as by the estimator itself:
        the former on one worker.

        Parameters
        ----------
        X : dask array or DataFrame of shape (n_samples, n_features)
            Training rows, in partitions of any length, empty ones among them. Columns of an array are put
            into one chunk. They are computed once, and stay in the memory of the workers.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : dask array or Series of shape (n_samples,), default=None
            Weights of rows, in the partitions of X. None weights all rows equally.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the rows cannot be used; nothing is changed then.
        skae.dask.WorkerLostError
            If workers were lost more often than `max_restarts`.
        FloatingPointError
            If training does not stay finite, as `skae.DivergenceError`.
        """
        self._check()
        if lazy.is_collection(X):
            fitted, n_restarts = self._fit_collection(X, sample_weight)
        else:
            fitted, n_restarts = self._copy().fit(X, sample_weight=_plain(sample_weight)), 0
        self.estimator_, self.n_restarts_ = fitted, n_restarts
        self.n_features_in_ = fitted.n_features_in_
        vars(self).pop("feature_names_in_", None)
        if "feature_names_in_" in vars(fitted):
            self.feature_names_in_: np.ndarray = vars(fitted)["feature_names_in_"]
        return self

    def _fit_collection(self, X: Table, sample_weight: Weights) -> tuple[BaseAutoencoder, int]:
        """Return the fitted estimator, and how often training began again."""
        begin = time.perf_counter()
        estimator, client = self._copy(), self.client
        if client.asynchronous:
            raise ValueError("The client is asynchronous; fit waits, and needs one with asynchronous=False.")
        cluster = Cluster(client, Limits(self.timeout, self.max_restarts))
        cluster.some_workers()
        cluster.check_versions()
        parts = client.compute(lazy.delayed_parts(X, sample_weight))
        cluster.wait(parts)
        lengths = [client.submit(n_rows_of, part, pure=False) for part in parts]
        cluster.wait(lengths)
        shape = Shape(client.gather(lengths), _row_shape(X), self.max_bytes)
        if not shape.n_rows:
            raise ValueError("X has no rows: all of its partitions are empty.")
        if shape.n_rows < FOLDS_BELOW:
            return cluster.result(client.submit(fit_whole, estimator, parts, pure=False)), 0
        streams = Streams(estimator.random_state)
        seed, block = streams.seed("split"), filled_of(shape)[0]
        learnt = client.submit(learn_first, estimator, parts[block], shape, block, pure=False)
        if not cluster.result(client.submit(is_plain, learnt, pure=False)):
            learnt = examine_all(client, estimator, learnt, parts, shape, seed)
        ready = measure_all(client, learnt, parts, shape, seed)
        counts = cluster.result(client.submit(counts_of, ready, pure=False))
        rounds = Rounds(cluster, parts, ready, counts, shape, streams)
        outcome = rounds.run()
        for message, category in outcome.complaints:
            warnings.warn(message, category, stacklevel=3)
        outcome.estimator.fit_time_ = time.perf_counter() - begin
        return outcome.estimator, rounds.n_restarts

    def _copy(self) -> BaseAutoencoder:
        """Return an estimator with the same parameters that is not fitted."""
        copied = clone(self.estimator, safe=False)
        if not isinstance(copied, BaseAutoencoder):
            raise TypeError(
                f"estimator is a {type(self.estimator).__name__}; an estimator of skae is needed, such as "
                "AutoencoderTransformer."
            )
        return copied

    def _check(self) -> None:
        """Refuse what cannot be had, before anything is computed."""
        estimator = self._copy()
        check_count(self.max_restarts, "max_restarts", 0)
        check_count(self.max_bytes, "max_bytes", 2**16)
        if not isinstance(self.timeout, Real) or not self.timeout > 0:
            raise ValueError(f"timeout must be a number of seconds above 0; got {self.timeout!r}.")
        check_parameters(estimator)
        _check_shared(estimator)

    # ------------------------------------------------------------------ what is fitted

    def transform(self, X: Rows) -> Found:
        """Map rows to codes, partition by partition and when they are asked for.

        Parameters
        ----------
        X : dask array or DataFrame, or array-like, of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : dask array or DataFrame, or ndarray, of shape (n_samples, n_components)
            Codes: of a dask array in its chunks of rows, of a DataFrame with its index and divisions, and
            the names of `get_feature_names_out`; of others what the estimator gives.
        """
        check_is_fitted(self)
        if lazy.is_collection(X):
            return lazy.transformed(self.estimator_, X)
        return self.estimator_.transform(X)

    def inverse_transform(self, X: Rows) -> Found:
        """Map codes back to rows, partition by partition and when they are asked for.

        Parameters
        ----------
        X : dask array or DataFrame, or array-like, of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_back : dask array or DataFrame, or ndarray or DataFrame, of shape (n_samples, n_features)
            Rows: of a DataFrame with its index and divisions; of a dask array a DataFrame where columns
            are of several kinds, else an array.
        """
        check_is_fitted(self)
        if lazy.is_collection(X):
            return lazy.given_back(self.estimator_, X)
        return self.estimator_.inverse_transform(X)

    def score(self, X: Rows, y: object = None, sample_weight: Weights = None) -> float:
        """Return the share of the variance of rows that their codes explain.

        Parameters
        ----------
        X : dask array or DataFrame, or array-like, of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : dask array or Series, or array-like, of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        score : float
            Share of variance explained, at most 1.
        """
        check_is_fitted(self)
        if lazy.is_collection(X):
            return lazy.scored(self.estimator_, X, sample_weight)
        return self.estimator_.score(X, sample_weight=_plain(sample_weight))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the components.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored, as by the estimator.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out(input_features)


def _plain(sample_weight: Weights) -> ArrayLike | None:
    """Return weights of rows that are no collection of dask."""
    if lazy.is_collection(sample_weight):
        raise TypeError("sample_weight is a collection of dask, and X is none. Pass both alike.")
    return sample_weight


def _row_shape(X: Table) -> tuple[int, ...]:
    """Return what follows the number of rows in the shape of a collection."""
    if X.ndim < 2:
        raise ValueError(f"X has {X.ndim} axis; rows and columns are needed.")
    return tuple(int(size) for size in X.shape[1:])


def _check_shared(estimator: BaseAutoencoder) -> None:
    """Refuse ways of training that several workers cannot share."""
    advice = "Fit the estimator itself to rows on one machine, e.g. to skae.data.ParquetRows, or leave it out"
    solver, architecture = SOLVERS[estimator.solver], estimator._specification()
    refused = {
        f"solver={estimator.solver!r}": solver.all_rows or not solver.follows_gradient,
        f"n_init={estimator.n_init}": estimator.n_init > 1,
        "target_weight=": bool(estimator.target_weight),
        "checkpoint=": estimator.checkpoint is not None,
        "max_time=": estimator.max_time is not None,
        f"network={type(architecture).__name__}, which may draw from the global generator of torch,": (
            architecture.draws_globally
        ),
        "batch_norm=True": architecture.mixes_rows,
        "callbacks": bool(vars(estimator).get("_skl_callbacks")),
    }
    for what, is_refused in refused.items():
        if is_refused:
            raise ValueError(f"{what} cannot be shared by several workers. {advice}.")
