"""One fit before its trainings: what is trained, on which rows, how, and by which streams of randomness.

Reads a plan in which every choice is made, and knows no estimator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

from skae._random import Streams
from skae.training.batches import InMemory, Rows
from skae.training.dense_gradient import can_differentiate
from skae.training.loop import Alone, History, Run, Steps, left_at_start, train
from skae.training.plan import Plan
from skae.training.solvers import SOLVERS
from skae.training.stack import Pair, StackedStep
from skae.training.start import Begun, Parts, Start, step_settings
from skae.training.steps import StepSettings
from skae.training.structure import can_pad, can_stack, structure

# Numbers of the trainings of one start lie below it.
_STARTS_APART = 1_000_000


@dataclasses.dataclass
class Model:
    """One model that is to be trained.

    Parameters
    ----------
    run : Run
        A network, an objective and rows.
    solver : str
        A key of `SOLVERS`.
    settings : StepSettings
        Rate, decay and the like.

    Attributes
    ----------
    history : History
        What training left, once it was trained.
    """

    run: Run
    solver: str
    settings: StepSettings
    history: History = dataclasses.field(default_factory=History)


def stack_key(model: Model) -> Hashable | None:
    """Return what models have in common that can be trained side by side; None for one that cannot."""
    network, objective, batches = model.run.network, model.run.objective, model.run.batches
    if not (SOLVERS[model.solver].stacks and can_stack(network, objective)):
        return None
    is_weighted = batches.is_weighted or objective.emphasis is not None or objective.has_gaps
    n_rows = None if can_pad(network, objective) else batches.n_rows
    kind = model.solver, model.settings.second_moment, structure(network, objective)
    return kind, batches.n_batches, n_rows, is_weighted


def train_models(models: Sequence[Model]) -> None:
    """Train models, those that can be side by side; the others one after the other.

    Parameters
    ----------
    models : sequence of Model
        Changed in place.
    """
    stacks: dict[Hashable, list[Model]] = {}
    for number, model in enumerate(models):
        key = stack_key(model) if len(models) > 1 else None
        stacks.setdefault(("alone", number) if key is None else key, []).append(model)
    is_interrupted = False
    for stack in stacks.values():
        runs = [model.run for model in stack]
        histories = list(map(left_at_start, runs)) if is_interrupted else train(runs, _steps(stack))
        for model, history in zip(stack, histories, strict=True):
            model.history = history
            model.run.network.draw_dropout_from(None)
        is_interrupted |= any(history.interrupted for history in histories)


def _steps(models: Sequence[Model]) -> Steps:
    first = models[0]
    network, objective = first.run.network, first.run.objective
    by_hand = SOLVERS[first.solver].stacks and can_differentiate(network, objective)
    # Also alone: torch's optimisers take longer, and the first one of a process imports torch's compiler.
    if len(models) > 1 or by_hand or (SOLVERS[first.solver].stacks and can_stack(network, objective)):
        pairs = [Pair(model.run.network, model.run.objective) for model in models]
        return StackedStep(pairs, [model.settings for model in models], by_hand)
    network.draw_dropout_from(first.settings.noise)
    return Alone(SOLVERS[first.solver].make_step(network, objective, first.settings), network, objective)


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
    number : int, default=0
        Of this start among several: rows are held out and held-out rows are corrupted alike in all of them.

    Attributes
    ----------
    first : int
        Number of the first of its trainings.
    """

    def __init__(self, plan: Plan, parts: Parts, rows: Rows, streams: Streams, number: int = 0) -> None:
        self.plan = plan
        self.parts = parts
        self.number = number
        self.first = _STARTS_APART * number
        self.rows = rows
        self.streams = streams
        self.architecture = parts.blueprint.architecture
        self.start = Start(plan, parts, streams, rows.has_gaps)
        self.work = plan.batch_size * parts.blueprint.row_work(rows.target.shape[1])

    def numbered(self, number: int) -> Fitting:
        """Return the start of a number."""
        return Fitting(self.plan, self.parts, self.rows, self.streams, number)

    def model(
        self, begun: Begun, rows: Rows, index: int = 0, n_rows: int | None = None, **options: Any
    ) -> Model:
        """Return one model that is to be trained, with the streams of its number."""
        network, objective, _ = begun
        index += self.first
        noise = self.streams.torch("noise", index, rows.target.device)
        size = min(self.plan.batch_size, len(rows.target))
        batches = InMemory(rows.target, size, self.plan.shuffles, rows.inputs, rows.weight, n_rows)
        order = self.streams.torch("rows", index)
        run = Run(network, objective, batches, self.plan.n_epochs, order, tol=self.plan.tol, **options)
        return Model(run, self.plan.solver, step_settings(self.plan, noise))
