"""The training loop: epochs, validation, best weights, stopping, recovery, and the history that it leaves.

Trains one model or several side by side. Knows no estimator and no variant; it speaks of batches, a step and
an objective.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple, Protocol

import torch

from skae.networks.autoencoder import Autoencoder
from skae.objectives.batch import Batch
from skae.objectives.objective import Objective
from skae.training.batches import Batches
from skae.training.pace import Pace
from skae.training.steps import Schedule, State, Terms

_MAX_RECOVERIES = 3
_RECOVERY_FACTOR = 0.1


@dataclasses.dataclass(frozen=True)
class Kept:
    """Weights of a model as they were after an epoch; a call puts them back.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Copies, by name.
    put_back : callable
        Puts such tensors into the model that they were taken from.
    """

    tensors: Mapping[str, torch.Tensor]
    put_back: Callable[[Mapping[str, torch.Tensor]], object]

    def __call__(self) -> None:
        """Put the weights back."""
        self.put_back(self.tensors)


class DivergenceError(FloatingPointError):
    """Training did not stay finite, even from the best weights at lower learning rates."""


class Validation(NamedTuple):
    """Errors on held-out rows after an epoch."""

    loss: float  # mean loss a cell; what the best epoch is chosen by
    score: float  # share of variance explained
    by_size: tuple[float, ...] | None = None  # the same by the first components alone, at the judged sizes
    told: float | None = None  # share of the loss of a target that its linear model on the codes explains


class Judge(Protocol):
    """Held-out rows, or what else judges a model."""

    def __call__(self) -> Validation:
        """Judge the model as it is now."""
        ...

    def forget(self) -> None:
        """Forget the last epoch that was judged: training goes back to an earlier one."""
        ...

    def repeat(self) -> None:
        """Take what was kept of the last epoch for that of the next one, which is not judged."""
        ...

    def state_dict(self) -> State:
        """Return what was kept of the epochs that were judged."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        ...


@dataclasses.dataclass
class History:
    """Losses and validation results of a run.

    Attributes
    ----------
    losses : list of dict
        Mean terms of the objective over each epoch; the first is epoch 1.
    validations : list of Validation
        Results on held-out rows; the first is epoch 0, the start. Empty without
        held-out rows. After an epoch that was not judged, that of the last one that was.
    best_epoch : int
        The epoch whose weights were kept; 0 is the start.
    n_recoveries : int
        How often training went back to the best weights after a step that diverged.
    interrupted : bool
        Whether the user interrupted the run.
    divergence : DivergenceError or None
        Why training ended before its time.
    """

    losses: list[dict[str, float]] = dataclasses.field(default_factory=list)
    validations: list[Validation] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    n_recoveries: int = 0
    interrupted: bool = False
    divergence: DivergenceError | None = None

    @property
    def n_epochs(self) -> int:
        """Number of epochs run."""
        return len(self.losses)

    @property
    def loss_curve(self) -> list[float]:
        """Sum of the terms, an epoch each."""
        return [sum(terms.values()) for terms in self.losses]


@dataclasses.dataclass
class Run:
    """One model to be trained.

    Parameters
    ----------
    network, objective : Autoencoder, Objective
        What is trained.
    batches : Batches
        The rows.
    n_epochs : int
        How often to go over the rows at most.
    row_order : torch.Generator
        Source of the order of rows within each epoch.
    validate : callable, optional
        Gives the result on held-out rows. The epoch of least loss is kept, the start
        included. Without it, the last epoch is kept.
    patience : int, optional
        Stop after so many epochs without an improvement of `tol`, counted from the end of
        the schedule's warm-up. None never stops early.
    tol : float, default=0.0
        Smallest improvement of the loss that counts, relative to the best so far.
    on_epoch : callable, optional
        Called after each epoch with its number and the history; a true answer stops the model and all
        others of its group.
    group : hashable, optional
        Models that stop together; None stops alone.
    kept_epochs : collection of int, default=()
        Epochs after which weights are kept, 0 for the start.
    judged_epochs : collection of int, optional
        Epochs after which held-out rows are asked; all by default. The start is always judged.

    Attributes
    ----------
    weights : dict of int to Kept
        These weights, by epoch.
    """

    network: Autoencoder
    objective: Objective
    batches: Batches
    n_epochs: int
    row_order: torch.Generator
    validate: Judge | None = None
    patience: int | None = None
    tol: float = 0.0
    on_epoch: Callable[[int, History], bool] | None = None
    group: object = None
    kept_epochs: Collection[int] = ()
    judged_epochs: Collection[int] | None = None
    weights: dict[int, Kept] = dataclasses.field(default_factory=dict)


