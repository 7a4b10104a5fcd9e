"""One fit before its trainings: rows, plan, parts and streams, networks at their start, models to be trained.

Reads a plan in which every choice is made, and knows no estimator.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from skae._random import Streams
from skae.networks.autoencoder import Autoencoder, Blueprint
from skae.networks.gaps import learn
from skae.networks.principal_axes import Gaps, PrincipalAxes, principal_axes
from skae.objectives.batch import Batch
from skae.objectives.objective import Objective
from skae.training.alone import Alone
from skae.training.batches import CHUNK, InMemory, Rows
from skae.training.dense_gradient import can_differentiate
from skae.training.layerwise import pretrain
from skae.training.loop import History, Keeper, Run, left_at_start, train
from skae.training.pace import Clock
from skae.training.plan import Plan
from skae.training.solvers import SOLVERS
from skae.training.stack import StackedStep
from skae.training.steps import SCHEDULES, OneCycle, Pair, Step, StepSettings
from skae.training.streamed import Stream, Streamed, kept
from skae.training.structure import can_pad, can_stack, structure

# Numbers that all layers of a stack put out in a step, at most: 8 MiB of float32, and as much for gradients.
_MOST_IN_STEP = 2**21
# Numbers of the trainings of one start lie below it.
_STARTS_APART = 1_000_000


class Team(Protocol):
    """Processes that train the same model together, each on rows of its own."""

    def share(self, model: Model, n_batches: int, like: torch.Tensor) -> None:
        """Let all of them train a model, as the first begins it.

        Parameters
        ----------
        model : Model
        n_batches : int
            Of an epoch, in each of them.
        like : tensor of shape (1, n_features)
            A row.
        """
        ...


class Parts(NamedTuple):
    """What is trained: new networks and objectives, and what an estimator does at their start."""

    blueprint: Blueprint
    new_objective: Callable[[], Objective]  # on the device
    # Goes on from a linear path that is PCA, seeing the rows without gaps.
    after_pca: Callable[[Autoencoder, Objective, PrincipalAxes, Rows], None]
    # What a warm start goes on from.
    previous: tuple[Autoencoder, Objective] | None = None


class Begun(NamedTuple):
    """A network and an objective at the start, and the PCA of the rows."""

    network: Autoencoder
    objective: Objective
    axes: PrincipalAxes


@dataclasses.dataclass(frozen=True)
class Start:
    """Begins trainings: one of all rows, or one a fold.

    Parameters
    ----------
    plan : Plan
        How the network is trained.
    parts : Parts
        What is trained.
    streams : Streams
        Randomness.
    has_gaps : bool
        Whether any of all rows holds NaN.
    keeper : Keeper, optional
        Where the state of pretraining is kept.
    clock : Clock, optional
        What ends it in time.
    axes : PrincipalAxes, optional
        PCA of the rows that are trained on, where they are more than those at hand.
    """

    plan: Plan
    parts: Parts
    streams: Streams
    has_gaps: bool
    keeper: Keeper | None = None
    clock: Clock | None = None
    axes: PrincipalAxes | None = None

    def __call__(self, table: Rows, index: int = 0, centre: torch.Tensor | None = None) -> Begun:
        """Begin a training on rows.

        Parameters
        ----------
        table : Rows
            Those that are trained on.
        index : int, default=0
            Number of the training, each of which has streams of its own.
        centre : tensor of shape (n_features,), optional
            Where the rows lie about, if that is not zero.

        Returns
        -------
        begun : Begun
        """
        generator = self.streams.torch("weights", index)
        objective = self._objective(centre)
        gaps = self._gaps(objective, table)
        rows = filled(table.target, gaps) if self.has_gaps else table.target
        weighted = table._replace(target=rows).scaled()
        if self.axes is None:
            axes = principal_axes(weighted, self.plan.n_pca_components, generator)
        else:
            axes = self.axes.to(rows.device)

        @functools.cache
        def drawn() -> torch.Tensor:
            # What is measured or started at single rows sees as many, drawn by their weights.
            return table._replace(target=rows).drawn(self.streams.torch("split", index))

        if objective.adapts:
            objective.adapt(drawn())
        if self.parts.previous is not None:
            network, previous = self.parts.previous
            # Parameters of the estimator may have changed since; what was learnt or measured stays.
            objective.load_state_dict(previous.state_dict(), strict=False)
            if self.plan.target_weights and previous.head is None:
                objective.start_head(network, Batch(rows, table.target, table.weight, labels=table.labels))
            return Begun(network.requires_grad_(True), objective, axes)
        if gaps is not None and not self.has_gaps:
            gaps.set_to(axes, weighted)
        network = self.parts.blueprint.build(table.target.shape[1], generator, gaps).to(rows).eval()
        if network.encoder.starts_at_rows:
            network.encoder.start_at(drawn(), network.bottleneck, generator)
        if self.plan.n_pretraining_epochs:
            self._pretrain(network, objective, rows, index)
        is_pca = self.plan.init == "pca" and network.linear_encoder is not None
        if is_pca:
            network.start_at(axes, generator)
        if network.bottleneck.starts_at_codes and not network.encoder.starts_at_rows:
            network.start_bottleneck(drawn())
        if is_pca:
            seen = Rows(table.target, rows if self.has_gaps else None, table.weight)
            self.parts.after_pca(network, objective, axes, seen)
        objective.start(network, table.target, rows)
        if self.plan.target_weights:
            objective.start_head(network, Batch(rows, table.target, table.weight, labels=table.labels))
        return Begun(network, objective, axes)

    def _objective(self, centre: torch.Tensor | None) -> Objective:
        """Return a new objective, about a centre if that is not zero."""
        objective = self.parts.new_objective()
        objective.input_noise = self.plan.input_noise
        if self.plan.target_weights and objective.head is not None:
            objective.head.coefficient = self.plan.target_weights[0]
        if centre is not None:
            objective.move_centre(centre)
        objective.has_gaps = self.has_gaps
        return objective

    def _gaps(self, objective: Objective, table: Rows) -> Gaps | None:
        """Return what fills gaps, fitted if there are any; None where the encoder has a way of its own."""
        always = self.has_gaps or objective.makes_gaps
        if self.parts.previous is not None:
            gaps = self.parts.previous[0].gaps
            if gaps is not None:
                gaps.always |= always
            return gaps
        gaps = self.parts.blueprint.gaps(table.target.shape[1], always)
        if gaps is None:
            return None
        gaps = gaps.to(table.target)
        if self.has_gaps:
            learn(gaps, table.seen, table.weight)
        return gaps

    def _pretrain(self, network: Autoencoder, objective: Objective, rows: torch.Tensor, index: int) -> None:
        def numbered(layer: int) -> int:
            # Streams of their own: what follows is the same with and without pretraining.
            return 1000 * (index + 1) + layer

        pretrain(
            network,
            objective,
            rows,
            n_components=self.parts.blueprint.n_components,
            batch_size=self.plan.batch_size,
            n_epochs=self.plan.n_pretraining_epochs,
            make_step=lambda layer, terms, number: new_step(
                self.plan, layer, terms, self.streams.torch("noise", numbered(number), rows.device)
            ),
            make_order=lambda number: self.streams.torch("rows", numbered(number)),
            keeper=self.keeper,
            clock=self.clock,
        )


def filled(rows: torch.Tensor, gaps: Gaps | None) -> torch.Tensor:
    """Return rows (n, n_features) without gaps: by zeros where nothing fills them."""
    fill = torch.nan_to_num if gaps is None else (lambda part: gaps(part)[0])
    whole = torch.empty_like(rows)
    for part, target in zip(rows.split(CHUNK), whole.split(CHUNK), strict=True):
        target.copy_(fill(part))
    return whole


def new_step(plan: Plan, network: Autoencoder, objective: Objective, noise: torch.Generator) -> Step:
    """Return the update that the solver of a plan stands for.

    Parameters
    ----------
    plan : Plan
        How the network is trained.
    network, objective : Autoencoder, Objective
        What is trained. Dropout of the network draws from the noise, too.
    noise : torch.Generator
        The stream called "noise", on the device.

    Returns
    -------
    step : Step
    """
    network.draw_dropout_from(noise)
    return SOLVERS[plan.solver].make_step(network, objective, step_settings(plan, noise))


def step_settings(plan: Plan, noise: torch.Generator) -> StepSettings:
    """Return what a step is made with by a plan."""
    schedule = OneCycle(plan.warm_up) if plan.schedule == "one_cycle" else SCHEDULES[plan.schedule]()
    rate, decay, clip = plan.learning_rate, plan.weight_decay, plan.gradient_clip
    return StepSettings(schedule, rate, decay, clip, noise, plan.second_moment)


class Straight:
    """Where a model starts, from which it may keep only a share of what it learns."""

    def __init__(self, run: Run) -> None:
        self.network, self.head = run.network, run.objective.head
        self.path = run.network.path()
        self.model = None if self.head is None else self.head.model()

    def keep(self, share: float) -> None:
        """Keep a share; the linear model of a target goes as far as the codes do."""
        self.network.straighten(self.path, share)
        if self.head is not None and self.model is not None:
            self.head.straighten(self.model, share)


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
    keeper : Keeper, optional
        Where the state of its trainings is kept.
    clock : Clock, optional
        What ends them in time.
    stream : Stream, optional
        The rows that are trained on, where these do not lie in memory; `rows` are a sample of them then.
    team : Team, optional
        The processes that train it together, each on a stream of its own.

    Attributes
    ----------
    first : int
        Number of the first of its trainings.
    n_rows : int
        Number of all rows, held-out ones among them.
    """

    def __init__(
        self,
        plan: Plan,
        parts: Parts,
        rows: Rows,
        streams: Streams,
        number: int = 0,
        keeper: Keeper | None = None,
        clock: Clock | None = None,
        stream: Stream | None = None,
        team: Team | None = None,
    ) -> None:
        self.team = team
        self.keeper = keeper
        self.clock = clock
        self.plan = plan
        self.parts = parts
        self.number = number
        self.first = _STARTS_APART * number
        self.rows = rows
        self.streams = streams
        self.stream = stream
        self.n_rows = len(rows.target) if stream is None else stream.n_rows
        self.architecture = parts.blueprint.architecture
        has_gaps, axes = (rows.has_gaps, None) if stream is None else (stream.has_gaps, stream.axes)
        self.start = Start(plan, parts, streams, has_gaps, keeper, clock, axes)
        self.work = plan.batch_size * parts.blueprint.row_work(rows.target.shape[1])

    def kept_by(self, keeper: Keeper) -> Fitting:
        """Return the same, with its state kept."""
        started = self.plan, self.parts, self.rows, self.streams
        return Fitting(*started, self.number, keeper, self.clock, self.stream, self.team)

    def shared_by(self, team: Team) -> Fitting:
        """Return the same, trained together with others."""
        started = self.plan, self.parts, self.rows, self.streams
        return Fitting(*started, self.number, self.keeper, self.clock, self.stream, team)

    def numbered(self, number: int) -> Fitting:
        """Return the start of a number."""
        started = self.plan, self.parts, self.rows, self.streams
        return Fitting(*started, number, self.keeper, self.clock, self.stream, self.team)

    def weighing(self, target_weight: float) -> Fitting:
        """Return the fit with one weight of the target."""
        plan, parts = dataclasses.replace(self.plan, target_weights=(target_weight,)), self.parts
        if parts.previous is not None:
            parts = parts._replace(previous=copy.deepcopy(parts.previous))
        return Fitting(plan, parts, self.rows, self.streams, self.number, self.keeper)

    def model(
        self, begun: Begun, rows: Rows, index: int = 0, n_rows: int | None = None, **options: Any
    ) -> Model:
        """Return one model that is to be trained, with the streams of its number."""
        network, objective, _ = begun
        index += self.first
        noise = self.streams.torch("noise", index, rows.target.device)
        if self.stream is None:
            size = min(self.plan.batch_size, len(rows.target))
            batches = InMemory(
                rows.target, size, self.plan.shuffles, rows.inputs, rows.weight, n_rows, rows.labels
            )
        else:
            read = kept if self.stream.is_kept else Streamed
            batches = read(self.stream, self.plan.batch_size, rows.target)
        order = self.streams.torch("rows", index)
        run = Run(network, objective, batches, self.plan.n_epochs, order, tol=self.plan.tol, **options)
        model = Model(run, self.plan.solver, step_settings(self.plan, noise))
        if self.team is not None and self.stream is not None:
            self.team.share(model, self.stream.n_batches(self.plan.batch_size), rows.target[:1])
        return model


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


