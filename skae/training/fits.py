"""From rows on a device to a trained network: start, held-out rows, training, choice of epoch.

Between the estimators, which know scikit-learn, and the loop, which knows neither.
"""

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import KFold

from skae._computing import global_randomness
from skae._random import Streams
from skae.networks.autoencoder import Autoencoder
from skae.networks.custom import Custom
from skae.networks.dropout import use_generator
from skae.networks.gaps import Gaps
from skae.networks.pca_start import set_linear_path
from skae.networks.principal_axes import PrincipalAxes, principal_axes
from skae.objectives.nested import Nested
from skae.objectives.objective import Objective
from skae.training import plan
from skae.training.batches import CHUNK, InMemory, Rows
from skae.training.building import build, row_work
from skae.training.fitted import Fitted, pca_score, with_pooled_sizes, with_sizes
from skae.training.held_out import HeldOut, choose_epoch, pool, weights_of
from skae.training.history import History
from skae.training.layerwise import pretrain
from skae.training.loop import train
from skae.training.plan import Layout
from skae.training.schedules import SCHEDULES
from skae.training.solvers import SOLVERS
from skae.training.steps import Step, StepSettings

# Share of the epochs that each layer is trained for beforehand.
_PRETRAINING = 0.2


OnEpoch = Callable[[int, History, Autoencoder, Objective], bool]