class Steps(Protocol):
    """What the loop calls for every batch of each of the models that it trains."""

    schedules: list[Schedule]

    def epoch(self, runs: Sequence[Run]) -> Iterator[Sequence[Batch]]:
        """Go over the rows of each model once: what `__call__` takes, a batch of each model as a rule."""
        ...

    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update each model once; return the terms of their losses before the update, (n_models,) each."""
        ...

    def training(self, runs: Sequence[Run]) -> AbstractContextManager[object]:
        """Return what the steps of an epoch are computed in, which sets all models to training mode."""
        ...

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Return what the judge of each model says; None for a model that has none."""
        ...

    def remember(self, model: int) -> Kept:
        """Keep the weights of a model as they are now."""
        ...

    def slow_down(self, model: int, factor: float) -> None:
        """Start a model afresh at a lower rate, after its weights went back to an earlier epoch."""
        ...

    def are_finite(self) -> list[bool]:
        """Return whether all parameters of each model are finite."""
        ...

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models."""
        ...

    def rest(self) -> None:
        """End the threads that share steps, until the next one."""
        ...

    def close(self) -> None:
        """End training."""
        ...

    def state_dict(self) -> State:
        """Return what the next steps depend on beside the models: moments, rates, schedules and noise."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict` of as many models."""
        ...


class Keeper(Protocol):
    """Where the state of trainings is kept while they run, so that they can go on in another process."""

    def begin(self, trainings: "list[Training]", steps: Steps) -> "list[Training] | None":
        """Bring trainings to the state that was kept of them.

        Returns the trainings that go on; None where these are new.
        """
        ...

    def end_epoch(self, trainings: "list[Training]", active: "list[Training]", steps: Steps) -> None:
        """Take note of the end of an epoch of those that are active."""
        ...

    def end(self, trainings: "list[Training]") -> None:
        """Take note of the end of trainings, before their best weights are put back."""
        ...


def train(
    runs: Sequence[Run], steps: Steps, keeper: Keeper | None = None, pace: Pace | None = None
) -> list[History]:
    """Train models side by side, in place, and leave the best weights in each.

    All of them have as many batches an epoch. Each goes its own way: its rows and their order, its rate, its
    best epoch, and its end.

    Parameters
    ----------
    runs : sequence of Run
        The models.
    steps : Steps
        Their updates.
    keeper : Keeper, optional
        Where the state is kept after epochs, and found if a training goes on that another process began.
    pace : Pace, optional
        What ends training in time.

    Returns
    -------
    histories : list of History
        Where training did not stay finite, even after three returns to the best weights, each at a tenth of
        the learning rate, its `divergence` is set: see `checked`.
    """
    try:
        return _trained(runs, steps, keeper, pace)
    except BaseException:
        steps.rest()
        raise


def _trained(runs: Sequence[Run], steps: Steps, keeper: Keeper | None, pace: Pace | None) -> list[History]:
    """Do what `train` does, but for what errors leave behind."""
    trainings = [
        Training(run, steps.schedules[model], steps.remember(model), pace) for model, run in enumerate(runs)
    ]
    active = trainings
    try:
        resumed = None if keeper is None else keeper.begin(trainings, steps)
        if resumed is None:
            start = time.perf_counter()
            starts = steps.judge([run.validate for run in runs])
            for training, validation in zip(trainings, starts, strict=True):
                training.begin(validation)
            if pace is not None:
                pace.reserve(time.perf_counter() - start)
        else:
            active = resumed
        while active := _left(active, steps):
            terms = _run_epoch(active, steps, pace)
            are_finite, validations = steps.are_finite(), _judged(active, steps)
            for model, training in enumerate(active):
                result = _Result(terms[model], validations[model], are_finite[model])
                if not training.end_epoch(result, partial(steps.remember, model)):
                    steps.slow_down(model, _RECOVERY_FACTOR)
            _stop_groups(active)
            if keeper is not None:
                keeper.end_epoch(trainings, active, steps)
        if keeper is not None:
            keeper.end(trainings)
    except KeyboardInterrupt:
        for training in active:
            training.history.interrupted = True
    for training in trainings:
        if not training.is_at_best:
            training.restore_best()
    steps.close()
    for run in runs:
        for module in (run.network, run.objective):
            # Asked first: to go over all parts of a network takes as long as a small step.
            if module.training:
                module.eval()
    return [training.history for training in trainings]