def train_models(
    models: Sequence[Model], keeper: Keeper | None = None, clock: Clock | None = None, n_later: int = 0
) -> None:
    """Train models, those that can be side by side; the others one after the other.

    Parameters
    ----------
    models : sequence of Model
        Changed in place.
    keeper : Keeper, optional
        Where the state of the trainings is kept.
    clock : Clock, optional
        What ends them in time.
    n_later : int, default=0
        Number of models that are to be trained after these, in the same time.
    """
    stacks: dict[Hashable, list[Model]] = {}
    for number, model in enumerate(models):
        key = stack_key(model) if len(models) > 1 else None
        stacks.setdefault(("alone", number) if key is None else key, []).append(model)
    is_interrupted = False
    n_left = len(models) + n_later
    for stack in itertools.chain.from_iterable(map(_divided, stacks.values())):
        runs = [model.run for model in stack]
        pace = None if clock is None else clock.pace(len(stack) / n_left)
        n_left -= len(stack)
        histories = (
            list(map(left_at_start, runs)) if is_interrupted else train(runs, steps_of(stack), keeper, pace)
        )
        for model, history in zip(stack, histories, strict=True):
            model.history = history
            model.run.network.draw_dropout_from(None)
        is_interrupted |= any(history.interrupted for history in histories)


