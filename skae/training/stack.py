"""Several models of one shape whose parameters lie side by side, so that one operation serves all of them.

On the CPU, most of a step of a small network is not arithmetic: six networks of 30-64-64-2 in one step take
under twice as long as one, and thirty in one step under a third of what they take one after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional

from skae.networks.autoencoder import Autoencoder
from skae.objectives.batch import Batch
from skae.objectives.objective import Objective
from skae.training.steps import Terms, decays

# Parts that see rows before they are stacked, and may differ between members.
_NOT_STACKED = ("objective.corruption.", "network.gaps.")


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

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the named terms of the loss of a batch."""
        terms: dict[str, torch.Tensor] = self.objective(self.network, batch)
        return terms


class Stack:
    """Networks and objectives of one shape, see `structure`; from now on their tensors are views of stacks.

    What is done to a member, as keeping its weights or judging it, is done as if it were alone.

    Parameters
    ----------
    pairs : sequence of Pair
        The members.

    Attributes
    ----------
    values, gradients : tensor of shape (n_members, n_parameters)
        Of each member, one after the other: first those that decay.
    n_decaying : int
        Number of parameters that decay.
    parameters, buffers : dict of str to tensor of shape (n_members, ...)
        The same by name, and what modules keep beside them.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        first = pairs[0]
        self.values, self.parameters, self.n_decaying = self._joined()
        self.gradients = torch.zeros_like(self.values)
        names = [name for name, _ in first.named_buffers() if not name.startswith(_NOT_STACKED)]
        self.buffers = {name: self._joined_buffer(name) for name in names}

    def __len__(self) -> int:
        return len(self.pairs)

    def _joined(self) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        """Put the parameters of all members into one tensor, of which they become views."""
        network = self.pairs[0].network
        named = sorted(self.pairs[0].named_parameters(), key=lambda item: not decays(item[1], network))
        n_decaying = sum(value.numel() for _, value in named if decays(value, network))
        values = named[0][1].new_empty(len(self.pairs), sum(value.numel() for _, value in named))
        values = values.detach()
        members = [dict(pair.named_parameters()) for pair in self.pairs]
        parameters, start = {}, 0
        for name, value in named:
            end = start + value.numel()
            for row, member in zip(values, members, strict=True):
                row[start:end] = member[name].detach().flatten()
                member[name].data = row[start:end].view(value.shape)
            part = values[:, start:end].view(len(values), *value.shape)
            parameters[name] = part.requires_grad_()
            start = end
        return values, parameters, n_decaying

    def _joined_buffer(self, name: str) -> torch.Tensor:
        """Put one buffer of all members into one tensor, of which they become views."""
        place, _, last = name.rpartition(".")
        modules = [pair.get_submodule(place) for pair in self.pairs]
        joined = torch.stack([module.get_buffer(last) for module in modules])
        for module, part in zip(modules, joined, strict=True):
            setattr(module, last, part)
        return joined

    def release(self) -> None:
        """Part the members: each has tensors of its own again, and is saved with these alone."""
        for pair in self.pairs:
            for parameter in pair.parameters():
                parameter.data = parameter.data.clone()
            for name in self.buffers:
                place, _, last = name.rpartition(".")
                module = pair.get_submodule(place)
                setattr(module, last, module.get_buffer(last).clone())


class Differentiated:
    """Terms and gradients of any stack, by torch's vectorised map over the parameters of its members.

    Parameters
    ----------
    stack : Stack
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __call__(self, batches: Sequence[Batch]) -> Terms:
        """Compute the terms of each member, (n_members,) each, and the gradients of their sum."""
        stack = self.stack
        with torch.enable_grad():
            terms = vmap(self._terms)(stack.parameters, stack.buffers, _joined(batches))
            loss = torch.stack([values.sum() for values in terms.values()]).sum()
        parameters = list(stack.parameters.values())
        found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        torch.cat([gradient.flatten(1) for gradient in found], 1, out=stack.gradients)
        return {name: values.detach() for name, values in terms.items()}

    def _terms(
        self,
        parameters: Mapping[str, torch.Tensor],
        buffers: Mapping[str, torch.Tensor],
        batch: Mapping[str, Any],
    ) -> dict[str, torch.Tensor]:
        # What is None is no tensor to map over, and left out.
        found: dict[str, torch.Tensor] = functional_call(
            self.stack.pairs[0], {**parameters, **buffers}, (Batch(**batch),)
        )
        return found


def _joined(batches: Sequence[Batch]) -> dict[str, torch.Tensor | dict[str, torch.Tensor]]:
    """Stack the tensors of prepared batches; what is None is left out."""
    first = batches[0]
    batches = padded(batches)
    found: dict[str, torch.Tensor | dict[str, torch.Tensor]] = {
        "inputs": torch.stack([batch.inputs for batch in batches]),
        "target": torch.stack([batch.target for batch in batches]),
        "draws": {name: _together([batch.draws[name] for batch in batches]) for name in drawn(first)},
        "coefficients": {
            name: first.inputs.new_tensor([float(batch.coefficients[name]) for batch in batches])
            for name in first.coefficients
        },
    }
    if batches[0].weight is not None:
        found["weight"] = _together([batch.weight for batch in batches])
    return found


def drawn(batch: Batch) -> list[str]:
    """List the seats that draw anything."""
    return [name for name, value in batch.draws.items() if value is not None]


def padded(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Let batches end in rows of weight zero that are shorter than others."""
    n_rows = max(len(batch.target) for batch in batches)
    if all(len(batch.target) == n_rows for batch in batches):
        return batches
    return [_with_rows(batch, n_rows) for batch in batches]


def _with_rows(batch: Batch, n_rows: int) -> Batch:
    """Return a batch of so many rows, the last of them of weight zero."""
    weight = batch.target.new_ones(len(batch.target), 1) if batch.weight is None else batch.weight
    more = (0, 0, 0, n_rows - len(weight))
    inputs, target, weight = (functional.pad(part, more) for part in (batch.inputs, batch.target, weight))
    return batch._replace(inputs=inputs, target=target, weight=weight)


def _together(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
    return torch.stack([tensor for tensor in tensors if tensor is not None])