def epoch_of_each(runs: Sequence[Run]) -> Iterator[Sequence[Batch]]:
    """Go over the rows of each model once, a batch of each at a time."""
    return zip(*(run.batches.epoch(run.row_order) for run in runs), strict=True)


def judge_each(judges: Sequence[Judge | None]) -> list[Validation | None]:
    """Ask judges one after the other; None of a model that has none."""
    return [None if judge is None else judge() for judge in judges]


def left_at_start(run: Run) -> History:
    """Return the history of a model that is not trained, because the user interrupted before."""
    return History(validations=[] if run.validate is None else [run.validate()], interrupted=True)


def checked(histories: Sequence[History]) -> Sequence[History]:
    """Return histories of trainings that stayed finite.

    Raises
    ------
    DivergenceError
        If one of them did not.
    """
    for history in histories:
        if history.divergence is not None:
            raise history.divergence
    return histories


def _left(active: "list[Training]", steps: Steps) -> "list[Training]":
    """Return the trainings that go on."""
    left = [index for index, training in enumerate(active) if not training.is_done]
    if left and len(left) < len(active):
        steps.keep(left)
    return [active[index] for index in left]


def _stop_groups(active: "list[Training]") -> None:
    """Stop all trainings of the groups of which one was told to, or diverged."""
    groups = {training.run.group for training in active if training.stops_group} - {None}
    for training in active:
        training.is_done |= training.run.group in groups


def _judged(active: "list[Training]", steps: Steps) -> list[Validation | None]:
    """Return what held-out rows say after an epoch; where they are not asked, what they said before."""
    if not any(training.is_judged for training in active):
        return [training.said_before() for training in active]
    found = steps.judge([training.run.validate for training in active])
    return [
        validation if training.is_judged or validation is None else training.said_before(instead=True)
        for training, validation in zip(active, found, strict=True)
    ]


def _run_epoch(active: "list[Training]", steps: Steps, pace: Pace | None) -> list[dict[str, float]]:
    """Go over the rows of each model once, or until the time is over; return the means of its terms.

    They are read from the device once.
    """
    sums: dict[str, torch.Tensor] = {}
    n_steps = 0
    n_batches = active[0].run.batches.n_batches
    runs = [training.run for training in active]
    with steps.training(runs):
        for index, batches in enumerate(steps.epoch(runs)):
            progress = [training.progress(index / n_batches) for training in active]
            for name, value in steps(batches, progress).items():
                sums[name] = sums[name] + value if name in sums else value
            n_steps += 1
            if pace is not None:
                pace.step(max(training.share(n_steps / n_batches) for training in active))
                if pace.is_over:
                    break
    # The only place of an epoch that waits for the device.
    means = {name: (value.reshape(-1) / n_steps).tolist() for name, value in sums.items()}
    return [{name: values[index] for name, values in means.items()} for index in range(len(active))]


class _Result(NamedTuple):
    """What became of an epoch of one model."""

    terms: dict[str, float]
    validation: Validation | None
    is_finite: bool  # whether all parameters are


