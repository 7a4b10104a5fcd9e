"""Training that goes on as rows come, a part at a time, and needs no end.

Knows no estimator. The updates are those of every other training; what is added here lasts from one part to
the next.
"""

import contextlib
import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from skae._computing import global_randomness
from skae.objectives.batch import Batch
from skae.training.alone import Alone
from skae.training.batches import InMemory, Rows
from skae.training.fits import Fitting, Model, step_settings, steps_of
from skae.training.fitted import Fitted
from skae.training.loop import History, Judge, Kept, Run, Validation, checked, train
from skae.training.solvers import SOLVERS
from skae.training.stack import StackedStep
from skae.training.steps import Pair, State, Terms, WarmUp

# Steps that the mean of weights reaches back at most: 50,000 rows of a stream of large parts. 46,000 rows of
# weatherAUS, four times in parts of 1,000, explain 0.8047 of the variance of new rows by it, and 150,000 rows
# of a curved table 0.8431; means that never forget 0.8017 and 0.8386.
_HORIZON = 100
# Share of the mean in the weights at which gradients are taken.
_MIXED = 0.9


class Lasting:
    """Steps of one model that go on when a training ends; see `skae.training.loop.Steps`.

    Parameters
    ----------
    steps : StackedStep or Alone
        Of one model.
    """

    def __init__(self, steps: StackedStep | Alone) -> None:
        self.steps = steps
        self.schedules = steps.schedules
        self.here = steps.values()

    def shown(self) -> dict[str, torch.Tensor]:
        """Return the weights that are for use, by the names of the parameters."""
        return self.steps.named(self.here)

    def epoch(self, runs: Sequence[Run]) -> Iterator[Sequence[Batch]]:
        """Go over the rows once."""
        return self.steps.epoch(runs)

    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update the model once."""
        return self.steps(batches, progress)

    def training(self, runs: Sequence[Run]) -> contextlib.AbstractContextManager[object]:
        """Return what steps are computed in."""
        return self.steps.training(runs)

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Return what judges say; none are there."""
        return self.steps.judge(judges)

    def remember(self, model: int) -> Kept:
        """Keep the weights as they are now."""
        return self.steps.remember(model)

    def slow_down(self, model: int, factor: float) -> None:
        """Start afresh at a lower rate."""
        self.steps.slow_down(model, factor)

    def are_finite(self) -> list[bool]:
        """Return whether all parameters are finite."""
        return self.steps.are_finite()

    def keep(self, models: Sequence[int]) -> None:
        """Go on."""

    def rest(self) -> None:
        """End the threads that share steps."""
        self.steps.rest()

    def close(self) -> None:
        """End these threads alone: further rows may come."""
        self.rest()

    def state_dict(self) -> State:
        """Return what the next steps depend on beside the weights that are shown."""
        return {"steps": self.steps.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`, the weights being those that were shown."""
        self.steps.load_state_dict(state["steps"])


class ScheduleFree(Lasting):
    """Steps at a constant rate, and the mean of the weights that they lead to (Defazio et al. 2024).

    The mean does what a schedule would, which ends at a low rate; gradients are taken between it and the
    weights. Nothing of it knows how many steps will follow. Where an early part of a stream no longer holds,
    the mean forgets it: it reaches back over 100 steps at most.

    Parameters
    ----------
    steps : StackedStep or Alone
        Of one model, by a solver without momentum, and at a rate that rises (`WarmUp`).
    has_learnt : bool
        Whether the weights are those of an earlier training, which the first steps are not to undo.
    """

    def __init__(self, steps: StackedStep | Alone, has_learnt: bool) -> None:
        super().__init__(steps)
        self.ahead = [value.clone() for value in self.here]
        self.mean = [value.clone() for value in self.here]
        self.total = float(_HORIZON) if has_learnt else 0.0

    def shown(self) -> dict[str, torch.Tensor]:
        """Return the mean of the weights, by the names of the parameters."""
        return self.steps.named(self.mean)

    @torch.no_grad()
    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update the weights once, and their mean."""
        (schedule,) = self.schedules
        before = [value.clone() for value in self.here]
        # Steps at low rates say little of where training leads.
        weight = schedule.factor(progress[0]) ** 2
        with torch.enable_grad():
            terms = self.steps(batches, progress)
        if isinstance(schedule, WarmUp):
            schedule.n_steps += 1
        self.total += weight
        share = max(weight / self.total, 1 / _HORIZON)
        for here, start, ahead, mean in zip(self.here, before, self.ahead, self.mean, strict=True):
            ahead += here - start
            mean.lerp_(ahead, share)
        self._mix()
        return terms

    def _mix(self) -> None:
        for here, ahead, mean in zip(self.here, self.ahead, self.mean, strict=True):
            here.copy_(torch.lerp(ahead, mean, _MIXED))

    def remember(self, model: int) -> Kept:
        """Keep the weights, those that are ahead of them, and their mean."""
        kept, total = self.steps.remember(model), self.total
        further = [value.clone() for value in (*self.ahead, *self.mean)]

        def put_back(tensors: Mapping[str, torch.Tensor]) -> None:
            kept.put_back(tensors)
            self.total = total
            for value, before in zip((*self.ahead, *self.mean), further, strict=True):
                value.copy_(before)

        return Kept(kept.tensors, put_back)

    def are_finite(self) -> list[bool]:
        """Return whether all parameters and their means are finite."""
        # Added up first: a device is waited for once.
        return [math.isfinite(float(sum(value.sum() for value in (*self.ahead, *self.mean))))]

    def state_dict(self) -> State:
        """Return what the next steps depend on beside the mean of the weights."""
        return {**super().state_dict(), "ahead": self.ahead, "total": self.total}

    @torch.no_grad()
    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`; the weights are the mean."""
        super().load_state_dict(state)
        self.total = state["total"]
        for ahead, value in zip(self.ahead, state["ahead"], strict=True):
            ahead.copy_(value)
        self._mix()


class Endless:
    """A model whose training goes on as rows come.

    Parameters
    ----------
    fitting : Fitting
        The first rows, or rows that a network that was trained before goes on with. Of its plan, the steps
        have no schedule that ends.
    state : dict, optional
        From `state_dict`, where the network is the one that was shown then.

    Attributes
    ----------
    network, objective : Autoencoder, Objective
        What is for use, on the CPU and in evaluation mode; changed in place.
    row_work : int
        Multiply-adds of the largest operation on one row.
    has_gaps : bool
        Whether rows may hold NaN.
    """

    def __init__(self, fitting: Fitting, state: State | None = None) -> None:
        plan = fitting.plan
        self.streams = fitting.streams
        self.row_work = fitting.parts.blueprint.row_work(fitting.rows.target.shape[1])
        self.has_gaps = fitting.start.has_gaps
        self.shuffles, self.device = plan.shuffles, fitting.rows.target.device
        self.draws_globally = fitting.architecture.draws_globally
        with self._module_randomness():
            begun = fitting.start(fitting.rows, fitting.first)
        begun.objective.warms_up = False
        # What no row of one part needs, rows of the next may.
        begun.objective.revival = None
        # The copy is trained: what is for use is saved, and has the very functions that are known by name.
        shown = Pair(begun.network, begun.objective)
        self.pair = copy.deepcopy(shown)
        shown = shown.cpu().eval().requires_grad_(False)
        self.network, self.objective = shown.network, shown.objective
        self.steps = _steps_of(fitting, self.pair)
        self.order = fitting.streams.torch("rows")
        # What is kept of the steps of one solver is of no use to those of another.
        self.kind = f"{plan.solver}, {type(self.steps).__name__}, {type(self.steps.steps).__name__}"
        if state and state.get("kind") == self.kind:
            self._load(state)
        # Both are changed in place alone.
        where, own = self.steps.shown(), dict(shown.named_parameters())
        self._weights = [(value, where[name]) for name, value in own.items()]
        self._buffers = [
            (own, other, name)
            for own, other in zip(shown.modules(), self.pair.modules(), strict=True)
            for name, _ in own.named_buffers(recurse=False)
        ]

    def learn(self, rows: Rows, batch_size: int) -> Fitted:
        """Go over rows once.

        Parameters
        ----------
        rows : Rows
            On the device, of the dtype of the first ones.
        batch_size : int
            Rows of a step, at most.

        Returns
        -------
        fitted : Fitted
            The model as it is for use.

        Raises
        ------
        DivergenceError
            If training does not stay finite.
        """
        batches = InMemory(
            rows.target, batch_size, self.shuffles, rows.inputs, rows.weight, labels=rows.labels
        )
        run = Run(self.pair.network, self.pair.objective, batches, 1, self.order)
        with self._module_randomness():
            history: History = checked(train([run], self.steps))[0]
        self.show()
        return Fitted(
            self.network, self.objective, history, history.best_epoch, None, None, rows, at_rest=True
        )

    def move_frame(self, shift: torch.Tensor, factor: float) -> None:
        """Take rows that are shifted, (n_features,), and multiplied by a factor from now on."""
        for objective in (self.pair.objective, self.objective):
            objective.move_frame(shift.to(objective.reconstruction.centre.device), factor)

    @torch.no_grad()
    def show(self) -> None:
        """Bring what is for use to where training is."""
        for own, value in self._weights:
            own.copy_(value)
        for own, other, name in self._buffers:
            setattr(own, name, other.get_buffer(name).cpu().clone())

    @contextlib.contextmanager
    def unchanged_on_failure(self) -> Iterator[None]:
        """Go back to where training was if what is done inside fails."""
        put_back, state = self.steps.remember(0), _copied(self.state_dict())
        try:
            yield
        except BaseException:
            put_back()
            self._load(state)
            self.show()
            raise

    def state_dict(self) -> State:
        """Return all that further steps depend on beside the network and the objective that are shown."""
        return {
            "streams": self.streams,
            "kind": self.kind,
            "steps": self.steps.state_dict(),
            "rows": self.order.get_state(),
        }

    def _load(self, state: State) -> None:
        self.steps.load_state_dict(state["steps"])
        self.order.set_state(state["rows"])

    def _module_randomness(self) -> contextlib.AbstractContextManager[None]:
        """Run the user's own modules with a global state of their own, from which their dropout draws."""
        if self.draws_globally:
            return global_randomness(self.streams.seed("modules"), self.device)
        return contextlib.nullcontext()


def _steps_of(fitting: Fitting, pair: Pair) -> Lasting:
    """Return the steps of a plan, without a schedule that ends."""
    solver, plan = SOLVERS[fitting.plan.solver], fitting.plan
    rows = fitting.rows
    noise = fitting.streams.torch("noise", 0, rows.target.device)
    # Statistics of batches would be those of weights at which gradients are taken, not of their mean.
    is_free = solver.averages and not fitting.architecture.mixes_rows
    settings = step_settings(plan.without_schedule(), noise)
    if is_free:
        settings = dataclasses.replace(settings, schedule=WarmUp(), rate=plan.learning_rate, first_moment=0.0)
    run = Run(pair.network, pair.objective, InMemory(rows.target, len(rows.target)), 1, noise)
    steps = steps_of([Model(run, plan.solver, settings)])
    return ScheduleFree(steps, fitting.parts.previous is not None) if is_free else Lasting(steps)


def _copied(state: State) -> State:
    """Return a state whose tensors are copies."""
    return {name: _copy(value) for name, value in state.items()}


def _copy(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return list(map(_copy, value)) if isinstance(value, (list, tuple)) else value
