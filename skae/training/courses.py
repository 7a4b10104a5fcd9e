"""From a fit before its trainings to a trained network: held-out rows, and the epoch that is kept."""

from __future__ import annotations

import contextlib
import copy
import functools
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

from skae._computing import global_randomness
from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.training.axes import with_axes
from skae.training.batches import Rows, folds
from skae.training.fits import Begun, Fitting, Model, Straight, stack_key, train_models
from skae.training.fitted import Fitted, with_pooled_sizes, with_sizes
from skae.training.held_out import (
    HeldOut,
    Judged,
    assured_gains,
    chosen_epoch,
    is_past_best,
    labels_of,
    missed_by_row,
    pca_score,
    pool,
    pooled_validations,
    weights_of,
)
from skae.training.last_layer import can_solve, solve_last_layer
from skae.training.loop import DivergenceError, History, Validation, checked
from skae.training.plan import N_FOLDS
from skae.training.steps import SCHEDULES
from skae.training.target_scores import Part, chosen_weight, reference_scores, with_target_scores

OnEpoch = Callable[[int, History, Autoencoder, Objective], bool]
# Epochs after which folds keep weights, until one is chosen; more would take memory and choose no better.
_N_KEPT = 20
# Numbers in all of these weights at most: half a gigabyte of float32.
_MOST_KEPT = 2**27
# Shares of what was learnt that may be kept. Of the tables below 1,000 rows in `benchmarks/many_tables.py`, a
# fifth more end above PCA than with all or nothing, and none more below.
_SHARES = (0.25, 0.5, 0.75)
Result = TypeVar("Result")


def fit(fitting: Fitting, on_epoch: OnEpoch) -> Fitted:
    """Fit a network.

    Parameters
    ----------
    fitting : Fitting
    on_epoch : callable
        Called after each epoch of the training whose weights are kept; a true answer stops it.

    Returns
    -------
    fitted : Fitted
    """
    start = time.perf_counter()
    with _module_randomness(fitting):
        course = begin(fitting, on_epoch)
        train_models(course.models, fitting.keeper, fitting.clock, course.n_later)
        fitted = _finish(course)
    return fitted._replace(seconds=time.perf_counter() - start)


def take_part(fitting: Fitting) -> None:
    """Train together with others, the first of which keeps the network: `fit` without its end."""
    with _module_randomness(fitting):
        train_models(begin(fitting, _silent).models, fitting.keeper)


def _module_randomness(fitting: Fitting) -> contextlib.AbstractContextManager[None]:
    """Run the user's own modules with a global state of their own, from which their dropout draws."""
    if fitting.architecture.draws_globally:
        return global_randomness(fitting.streams.seed("modules"), fitting.rows.target.device)
    return contextlib.nullcontext()


def begin(fitting: Fitting, on_epoch: OnEpoch) -> Course:
    """Begin the trainings of a fit, before the first step of any; takes what `fit` does."""
    course, plan = _COURSES[fitting.plan.held_out], fitting.plan
    if len(plan.target_weights) > 1:
        # Who listens would not know which weight an epoch belongs to: it hears of the first one alone.
        reports = [on_epoch, *[_silent] * (len(plan.target_weights) - 1)]
        return BestWeight(fitting, [*map(begin, map(fitting.weighing, plan.target_weights), reports)])
    if plan.n_init == 1:
        return course(fitting, on_epoch)
    starts = [fitting.numbered(number) for number in range(plan.n_init)]
    # Who listens would not know which of the starts an epoch belongs to.
    return BestStart(fitting, [course(start, _silent if start.number else on_epoch) for start in starts])


