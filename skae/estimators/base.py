"""What every estimator shares: scikit-learn's methods around a network, an objective and the loop.

Knows no variant by name. A variant fills seats (`_seats`) and adds read-outs of its own; it never overrides
`fit`, `transform` or `inverse_transform`.
"""

import copy
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks

from skae import _computing
from skae._containers import as_passed
from skae._random import Streams
from skae.estimators import _checks, _data, _defaults, _ordered, _scores, _tensors
from skae.estimators._cells import with_index_of
from skae.estimators._fitted import Fitted
from skae.estimators._fitting import Fitting
from skae.estimators._notebook import NotebookFigures
from skae.estimators._pca_names import PCANames
from skae.estimators._reports import EpochReports, warn
from skae.estimators._rows import Layout, Rows, lay_out
from skae.estimators._seats import Seats
from skae.estimators._state import AutoencoderState
from skae.networks.autoencoder import Autoencoder
from skae.objectives import LOSSES, Objective
from skae.training import History


class BaseAutoencoder(
    PCANames,
    AutoencoderState,
    Seats,
    NotebookFigures,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base class of all autoencoders.

    Attributes
    ----------
    encoder_ : torch.nn.Module
        Maps data, in its own units, to codes; shares its weights with `network_`.
    decoder_ : torch.nn.Module
        Maps codes to data in its own units; shares its weights with `network_`.
    network_ : Autoencoder
        The trained network, between centred and scaled rows.
    objective_ : Objective
        What was minimised.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has names that are all strings.
    mean_ : ndarray of shape (n_features,)
        Mean of each column over its cells that are there, in the units of X whatever the `scaling`. With
        columns of several kinds, that of each column inside.
    scale_ : float
        The one number that centred (and scaled) data is divided by: its root mean square over all cells.
    n_samples_ : int
        Number of rows with a positive weight in `fit`, held-out ones counted in; those of all calls of
        `partial_fit` together.
    n_iter_ : int
        Number of epochs run; in cross-validation, by each fold.
    best_iter_ : int
        The epoch whose weights were kept; 0 is the PCA start.
    loss_curve_ : list of float
        Mean training loss of each epoch; in cross-validation, mean of the folds.
    validation_scores_ : list of float or None
        Variance explained on held-out rows, from the start (index 0) to the last epoch.
        None if no rows were held out.
    validation_score_ : float or None
        The same for the epoch kept.
    pca_score_ : float or None
        What PCA with as many components explains on the same held-out rows, fitted on
        the same training rows.
    fit_time_ : float
        Seconds that training took, choice of the epoch included. Not after `partial_fit`.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of held-out rows that each further component explains (of the training rows
        where none are held out). Only with `ordered`. Below 1,000 rows and beyond 32 components, what lies
        between 32 sizes is interpolated. Not after `partial_fit`.
    explained_variance_ : ndarray of shape (n_components,)
        The same in squared units of X (with `scaling`, of the columns inside): the ratio times the variance
        of all columns together. Only with `ordered`, as the next two, and none of them after `partial_fit`.
    cumulative_explained_variance_ : ndarray of shape (n_components,)
        What the components up to each explain together.
    pca_cumulative_explained_variance_ : ndarray of shape (n_components,)
        The same for PCA, on the same rows.
    """

    # Steps that max_iter="auto" stands for, and the rates that learning_rate_init="auto" does.
    _n_steps: ClassVar[int] = 3400
    # The same where five folds choose the epoch, each of which takes as many; None: as otherwise.
    _n_fold_steps: ClassVar[int | None] = None
    # Adam's decay is a share of each step, a penalty adds to the loss: the same number means other things.
    _weight_decays: ClassVar[dict[str, float]] = {
        "adam": 0.1,
        "rmsprop": 1e-4,
        "sgd": 1e-4,
        "lbfgs": 1e-4,
        "recirculation": 0.03,
    }
    _learning_rates: ClassVar[dict[str, float]] = {
        "adam": 0.02,
        "rmsprop": 0.003,
        "sgd": 0.1,
        "lbfgs": 1.0,
        "recirculation": 0.1,
    }

    # ------------------------------------------------------- scikit-learn's methods

    @with_callbacks
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to learn, at least 2. Missing cells are NaN (None or NaN in text), and count nowhere. A
            DataFrame may hold text and categories, see `column_types`. Sparse rows with more than 256
            columns are read through their 256 leading directions, and never made dense.
        y : Ignored
            Present for the conventions of Pipeline.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0: twice the weight counts like the row twice. None weighs all alike.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; nothing is changed then.
        FloatingPointError
            If training does not stay finite, as `skae.DivergenceError`.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    def _fit(
        self, X: ArrayLike, y: Any, target: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit; the target is what the decoder should give back of each row, X itself by default."""
        given: Any = X
        with _checks.unchanged_on_failure(self), _computing.learning():
            # First: all that follows reads parameters, those of the tags among it.
            _checks.check_parameters(self)
            start = self._warm_start()
            X = _data.check_data(self, X, start is None, min_samples=2, sample_weight=sample_weight)
            given = X if self._table is None else given
            wanted = X if target is None else _data.check_target(self, target, X)
            weight = self._weights(sample_weight, X)
            if weight is not None and not weight.all():
                wanted, X, weight = (part[weight > 0] for part in (wanted, X, weight))
            link = self._check(wanted, weight)
            streams = Streams(self.random_state)
            layout = lay_out(self, len(X), streams)
            frame = self._codec.frame if start is not None else _tensors.measure(wanted, weight)
            device = _defaults.device(self.device)
            rows = _tensors.to_rows(wanted, frame, device, layout.order)
            if start is not None:
                # Small tables are trained in another dtype than large ones, and the one before may have been.
                start = start[0].to(rows), start[1].to(rows)
            fitting = Fitting(
                self,
                Rows(
                    rows,
                    None if target is None else _tensors.to_rows(X, frame, device, layout.order),
                    None if weight is None else _tensors.weights_to(weight, rows, layout.order),
                ),
                lambda: self._new_objective(link, frame, is_clean=target is not None).to(rows),
                streams,
                layout,
                start,
            )
            fitted = self._train(fitting, frame, given, y)
        warn(self, fitted)
        return self

    def _train(self, fitting: Fitting, frame: _tensors.Frame, X: Any, y: Any) -> Fitted:
        """Train, with callbacks around it, and take over what was found."""
        context = self._init_callback_context(max_subtasks=fitting.n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        reports = EpochReports(self, context, frame, X, y, fitting.n_epochs)
        with _computing.threads(fitting.work):
            fitted = fitting.run(reports)
            attributes = self._fitted_attributes(fitted, frame)
        reports.close()
        vars(self).update(attributes | {"_training_state": None, "n_samples_": fitting.n_rows})
        _ordered.finish(self, fitted, fitting.rows.target)
        context.call_on_fit_task_end(
            estimator=self,
            X=X,
            y=y,
            reconstruction_attributes=lambda: self._fitted_attributes(fitted, frame),
        )
        return fitted

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Go once over further rows, from the weights and the optimiser's state as they are.

        The first call measures the centring and starts at the PCA of its rows: pass it a
        few hundred rows or more. Nothing is held out, so nothing is compared with PCA, and a share of the
        variance for `n_components` gives as many as the first call trains, and cuts none. What an earlier
        `fit` measured is dropped, as it is no longer true: `validation_score_` and `pca_score_` are None;
        `fit_time_`, `explained_variance_` and the other attributes that only `ordered` has are gone. The
        learning rate is constant, at `learning_rate_init`; "auto" is a tenth of what it is in `fit`, as no
        schedule ends at a low rate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to learn; at least 2 in the first call, which should hold every category there is.
        y : Ignored
            Present for the conventions of Pipeline.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weighs all alike.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; nothing is changed then.
        FloatingPointError
            If training does not stay finite, as `skae.DivergenceError`.
        """
        first = not hasattr(self, "network_")
        with _checks.unchanged_on_failure(self), _computing.learning():
            _checks.check_parameters(self)
            _ordered.check_whole(self)
            X = _data.check_data(self, X, first, 2 if first else 1, sample_weight)
            weight = self._weights(sample_weight, X)
            link = self._check(X, weight)
            kept = None if first else _ordered.reopen(self)
            frame = _tensors.measure(X, weight) if first else self._codec.frame
            device = _defaults.device(self.device)
            state = getattr(self, "_training_state", None) or {}
            streams = state.get("streams") or Streams(self.random_state)
            rows = _tensors.to_rows(X, frame, device)
            if not first:
                # The dtype of the first call, whatever the size of this one.
                rows = rows.to(next(self.network_.parameters()).dtype)
            fitting = Fitting(
                self,
                Rows(rows, weight=None if weight is None else _tensors.weights_to(weight, rows)),
                lambda: self._new_objective(link, frame).to(rows),
                streams,
                Layout("none", len(X), None),
                None if first else self._copies(device),
            )
            with _computing.threads(fitting.work):
                fitted, step_state, rows_state = fitting.one_epoch(state)
                attributes = self._fitted_attributes(fitted, frame)
            previous = [] if first else self.loss_curve_
            _ordered.forget(self)
            vars(self).pop("fit_time_", None)
            vars(self).update(attributes)
            self.loss_curve_ = [*previous, *self.loss_curve_]
            n_rows = len(X) if weight is None else int(np.count_nonzero(weight))
            self.n_samples_ = n_rows + (0 if first else self.n_samples_)
            self.n_iter_ = self.best_iter_ = len(self.loss_curve_)
            self._training_state = {"streams": streams, "step": step_state, "rows": rows_state}
            _ordered.close(self, kept)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Map rows to codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, in the units and with the columns of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes, in float32 for float32 rows and else in float64. At the PCA start they are
            the whitened principal components.
        """
        _checks.check_is_fitted(self, "network_")
        return as_passed(self._encode(self._validated(X)), X)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Map codes back to rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` gives them. With `ordered`, fewer columns are the first components alone.

        Returns
        -------
        X_back : ndarray or DataFrame of shape (n_samples, n_features)
            Rows in the units of the data, in the dtype of the codes. Where `fit` had a DataFrame that held
            more than numbers, a DataFrame of its library (pandas, polars, pyarrow) with its types, and with
            the index of the codes if they have one.
        """
        _checks.check_is_fitted(self, "network_")
        is_cut = self.network_.n_components is not None and self._n_features_out == self.n_components_
        fewest = 1 if is_cut else self._n_features_out
        codes = _data.check_codes(X, self._n_features_out, self, fewest)
        return self._given_back(self._decode(codes), X)

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Map rows to codes and back.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_back : ndarray or DataFrame of shape (n_samples, n_features)
            What the code keeps of them, in the units of the data: an array for numbers, else a DataFrame of
            the library of the one of `fit` (pandas, polars, pyarrow), with its types.
        """
        _checks.check_is_fitted(self, "network_")
        return self._given_back(self._reconstructed(X)[1], X)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Give the share of the variance of rows that their codes explain.

        ``1 - SSE / SST`` with the sums of squares of the reconstruction errors and of the
        deviations from the training mean: 1 is perfect, 0 no better than the mean. For PCA
        use `skae.metrics.variance_explained`, as `PCA.score` is a log-likelihood. Missing cells count
        nowhere. With `scaling` or columns of several kinds, it is about the columns inside: scaled numbers,
        and a column of zeros and ones a category.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weighs all alike.

        Returns
        -------
        score : float
            Share of variance explained, at most 1.
        """
        _checks.check_is_fitted(self, "network_")
        inside, back = self._reconstructed(X)
        weight = self._weights(sample_weight, inside)
        return _scores.explained(self._table, X, inside, back, self._codec.frame.centre, weight)

    def __variance_explained__(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute `skae.metrics.variance_explained`: `score`, in the units of X whatever the `scaling`."""
        _checks.check_is_fitted(self, "network_")
        if self._table is None or not self._table.is_scaled:
            return self.score(X, sample_weight=sample_weight)
        inside, back = self._reconstructed(X)
        weight = self._weights(sample_weight, inside)
        rows, _ = _data.flat(self, X)
        return _scores.explained_in_own_units(rows, back, cast(Any, self._table), weight)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Give the negative reconstruction error of each row: higher is more usual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus `reconstruction_error`.
        """
        return -self.reconstruction_error(X)

    def reconstruction_error(self, X: ArrayLike, per_feature: bool = False) -> np.ndarray:
        """Give the squared reconstruction error of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        per_feature : bool, default=False
            Whether to give the error of each cell instead of their mean.

        Returns
        -------
        errors : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors in squared units of X, as float64; NaN for missing cells. With `scaling` or columns
            of several kinds, of the columns inside: those of a category's columns are added up.
        """
        _checks.check_is_fitted(self, "network_")
        inside, back = self._reconstructed(X)
        measured = _scores.errors_by_cell if per_feature else _scores.errors_by_row
        return as_passed(measured(self._table, X, inside, back), X)

    # ------------------------------------------------------------------ inside

    def _codes(self, X: np.ndarray) -> np.ndarray:
        """Give the codes that rows are given back from."""
        return self._codec.encode(X)

    def _encode(self, X: np.ndarray) -> np.ndarray:
        """Give what `transform` gives: a read-out that a variant may widen."""
        return self._codes(X)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        """Undo `_encode`."""
        return self._codec.decode(Z)

    def _as_given(self, rows: np.ndarray) -> Any:
        """Return rows as they were in `fit`: images or sequences, or a DataFrame of its library."""
        back = self._as_read(rows)
        return back if self._layout is None else self._layout.put(back)

    def _given_back(self, rows: np.ndarray, X: Any) -> Any:
        """Return rows that X gave: arrays in the library of X, DataFrames in that of `fit`."""
        back = self._as_given(rows)
        return as_passed(back, X) if isinstance(back, np.ndarray) else with_index_of(X, back)

    def _as_read(self, rows: np.ndarray) -> Any:
        """Return rows as they were read in `fit`: DataFrames as those of pandas."""
        back = rows if self._table is None else self._table.decode(rows)
        return back if self._row_shape is None else cast(Any, self.network).from_rows(back, self._row_shape)

    def _validated(self, X: ArrayLike) -> np.ndarray:
        return _data.check_data(self, X, reset=False)

    def _reconstructed(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        X = self._validated(X)
        return X, self._codec.decode(self._codes(X))

    def _weights(self, sample_weight: ArrayLike | None, X: np.ndarray) -> np.ndarray | None:
        return _checks.check_weights(sample_weight, X, np.float64)

    def _n_columns(self) -> int:
        """Give the number of columns inside."""
        return self.n_features_in_ if self._table is None else len(self._table.numeric)

    def _check(self, X: np.ndarray, weight: np.ndarray | None = None) -> str:
        """Check all that can be checked before training; give the link's name."""
        _checks.check_moderate(X)
        self._largest_size = _ordered.most_components(self, X, weight)
        _checks.check_n_components(self._size, X.shape[1])
        _checks.check_size(self, X.shape[1])
        _defaults.device(self.device)
        if getattr(self._specification(), "batch_norm", False) and 1 in (self.batch_size, len(X)):
            what = "batch_size=1" if self.batch_size == 1 else "a single row"
            raise ValueError(f"batch_norm=True needs batches of at least 2 rows; got {what}.")
        if self._is_mixed():
            _checks.check_mixed(self)
        link = _checks.check_loss(X, self.loss, self.output_activation)
        objective = self._new_objective(link, _tensors.Frame(np.zeros(X.shape[1]), 1.0))
        _checks.check_training(self, objective)
        return link

    def _new_objective(self, link: str, frame: _tensors.Frame, is_clean: bool = False) -> Objective:
        objective = self._objective(self._reconstruction(link, frame))
        if is_clean:
            # The rows came with clean targets: they are the corrupted ones.
            objective.corruption = None
        return objective

    def _learning_rate_init(self) -> float:
        rate = self.learning_rate_init
        return self._learning_rates[self.solver] if rate == "auto" else rate

    def _weight_decay(self, n_rows: int) -> float:
        if self.weight_decay != "auto":
            return self.weight_decay
        is_more = self._is_ordered() and self.solver == "adam"
        more = _defaults.ordered_decay(self._size, n_rows) if is_more else 1.0
        return more * self._weight_decays[self.solver]

    def _n_pca_components(self) -> int:
        """Give the components of the PCA that `pca_score_` belongs to."""
        return self._size

    def _warm_start(self) -> tuple[Autoencoder, Objective] | None:
        if not self._is_warm():
            return None
        _ordered.check_whole(self)
        if self.n_components not in (None, self.n_components_):
            raise ValueError(
                f"warm_start=True goes on with the {self.n_components_} components of the previous fit, but "
                f"n_components={self.n_components}. Set warm_start=False to start anew."
            )
        return self._copies(_defaults.device(self.device))

    def _copies(self, device: torch.device) -> tuple[Autoencoder, Objective]:
        return _ordered.whole(self.network_).to(device), copy.deepcopy(self.objective_).to(device)

    def _fitted_attributes(self, fitted: Fitted, frame: _tensors.Frame) -> dict[str, Any]:
        """Give all that users read after a fit, by name."""
        network, objective = fitted.network.cpu().eval(), fitted.objective.cpu().eval()
        network.requires_grad_(False)
        history: History = fitted.history
        scores = [validation.score for validation in history.validations]
        return {
            "network_": network,
            "objective_": objective,
            "encoder_": _tensors.Encoder(network, frame).eval(),
            "decoder_": _tensors.Decoder(network, objective.reconstruction, frame).eval(),
            "_codec": _tensors.Codec(network, objective.reconstruction, frame),
            "n_components_": self._size,
            "mean_": frame.centre if self._table is None or self._table.is_mixed else self._table.mean,
            "scale_": frame.scale,
            "n_iter_": history.n_epochs,
            "best_iter_": fitted.best_epoch,
            "loss_curve_": history.loss_curve,
            "validation_scores_": scores or None,
            "validation_score_": fitted.validation_score,
            "pca_score_": fitted.pca_score,
            **({} if fitted.seconds is None else {"fit_time_": fitted.seconds}),
            **_ordered.attributes(fitted),
        }

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Architectures with a way of their own with NaN take it at the end of a row, not anywhere.
        has_own_way = getattr(self.network, "takes_gaps", False)
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = not has_own_way and self.solver != "recirculation"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        # Tags are asked for before parameters are checked: the loss may be anything.
        chosen: Any = LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        tags.input_tags.positive_only = chosen is not None and chosen.lowest >= 0
        return tags
