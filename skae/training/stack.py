"""Several models of one shape whose parameters lie side by side, so that one operation serves all of them.

On the CPU, most of a step of a small network is not arithmetic: six networks of 30-64-64-2 in one step take
under twice as long as one, and thirty in one step under a third of what they take one after the other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from operator import itemgetter

import torch

from skae._computing import n_allowed_threads, threads
from skae.objectives.batch import Batch
from skae.objectives.penalties.revival import Watched
from skae.training.batches import Noise, can_join, epoch_together, joined_rows, noisy_epoch, padded
from skae.training.by_autograd import ByAutograd, by_autograd
from skae.training.dense_gradient import DenseGradient
from skae.training.held_out import HeldOut, HeldOutTogether, can_judge_together
from skae.training.loop import Judge, Kept, Run, Validation, epoch_of_each, judge_each
from skae.training.steps import Pair, StackedAdam, State, StepSettings, Terms, adam_betas, decaying_of
from skae.training.threaded import (
    MEMBERS_FROM,
    ROWS_FROM,
    DividedMembers,
    DividedRows,
    member_parts,
    row_parts,
)

# Parts that see rows before they are stacked, and may differ between members.
_NOT_STACKED = ("objective.corruption.", "network.gaps.")
# Name of the parameters of a member, one after the other; buffers have dots in theirs.
_VALUES = "values"


class Stack:
    """Networks and objectives of one shape, see `structure`; from now on their tensors are views of stacks.

    What is done to a member, as keeping its weights or judging it, is done as if it were alone.

    Parameters
    ----------
    pairs : sequence of Pair
        The members.
    shapes : mapping of str to torch.Size, optional
        Shapes of the parameters, by name, where they are to be larger than those of any member.

    Attributes
    ----------
    values, gradients : tensor of shape (n_members, n_parameters)
        Of each member, one after the other: first those that decay.
    n_decaying : int
        Number of parameters that decay.
    parameters, buffers : dict of str to tensor of shape (n_members, ...)
        The same by name, and what modules keep beside them.
    lasting : list of str
        The buffers that are saved with a member.
    """

    def __init__(self, pairs: Sequence[Pair], shapes: Mapping[str, torch.Size] | None = None) -> None:
        self.pairs = pairs
        first = pairs[0]
        self.values, self.parameters, self.n_decaying = self._joined(shapes)
        self.gradients = torch.zeros_like(self.values)
        names = [name for name, _ in first.named_buffers() if not name.startswith(_NOT_STACKED)]
        self.buffers = {name: self._joined_buffer(name) for name in names}
        self.lasting = sorted(self.buffers.keys() & first.state_dict().keys())

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def shapes(self) -> dict[str, torch.Size]:
        """Shape of each parameter of one member."""
        return {name: value.shape[1:] for name, value in self.parameters.items()}

    def _joined(
        self, shapes: Mapping[str, torch.Size] | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        """Put the parameters of all members into one tensor, of which they become views."""
        network, objective = self.pairs[0].network, self.pairs[0].objective
        decaying = {id(value) for value in decaying_of(network, objective)}
        named = sorted(self.pairs[0].named_parameters(), key=lambda item: id(item[1]) not in decaying)
        members = [dict(pair.named_parameters()) for pair in self.pairs]
        # Where codes are of several widths, each member has a part of what the widest has; the rest is zero.
        if shapes is None:
            shapes = {name: _widest([member[name].shape for member in members]) for name, _ in named}
        n_decaying = sum(shapes[name].numel() for name, value in named if id(value) in decaying)
        values = named[0][1].detach().new_zeros(len(self.pairs), sum(map(torch.Size.numel, shapes.values())))
        parameters = _parts(values, shapes)
        for name, part in parameters.items():
            for whole, member in zip(part, members, strict=True):
                own = _first(whole, member[name].shape)
                own.copy_(member[name].detach())
                member[name].data = own
            part.requires_grad_()
        return values, parameters, n_decaying

    def _joined_buffer(self, name: str) -> torch.Tensor:
        """Put one buffer of all members into one tensor, of which they become views."""
        place, _, last = name.rpartition(".")
        modules = [pair.get_submodule(place) for pair in self.pairs]
        joined = torch.stack([module.get_buffer(last) for module in modules])
        for module, part in zip(modules, joined, strict=True):
            setattr(module, last, part)
        return joined

    def work(self, n_rows: int) -> int:
        """Count the multiply-adds of the largest operation of a step; none where the CPU does not compute."""
        of_one = n_rows * self.pairs[0].network.row_work
        return of_one * len(self) if self.values.device.type == "cpu" else 0

    def named(self, table: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the parts of a table (..., n_parameters) that belong to each parameter, (..., *shape)."""
        return _parts(table, self.shapes)

    def remember(self, index: int) -> Kept:
        """Keep the weights of a member as they are now."""
        pair, lasting = self.pairs[index], self.lasting

        def put_back(kept: Mapping[str, torch.Tensor]) -> None:
            own = dict(pair.named_parameters())
            for name, part in self.named(kept[_VALUES]).items():
                own[name].data.copy_(_first(part, own[name].shape))
            for name in lasting:
                pair.get_buffer(name).copy_(kept[name])

        buffers = {name: self.buffers[name][index].clone() for name in lasting}
        return Kept({_VALUES: self.values[index].clone(), **buffers}, put_back)

    def clear(self, index: int) -> None:
        """Set to zero what lies beside the parameters of a member, which may have overflowed with them."""
        own = [(parameter, parameter.data.clone()) for parameter in self.pairs[index].parameters()]
        if sum(parameter.numel() for parameter, _ in own) < self.values.shape[1]:
            self.values[index].zero_()
            for parameter, kept in own:
                parameter.data.copy_(kept)

    def release(self) -> None:
        """Part the members: each has tensors of its own again, and is saved with these alone."""
        for pair in self.pairs:
            for parameter in pair.parameters():
                parameter.data = parameter.data.clone()
            for name in self.buffers:
                place, _, last = name.rpartition(".")
                module = pair.get_submodule(place)
                setattr(module, last, module.get_buffer(last).clone())