def fit_all(fittings: Sequence[Fitting], on_epochs: Sequence[OnEpoch]) -> list[Fitted | Exception]:
    """Fit several networks, side by side where they can be.

    Parameters
    ----------
    fittings : sequence of Fitting
        Of architectures that do not draw from torch's global generator.
    on_epochs : sequence of callable
        What is called after each epoch of each, see `fit`.

    Returns
    -------
    results : list of Fitted or Exception
        What a fit raised, if it did, in its place.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts: what was trained so far is of no use to anyone who asked for all of it.
    """
    start = time.perf_counter()
    begun = [_or_error(begin, fitting, report) for fitting, report in zip(fittings, on_epochs, strict=True)]
    courses = [course for course in begun if isinstance(course, Course)]
    models = [model for course in courses for model in course.models]
    train_models(models)
    if any(model.history.interrupted for model in models):
        raise KeyboardInterrupt
    results = [_or_error(_finish, course) if isinstance(course, Course) else course for course in begun]
    seconds = (time.perf_counter() - start) / max(1, len(results))
    return [result._replace(seconds=seconds) if isinstance(result, Fitted) else result for result in results]


def _finish(course: Course) -> Fitted:
    """Return what the trainings of a fit found, codes on their axes."""
    fitted = course.finish()
    fitted = with_target_scores(fitted, course.references) if course.told else fitted
    # PCA itself has its axes already, and is linear.
    is_pca = not fitted.best_epoch and course.fitting.plan.starts_at_pca
    return fitted if is_pca else with_axes(fitted)


def _or_error(function: Callable[..., Result], *arguments: object) -> Result | Exception:
    try:
        return function(*arguments)
    except Exception as error:
        return error


def _seen(fitting: Fitting, objective: Objective, held: Rows, index: int = 0) -> torch.Tensor:
    """Return what the encoder sees of held-out rows: corrupted once, so that epochs compare."""
    if held.inputs is not None or objective.corruption is None:
        return held.seen
    noise = fitting.streams.torch("held_out_noise", index, held.target.device)
    return objective.corrupt(held.target, noise)


class Course:
    """The trainings of a fit, and what is made of them.

    Parameters
    ----------
    fitting : Fitting
    on_epoch : callable
        See `fit`.

    Attributes
    ----------
    models : list of Model
        To be trained before `finish`, side by side where they can be.
    n_later : int
        Number of models that `finish` trains.
    """

    models: list[Model]
    n_later = 0
    # Rows that are trained on and rows that judge, of each fold.
    told: Sequence[Part] = ()

    def __init__(self, fitting: Fitting, on_epoch: OnEpoch) -> None:
        self.fitting = fitting
        self.on_epoch = on_epoch

    def finish(self) -> Fitted:
        """Return what the trainings found."""
        raise NotImplementedError

    @functools.cached_property
    def references(self) -> tuple[float, float]:
        """What linear models on principal components and on all columns explain of the target."""
        return reference_scores(self.models[0].run.objective, self.told)

    def reporting(self, begun: Begun) -> Callable[[int, History], bool]:
        """Return what is called after each epoch of the model that is kept."""

        def report(epoch: int, history: History) -> bool:
            return self.on_epoch(epoch, history, begun.network, begun.objective)

        return report


