"""What happens inside `fit` and `partial_fit`: checks, the plan, training, and what users read afterwards."""

from __future__ import annotations

import dataclasses
import warnings
from contextlib import nullcontext
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags

from skae import _computing
from skae._files import alone
from skae._random import Streams
from skae.data.columns import learn_columns
from skae.data.inside import Inside, Measured, measure
from skae.data.running import DriftWarning
from skae.data.sources import RowSource, as_source
from skae.estimators import _checks
from skae.estimators._reports import EpochReports, StreamReports, warn
from skae.estimators._state import Going
from skae.networks.architecture import architecture_in
from skae.networks.autoencoder import Autoencoder
from skae.objectives import LOSSES, Objective
from skae.tables import read, read_target, read_training
from skae.training import tensors
from skae.training.batches import Rows
from skae.training.checkpoint import Checkpoint
from skae.training.checkpoint_file import CheckpointFile
from skae.training.courses import fit
from skae.training.endless import Endless
from skae.training.fits import Fitting
from skae.training.fitted import Fitted
from skae.training.pace import Clock
from skae.training.plan import Layout, lay_out, lay_out_stream, part_batch_size
from skae.training.solvers import SOLVERS

# Parameters that numbers do not depend on, or not by what they are.
_NO_NUMBERS = {"checkpoint", "checkpoint_every", "device", "random_state", "verbose"}


class BegunFit(NamedTuple):
    """A fit before its training."""

    fitting: Fitting
    frame: tensors.Frame
    reports: EpochReports
    file: CheckpointFile | None = None  # where its state is kept


