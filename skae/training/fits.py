"""From rows on a device to a trained network: held-out rows, training, and the epoch that is kept.

Reads a plan in which every choice is made, and knows no estimator.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import KFold

from skae._computing import global_randomness
from skae._random import Streams
from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.training.batches import InMemory, Rows
from skae.training.fitted import Fitted, with_pooled_sizes, with_sizes
from skae.training.held_out import HeldOut, Judged, choose_epoch, pca_score, pool, weights_of
from skae.training.loop import History, train
from skae.training.plan import N_FOLDS, Plan
from skae.training.start import Begun, Parts, Start, new_step

OnEpoch = Callable[[int, History, Autoencoder, Objective], bool]


class Fitting:
    """One fit: the rows, the plan, the parts, and the streams of randomness.

    Parameters
    ----------
    plan : Plan
        How the network is trained.
    parts : Parts
        What is trained.
    rows : Rows
        On the device.
    streams : Streams
        Randomness.
    """

    def __init__(self, plan: Plan, parts: Parts, rows: Rows, streams: Streams) -> None:
        self.plan = plan
        self.rows = rows
        self.streams = streams
        self.architecture = parts.blueprint.architecture
        self.start = Start(plan, parts, streams, rows.has_gaps)
        self.work = plan.batch_size * parts.blueprint.row_work(rows.target.shape[1])

    def run(self, on_epoch: OnEpoch) -> Fitted:
        """Fit.

        Parameters
        ----------
        on_epoch : callable
            Called after each epoch of the training whose weights are kept; a true answer stops it.

        Returns
        -------
        fitted : Fitted
        """
        start = time.perf_counter()
        ways = {"split": self._by_split, "folds": self._by_folds, "none": self._without_validation}
        with self._module_randomness():
            fitted = ways[self.plan.held_out](on_epoch)
        return fitted._replace(seconds=time.perf_counter() - start)

    def _train(
        self,
        begun: Begun,
        rows: Rows,
        validate: HeldOut | None,
        on_epoch: OnEpoch | None = None,
        index: int = 0,
        patience: int | None = None,
    ) -> History:
        network, objective, _ = begun

        def report(epoch: int, history: History) -> bool:
            return on_epoch is not None and on_epoch(epoch, history, network, objective)

        noise = self.streams.torch("noise", index, rows.target.device)
        size = min(self.plan.batch_size, len(rows.target))
        history = train(
            network,
            objective,
            InMemory(rows.target, size, self.plan.shuffles, rows.inputs, rows.weight),
            new_step(self.plan, network, objective, noise),
            n_epochs=self.plan.n_epochs,
            row_order=self.streams.torch("rows", index),
            validate=validate,
            patience=patience,
            tol=self.plan.tol,
            on_epoch=report,
        )
        network.draw_dropout_from(None)
        return history

    def _by_split(self, on_epoch: OnEpoch) -> Fitted:
        """Hold out one part of the rows; keep the epoch that is best on it."""
        # Views of one tensor: a second copy of the table is never made.
        cut = self.plan.n_training
        rows, held = self.rows.take(slice(cut)), self.rows.take(slice(cut, None))
        begun = self.start(rows)
        network, objective, axes = begun
        held = held._replace(inputs=self._seen(objective, held))
        validate = HeldOut(network, objective, held.target, held.inputs, weight=held.weight)
        pca = pca_score([Judged(network, axes, held)])
        history = self._train(begun, rows, validate, on_epoch, patience=self.plan.patience)
        score = history.validations[history.best_epoch].score
        fitted = Fitted(network, objective, history, history.best_epoch, score, pca, rows)
        return with_sizes(fitted, axes, held) if objective.n_sizes else fitted

    def _by_folds(self, on_epoch: OnEpoch) -> Fitted:
        """Let five cross-validation fits choose the epoch; train on all rows up to it."""
        histories, judges, parts = [], [], []
        for index, fold in enumerate(folds(self.rows, self.streams.numpy("split")), start=1):
            begun = self.start(fold.rows, index, fold.centre)
            network, objective, axes = begun
            held = fold.held._replace(inputs=self._seen(objective, fold.held, index))
            weight = held.weight
            judges.append(
                HeldOut(network, objective, held.target, held.inputs, keep_rows=True, weight=weight)
            )
            parts.append(Judged(network, axes, held))
            histories.append(self._train(begun, fold.rows, judges[-1], index=index))
            if histories[-1].interrupted:
                break
        pooled, losses = pool(histories, judges)
        chosen = chosen_epoch(pooled, losses, weights_of(judges), self.plan.starts_at_pca)
        begun = self.start(self.rows)
        if chosen:

            def stop_there(epoch: int, history: History, *modules: Any) -> bool:
                return on_epoch(epoch, history, *modules) or epoch == chosen

            final = self._train(begun, self.rows, None, stop_there)
            pooled.interrupted = final.interrupted
            pooled.n_recoveries += final.n_recoveries
            chosen = final.n_epochs
        score, pca = pooled.validations[chosen].score, pca_score(parts)
        fitted = Fitted(begun.network, begun.objective, pooled, chosen, score, pca, self.rows)
        return with_pooled_sizes(fitted, parts) if begun.objective.n_sizes else fitted

    def _without_validation(self, on_epoch: OnEpoch) -> Fitted:
        """Train on all rows to the last epoch; on a handful of rows, stay at the PCA start."""
        begun = self.start(self.rows)
        network, objective, axes = begun
        if self.plan.stays_at_start:
            loss = HeldOut(network, objective, *self.rows[:2], weight=self.rows.weight)().loss
            history = History(losses=[{"reconstruction": loss}])
            fitted = Fitted(network, objective, history, 0, None, None, self.rows)
        else:
            history = self._train(begun, self.rows, None, on_epoch, patience=self.plan.patience)
            fitted = Fitted(network, objective, history, history.best_epoch, None, None, self.rows)
        return with_sizes(fitted, axes, self.rows) if objective.n_sizes else fitted

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
            network, objective, _ = self.start(self.rows)
            objective.warms_up = False
            # What no row of one call needs, rows of the next may.
            objective.revival = None
            rows = self.rows
            noise = self.streams.torch("noise", 0, rows.target.device)
            step = new_step(self.plan.without_schedule(), network, objective, noise)
            order = self.streams.torch("rows")
            if state:
                step.load_state_dict(state["step"])
                order.set_state(state["rows"])
            batches = InMemory(
                rows.target, self.plan.batch_size, self.plan.shuffles, rows.inputs, rows.weight
            )
            history = train(network, objective, batches, step, n_epochs=1, row_order=order)
            network.draw_dropout_from(None)
            fitted = Fitted(network, objective, history, history.best_epoch, None, None, rows)
            return fitted, step.state_dict(), order.get_state()

    def _seen(self, objective: Objective, held: Rows, index: int = 0) -> torch.Tensor:
        """Return what the encoder sees of held-out rows: corrupted once, so that epochs compare."""
        if held.inputs is not None or objective.corruption is None:
            return held.seen
        noise = self.streams.torch("held_out_noise", index, held.target.device)
        return objective.corrupt(held.target, noise)

    def _module_randomness(self) -> contextlib.AbstractContextManager[None]:
        """Run the user's own modules with a global state of their own, from which their dropout draws."""
        if self.architecture.draws_globally:
            return global_randomness(self.streams.seed("modules"), self.rows.target.device)
        return contextlib.nullcontext()