class BySplit(Course):
    """Hold out one part of the rows; keep the epoch that is best on it."""

    def __init__(self, fitting: Fitting, on_epoch: OnEpoch) -> None:
        super().__init__(fitting, on_epoch)
        plan = fitting.plan
        # Views of one tensor: a second copy of the table is never made.
        rows, held = (
            fitting.rows.take(slice(plan.n_training)),
            fitting.rows.take(slice(plan.n_training, None)),
        )
        self.rows, self.begun = rows, fitting.start(rows, fitting.first)
        network, objective, axes = self.begun
        self.held = held._replace(inputs=_seen(fitting, objective, held))
        labels = None if rows.labels is None else labels_of(objective, rows, held)
        self.validate = HeldOut(
            network, objective, held.target, self.held.inputs, weight=held.weight, labels=labels
        )
        judged = Judged(network, axes, self.held)
        self.pca = pca_score([judged])
        if labels is not None:
            self.told = [Part(rows, judged)]
        report = self.reporting(self.begun)
        self.models = [
            fitting.model(self.begun, rows, validate=self.validate, on_epoch=report, patience=plan.patience)
        ]

    def finish(self) -> Fitted:
        """Return the network as it was after the best epoch, or with a last layer that is better still."""
        network, objective, axes = self.begun
        history = checked([model.history for model in self.models])[0]
        if history.best_epoch and can_solve(network, objective):
            self._solve_last_layer(history)
        score = history.validations[history.best_epoch].score
        fitted = Fitted(network, objective, history, history.best_epoch, score, self.pca, self.rows, axes)
        if self.told:
            fitted = fitted._replace(missed=self.validate.missed_now())
        return with_sizes(fitted, axes, self.held) if objective.n_sizes else fitted

    def _solve_last_layer(self, history: History) -> None:
        """Solve for the last layer, and keep what is better on held-out rows."""
        network, best = self.begun.network, history.best_epoch
        before = copy.deepcopy(network.state_dict())
        solve_last_layer(network, self.rows)
        found = self.validate()
        if found.loss < history.validations[best].loss:
            history.validations[best] = found
        else:
            network.load_state_dict(before)