class Learning(StreamReports, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Estimators that fit a network to rows."""

    @with_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least 2. Missing cells are NaN (None or NaN in text), and are ignored. A
            DataFrame may hold text and categories, see `column_types`. Sparse rows with more than 256
            columns are read through their 256 leading directions, and never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target for `target_weight`; ignored where that is 0.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0: twice the weight counts like the row twice. None weights all rows
            equally.

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

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on further rows, from the current weights and state of the optimiser.

        The first call starts at the PCA of its rows: pass it a few hundred or more. Means and the scale are
        those of all rows so far, in constant memory; for columns of several kinds, and losses or output
        activations of their own, those of the first call. No schedule ends: the rate is constant, and what
        is used is the mean of the weights over up to 100 steps (Defazio et al. 2024; with solver="adam" and
        without batch_norm, else the last weights at a tenth of the rate of "auto"). Columns that have moved,
        and categories that the first call did not hold, are warned of once. Networks and modules that were
        read from attributes before change with the call.

        Nothing is held out, so nothing is compared with PCA, and with a share of the variance as
        `n_components` all components that the first call trains are kept. Attributes that an earlier `fit`
        measured are dropped, as they are no longer true: `validation_score_` and `pca_score_` are None;
        `fit_time_`, `explained_variance_` and the other attributes of `ordered` do not exist.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. The first call needs as many as there are components, at least 2, and should
            contain every category.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target for `target_weight`; ignored where that is 0.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, at least 0. None weights all rows equally.

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

        Warns
        -----
        DriftWarning
            If a column has moved, or holds a new category, for the first time.
        """
        return self._partial_fit(X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Architectures with a way of their own with NaN take it at the end of a row, not anywhere.
        # The default has none, and is asked for most often.
        architecture = None if self.network is None else architecture_in(self.network)
        has_own_way = architecture is not None and architecture.takes_gaps
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = not has_own_way and self._solver_takes_gaps()
        tags.target_tags.required = bool(self.target_weight)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        # Tags are asked for before parameters are checked: the loss may be anything.
        chosen: Any = LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        tags.input_tags.positive_only = chosen is not None and chosen.lowest >= 0
        return tags

    # ------------------------------------------------------------------ the way of a fit

    def _fit(
        self, X: ArrayLike, y: object, target: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit; the target is what the decoder should give back of each row, X itself by default."""
        place = nullcontext() if self.checkpoint is None else alone(self.checkpoint)
        with _checks.unchanged_on_failure(self), _computing.learning(), place:
            begun = self._begin_fit(X, y, target, sample_weight)
            with _computing.threads(begun.fitting.work):
                fitted = fit(begun.fitting, begun.reports)
                if begun.file is not None:
                    fitted = fitted._replace(seconds=begun.file.seconds_so_far())
                attributes = self._fitted_attributes(fitted, begun.frame)
            self._end_fit(begun, fitted, attributes)
            if begun.file is not None and not fitted.history.interrupted:
                begun.file.remove()
        warn(self, fitted)
        return self

    def _begin_fit(
        self, X: ArrayLike, y: object, target: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> BegunFit:
        """Do what comes before training; takes what `_fit` does."""
        given: object = X
        # First: all that follows reads parameters, those of the tags among it.
        _checks.check_parameters(self)
        source = None if type(X) is np.ndarray else as_source(X)
        if source is not None:
            sample_weight = source.weights(sample_weight)
            if not source.is_small:
                _checks.check_streamed(self.solver, self.n_init, self.checkpoint, target, self.target_weight)
                return self._begin_stream(source, y, sample_weight)
            given = X = source.load()
        file = None if self.checkpoint is None else CheckpointFile(self.checkpoint)
        clock = None if self.max_time is None else Clock(self.max_time - (file.seconds if file else 0.0))
        is_warm = self._is_warm()
        previous = self._warm_start() if is_warm else None
        X, weight = self._read(X, sample_weight, not is_warm, min_samples=2)
        given = X if self._columns.is_plain else given
        wanted = X if target is None else read_target(self._columns, target, X)
        self._labels = None
        labels = self._target_of(y, len(X), weight) if self.target_weight else None
        if weight is not None and not weight.all():
            labels = None if labels is None else labels[weight > 0]
            wanted, X, weight = (part[weight > 0] for part in (wanted, X, weight))
        self._largest_size = self.n_components_ if is_warm else self._most_components(wanted)
        link = self._check(wanted)
        if self._sought is not None:
            self._largest_size = self._enough_components(self._sought, wanted, weight)
        streams = Streams(self.random_state)
        if file is not None and file.seed is not None and self.random_state is None:
            streams.entropy = file.seed
        layout = lay_out(len(X), self.early_stopping, self.validation_fraction, streams)
        frame = self._codec.frame if is_warm else tensors.frame_of(wanted, weight)
        device, inputs = _computing.find_device(self.device), None if target is None else X
        table = tensors.to_table(wanted, inputs, weight, labels, frame, device, layout.order)
        parts = self._parts(link, frame, table.target, previous, target is not None, len(X))
        plan = self._plan(len(X), layout)
        fitting = Fitting(plan, parts, table, streams, clock=clock)
        if file is not None:
            fitting = fitting.kept_by(self._checkpoint(file, fitting))
        return BegunFit(fitting, frame, EpochReports(self, frame, given, y, plan.n_epochs), file)

    def _checkpoint(self, file: CheckpointFile, fitting: Fitting) -> Checkpoint:
        """Return what keeps the state of a fit in a file."""
        parameters = {
            name: value for name, value in self.get_params(deep=False).items() if name not in _NO_NUMBERS
        }
        every = None if isinstance(self.checkpoint_every, str) else self.checkpoint_every
        return file.checkpoint_of(fitting, {"the estimator": type(self), **parameters}, every)

    def _begin_stream(self, source: RowSource, y: object, sample_weight: ArrayLike | None) -> BegunFit:
        """Do the same for rows that are read in blocks."""
        clock = None if self.max_time is None else Clock(self.max_time)
        # A previous fit that is none to go on from is refused before anything is read.
        previous = self._warm_start() if self._is_warm() else None
        validate, streams = _checks.Validation(self, False, sample_weight), Streams(self.random_state)
        weight, seed = validate.weights(len(source)), streams.seed("split")
        if previous is None:
            learnt = partial(_checks.Validation, self, True)
            self._columns = learn_columns(source, self._options(), learnt, weight, seed)
        inside = Inside(source, self._columns, validate, weight)
        return self._begin_measured(inside, measure(inside, seed, self._check_gaps), streams, y, clock)

    def _begin_measured(
        self, inside: Inside, measured: Measured, streams: Streams, y: object, clock: Clock | None
    ) -> BegunFit:
        """Go on where all rows have been read once: what lies in memory is a sample of them."""
        previous, self._labels = self._warm_start() if self._is_warm() else None, None
        table, n_rows = measured.sample.rows, measured.n_rows
        self._largest_size = self.n_components_ if previous else self._most_components(measured.like_all)
        link = self._check(table)
        _checks.check_loss(measured.extremes, self.loss, self.output_activation)
        if self._sought is not None:
            self._largest_size = self._enough_components(self._sought, table, measured.sample.weight)
        layout = lay_out_stream(n_rows, len(table), self.early_stopping, self.validation_fraction)
        n_held = n_rows - layout.n_training
        frame = self._codec.frame if previous else tensors.framed(table.dtype, *measured.frame)
        rows = tensors.to_rows(table, frame, _computing.find_device(self.device))
        plan = self._plan(n_rows, layout, n_workers=measured.n_workers)
        fitting = Fitting(
            # Of the sample, those that are not held out stand for all that are trained on.
            dataclasses.replace(plan, n_training=len(table) - n_held),
            self._parts(link, frame, rows, previous, n_rows=n_rows),
            Rows(rows, None, measured.weights_like(rows)),
            streams,
            clock=clock,
            stream=measured.stream(inside, n_held, *frame, plan.n_pca_components),
        )
        return BegunFit(fitting, frame, EpochReports(self, frame, inside.source, y, plan.n_epochs))

    def _end_fit(self, begun: BegunFit, fitted: Fitted, attributes: dict[str, Any]) -> None:
        """Take over what training found, and tell callbacks."""
        fitting, frame, reports = begun[:3]
        reports.close()
        self._take(attributes | {"_training_state": None, "n_samples_": fitting.n_rows})
        if fitted.by_size is not None:
            self._finish_order(fitting.rows.target)
        reports.end(lambda: self._fitted_attributes(fitted, frame))

    def _partial_fit(self, X: ArrayLike, y: object, sample_weight: ArrayLike | None) -> Self:
        """Go once over further rows."""
        given, first = X, not hasattr(self, "network_")
        with _checks.unchanged_on_failure(self), _computing.learning():
            going = self._training_on()
            if going is None:
                _checks.check_parameters(self)
            kept = None if first else self.network_.n_kept
            if kept is not None:
                self._check_whole()
            X, weight = self._read_part(X, sample_weight, first)
            known, self._labels = None if first else self._labels, None
            labels = self._target_of(y, len(X), weight, known) if self.target_weight else None
            link = self._check_part(X, weight, first, going is None)
            stream = self._run_on(given, X, weight, None if first else self._codec.frame)
            rows = tensors.to_rows(X, stream.frame, _computing.find_device(self.device))
            if not first:
                # The dtype of the first call, whatever the size of this one.
                rows = rows.to(next(self.network_.parameters()).dtype)
            table = Rows(rows, None, tensors.weights_to(weight, rows), tensors.labels_to(labels, rows))
            if going is None or (table.has_gaps and not going.has_gaps):
                going = self._begin_endless(table, link, stream.frame, first)
            size = part_batch_size(len(X), self.batch_size, SOLVERS[self.solver])
            with going.unchanged_on_failure(), _computing.threads(size * going.row_work):
                fitted = going.learn(table, size)
                attributes = self._fitted_attributes(fitted, stream.frame)
                n_rows = len(X) if weight is None else int(np.count_nonzero(weight))
                attributes |= self._counted_on(fitted, n_rows, first)
                begun = vars(self).get("_going")
                if begun is None or begun.training is not going:
                    begun = Going(going, self.get_params(deep=False))
                own = {"_going": begun, "_running": stream.running, "_training_state": None}
                self._take(attributes | own)
                if kept is not None:
                    self._cut_again(kept)
                going.move_frame(*stream.move)
        for message in stream.messages:
            # Frames up to the user's line: this function and `partial_fit`.
            warnings.warn(message, DriftWarning, stacklevel=3)
        return self

    def _begin_endless(self, table: Rows, link: str, frame: tensors.Frame, first: bool) -> Endless:
        """Begin a training that goes on, from a network that is there unless these are the first rows."""
        going, state = vars(self).get("_going"), vars(self).get("_training_state") or {}
        if going is not None:
            state = going.training.state_dict()
        rows, n_rows = table.target, len(table.target)
        parts = self._parts(link, frame, rows, None if first else self._copies(rows.device))
        plan = self._plan(n_rows, Layout("none", n_rows, None), is_part=True)
        streams = state.get("streams") or Streams(self.random_state)
        return Endless(Fitting(plan, parts, table, streams), state)

    # ------------------------------------------------------------------ before training

    def _read(
        self, X: ArrayLike, sample_weight: ArrayLike | None, reset: bool, min_samples: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return training rows inside and their weights; learn what the columns are if `reset`."""
        validate = _checks.Validation(self, reset, sample_weight)
        if reset:
            self._columns, rows = read_training(X, self._options(), validate, min_samples)
        else:
            rows = read(self._columns, X, validate, min_samples)
        self._check_gaps(rows)
        return rows, validate.weights(len(rows))

    def _read_part(
        self, X: ArrayLike, sample_weight: ArrayLike | None, first: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows of a part of a stream inside, and their weights."""
        if not first and sample_weight is None and self._columns.is_ready(X):
            return X, None
        return self._read(X, sample_weight, first, 2 if first else 1)

    def _check_part(self, X: np.ndarray, weight: np.ndarray | None, first: bool, is_begun: bool) -> str:
        """Check a part of a stream, and parameters where a training begins; return the link's name."""
        if not first:
            self._largest_size = self.network_.n_components or self.n_components_
            return self._check(X) if is_begun else self._check_cells(X)
        self._largest_size = self._most_components(X)
        link = self._check(X)
        if self._sought is not None:
            self._largest_size = self._enough_components(self._sought, X, weight)
        self._check_first_part(len(X), X.shape[1])
        return link

    def _most_components(self, X: np.ndarray) -> int:
        """Return how many components are trained at most; for None as many as PCA of all rows has."""
        if isinstance(self.n_components, Integral):
            return int(self.n_components)
        return min(X.shape) if self.n_components is None else min(self._most_sought(), X.shape[1])

    def _check(self, X: np.ndarray) -> str:
        """Check all that can be checked before training; return the link's name."""
        n_features = X.shape[1]
        _checks.check_n_components(self._size, n_features)
        blueprint = self._blueprint()
        _checks.check_weights_fit(blueprint.n_weights(n_features))
        _computing.find_device(self.device)
        if self._is_mixed():
            _checks.check_mixed(self)
        link = self._check_cells(X)
        objective = self._new_objective(link, tensors.Frame(np.zeros(n_features), 1.0))
        _checks.check_training(self, objective)
        return link

    def _check_cells(self, X: np.ndarray) -> str:
        """Check rows; return the link's name."""
        _checks.check_moderate(X)
        if 1 in (self.batch_size, len(X)) and self._specification().mixes_rows:
            what = "batch_size=1" if self.batch_size == 1 else "a single row"
            raise ValueError(f"batch_norm=True needs batches of at least 2 rows; got {what}.")
        return _checks.check_loss(X, self.loss, self.output_activation)

    def _warm_start(self) -> tuple[Autoencoder, Objective]:
        """Return what a fit goes on from."""
        if self.network_.n_kept is not None:
            self._check_whole()
        if self.n_components not in (None, self.n_components_):
            raise ValueError(
                f"warm_start=True goes on with the {self.n_components_} components of the previous fit, but "
                f"n_components={self.n_components}. Set warm_start=False to start anew."
            )
        network, objective = self._copies(_computing.find_device(self.device))
        # The target may be another one, and its best linear model is soon found.
        if "target" in objective.penalties:
            del objective.penalties["target"]
        return network, objective