class Fold(NamedTuple):
    """Rows that are trained on and rows that judge, both about the mean of the former."""

    rows: Rows
    held: Rows
    centre: torch.Tensor  # (n_features,)


def folds(rows: Rows, random: np.random.RandomState) -> Iterator[Fold]:
    """Cut rows into five folds, each of which is held out once.

    Parameters
    ----------
    rows : Rows
        All rows.
    random : RandomState
        Draws the folds.

    Yields
    ------
    fold : Fold
    """
    cuts = KFold(N_FOLDS, shuffle=True, random_state=random).split(np.arange(len(rows.target)))
    for training, held_out in cuts:
        kept, held = (rows.take(torch.from_numpy(part)) for part in (training, held_out))
        centre = kept.mean()
        yield Fold(kept.about(centre), held.about(centre), centre)


def chosen_epoch(pooled: History, losses: np.ndarray, weight: np.ndarray | None, on_evidence: bool) -> int:
    """Return the epoch up to which all rows are trained on, after several folds.

    Parameters
    ----------
    pooled : History
        Of all folds, from `pool`.
    losses : ndarray of shape (n_epochs + 1, n_rows)
        Loss of each row when it was held out.
    weight : ndarray of shape (n_rows,), optional
        Weights of rows.
    on_evidence : bool
        Whether the start is left on evidence alone, see `choose_epoch`; else the least loss decides.

    Returns
    -------
    epoch : int
        0, the start, where the folds were interrupted.
    """
    if pooled.interrupted:
        return 0
    if on_evidence:
        return choose_epoch(losses, weight)
    return int(np.argmin([validation.loss for validation in pooled.validations]))