class ByFolds(Course):
    """Let five cross-validation fits choose the epoch, and train on all rows up to it.

    The network of all rows is trained beside the folds where they can be stacked, and weights of some epochs
    are kept until one is chosen. Its epochs have as many rows as those of a fold, drawn anew for
    each, so that its steps are as many, and see as many rows.

    Where the start is PCA, folds also choose how much is kept of what was learnt: on the way from PCA to a
    network that is no better, or not surely so, there often is one that surely is a little better.
    """

    def __init__(self, fitting: Fitting, on_epoch: OnEpoch) -> None:
        super().__init__(fitting, on_epoch)
        self.judges: list[HeldOut] = []
        self.parts: list[Judged] = []
        self.models = []
        self.begun = fitting.start(fitting.rows, fitting.first)
        n_epochs = fitting.plan.n_epochs
        n_kept = min(_N_KEPT, n_epochs)
        keeps = n_kept * (N_FOLDS + 1) * _n_numbers(self.begun.network) < _MOST_KEPT
        self.straightens = keeps and fitting.plan.starts_at_pca and self.begun.network.can_straighten
        cuts = list(folds(fitting.rows, fitting.streams.numpy("split")))
        self.n_rows = min(len(fold.rows.target) for fold in cuts)
        for index, fold in enumerate(cuts, start=1):
            begun = fitting.start(fold.rows, fitting.first + index, fold.centre)
            network, objective, axes = begun
            held = fold.held._replace(inputs=_seen(fitting, objective, fold.held, index))
            labels = labels_of(objective, fold.rows, held)
            options = {"keep_rows": True, "weight": held.weight, "labels": labels}
            self.judges.append(HeldOut(network, objective, *held[:2], **options))
            self.parts.append(Judged(network, axes, held))
            if labels is not None:
                self.told = [*self.told, Part(fold.rows, self.parts[-1])]
            options = {"validate": self.judges[-1], "group": self}
            self.models.append(fitting.model(begun, fold.rows, index, self.n_rows, **options))
        if fitting.plan.ends_early:
            # The last one to hear of an epoch: all others have been judged by then.
            self.models[-1].run.on_epoch = self._is_over
        options = {"on_epoch": self.reporting(self.begun), "group": self}
        self.last = fitting.model(self.begun, fitting.rows, 0, self.n_rows, **options)
        self.is_beside = keeps and stack_key(self.last) is not None
        # Those that are chosen from: all, unless weights are kept.
        self.epochs = list(range(n_epochs + 1))
        if self.straightens or self.is_beside:
            self.epochs = [round(n_epochs * part / n_kept) for part in range(n_kept + 1)]
        for model in self.models:
            model.run.kept_epochs = self.epochs if self.straightens else ()
            model.run.judged_epochs = self.epochs if self._judges_few else None
        self.starts = [Straight(model.run) for model in (*self.models, self.last)]
        self.n_later = 0 if self.is_beside else 1
        if self.is_beside:
            self.last.run.kept_epochs = self.epochs
            self.models.append(self.last)

    @property
    def _judges_few(self) -> bool:
        """Whether held-out rows are asked after those epochs alone that are chosen from.

        On small tables to ask them takes as long as a third of a step, and an epoch is one step or a few.
        """
        plan = self.fitting.plan
        # With a time limit, which epochs are kept is seen as they pass.
        return not SCHEDULES[plan.schedule].observes and self.fitting.clock is None

    def _is_over(self, epoch: int, history: History) -> bool:
        """Return whether training ends after an epoch, since the best one is past."""
        so_far = self.epochs[: self.epochs.index(epoch) + 1] if epoch in self.epochs else []
        plan = self.fitting.plan
        return bool(so_far) and is_past_best(self.judges, so_far, plan.n_epochs, plan.starts_at_pca)

    def finish(self) -> Fitted:
        """Choose the epoch, and return the network of all rows after it."""
        histories = checked([model.history for model in self.models])[: len(self.judges)]
        pooled, losses = pool(histories, self.judges)
        chosen, share, place = self._choose(pooled, losses)
        network, objective, axes = self.begun
        if self.last.run.weights:
            self.last.run.weights[chosen]()
        elif chosen:
            chosen = self._train_up_to(chosen, pooled)
        if share < 1:
            self.starts[-1].keep(share)
        score, pca = pooled.validations[chosen].score, pca_score(self.parts)
        fitted = Fitted(network, objective, pooled, chosen, score, pca, self.fitting.rows, axes)
        fitted = fitted._replace(missed=missed_by_row(self.judges, place))
        return with_pooled_sizes(fitted, self.parts) if objective.n_sizes else fitted

    def _choose(self, pooled: History, losses: np.ndarray) -> tuple[int, float, int]:
        """Return the epoch up to which all rows are trained on, and the share that is kept of it.

        Parameters
        ----------
        pooled : History
            Of all folds, from `pool`. Where a share is kept, the result on held-out rows of the chosen
            epoch becomes that of the share.
        losses : ndarray of shape (n_epochs + 1, n_rows)
            Loss of each row when it was held out.

        Returns
        -------
        epoch : int
            0, the start, where the folds were interrupted, or where the start is PCA and no share is surely
            better.
        share : float
        place : int
            Of what held-out rows said of it, among all that they said.
        """
        weight, on_evidence = weights_of(self.judges), self.fitting.plan.starts_at_pca
        # Where all were stopped, or it went back to earlier weights, the last one may not have come as far.
        kept = [set(model.run.weights) for model in self.models if model.run.kept_epochs]
        epochs = sorted(set.intersection(*kept)) if kept else self.epochs
        chosen = chosen_epoch(pooled, losses, weight, epochs, on_evidence)
        if not (chosen and on_evidence):
            return chosen, 1.0, chosen
        shares = _SHARES if self.straightens else ()
        validations, judged = self._straightened(chosen, shares)
        best = int(assured_gains(np.stack([losses[0], *judged, losses[chosen]]), weight).argmax())
        pooled.validations[chosen] = [*validations, pooled.validations[chosen]][best - 1]
        places = 0, *range(-len(shares), 0), chosen
        return (chosen, (*shares, 1.0)[best - 1], places[best]) if best else (0, 1.0, 0)

    def _straightened(self, epoch: int, shares: Sequence[float]) -> tuple[list[Validation], np.ndarray]:
        """Judge shares of what the folds had learnt after an epoch, as `pooled_validations` does."""
        for share in shares:
            for model, start, judge in zip(self.models, self.starts, self.judges, strict=False):
                model.run.weights[epoch]()
                start.keep(share)
                judge()
        # The start comes first, for it is what an order of components is charged by.
        validations, losses = pooled_validations(self.judges, [0, *range(-len(shares), 0)])
        return validations[1:], losses[1:]

    def _train_up_to(self, chosen: int, pooled: History) -> int:
        """Train on all rows up to an epoch; return the last one that was made."""
        report = self.reporting(self.begun)

        def stop_there(epoch: int, history: History) -> bool:
            return report(epoch, history) or epoch == chosen

        self.last.run.on_epoch = stop_there
        train_models([self.last], self.fitting.keeper, self.fitting.clock)
        final = checked([self.last.history])[0]
        pooled.interrupted = final.interrupted
        pooled.n_recoveries += final.n_recoveries
        return final.n_epochs


