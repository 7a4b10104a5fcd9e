"""The training loop: epochs, validation, best weights, stopping, recovery, and the history that it leaves.

Knows no estimator and no variant; it speaks of batches, a step and an objective.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from skae.training.batches import Batches
from skae.training.steps import Step

_MAX_RECOVERIES = 3
_RECOVERY_FACTOR = 0.1


class DivergenceError(FloatingPointError):
    """Training did not stay finite, even from the best weights at lower learning rates."""


class Validation(NamedTuple):
    """Errors on held-out rows after an epoch."""

    loss: float  # mean loss a cell; what the best epoch is chosen by
    score: float  # share of variance explained
    by_size: tuple[float, ...] | None = None  # the same by the first components alone, at the judged sizes


@dataclasses.dataclass
class History:
    """Losses and validation results of a run.

    Attributes
    ----------
    losses : list of dict
        Mean terms of the objective over each epoch; the first is epoch 1.
    validations : list of Validation
        Results on held-out rows; the first is epoch 0, the start. Empty without
        held-out rows.
    best_epoch : int
        The epoch whose weights were kept; 0 is the start.
    n_recoveries : int
        How often training went back to the best weights after a step that diverged.
    interrupted : bool
        Whether the user interrupted the run.
    """

    losses: list[dict[str, float]] = dataclasses.field(default_factory=list)
    validations: list[Validation] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    n_recoveries: int = 0
    interrupted: bool = False

    @property
    def n_epochs(self) -> int:
        """Number of epochs run."""
        return len(self.losses)

    @property
    def loss_curve(self) -> list[float]:
        """Sum of the terms, an epoch each."""
        return [sum(terms.values()) for terms in self.losses]


def train(
    network: nn.Module,
    objective: nn.Module,
    batches: Batches,
    step: Step,
    *,
    n_epochs: int,
    row_order: torch.Generator,
    validate: Callable[[], Validation] | None = None,
    patience: int | None = None,
    tol: float = 0.0,
    on_epoch: Callable[[int, History], bool] | None = None,
) -> History:
    """Train in place and leave the best weights in the network.

    Parameters
    ----------
    network, objective : torch.nn.Module
        What is trained.
    batches : Batches
        The rows.
    step : Step
        The update.
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
        Called after each epoch with its number and the history; a true answer stops.

    Returns
    -------
    history : History

    Raises
    ------
    DivergenceError
        If the loss stops being finite and three returns to the best weights, each at a
        tenth of the learning rate, do not help.
    """
    history = History()
    best = _Best(network, objective, math.inf)
    stopping = _Patience(patience, tol, step.schedule.warm_up * n_epochs)
    if validate is not None:
        history.validations.append(validate())
        best.take(0, history.validations[0].loss)
        stopping.update(0, history.validations[0].loss)
    try:
        while history.n_epochs < n_epochs:
            epoch = history.n_epochs + 1
            terms = _run_epoch(network, batches, step, row_order, (epoch - 1) / n_epochs, 1 / n_epochs)
            validation = validate() if validate is not None else None
            judged = validation.loss if validation is not None else sum(terms.values())
            if not (math.isfinite(judged + sum(terms.values())) and _is_finite(network)):
                _recover(history, best, step)
                continue
            history.losses.append(terms)
            step.schedule.observe(judged)
            if validation is not None:
                history.validations.append(validation)
            if validate is None or judged < best.loss:
                best.take(epoch, judged)
            stop = stopping.update(epoch, judged)
            if (on_epoch is not None and on_epoch(epoch, history)) or stop:
                break
    except KeyboardInterrupt:
        history.interrupted = True
    best.restore()
    history.best_epoch = best.epoch
    return history


def _run_epoch(
    network: nn.Module, batches: Batches, step: Step, row_order: torch.Generator, start: float, share: float
) -> dict[str, float]:
    """Go over the rows once; return the mean of each term, read from the device once."""
    network.train()
    sums: dict[str, torch.Tensor] = {}
    n_batches = batches.n_batches
    for index, batch in enumerate(batches.epoch(row_order)):
        terms = step(batch, start + share * index / n_batches)
        for name, value in terms.items():
            value = value.detach()
            sums[name] = sums[name] + value if name in sums else value
    network.eval()
    # The only place of an epoch that waits for the device.
    return {name: float(value) / n_batches for name, value in sums.items()}


def _is_finite(network: nn.Module) -> bool:
    # The loss of an epoch does not see its last update.
    return bool(torch.stack([p.detach().sum() for p in network.parameters()]).sum().isfinite())


def _recover(history: History, best: "_Best", step: Step) -> None:
    if history.n_recoveries == _MAX_RECOVERIES:
        raise DivergenceError(
            f"Training did not stay finite: the loss overflowed in epoch {history.n_epochs + 1}, and "
            f"{_MAX_RECOVERIES} returns to the best weights at a lower learning rate did not help. "
            "Lower learning_rate_init, set gradient_clip, or scale the columns of X, "
            "e.g. with StandardScaler."
        )
    history.n_recoveries += 1
    best.restore()
    step.slow_down(_RECOVERY_FACTOR)


class _Best:
    """The best weights so far, and how to get back to them."""

    def __init__(self, network: nn.Module, objective: nn.Module, loss: float) -> None:
        self.modules = (network, objective)
        self.take(0, loss)

    def take(self, epoch: int, loss: float) -> None:
        self.epoch = epoch
        self.loss = loss
        self.states: list[dict[str, Any]] = [
            {name: value.detach().clone() for name, value in module.state_dict().items()}
            for module in self.modules
        ]

    def restore(self) -> None:
        for module, state in zip(self.modules, self.states, strict=True):
            module.load_state_dict(state)
            module.eval()


class _Patience:
    """Counts epochs without improvement."""

    def __init__(self, patience: int | None, tol: float, first_epoch: float) -> None:
        self.patience = patience
        self.tol = tol
        self.first_epoch = first_epoch
        self.best = math.inf
        self.best_epoch = 0

    def update(self, epoch: int, loss: float) -> bool:
        if loss < self.best - self.tol * abs(self.best) or math.isinf(self.best):
            self.best, self.best_epoch = loss, epoch
        since = epoch - max(self.best_epoch, self.first_epoch)
        return self.patience is not None and since >= self.patience