def _divided(models: Sequence[Model]) -> Iterator[Sequence[Model]]:
    """Divide models into stacks whose steps do not leave the cache; those of a group stay together."""
    stack: list[Model] = []
    size = 0
    for _, group in itertools.groupby(models, lambda model: model.run.group or id(model)):
        own = list(group)
        further = sum(map(_step_size, own))
        if stack and size + further > _MOST_IN_STEP:
            yield stack
            stack, size = [], 0
        stack, size = [*stack, *own], size + further
    yield stack


def _step_size(model: Model) -> int:
    """Return how many numbers all layers of a model put out in a step."""
    batches = model.run.batches
    n_units = sum(len(weight) for weight in model.run.network.parameters() if weight.ndim == 2)
    return -(-batches.n_rows // batches.n_batches) * n_units


def steps_of(models: Sequence[Model]) -> StackedStep | Alone:
    """Return the updates of models that can be trained side by side, or of a single one.

    Parameters
    ----------
    models : sequence of Model

    Returns
    -------
    steps : StackedStep or Alone
    """
    first = models[0]
    network, objective = first.run.network, first.run.objective
    by_hand = SOLVERS[first.solver].stacks and can_differentiate(network, objective)
    # Also alone: torch's optimisers take longer, and the first one of a process imports torch's compiler.
    if len(models) > 1 or by_hand or (SOLVERS[first.solver].stacks and can_stack(network, objective)):
        pairs = [Pair(model.run.network, model.run.objective) for model in models]
        return StackedStep(pairs, [model.settings for model in models], by_hand)
    network.draw_dropout_from(first.settings.noise)
    return Alone(SOLVERS[first.solver].make_step(network, objective, first.settings), network, objective)