def _parts(table: torch.Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Return the parts of a table (..., n) of which each has its shape, one after the other."""
    parts = zip(shapes.items(), table.split([shape.numel() for shape in shapes.values()], -1), strict=True)
    return {name: part.view(*table.shape[:-1], *shape) for (name, shape), part in parts}


def _widest(shapes: Sequence[torch.Size]) -> torch.Size:
    """Return the shape that holds all of some shapes."""
    return torch.Size(map(max, zip(*shapes, strict=True)))


def _first(whole: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return the part of a tensor that has a shape, from the beginning of each axis."""
    return whole[tuple(map(slice, shape))]


class ByHand:
    """Terms and gradients of a stack of plain `Dense` networks with the squared error.

    Parameters
    ----------
    stack : Stack
        Of members that `can_differentiate` takes.
    gradients : tensor of shape (n_members, n_parameters)
        Where gradients go.
    """

    def __init__(self, stack: Stack, gradients: torch.Tensor) -> None:
        self.stack = stack
        self.gradients = gradients
        self.gradient = self.gradient_of(slice(None))
        self.judges: Sequence[Judge | None] = []
        self.together: HeldOutTogether | None = None

    def gradient_of(self, members: slice) -> DenseGradient:
        """Return what computes the terms of some members, and writes their gradients."""
        stack = self.stack
        tables = stack.parameters, stack.named(self.gradients)
        parameters, gradients = (
            {name.removeprefix("network."): part[members] for name, part in table.items()} for table in tables
        )
        weights = [pair.objective.by_hand for pair in stack.pairs[members]]
        return DenseGradient(stack.pairs[0].network, parameters, gradients, self.gradients[members], weights)

    def __call__(self, batches: Sequence[Batch]) -> tuple[Terms, Watched]:
        """Compute the term of each member, (n_members,), and its gradient; nothing is noted."""
        return self.joined(Batch(*joined_rows(padded(batches))))

    def joined(self, batch: Batch) -> tuple[Terms, Watched]:
        """Compute the same of a batch of all members, (n_members, n, n_features)."""
        return self.gradient(batch.inputs, batch.target, batch.weight), ()

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Ask the judges of the members, those with held-out rows at once."""
        if list(judges) != self.judges:
            self.judges = list(judges)
            self.together = self._judges_together()
        if self.together is None:
            return judge_each(judges)
        found = iter(self.together())
        return [None if judge is None else next(found) for judge in judges]

    def close(self) -> None:
        """End training; nothing is held."""

    def _judges_together(self) -> HeldOutTogether | None:
        """Return held-out rows that are measured at once; None where they are not, or are too many."""
        members = [index for index, judge in enumerate(self.judges) if judge is not None]
        judges = [judge for judge in self.judges if isinstance(judge, HeldOut)]
        is_row = bool(members) and members == list(range(members[0], members[-1] + 1))
        if not is_row or len(judges) < len(members) or not can_judge_together(judges):
            return None
        are_all = len(members) == len(self.judges)
        gradient = self.gradient if are_all else self.gradient_of(slice(members[0], members[-1] + 1))
        return HeldOutTogether(judges, gradient.errors)


def _by_autograd(stack: Stack, gradients: torch.Tensor) -> ByAutograd:
    """Return what computes gradients of a stack and puts them into a table (n_members, n_parameters)."""
    return by_autograd(stack.pairs, stack.parameters, stack.buffers, gradients)


class StackedStep:
    """One step of Adam for each member of a stack, along the gradient of its own objective.

    Parameters
    ----------
    pairs : sequence of Pair
        Networks and objectives of one structure.
    settings : sequence of StepSettings
        Rate, decay and the like of each.
    by_hand : bool, default=False
        Whether gradients are those of `DenseGradient`, which has to know them: see `can_differentiate`.
    """

    def __init__(
        self, pairs: Sequence[Pair], settings: Sequence[StepSettings], by_hand: bool = False
    ) -> None:
        self.by_hand = by_hand
        self.settings = list(settings)
        # A model that others train, too, is trained alone.
        self.peers = settings[0].peers
        self.schedules = [each.schedule for each in settings]
        self.rates = [each.rate for each in settings]
        self._take(pairs)
        self.optimizer = StackedAdam(
            self.stack.values,
            self.stack.gradients,
            self.stack.n_decaying,
            [each.weight_decay for each in settings],
            [each.gradient_clip for each in settings],
            adam_betas(pairs[0].objective, settings[0]),
        )

    def _take(self, pairs: Sequence[Pair], shapes: Mapping[str, torch.Size] | None = None) -> None:
        self.stack = Stack(pairs, shapes)
        # All of them or none: they are of one structure.
        self.renewing = [pair for pair in pairs if pair.objective.revival is not None]
        self.gradient = self._new_gradient(self.stack.gradients)
        self.divided: DividedRows | DividedMembers | None = None
        # Whether noise is all that is done to rows, and whether a batch is that of all members.
        self.takes_rows = self.by_hand and not any(pair.objective.changes_rows for pair in pairs)
        self.are_joined = False

    @property
    def _new_gradient(self) -> Callable[[torch.Tensor], ByHand | ByAutograd]:
        """What makes what computes gradients, and puts them into a table (n_members, n_parameters)."""
        return partial(ByHand if self.by_hand else _by_autograd, self.stack)

    def _n_parts(self, n_rows: int) -> int:
        """Return into how many parts steps of so many rows are divided."""
        stack, work = self.stack, self.stack.work(n_rows)
        if len(stack) > 1:
            is_much = self.by_hand and work >= MEMBERS_FROM
            return member_parts(len(stack), work, n_allowed_threads()) if is_much else 1
        network, objective = stack.pairs[0].network, stack.pairs[0].objective
        if work < ROWS_FROM or not (objective.divides and network.bottleneck.divides):
            return 1
        return row_parts(n_rows, network.row_work, stack.values.shape[1], n_allowed_threads())

    def _shared(self) -> "DividedRows | DividedMembers":
        """Return what computes steps in parts."""
        if self.divided is None:
            if isinstance(self.gradient, ByHand) and len(self.stack) > 1:
                self.divided = DividedMembers(self.gradient.gradient_of, len(self.stack))
            else:
                self.divided = DividedRows(self._new_gradient, self.stack.gradients)
        return self.divided

    def epoch(self, runs: Sequence[Run]) -> Iterator[Sequence[Batch]]:
        """Go over the rows of each member: of all at once where noise is all that is done to rows."""
        self.are_joined = False
        if not self.takes_rows:
            return epoch_of_each(runs)
        batches, orders = [run.batches for run in runs], [run.row_order for run in runs]
        members = zip(self.stack.pairs, self.settings, strict=True)
        noises = [Noise(pair.objective.input_noise, settings.noise) for pair, settings in members]
        if not can_join(batches):
            return zip(*map(noisy_epoch, batches, orders, noises), strict=True)
        self.are_joined = True
        return ([batch] for batch in epoch_together(batches, orders, noises))

    def __call__(self, batches: Sequence[Batch], progress: Sequence[float]) -> Terms:
        """Update each member once; return the terms of the loss before, (n_members,) each."""
        terms, watched = self._differentiated(batches, progress)
        if self.peers is not None:
            terms = self.peers.average([self.stack.gradients], terms, batches[0])
        parts = zip(self.rates, self.schedules, progress, strict=True)
        self.optimizer.step([rate * schedule.factor(share) for rate, schedule, share in parts])
        for index, pair in enumerate(self.renewing):
            pair.objective.renew(pair.network, list(map(itemgetter(index), watched)))
        if self.peers is not None and self.renewing:
            self.peers.follow([self.stack.values])
        return terms

    def _differentiated(self, batches: Sequence[Batch], progress: Sequence[float]) -> tuple[Terms, Watched]:
        """Return the terms of each member, and what is noted of the pass; leave the gradients."""
        n_parts = self._n_parts(batches[0].target.shape[-2])
        if self.are_joined:
            batch = batches[0]
            return self.gradient.joined(batch) if n_parts == 1 else self._shared().joined(batch, n_parts)
        prepared = batches if self.takes_rows else self._prepared(batches, progress)
        return self.gradient(prepared) if n_parts == 1 else self._shared()(prepared, n_parts)

    def _prepared(self, batches: Sequence[Batch], progress: Sequence[float]) -> list[Batch]:
        prepared = []
        members = zip(self.stack.pairs, batches, progress, self.settings, strict=True)
        for pair, batch, share, settings in members:
            pair.objective.progress = share
            prepared.append(pair.objective.prepare(batch, pair.network, settings.noise))
        return prepared

    def training(self, runs: Sequence[Run]) -> AbstractContextManager[object]:
        """Compute with one thread of torch's in each thread that shares steps.

        OpenMP's threads go on spinning for milliseconds, where others are to compute. Modes change nothing:
        what stacks is computed alike in all.
        """
        n_rows = max(-(-run.batches.n_rows // run.batches.n_batches) for run in runs)
        return threads(0) if self._n_parts(n_rows) > 1 else nullcontext()

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Return what the judge of each member says."""
        return self.gradient.judge(judges)

    def values(self) -> list[torch.Tensor]:
        """Return the parameters of all members, which steps change in place."""
        return [self.stack.values]

    def named(self, values: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the parameters of the first member by name, of tensors that are as those of `values`."""
        return self.stack.named(values[0][0])

    def remember(self, model: int) -> Kept:
        """Keep the weights of a member."""
        return self.stack.remember(model)

    def slow_down(self, model: int, factor: float) -> None:
        """Forget the moments of a model, whose weights went back to an earlier epoch, and lower its rate."""
        self.rates[model] *= factor
        self.stack.clear(model)
        self.optimizer.reset(model)

    def are_finite(self) -> list[bool]:
        """Return whether all parameters of each member are finite."""
        found: list[bool] = self.stack.values.sum(1).isfinite().tolist()
        return found

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models."""
        pairs = [self.stack.pairs[model] for model in models]
        self._close()
        self.stack.release()
        # As wide as before, as the moments are.
        self._take(pairs, self.stack.shapes)
        self.optimizer.keep(models, self.stack.values, self.stack.gradients)
        for name in ("settings", "schedules", "rates"):
            setattr(self, name, [getattr(self, name)[model] for model in models])

    def rest(self) -> None:
        """End the threads that share steps, until the next one."""
        if self.divided is not None:
            self.divided.rest()

    def close(self) -> None:
        """Part the members."""
        self._close()
        self.stack.release()

    def _close(self) -> None:
        for gradient in (self.gradient, self.divided):
            if gradient is not None:
                gradient.close()

    def state_dict(self) -> State:
        """Return moments, rates, schedules and the position of the noise of each member."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "rates": list(self.rates),
            "schedules": [vars(schedule).copy() for schedule in self.schedules],
            "noise": [each.noise.get_state() for each in self.settings],
        }

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict` of as many members."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates = list(state["rates"])
        for schedule, own in zip(self.schedules, state["schedules"], strict=True):
            vars(schedule).update(own)
        for each, noise in zip(self.settings, state["noise"], strict=True):
            each.noise.set_state(noise)
