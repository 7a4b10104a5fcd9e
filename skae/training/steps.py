"""One update of the parameters from one batch, and its learning rate. Knows no epochs and no validation.

Rates are functions of progress in [0, 1], as factors of the initial rate.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import nn

from skae._quiet import filters_kept
from skae.networks.autoencoder import Autoencoder
from skae.objectives.batch import Batch
from skae.objectives.objective import Objective
from skae.objectives.penalties.revival import Watched

Terms = dict[str, torch.Tensor]
# Plain data and tensors, by name, nested: what training depends on between epochs.
State = dict[str, Any]

# Lengths that the line search of L-BFGS tries at most.
_LINE_SEARCH = 25
# Steps over which the rate of a training without an end rises. On weatherAUS, twenty and fifty of them end
# alike, and twenty are ahead early.
_WARM_UP = 20


class Schedule:
    """A constant rate; the base of every other schedule.

    Attributes
    ----------
    warm_up : float
        Share of the training over which the rate rises. Before its end, a lack of
        improvement says nothing and no patience is lost.
    observes : bool
        Whether the rate depends on the losses after epochs.
    """

    warm_up: float = 0.0
    observes: ClassVar[bool] = False

    def factor(self, progress: float) -> float:
        """Return the factor of the initial rate."""
        return 1.0

    def observe(self, loss: float) -> None:
        """Take note of the loss after an epoch."""


@dataclasses.dataclass
class OneCycle(Schedule):
    """Rise to the rate over a share of the training, then fall to zero, both by cosines.

    Smith and Topin (2018). On weatherAUS, the high peak that this allows was worth more
    than any other choice about the optimiser (`benchmarks/many_tables.py`).

    Parameters
    ----------
    warm_up : float, default=0.25
        The share.
    """

    warm_up: float = 0.25

    def factor(self, progress: float) -> float:
        """Return the factor of the initial rate."""
        if progress < self.warm_up:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / self.warm_up)) / 2
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2


@dataclasses.dataclass
class WarmUp(Schedule):
    """Rise to the rate over the first twenty steps, and stay there: what needs no end.

    Parameters
    ----------
    n_steps : int, default=0
        How many were made; who makes them counts.
    """

    n_steps: int = 0

    def factor(self, progress: float) -> float:
        """Return the factor of the initial rate."""
        return min(1.0, (self.n_steps + 1) / _WARM_UP)


class Cosine(Schedule):
    """Fall from the rate to zero by half a cosine (Loshchilov and Hutter 2017)."""

    def factor(self, progress: float) -> float:
        """Return the factor of the initial rate."""
        return (1 + math.cos(math.pi * progress)) / 2


class ReduceOnPlateau(Schedule):
    """Divide the rate by five whenever the loss has not improved for five epochs."""

    observes = True

    def __init__(self) -> None:
        self.reduced = 1.0
        self.best = math.inf
        self.waited = 0

    def factor(self, progress: float) -> float:
        """Return the factor of the initial rate."""
        return self.reduced

    def observe(self, loss: float) -> None:
        """Count epochs without improvement, and reduce after the fifth."""
        if loss < self.best * (1 - 1e-4):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= 5:
            self.reduced, self.waited = self.reduced / 5, 0


SCHEDULES: dict[str, type[Schedule]] = {
    "one_cycle": OneCycle,
    "constant": Schedule,
    "cosine": Cosine,
    "reduce_on_plateau": ReduceOnPlateau,
}


class Step(Protocol):
    """What the loop calls for every batch."""

    schedule: Schedule

    def __call__(self, batch: Batch, progress: float) -> Terms:
        """Update the parameters once, and return the terms of the loss before the update."""
        ...

    def slow_down(self, factor: float) -> None:
        """Start afresh at a lower rate, after weights went back to an earlier epoch."""
        ...

    def state_dict(self) -> State:
        """Return the state of the step between calls."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        ...


class Peers(Protocol):
    """Others that train the same model on rows of their own, each step at the same time."""

    def average(self, gradients: Sequence[torch.Tensor], terms: Terms, batch: Batch) -> Terms:
        """Make gradients those of the rows of all, in place; return the terms of the loss of all rows."""
        ...

    def follow(self, tensors: Sequence[torch.Tensor]) -> None:
        """Take over the values that the first of them has, in place."""
        ...


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """What a step is made with, beside a network and an objective.

    Parameters
    ----------
    schedule : Schedule
        Factor of the rate by progress.
    rate : float
        Initial learning rate.
    weight_decay : float
        Decay of the weights of the nonlinear parts.
    gradient_clip : float or None
        Largest norm of the whole gradient.
    noise : torch.Generator
        The stream that `Objective.prepare` draws from.
    second_moment : float, default=0.999
        Decay of Adam's mean of squared gradients.
    first_moment : float, default=0.9
        Decay of Adam's mean of gradients.
    peers : Peers, optional
        Who else trains the model.
    """

    schedule: Schedule
    rate: float
    weight_decay: float
    gradient_clip: float | None
    noise: torch.Generator
    second_moment: float = 0.999
    first_moment: float = 0.9
    peers: Peers | None = None


