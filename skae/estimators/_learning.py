"""What happens inside `fit` and `partial_fit`: checks, training, and what users read afterwards."""

import copy
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin

from skae import _computing
from skae._random import Streams
from skae.estimators import _checks, _ordered, _tensors
from skae.estimators._reports import EpochReports, warn
from skae.estimators._seats import Seats
from skae.networks.autoencoder import Autoencoder
from skae.objectives import Objective
from skae.tables import Options, read, read_target, read_training
from skae.training import SOLVERS, History, plan
from skae.training.batches import Rows
from skae.training.fits import Fitting
from skae.training.fitted import Fitted
from skae.training.plan import Layout, lay_out


class Learning(Seats, CallbackSupportMixin):
    """Fit a network to rows, by the parameters and the seats of an estimator."""

    # Steps that max_iter="auto" stands for.
    _n_steps: ClassVar[int] = 3400
    # The same where five folds choose the epoch, each of which takes as many; None: as otherwise.
    _n_fold_steps: ClassVar[int | None] = None
    # What weight_decay="auto" stands for by solver, where it differs from the solver's own (`SOLVERS`).
    _weight_decays: ClassVar[dict[str, float]] = {}

    def _fit(
        self, X: ArrayLike, y: Any, target: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit; the target is what the decoder should give back of each row, X itself by default."""
        given: Any = X
        with _checks.unchanged_on_failure(self), _computing.learning():
            # First: all that follows reads parameters, those of the tags among it.
            _checks.check_parameters(self)
            start = self._warm_start()
            X, weight = self._read(X, sample_weight, start is None, min_samples=2)
            given = X if self._columns.is_plain else given
            wanted = X if target is None else read_target(self._columns, target, X)
            if weight is not None and not weight.all():
                wanted, X, weight = (part[weight > 0] for part in (wanted, X, weight))
            link = self._check(wanted, weight)
            streams = Streams(self.random_state)
            layout = lay_out(self, len(X), streams)
            frame = self._codec.frame if start is not None else _tensors.measure(wanted, weight)
            device = plan.device(self.device)
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

    def _partial_fit(self, X: ArrayLike, sample_weight: ArrayLike | None) -> Self:
        """Go once over further rows."""
        first = not hasattr(self, "network_")
        with _checks.unchanged_on_failure(self), _computing.learning():
            _checks.check_parameters(self)
            _ordered.check_whole(self)
            X, weight = self._read(X, sample_weight, first, 2 if first else 1)
            link = self._check(X, weight)
            kept = None if first else _ordered.reopen(self)
            frame = _tensors.measure(X, weight) if first else self._codec.frame
            device = plan.device(self.device)
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

    def _options(self) -> Options:
        n_components: Any = self.n_components if _checks.is_integer(self.n_components) else 1
        architecture: Any = self._specification()
        if not hasattr(architecture, "to_rows"):
            architecture = None
        return Options(self.column_types, self.scaling, self.handle_unknown, n_components, architecture)

    def _solver_takes_gaps(self) -> bool:
        """Return whether the solver takes rows that hold NaN."""
        # Asked for by the tags, too, before parameters are checked: the solver may be anything.
        solver = SOLVERS.get(self.solver) if isinstance(self.solver, str) else None
        return solver is None or solver.takes_gaps

    def _check_gaps(self, rows: np.ndarray) -> None:
        """Refuse missing cells where the solver or the architecture cannot take them."""
        if not np.isnan(rows).any():
            return
        if not self._solver_takes_gaps():
            raise ValueError(
                f"Input X contains NaN, and solver={self.solver!r} takes no missing values. Use "
                "solver='adam', or fill them first."
            )
        if hasattr(self.network, "check_gaps"):
            cast(Any, self.network).check_gaps(rows)

    def _weights(self, sample_weight: ArrayLike | None, X: np.ndarray) -> np.ndarray | None:
        return _checks.check_weights(sample_weight, X, np.float64)

    def _n_columns(self) -> int:
        """Give the number of columns inside."""
        return self._columns.n_inside

    def _check(self, X: np.ndarray, weight: np.ndarray | None = None) -> str:
        """Check all that can be checked before training; give the link's name."""
        _checks.check_moderate(X)
        self._largest_size = _ordered.most_components(self, X, weight)
        _checks.check_n_components(self._size, X.shape[1])
        _checks.check_size(self, X.shape[1])
        plan.device(self.device)
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
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        return self._learning_rates().get(self.solver, SOLVERS[self.solver].rate)

    def _learning_rates(self) -> dict[str, float]:
        """Return what learning_rate_init="auto" stands for by solver, where it is not the solver's own."""
        return {}

    def _weight_decay(self, n_rows: int) -> float:
        if self.weight_decay != "auto":
            return self.weight_decay
        solver = SOLVERS[self.solver]
        is_more = self._is_ordered() and solver.decouples_decay
        more = plan.ordered_decay(self._size, n_rows) if is_more else 1.0
        return more * self._weight_decays.get(self.solver, solver.weight_decay)

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
        return self._copies(plan.device(self.device))

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
            "mean_": self._columns.mean(frame.centre),
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
