"""Terms and gradients of models whose parameters lie side by side, and the errors of their held-out rows."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.utils import _pytree as trees

from skae.objectives.batch import Batch
from skae.objectives.objective import Errors
from skae.objectives.penalties.revival import Watched
from skae.training.batches import joined
from skae.training.held_out import HeldOut, can_join_rows, completed_together
from skae.training.loop import Judge, Validation
from skae.training.replayed import Replayed
from skae.training.steps import Pair, Terms, total

Tensors = Mapping[str, torch.Tensor]
# Packages whose modules read nothing that changes beside tensors and batches.
_OWN = ("skae", "torch")
# Held-out rows of a member that are judged together with those of others. With 800 and more, what lies
# between operations leaves the cache: 12 members took 1.5 to 2.2 times as long as one after the other.
_MOST_ROWS = 256
_Differentiated = tuple[Terms, Watched, torch.Tensor]
_Found = TypeVar("_Found")


class _Judging(nn.Module):
    """A pair that is called for the errors of held-out rows.

    Parameters
    ----------
    pair : Pair
    """

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.network = pair.network
        self.objective = pair.objective

    def forward(self, batch: Batch) -> Tensors:
        """Return the errors of rows by name, as far as there are any."""
        errors = self.objective.evaluate(self.network, batch)._asdict()
        return {name: values for name, values in errors.items() if values is not None}


class ByAutograd:
    """Terms and gradients of several models, by torch's vectorised map over their parameters.

    Parameters
    ----------
    pairs : sequence of Pair
        The members.
    parameters, buffers : mapping of str to tensor of shape (n_members, ...)
        Those of all members, by name; where they lie, they stay.
    gradients : tensor of shape (n_members, n_parameters)
        Where gradients go, in the order of the parameters.
    """

    def __init__(
        self, pairs: Sequence[Pair], parameters: Tensors, buffers: Tensors, gradients: torch.Tensor
    ) -> None:
        self.pairs = pairs
        self.parameters, self.buffers = parameters, buffers
        self.gradients = gradients
        # Modules of others may read attributes that change from step to step.
        modules = (module for pair in pairs for module in pair.modules())
        self.repeats = all(type(module).__module__.partition(".")[0] in _OWN for module in modules)
        self.replayed: list[Replayed] = []
        self.differentiated = self._replayed(self._differentiated)
        self.judges: Sequence[Judge | None] = []
        self.together: Sequence[_Together] = []

    def _replayed(self, function: Callable[[Batch], _Found]) -> Replayed[Batch, _Found]:
        self.replayed.append(Replayed(function, self._lasting(), self.repeats))
        return self.replayed[-1]

    def close(self) -> None:
        """Free memory, which would be held until Python next looks for what refers to itself."""
        for each in self.replayed:
            each.forget()

    def _lasting(self) -> list[torch.Tensor]:
        """Return the tensors that passes read beside batches."""
        return [*self.parameters.values(), *self.buffers.values()]

    def __call__(self, batches: Sequence[Batch]) -> tuple[Terms, Watched]:
        """Compute the terms of each member, (n_members,) each, and their gradients; return notes as well."""
        return self.joined(self._joined(batches))

    def joined(self, batch: Batch) -> tuple[Terms, Watched]:
        """Compute the same of a batch of all members, in which all is tensors."""
        terms, watched, gradients = self.differentiated(batch)
        self.gradients.copy_(gradients)
        return terms, watched

    def _joined(self, batches: Sequence[Batch]) -> Batch:
        """Return the batches of some members as one, in which all is tensors."""
        return joined(batches)

    def _differentiated(self, batch: Batch) -> _Differentiated:
        with torch.enable_grad():
            terms, watched = self._of_each(self.pairs[0], slice(None), batch)
            loss = torch.stack([values.sum() for values in terms.values()]).sum()
        return terms, watched, _gradients(loss, list(self.parameters.values()), 1)

    def _of_each(self, pair: Pair | _Judging, members: slice, batch: Batch, randomness: str = "error") -> Any:
        """Return what a pair gives of a batch with the tensors of each of some members."""
        tensors = {**self.parameters, **self.buffers}
        if members != slice(None):
            tensors = {name: part[members] for name, part in tensors.items()}
        # What is None is no tensor to map over.
        there = {name: part for name, part in batch._asdict().items() if part is not None}

        def call(tensors: dict[str, torch.Tensor], there: dict) -> object:
            # Modules that two parts share have their tensors under one name. Left to find the others itself,
            # torch would put members' tensors back under the second one.
            return functional_call(pair, tensors, (Batch(**there),), tie_weights=False)

        return vmap(call, randomness=randomness)(tensors, there)

    def judge(self, judges: Sequence[Judge | None]) -> list[Validation | None]:
        """Ask the judges of the members, those of neighbours at once where they are alike."""
        if list(judges) != self.judges:
            self.judges = list(judges)
            self.together = list(self._judges_together())
        found = {member: said for group in self.together for member, said in group()}
        return [
            None if judge is None else found[member] if member in found else judge()
            for member, judge in enumerate(judges)
        ]

    def _judges_together(self) -> Iterator["_Together"]:
        for _, neighbours in groupby(enumerate(self.judges), lambda each: _kind(each[1])):
            members, judges = zip(*neighbours, strict=True)
            held_out = [judge for judge in judges if isinstance(judge, HeldOut)]
            are_few = len(self.pairs) == 1 or all(len(judge.rows) <= _MOST_ROWS for judge in held_out)
            if held_out and are_few and can_join_rows(held_out):
                yield _Together(members[0], held_out, self._errors(members), self._joined)

    def _errors(self, members: Sequence[int]) -> Callable[[Batch], Tensors]:
        """Return what gives the errors of held-out rows of members that are neighbours."""
        pair, own = _Judging(self.pairs[members[0]]), slice(members[0], members[-1] + 1)

        @torch.no_grad()
        def errors(batch: Batch) -> Tensors:
            # What is drawn for them is what a generator with a seed gives: the same for all.
            return self._of_each(pair, own, batch, randomness="same")

        return self._replayed(errors)


class ByAutogradAlone(ByAutograd):
    """The same for a model alone, whose passes need no map."""

    def _lasting(self) -> list[torch.Tensor]:
        return [*self.pairs[0].parameters(), *self.pairs[0].buffers()]

    def _joined(self, batches: Sequence[Batch]) -> Batch:
        (batch,) = batches
        as_tensor = batch.target.new_tensor
        coefficients = {name: as_tensor(float(value)) for name, value in batch.coefficients.items()}
        # Other mappings than dicts would count as one value.
        return batch._replace(draws=dict(batch.draws), coefficients=coefficients)

    def _differentiated(self, batch: Batch) -> _Differentiated:
        own = dict(self.pairs[0].named_parameters())
        with torch.enable_grad():
            terms, watched = self.pairs[0](batch)
            loss = total(terms)
        return _of_one((terms, watched, _gradients(loss, [own[name] for name in self.parameters], 0)))

    def _of_each(self, pair: Pair | _Judging, members: slice, batch: Batch, randomness: str = "error") -> Any:
        return _of_one(pair(batch))


def by_autograd(
    pairs: Sequence[Pair], parameters: Tensors, buffers: Tensors, gradients: torch.Tensor
) -> ByAutograd:
    """Return what gives terms and gradients of some members; takes what `ByAutograd` does."""
    kind = ByAutograd if len(pairs) > 1 else ByAutogradAlone
    return kind(pairs, parameters, buffers, gradients)


def _gradients(loss: torch.Tensor, parameters: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
    """Return the gradients by all parameters, one after the other along an axis."""
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten(axis) for gradient in found], axis)


def _of_one(found: _Found) -> _Found:
    """Add an axis of one member in front of each tensor."""
    return trees.tree_map_only(torch.Tensor, lambda value: value.unsqueeze(0), found)


def _kind(judge: Judge | None) -> Hashable:
    """Return what is equal for judges that are asked together."""
    return judge.kind if isinstance(judge, HeldOut) else id(judge)


class _Together:
    """Held-out rows of neighbours, measured at once; calling it measures the networks as they are now.

    Parameters
    ----------
    first : int
        Place of the first member among all.
    judges : sequence of HeldOut
        Of one kind.
    errors : callable
        Gives the errors of the rows of all members by name.
    join : callable
        Makes one batch of those of the members.
    """

    def __init__(
        self,
        first: int,
        judges: Sequence[HeldOut],
        errors: Callable[[Batch], Tensors],
        join: Callable[[Sequence[Batch]], Batch],
    ) -> None:
        self.first = first
        self.judges = judges
        self.errors = errors
        self.are_plain = all(judge.is_plain for judge in judges)
        self.batches = [join(each) for each in zip(*(judge.batches for judge in judges), strict=True)]

    def __call__(self) -> Iterator[tuple[int, Validation]]:
        """Yield the place of each member, and what its judge says."""
        found = [self.errors(batch) for batch in self.batches]
        if self.are_plain:
            both = (torch.cat([part[name] for part in found], 1) for name in ("loss", "squared"))
            yield from enumerate(completed_together(self.judges, Errors(*both)), self.first)
            return
        for index, judge in enumerate(self.judges):
            parts = [Errors(**{name: values[index] for name, values in part.items()}) for part in found]
            yield self.first + index, judge.completed(parts)