class Fitting:
    """One fit: the rows, the parameters of the estimator, and the streams of randomness.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Read for its parameters and asked for its parts; never changed.
    rows : Rows
        On the device.
    make_objective : callable
        Gives a new objective on the device.
    streams : Streams
        Randomness.
    layout : Layout
        Which of the rows are held out.
    start : tuple of Autoencoder and Objective, optional
        What a warm start goes on from.
    """

    def __init__(
        self,
        estimator: Any,
        rows: Rows,
        make_objective: Callable[[], Objective],
        streams: Streams,
        layout: Layout,
        start: tuple[Autoencoder, Objective] | None = None,
    ) -> None:
        self.estimator = estimator
        self.specification = estimator._specification()
        self.solver = SOLVERS[estimator.solver]
        self.rows = rows
        self.make_objective = make_objective
        self.streams = streams
        self.layout = layout
        self.start = start
        self.has_gaps = rows.has_gaps

    @property
    def n_rows(self) -> int:
        """Rows in all, held out or not."""
        return len(self.rows.target)

    @property
    def batch_size(self) -> int:
        """Rows of a batch; all of them for solvers that want so."""
        if self.solver.all_rows:
            return self.n_rows
        if self.estimator.batch_size == "auto":
            return plan.batch_size(self.n_rows)
        return min(self.estimator.batch_size, self.n_rows)

    @property
    def work(self) -> int:
        """Multiply-adds of the largest operation of a step."""
        return self.batch_size * row_work(self.estimator, self.rows.target.shape[1])

    @property
    def n_epochs(self) -> int:
        """Epochs at most."""
        if self.estimator.max_iter == "auto":
            if self.solver.n_epochs is not None:
                return self.solver.n_epochs
            n_steps = self.estimator._n_steps
            if self.layout.kind == "folds" and self.estimator._n_fold_steps is not None:
                n_steps = self.estimator._n_fold_steps
            if self.estimator._is_ordered():
                n_steps = round(plan.ORDERED_STEPS * n_steps)
            return plan.n_epochs(self.n_rows, self.batch_size, n_steps)
        return self.estimator.max_iter

    def run(self, on_epoch: OnEpoch) -> Fitted:
        """Fit."""
        start = time.perf_counter()
        with self._module_randomness():
            way = {"split": self._by_split, "folds": self._by_folds, "none": self._without_validation}
            kind = "none" if self.layout.kind == "folds" and self.start is not None else self.layout.kind
            return way[kind](on_epoch)._replace(seconds=time.perf_counter() - start)

    def begin(
        self, table: Rows, index: int = 0, centre: torch.Tensor | None = None
    ) -> tuple[Autoencoder, Objective, PrincipalAxes]:
        """Return a network and an objective at the start, and the PCA of the rows.

        `centre` is where the rows of the table lie about, (n_features,), if it is not zero.
        """
        generator = self.streams.torch("weights", index)
        objective = self.make_objective()
        if centre is not None:
            objective.move_centre(centre)
        objective.has_gaps = self.has_gaps
        gaps = self._gaps(objective, table)
        rows = self._filled(table.target, gaps)
        weighted = table._replace(target=rows).scaled()
        axes = principal_axes(weighted, self.estimator._n_pca_components(), generator)

        @functools.cache
        def drawn() -> torch.Tensor:
            # What is measured or started at single rows sees as many, drawn by their weights.
            return table._replace(target=rows).drawn(self.streams.torch("split", index))

        if objective.measures:
            objective.measure(drawn())
        if self.start is not None:
            network, previous = self.start
            # Parameters of the estimator may have changed since; what was learnt or measured stays.
            objective.load_state_dict(previous.state_dict(), strict=False)
            return network.requires_grad_(True), objective, axes
        if gaps is not None and not self.has_gaps:
            gaps.set_to(axes, weighted)
        network = build(self.estimator, self.rows.target.shape[1], generator, gaps).to(rows).eval()
        if hasattr(network.encoder, "start_at"):
            network.encoder.start_at(drawn(), network.bottleneck, generator)  # type: ignore[operator]
        if self.estimator.pretrain is not None:
            self._pretrain(network, objective, rows, index)
        if self.estimator.init == "pca" and network.linear_encoder is not None:
            set_linear_path(network, axes, generator)
            seen = Rows(table.target, rows if self.has_gaps else None, table.weight)
            self.estimator._start(network, objective, axes, seen)
        if isinstance(objective, Nested):
            objective.start(network, table.target, rows)
        return network, objective, axes

    def _filled(self, rows: torch.Tensor, gaps: Gaps | None) -> torch.Tensor:
        """Return rows (n, n_features) without gaps; themselves where there are none."""
        if not self.has_gaps:
            return rows
        fill = torch.nan_to_num if gaps is None else (lambda part: gaps(part)[0])
        filled = torch.empty_like(rows)
        for part, target in zip(rows.split(CHUNK), filled.split(CHUNK), strict=True):
            target.copy_(fill(part))
        return filled

    def _gaps(self, objective: Objective, table: Rows) -> Gaps | None:
        """Give what fills gaps, fitted if there are any; None where the encoder has a way of its own."""
        estimator = self.estimator
        if self.start is not None:
            gaps = self.start[0].gaps
            if gaps is not None:
                gaps.always |= self.has_gaps or objective.makes_gaps
            return gaps
        specification = self.specification
        if getattr(specification, "takes_gaps", False):
            return None
        always = self.has_gaps or objective.makes_gaps
        flags = always and getattr(specification, "takes_flags", False) and estimator.pretrain is None
        gaps = Gaps(table.target.shape[1], estimator._size, flags, always).to(table.target)
        if self.has_gaps:
            gaps.learn(table.seen, table.weight)
        return gaps

    def _pretrain(self, network: Autoencoder, objective: Objective, rows: torch.Tensor, index: int) -> None:
        def numbered(layer: int) -> int:
            # Streams of their own: what follows is the same with and without pretraining.
            return 1000 * (index + 1) + layer

        pretrain(
            network,
            objective,
            rows,
            n_components=self.estimator._size,
            batch_size=self.batch_size,
            n_epochs=max(1, round(_PRETRAINING * self.n_epochs)),
            make_step=lambda layer, terms, number: self.step(layer, terms, numbered(number)),
            make_order=lambda number: self.streams.torch("rows", numbered(number)),
        )

    def step(
        self,
        network: Autoencoder,
        objective: Objective,
        index: int = 0,
        schedule: str | None = None,
        scale: float = 1.0,
    ) -> Step:
        """Give the update that the estimator's solver stands for.

        `scale` lowers a learning rate that the user did not choose.
        """
        estimator = self.estimator
        noise = self.streams.torch("noise", index, self.rows.target.device)
        use_generator(network, noise)
        decay = estimator._weight_decay(self.n_rows)
        rule = SCHEDULES[schedule or estimator.learning_rate]()
        rate = estimator._learning_rate_init() * (scale if estimator.learning_rate_init == "auto" else 1.0)
        settings = StepSettings(rule, rate, decay, estimator.gradient_clip, noise)
        return self.solver.make_step(network, objective, settings)

    def _train(
        self,
        network: Autoencoder,
        objective: Objective,
        rows: Rows,
        validate: HeldOut | None,
        on_epoch: OnEpoch | None = None,
        index: int = 0,
        patience: bool = True,
    ) -> History:
        def report(epoch: int, history: History) -> bool:
            return on_epoch is not None and on_epoch(epoch, history, network, objective)

        step = self.step(network, objective, index)
        shuffle = not self.solver.all_rows
        history = train(
            network,
            objective,
            InMemory(rows.target, min(self.batch_size, len(rows.target)), shuffle, rows.inputs, rows.weight),
            step,
            n_epochs=self.n_epochs,
            rows=self.streams.torch("rows", index),
            validate=validate,
            patience=self.estimator.n_iter_no_change if patience else None,
            tol=self.estimator.tol,
            on_epoch=report,
        )
        use_generator(network, None)
        return history

    def _by_split(self, on_epoch: OnEpoch) -> Fitted:
        """Hold out one part of the rows; keep the epoch that is best on it."""
        # Views of one tensor: a second copy of the table is never made.
        cut = self.layout.n_training
        rows, held = self.rows.take(slice(cut)), self.rows.take(slice(cut, None))
        network, objective, axes = self.begin(rows)
        seen = self._seen(objective, held)
        validate = HeldOut(network, objective, held.target, seen, weight=held.weight)
        pca = pca_score([(network, axes, held._replace(inputs=seen))])
        history = self._train(network, objective, rows, validate, on_epoch)
        score = history.validations[history.best_epoch].score
        fitted = Fitted(network, objective, history, history.best_epoch, score, pca, rows)
        return with_sizes(fitted, axes, held._replace(inputs=seen))

    def _by_folds(self, on_epoch: OnEpoch) -> Fitted:
        """Let five cross-validation fits choose the epoch; train on all rows up to it."""
        folds = KFold(plan.N_FOLDS, shuffle=True, random_state=self.streams.numpy("split"))
        histories, judges, parts = [], [], []
        for index, (training, held_out) in enumerate(folds.split(np.arange(self.n_rows)), start=1):
            rows, held = (self.rows.take(torch.from_numpy(part)) for part in (training, held_out))
            centre = rows.mean()
            rows, held = rows.about(centre), held.about(centre)
            network, objective, axes = self.begin(rows, index, centre)
            seen = self._seen(objective, held, index)
            judges.append(HeldOut(network, objective, held.target, seen, keep_rows=True, weight=held.weight))
            parts.append((network, axes, held._replace(inputs=seen)))
            histories.append(self._train(network, objective, rows, judges[-1], index=index, patience=False))
            if histories[-1].interrupted:
                break
        pooled, losses = pool(histories, judges)
        if self.estimator._starts_as_pca():
            chosen = choose_epoch(losses, weights_of(judges))
        else:
            chosen = int(np.argmin([validation.loss for validation in pooled.validations]))
        network, objective, axes = self.begin(self.rows)
        if chosen and not pooled.interrupted:

            def stop_there(epoch: int, history: History, *modules: Any) -> bool:
                return on_epoch(epoch, history, *modules) or epoch == chosen

            final = self._train(network, objective, self.rows, None, stop_there, patience=False)
            pooled.interrupted = final.interrupted
            pooled.n_recoveries += final.n_recoveries
            chosen = final.n_epochs
        else:
            chosen = 0
        pca = pca_score(parts)
        score = pooled.validations[chosen].score
        fitted = Fitted(network, objective, pooled, chosen, score, pca, self.rows)
        return with_pooled_sizes(fitted, parts)

    def _without_validation(self, on_epoch: OnEpoch) -> Fitted:
        """Train on all rows to the last epoch; on a handful of rows, stay at the PCA start."""
        network, objective, axes = self.begin(self.rows)
        first = self.start is None and self.n_rows < plan.NOTHING_BELOW
        if first and self.estimator.early_stopping and self.estimator._starts_as_pca():
            history = History(losses=[{"reconstruction": self._start_loss(network, objective)}])
            fitted = Fitted(network, objective, history, 0, None, None, self.rows)
            return with_sizes(fitted, axes, self.rows)
        history = self._train(network, objective, self.rows, None, on_epoch)
        fitted = Fitted(network, objective, history, history.best_epoch, None, None, self.rows)
        return with_sizes(fitted, axes, self.rows)

    def one_epoch(self, state: dict[str, Any]) -> tuple[Fitted, dict, torch.Tensor]:
        """Go over the rows once at a constant rate, from the optimiser's state as it was left.

        Parameters
        ----------
        state : dict
            Empty, or "step" and "rows" as they were returned by the call before.

        Returns
        -------
        fitted : Fitted
        step_state : dict
        rows_state : tensor
            Position of the stream that orders the rows.
        """
        with self._module_randomness():
            network, objective, _ = self.begin(self.rows)
            objective.warms_up = False
            # What no row of one call needs, rows of the next may.
            objective.revival = None
            step = self.step(network, objective, schedule="constant", scale=0.1)
            order = self.streams.torch("rows")
            if state:
                step.load_state_dict(state["step"])
                order.set_state(state["rows"])
            shuffle = not self.solver.all_rows
            rows = self.rows
            batches = InMemory(rows.target, self.batch_size, shuffle, rows.inputs, rows.weight)
            history = train(network, objective, batches, step, n_epochs=1, rows=order)
            use_generator(network, None)
            fitted = Fitted(network, objective, history, history.best_epoch, None, None, rows)
            return fitted, step.state_dict(), order.get_state()

    def _start_loss(self, network: Autoencoder, objective: Objective) -> float:
        return HeldOut(network, objective, *self.rows[:2], weight=self.rows.weight)().loss

    def _seen(self, objective: Objective, held: Rows, index: int = 0) -> torch.Tensor:
        """Give what the encoder sees of held-out rows: corrupted once, so that epochs compare."""
        if held.inputs is not None or objective.corruption is None:
            return held.target if held.inputs is None else held.inputs
        noise = self.streams.torch("held_out_noise", index, held.target.device)
        return objective.corrupt(held.target, noise)

    def _module_randomness(self) -> contextlib.AbstractContextManager[None]:
        """Give the user's own modules a global state of their own: their dropout draws from it."""
        if isinstance(self.specification, Custom):
            return global_randomness(self.streams.seed("modules"), self.rows.target.device)
        return contextlib.nullcontext()