class Training:
    """Where the training of one model stands."""

    def __init__(self, run: Run, schedule: Schedule, start: Kept, pace: Pace | None = None) -> None:
        self.run = run
        self.schedule = schedule
        self.pace = pace
        self.history = History()
        self.stopping = Patience(run.patience, run.tol, schedule.warm_up * run.n_epochs)
        self.best_loss = math.inf
        self.stops_group = False
        self.is_done = False
        self.restore_best = start

    def begin(self, validation: Validation | None) -> None:
        """Take note of the start."""
        if 0 in self.run.kept_epochs:
            self.run.weights[0] = self.restore_best
        if validation is not None:
            self.history.validations.append(validation)
            self.best_loss = validation.loss
            self.stopping.update(0, validation.loss)

    @property
    def is_judged(self) -> bool:
        """Whether held-out rows are asked after the epoch at hand."""
        run = self.run
        is_next = run.judged_epochs is None or self.history.n_epochs + 1 in run.judged_epochs
        return run.validate is not None and is_next

    def said_before(self, instead: bool = False) -> Validation | None:
        """Return what held-out rows said after the last epoch, or None; `instead` of what they just said."""
        judge = self.run.validate
        if judge is None:
            return None
        if instead:
            judge.forget()
        judge.repeat()
        return self.history.validations[-1]

    @property
    def is_at_best(self) -> bool:
        """Whether the weights are the best ones, where no step was left off: those of the last epoch."""
        return self.history.best_epoch == self.history.n_epochs and not self.history.interrupted

    def share(self, share: float) -> float:
        """Return the share of all epochs that are done, at a share of the epoch at hand."""
        return (self.history.n_epochs + share) / self.run.n_epochs

    def progress(self, share: float) -> float:
        """Return how far the schedule is, in [0, 1], at a share of the epoch at hand."""
        done = (self.history.n_epochs + share) / self.run.n_epochs
        return done if self.pace is None else self.pace.progress(done)

    def end_epoch(self, result: _Result, remember: Callable[[], Kept]) -> bool:
        """Take note of an epoch; go back to the best weights and return False if it did not stay finite."""
        history, run = self.history, self.run
        terms, validation, is_finite = result
        judged = validation.loss if validation is not None else sum(terms.values())
        # The loss of an epoch does not see its last update.
        if not (is_finite and math.isfinite(judged + sum(terms.values()))):
            if run.validate is not None:
                run.validate.forget()
            return self._recover()
        history.losses.append(terms)
        epoch = history.n_epochs
        self.schedule.observe(judged)
        if validation is not None:
            history.validations.append(validation)
        is_best = validation is None or judged < self.best_loss
        is_kept = epoch in run.kept_epochs
        if self.pace is not None:
            is_kept = self.pace.keeps(epoch, run.kept_epochs, run.n_epochs)
        if is_best or is_kept:
            weights = remember()
            if is_best:
                self.restore_best, self.best_loss, history.best_epoch = weights, judged, epoch
            if is_kept:
                run.weights[epoch] = weights
        self.is_done = self.stopping.update(epoch, judged) or epoch == run.n_epochs
        self.is_done |= self.pace is not None and self.pace.is_over
        if run.on_epoch is not None and run.on_epoch(epoch, history):
            self.is_done = self.stops_group = True
        return True

    def _recover(self) -> bool:
        history = self.history
        if history.n_recoveries == _MAX_RECOVERIES:
            history.divergence = DivergenceError(
                f"Training did not stay finite: the loss overflowed in epoch {history.n_epochs + 1}, and "
                f"{_MAX_RECOVERIES} returns to the best weights at a lower learning rate did not help. "
                "Lower learning_rate_init, set gradient_clip, or scale the columns of X, "
                "e.g. with StandardScaler."
            )
            self.is_done = self.stops_group = True
        else:
            history.n_recoveries += 1
        self.restore_best()
        return False


class Patience:
    """Counts epochs without improvement."""

    def __init__(self, patience: int | None, tol: float, first_epoch: float) -> None:
        self.patience = patience
        self.tol = tol
        self.first_epoch = first_epoch
        self.best = math.inf
        self.best_epoch = 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take note of a loss; return whether patience has ended."""
        if loss < self.best - self.tol * abs(self.best) or math.isinf(self.best):
            self.best, self.best_epoch = loss, epoch
        since = epoch - max(self.best_epoch, self.first_epoch)
        return self.patience is not None and since >= self.patience
