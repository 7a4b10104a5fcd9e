"""The state of trainings: what the rest of them depends on, as plain data and tensors.

Knows no file and no estimator.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from skae.training.loop import DivergenceError, History, Kept, Steps, Training, Validation
from skae.training.pace import Knot
from skae.training.steps import State

# Share of the time that may go into keeping states, where no number of epochs is given.
_SHARE = 0.05


class Checkpoint:
    """Keep the states of all trainings of a fit, one after the other, and bring them back.

    A fit makes the same trainings in the same order whenever it has the same rows and parameters: those that
    have ended are not made again, and the one that has not goes on.

    Parameters
    ----------
    write : callable
        Takes the states of the trainings so far, and keeps them.
    states : sequence of dict, default=()
        What it was given last, by the fit that goes on.
    every : int, optional
        Epochs from one call of it to the next; None calls it as often as takes a twentieth of the time.
    generators : sequence of torch.Generator, default=()
        What is drawn from beside the generators of the trainings.
    """

    def __init__(
        self,
        write: Callable[[list[State]], None],
        states: Sequence[State] = (),
        every: int | None = None,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self.write = write
        self.states = list(states)
        self.every = every
        self.generators = generators
        self.place = -1
        self.n_epochs = 0
        # When to write next, where that is decided by time.
        self.due = 0.0

    def begin(self, trainings: list[Training], steps: Steps) -> list[Training] | None:
        """Bring trainings to the state that was kept of them."""
        self.place += 1
        if self.place == len(self.states):
            return None
        state = self.states[self.place]
        for generator, position in zip(self.generators, state["generators"], strict=True):
            generator.set_state(position)
        return resume(trainings, steps, state)

    def end_epoch(self, trainings: list[Training], active: list[Training], steps: Steps) -> None:
        """Keep the state after an epoch, if it is time to."""
        self.n_epochs += 1
        start = time.perf_counter()
        if self.n_epochs % self.every if self.every else start < self.due:
            return
        self._take(state_of(trainings, active, steps))
        self.write(self.states)
        end = time.perf_counter()
        self.due = end + (end - start) / _SHARE

    def end(self, trainings: list[Training]) -> None:
        """Take the state of trainings that have ended; it is written with that of the next ones."""
        self._take(state_of(trainings, [], None))

    def _take(self, state: State) -> None:
        positions = [generator.get_state() for generator in self.generators]
        self.states[self.place :] = [{**state, "generators": positions}]


def state_of(trainings: list[Training], active: list[Training], steps: Steps | None) -> State:
    """Return the state of trainings after an epoch.

    Parameters
    ----------
    trainings : list of Training
        All that run side by side.
    active : list of Training
        Those that took part in the epoch; none where all have ended.
    steps : Steps, optional
        Those of the active ones.

    Returns
    -------
    state : dict
        Holds copies of what training changes in place, but for the moments of the steps.
    """
    return {
        "trainings": [_training_state(training) for training in trainings],
        "active": [index for index, training in enumerate(trainings) if training in active],
        "steps": None if steps is None else steps.state_dict(),
        "pace": [list(knot) for knot in _knots(trainings)],
    }


def resume(trainings: list[Training], steps: Steps, state: State) -> list[Training]:
    """Bring trainings to a state from `state_of`; return the active ones.

    Parameters
    ----------
    trainings : list of Training
        At their start.
    steps : Steps
        Those of all of them.
    state : dict

    Returns
    -------
    active : list of Training
    """
    for model, (training, own) in enumerate(zip(trainings, state["trainings"], strict=True)):
        _load_training(training, own, partial(steps.remember, model))
    _knots(trainings)[:] = [Knot(*knot) for knot in state["pace"]]
    active: list[int] = state["active"]
    if active:
        if len(active) < len(trainings):
            steps.keep(active)
        steps.load_state_dict(state["steps"])
    return [trainings[index] for index in active]


def _knots(trainings: list[Training]) -> list[Knot]:
    """Return how fast a schedule is run through; nothing where there is no limit of time."""
    pace = trainings[0].pace
    return [] if pace is None else pace.knots


def _training_state(training: Training) -> State:
    run, judge = training.run, training.run.validate
    # The best weights are, or may be, among those that are kept for later.
    weights = {**run.weights, training.history.best_epoch: training.restore_best}
    return {
        "history": _history_state(training.history),
        "stopping": [training.stopping.best, training.stopping.best_epoch],
        "best_loss": training.best_loss,
        "is_done": training.is_done,
        "stops_group": training.stops_group,
        "kept": sorted(run.weights),
        "weights": {str(epoch): dict(kept.tensors) for epoch, kept in weights.items()},
        "order": run.row_order.get_state(),
        "judge": None if judge is None else judge.state_dict(),
        "network": _copies(run.network),
        "objective": _copies(run.objective),
        "counters": run.objective.counters(),
    }


def _load_training(training: Training, state: State, remember: Callable[[], Kept]) -> None:
    """Bring one training to a state; what `remember` keeps is overwritten by the weights of the state."""
    run = training.run
    _load_history(training.history, state["history"])
    training.stopping.best, training.stopping.best_epoch = state["stopping"]
    training.best_loss = state["best_loss"]
    training.is_done, training.stops_group = state["is_done"], state["stops_group"]
    weights: dict[int, Kept] = {}
    for epoch, tensors in state["weights"].items():
        weights[int(epoch)] = remember()
        _load(weights[int(epoch)].tensors, tensors)
    training.restore_best = weights[training.history.best_epoch]
    run.weights.update({epoch: weights[epoch] for epoch in state["kept"]})
    run.row_order.set_state(state["order"])
    if run.validate is not None:
        run.validate.load_state_dict(state["judge"])
    _load(_tensors(run.network), state["network"])
    _load(_tensors(run.objective), state["objective"])
    run.objective.load_counters(state["counters"])


def _history_state(history: History) -> State:
    return {
        "losses": history.losses,
        "validations": [list(validation) for validation in history.validations],
        "best_epoch": history.best_epoch,
        "n_recoveries": history.n_recoveries,
        "divergence": None if history.divergence is None else str(history.divergence),
    }


def _load_history(history: History, state: State) -> None:
    history.losses = list(state["losses"])
    history.validations = [
        Validation(loss, score, None if by_size is None else tuple(by_size), told)
        for loss, score, by_size, told in state["validations"]
    ]
    history.best_epoch, history.n_recoveries = state["best_epoch"], state["n_recoveries"]
    if state["divergence"] is not None:
        history.divergence = DivergenceError(state["divergence"])


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return all parameters and buffers of a module, also those that are not saved with it."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _copies(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in _tensors(module).items()}


@torch.no_grad()
def _load(tensors: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> None:
    """Copy values into tensors, which stay where they are: they may be views of a stack."""
    for name, value in tensors.items():
        value.copy_(state[name])