class Pair(nn.Module):
    """A network and the objective that it is trained by, as one module.

    Parameters
    ----------
    network : Autoencoder
    objective : Objective
    """

    def __init__(self, network: Autoencoder, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, batch: Batch) -> tuple[Terms, Watched]:
        """Return the named terms of the loss of a batch, and what is noted of the pass."""
        return self.objective.watched(self.network, batch)


# Takes groups of parameters, a rate, a device, and the decays of moments.
Betas = tuple[float, float]
Optimizer = Callable[[list[dict], float, torch.device, Betas], torch.optim.Optimizer]


def adam_betas(objective: Objective, settings: StepSettings) -> Betas:
    """Return the decays of Adam's moments."""
    # Where the loss weighs its parts anew in training, squares of gradients from long before say little. On
    # weatherAUS, the first two of 16 ordered components explain 0.757 so, 0.748 with 0.999.
    return settings.first_moment, 0.95 if objective.reweighs else settings.second_moment


def adam(groups: list[dict], rate: float, device: torch.device, betas: Betas) -> torch.optim.Optimizer:
    """Return AdamW."""
    # One fused kernel for all parameters: twice as fast as a loop over small tensors.
    is_fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=rate, fused=is_fused, betas=betas)


def sgd(groups: list[dict], rate: float, device: torch.device, betas: Betas) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with Nesterov momentum."""
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)


def rmsprop(groups: list[dict], rate: float, device: torch.device, betas: Betas) -> torch.optim.Optimizer:
    """Return RMSprop."""
    return torch.optim.RMSprop(groups, lr=rate)


def parameter_groups(network: Autoencoder, objective: Objective, weight_decay: float) -> list[dict]:
    """Split parameters into those that decay and those that do not.

    Decay draws the nonlinear parts towards zero, where the network is PCA. It leaves
    biases alone, and the linear path, which decay would draw away from PCA.
    """
    decaying = decaying_of(network, objective)
    known = {id(p) for p in decaying}
    others = [p for p in [*network.parameters(), *objective.parameters()] if id(p) not in known]
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def decaying_of(network: Autoencoder, objective: Objective) -> list[nn.Parameter]:
    """Return the parameters that decay; see `parameter_groups`."""
    path = [m for m in (network.linear_encoder, network.linear_decoder) if m is not None]
    free = {id(p) for module in path for p in module.parameters()}
    parameters = [*network.parameters(), *objective.parameters()]
    return [p for p in parameters if p.ndim > 1 and id(p) not in free]


class GradientStep:
    """One step of a first-order optimiser along the gradient of the objective.

    Parameters
    ----------
    network, objective : Autoencoder, Objective
        What is trained; both may have parameters.
    settings : StepSettings
        Rate, decay and the like.
    optimizer : callable
        Makes an optimiser of torch, see `Optimizer`.
    """

    def __init__(
        self,
        network: Autoencoder,
        objective: Objective,
        settings: StepSettings,
        optimizer: Optimizer,
    ) -> None:
        self.network = network
        self.objective = objective
        self.schedule = settings.schedule
        self.rate = settings.rate
        self.gradient_clip = settings.gradient_clip
        self.noise = settings.noise
        self.peers = settings.peers
        self.betas = adam_betas(objective, settings)
        self.groups = parameter_groups(network, objective, settings.weight_decay)
        self.parameters = [p for group in self.groups for p in group["params"]]
        self.make = optimizer
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.Optimizer:
        groups = [dict(group) for group in self.groups]
        # The first optimiser of a process imports what sets filters of warnings.
        with filters_kept():
            return self.make(groups, self.rate, self.parameters[0].device, self.betas)

    def __call__(self, batch: Batch, progress: float) -> Terms:
        """Update the parameters once."""
        rate = self.rate * self.schedule.factor(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.objective.progress = progress
        prepared = self.objective.prepare(batch, self.network, self.noise)
        terms, watched = self.objective.watched(self.network, prepared)
        self.optimizer.zero_grad()
        total(terms).backward()
        if self.peers is not None:
            terms = self.peers.average(self._gradients(), terms, batch)
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip, foreach=True)
        self.optimizer.step()
        self.objective.renew(self.network, watched)
        if self.peers is not None and self.objective.revival is not None:
            self.peers.follow(self.parameters)
        return terms

    def _gradients(self) -> list[torch.Tensor]:
        """Return the gradient of each parameter: zeros where the rows of this process give none."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def slow_down(self, factor: float) -> None:
        """Forget the moments, which belong to the weights left behind, and lower the rate."""
        self.rate *= factor
        self.optimizer = self._new_optimizer()

    def state_dict(self) -> State:
        """Return the optimiser's moments, the rate, and the noise stream's position."""
        found = self.optimizer.state_dict()
        # Texts for keys, as files know them.
        found["state"] = {str(place): own for place, own in found["state"].items()}
        return {
            "optimizer": found,
            "rate": self.rate,
            "schedule": vars(self.schedule).copy(),
            "noise": self.noise.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        found = state["optimizer"]
        by_place = {int(place): own for place, own in found["state"].items()}
        self.optimizer.load_state_dict({**found, "state": by_place})
        self.rate = state["rate"]
        vars(self.schedule).update(state["schedule"])
        self.noise.set_state(state["noise"])


class LBFGSStep(GradientStep):
    """One iteration of L-BFGS with a line search; wants all rows in one batch.

    The line search finds the step's length, so the learning rate is the length that it tries
    first (1 unless recovering), and there is no schedule and no clipping.
    Weight decay enters as half its multiple of the squared weights.
    """

    def __init__(self, network: Autoencoder, objective: Objective, settings: StepSettings) -> None:
        self.network, self.objective = network, objective
        self.schedule = Schedule()
        self.rate, self.noise = 1.0, settings.noise
        self.groups = parameter_groups(network, objective, settings.weight_decay)
        self.parameters = [p for group in self.groups for p in group["params"]]
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.Optimizer:
        # One evaluation for the gradient and as many as a line search may need. Left to itself, torch allows
        # one in all: a first length that fails would end the search, and every search after it.
        with filters_kept():
            return torch.optim.LBFGS(
                self.parameters,
                lr=self.rate,
                max_iter=1,
                max_eval=1 + _LINE_SEARCH,
                history_size=20,
                line_search_fn="strong_wolfe",
            )

    def __call__(self, batch: Batch, progress: float) -> Terms:
        """Update the parameters once; the batch's noise is fixed during the line search."""
        self.objective.progress = progress
        prepared = self.objective.prepare(batch, self.network, self.noise)
        first: Terms = {}

        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            terms = self.objective(self.network, prepared)
            first.update({} if first else terms)
            loss = total(terms) + sum(
                group["weight_decay"] / 2 * p.square().sum() for group in self.groups for p in group["params"]
            )
            loss.backward()
            return loss

        # torch's line search ends in an IndexError on a loss that is not finite; the loop sees
        # the same in the terms, and goes back to the best weights.
        with contextlib.suppress(IndexError):
            self.optimizer.step(cast(Any, closure))
        return first


def total(terms: Terms) -> torch.Tensor:
    """Add up the terms of an objective."""
    return torch.stack(list(terms.values())).sum() if len(terms) > 1 else next(iter(terms.values()))


# Values, gradients, first and second moments, and numbers of steps: of some members, one tensor each.
_Rows = list[list[torch.Tensor]]

# What `torch.optim.AdamW` itself calls for ``fused=True``. It is not public and may be gone one day: separate
# operations then do the same. The public function around it takes twice as long for one network, and the
# optimiser three times.
_kernel: Callable[..., None] | None = getattr(torch, "_fused_adamw_", None)
_KERNEL_DEVICES = ("cpu", "cuda")


class StackedAdam:
    """Adam with decoupled decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`, a row a member.

    Calls the kernel of ``torch.optim.AdamW(fused=True)`` on whole rows. With 13,000 parameters, one member
    takes 40 microseconds a step, norms included, and six take 110. torch's optimiser and `clip_grad_norm_`
    take 230 for the 14 tensors of one network, most of it in Python, and know one rate for all; separate
    operations take two to three times as long as the kernel.

    Parameters
    ----------
    values, gradients : tensor of shape (n_members, n_parameters)
        Parameters, changed in place, and their gradients, which are clipped in place.
    n_decaying : int
        The first so many parameters decay.
    weight_decays : sequence of float
        Decay of each member.
    gradient_clips : sequence of float or None
        Largest norm of the gradient of each member.
    betas : tuple of float
        Decay of the moments.
    """

    epsilon = 1e-8

    def __init__(
        self,
        values: torch.Tensor,
        gradients: torch.Tensor,
        n_decaying: int,
        weight_decays: Sequence[float],
        gradient_clips: Sequence[float | None],
        betas: tuple[float, float],
    ) -> None:
        self.n_decaying, self.betas = n_decaying, betas
        self.weight_decays, self.gradient_clips = list(weight_decays), list(gradient_clips)
        self.first, self.second = torch.zeros_like(values), torch.zeros_like(values)
        # float32 whatever the parameters are, as the kernel wants it.
        self.n_steps = values.new_zeros(len(values), dtype=torch.float32)
        self._take(values, gradients)

    def _take(self, values: torch.Tensor, gradients: torch.Tensor) -> None:
        """Prepare what steps read of the tensors at hand."""
        self.values, self.gradients = values, gradients
        tables = (values, gradients, self.first, self.second)
        # Two calls of the kernel, with and without decay, are quicker than a pass for the decay and one call.
        self.decaying, self.others = (
            [*(list(table[:, part]) for table in tables), list(self.n_steps)]
            for part in (slice(0, self.n_decaying), slice(self.n_decaying, None))
        )
        self.clips = any(clip is not None for clip in self.gradient_clips)
        limits = [math.inf if clip is None else clip for clip in self.gradient_clips]
        self.limits = values.new_tensor(limits).unsqueeze(1)

    def step(self, rates: Sequence[float]) -> None:
        """Change all members once, each at its rate."""
        if self.clips:
            self._clip()
        self.n_steps += 1
        settings = list(zip(rates, self.weight_decays, strict=True))
        # One call serves all members of the same settings.
        for rate, decay in set(settings):
            members = [member for member, setting in enumerate(settings) if setting == (rate, decay)]
            are_all = len(members) == len(settings)
            for rows, part_decay in ((self.decaying, decay), (self.others, 0.0)):
                part = rows if are_all else [[column[member] for member in members] for column in rows]
                self._change(part, rate, part_decay)

    def _clip(self) -> None:
        norms = torch.linalg.vector_norm(self.gradients, dim=1, keepdim=True)
        # As torch does: a gradient of exactly the largest norm shrinks by a millionth.
        self.gradients *= (self.limits / norms.add_(1e-6)).clamp_(max=1.0)

    def _change(self, rows: _Rows, rate: float, decay: float) -> None:
        """Change parts of rows of some members, all at the same rate and decay."""
        if _kernel is None or self.values.device.type not in _KERNEL_DEVICES:
            _change_by_parts(rows, rate, decay, self.betas, self.epsilon)
            return
        *tables, n_steps = rows
        beta1, beta2 = self.betas
        further = {"weight_decay": decay, "eps": self.epsilon, "amsgrad": False, "maximize": False}
        _kernel(*tables, [], n_steps, lr=rate, beta1=beta1, beta2=beta2, **further)

    def reset(self, index: int) -> None:
        """Forget the moments of a member."""
        self.first[index], self.second[index], self.n_steps[index] = 0.0, 0.0, 0.0

    def keep(self, members: Sequence[int], values: torch.Tensor, gradients: torch.Tensor) -> None:
        """Go on with some of the members, whose parameters and gradients lie elsewhere now."""
        index = torch.tensor(members, device=values.device)
        self.first, self.second, self.n_steps = self.first[index], self.second[index], self.n_steps[index]
        self.weight_decays = [self.weight_decays[member] for member in members]
        self.gradient_clips = [self.gradient_clips[member] for member in members]
        self._take(values, gradients)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the moments, (n_members, n_parameters), and the number of steps of each member."""
        return {"first": self.first, "second": self.second, "n_steps": self.n_steps}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load a state from `state_dict`."""
        for name, value in self.state_dict().items():
            value.copy_(state[name])


def _change_by_parts(
    rows: _Rows, rate: float, decay: float, betas: tuple[float, float], epsilon: float
) -> None:
    for values, gradients, first, second, n_steps in zip(*rows, strict=True):
        first.lerp_(gradients, 1 - betas[0])
        second.mul_(betas[1]).addcmul_(gradients, gradients, value=1 - betas[1])
        lacks = [1 - beta ** n_steps.to(values) for beta in betas]
        denominators = (second.sqrt() / lacks[1].sqrt()).add_(epsilon)
        values.mul_(1 - rate * decay).sub_((first * (rate / lacks[0])).div_(denominators))