class WithoutValidation(Course):
    """Train on all rows to the last epoch; on a handful of rows, stay at the PCA start."""

    def __init__(self, fitting: Fitting, on_epoch: OnEpoch) -> None:
        super().__init__(fitting, on_epoch)
        plan, self.begun = fitting.plan, fitting.start(fitting.rows, fitting.first)
        options = {"on_epoch": self.reporting(self.begun), "patience": plan.patience}
        stays = plan.stays_at_start
        self.models = [] if stays else [fitting.model(self.begun, fitting.rows, **options)]

    def finish(self) -> Fitted:
        """Return the network after the last epoch, or as it started."""
        network, objective, axes = self.begun
        rows = self.fitting.rows
        if self.models:
            history = checked([model.history for model in self.models])[0]
        else:
            labels = labels_of(objective, rows, rows)
            loss = HeldOut(network, objective, *rows[:2], weight=rows.weight, labels=labels)().loss
            history = History(losses=[{"reconstruction": loss}])
        fitted = Fitted(network, objective, history, history.best_epoch, None, None, rows, axes)
        return with_sizes(fitted, axes, rows) if objective.n_sizes else fitted


class BestStart(Course):
    """Of several starts, keep the one that is best on held-out rows, or on its own rows where none are.

    Parameters
    ----------
    fitting : Fitting
    courses : list of Course
        One a start.
    """

    def __init__(self, fitting: Fitting, courses: list[Course]) -> None:
        super().__init__(fitting, _silent)
        self.courses = courses
        self.models = [model for course in courses for model in course.models]
        self.n_later = sum(course.n_later for course in courses)
        self.told = courses[0].told

    def finish(self) -> Fitted:
        """Return what the best start found; one that diverged is left out, unless all of them did."""
        results = [_or_error(course.finish) for course in self.courses]
        found = [result for result in results if isinstance(result, Fitted)]
        for result in results:
            if isinstance(result, Exception) and not (found and isinstance(result, DivergenceError)):
                raise result
        return min(found, key=_loss_of)


class BestWeight(BestStart):
    """Of several weights of a target, keep the largest that costs little of what is explained beyond PCA.

    Parameters
    ----------
    fitting : Fitting
    courses : list of Course
        One a weight, in ascending order; the first is zero, a fit that does not know the target.
    """

    def finish(self) -> Fitted:
        """Return what was found with the weight that is kept."""
        found = [with_target_scores(course.finish(), self.references) for course in self.courses]
        return found[chosen_weight(found)]


def _loss_of(fitted: Fitted) -> float:
    """Return the loss that starts are compared by."""
    history = fitted.history
    if history.validations:
        return history.validations[fitted.best_epoch].loss
    return history.loss_curve[-1] if history.losses else 0.0


def _silent(epoch: int, history: History, network: Autoencoder, objective: Objective) -> bool:
    """Listen to nothing."""
    return False


_COURSES: dict[str, type[Course]] = {"split": BySplit, "folds": ByFolds, "none": WithoutValidation}


def _n_numbers(network: Autoencoder) -> int:
    return sum(value.numel() for value in network.state_dict().values())
