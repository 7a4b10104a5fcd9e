"""Processes that train one model together: each takes its own rows, and all make the same steps.

Knows neither how the processes were started nor where their rows come from. Every call that waits for the
others ends within the time limit of the group, and at once where one of them has gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

import torch
from torch import nn

from skae.objectives.batch import Batch
from skae.training.batches import Batches
from skae.training.checkpoint import Checkpoint
from skae.training.fits import Model
from skae.training.loop import Judge, Steps, Training, Validation
from skae.training.steps import State, Terms

# Not all of its classes are in torch's types.
_distributed = importlib.import_module("torch.distributed")
# Apart from each other by a large odd number: seeds of streams of further processes.
_SEEDS_APART = 0x9E3779B97F4A7C15
# Seconds that a process watches for the answer of the others before it sleeps. A core that has slept is slow
# for a while: of twenty epochs each, in turn, two workers of two cores took 2.08 s awake and 2.27 s asleep in
# the median (2,048 rows of 100 columns a step, 256-256). Beside a busy process on each core, both were alike.
_WATCHED = 0.02


class PeerLostError(RuntimeError):
    """Another process that trains the same model has gone, or has not answered in time."""


class RoundOver(Exception):
    """Training was asked to end after an epoch, to go on with other processes."""


class Store(Protocol):
    """Where processes find each other."""

    @property
    def port(self) -> int:
        """Number of the port that the first of them listens on."""
        ...


def open_store(host: str, timeout: float) -> Store:
    """Listen on a free port of this machine, as the first of some processes does."""
    limit = timedelta(seconds=timeout)
    store: Store = _distributed.TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=limit)
    return store


def find_store(host: str, port: int, timeout: float) -> Store:
    """Connect to the first of some processes.

    Raises
    ------
    PeerLostError
        If it does not answer in time.
    """
    with _answering():
        store: Store = _distributed.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=timeout))
    return store


class Work(Protocol):
    """A message on its way."""

    def is_completed(self) -> bool:
        """Whether it has arrived, or failed."""
        ...

    def wait(self) -> bool:
        """Wait until it has."""
        ...


class Group:
    """Some processes, numbered from 0, and what they tell each other.

    Parameters
    ----------
    store : Store
        Where they find each other.
    rank : int
        Number of this process.
    size : int
        How many there are.
    host : str
        Address of this machine that the others reach.
    timeout : float
        Seconds that the others may take to answer.
    """

    def __init__(self, store: Store, rank: int, size: int, host: str, timeout: float) -> None:
        self.rank, self.size = rank, size
        options = _distributed.ProcessGroupGloo._Options()
        options._devices = [_distributed.ProcessGroupGloo.create_device(hostname=host)]
        options._timeout = timedelta(seconds=timeout)
        # One call at a time: with more threads of its own, 760 KB took 2.5 ms between two processes, not 0.8.
        options._threads = 1
        self._first = _distributed.BroadcastOptions()
        self._first.rootRank = self._first.rootTensor = 0
        # A group of its own, not that of the process: fits in other threads have theirs.
        with _answering():
            self._group = _distributed.ProcessGroupGloo(store, rank, size, options)

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of the shape of a tensor on the CPU, each the sum of those of all, in place."""
        if self.size > 1:
            with _answering():
                _wait(self._group.allreduce([values]))
        return values

    def of_first(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values that the first has, in place of a tensor on the CPU."""
        if self.size > 1:
            with _answering():
                self._group.broadcast([values], self._first).wait()
        return values


def _wait(work: Work) -> None:
    """Wait for a message that is expected at once: awake at first, but letting others have the core."""
    end = time.perf_counter() + _WATCHED
    while not work.is_completed() and time.perf_counter() < end:
        _let_others()
    work.wait()


def _let_others() -> None:
    """Let threads that are ready go first."""
    if sys.platform == "win32":
        time.sleep(0)
    else:
        os.sched_yield()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn what torch raises where a process has gone, or takes too long, into an error of ours."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise PeerLostError(str(error).splitlines()[0]) from error


class GroupPeers:
    """The peers of a step, by a group; see `skae.training.steps.Peers`.

    Parameters
    ----------
    group : Group
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        # The message, kept from step to step: fresh memory of such a size took longer than sending it.
        self._message = torch.empty(0)

    def average(self, gradients: Sequence[torch.Tensor], terms: Terms, batch: Batch) -> Terms:
        """Average over the rows of all by their weights: in one message, terms of the loss included."""
        if self.group.size == 1:
            return terms
        weight = float(len(batch.target)) if batch.weight is None else float(batch.weight.sum())
        parts = [*gradients, *terms.values()]
        sizes = [part.numel() for part in parts]
        if len(self._message) != sum(sizes) + 1 or self._message.dtype != parts[0].dtype:
            self._message = torch.empty(sum(sizes) + 1, dtype=parts[0].dtype)
        told, total = self._message[:-1], self._message[-1]
        if weight:
            for place, part in zip(told.split(sizes), parts, strict=True):
                torch.mul(part.detach().flatten().cpu(), weight, out=place)
        else:
            # What rows of no weight give is not defined.
            told.zero_()
        total.fill_(weight)
        self.group.add_up(self._message)
        total = total.clamp_min(torch.finfo(total.dtype).tiny)
        found = told.split(sizes)
        for gradient, sums in zip(gradients, found, strict=False):
            gradient.copy_(sums.div_(total).view_as(gradient))
        own = [sums / total for sums in found[len(gradients) :]]
        return {
            name: mean.view_as(value).to(value.device)
            for (name, value), mean in zip(terms.items(), own, strict=True)
        }

    @torch.no_grad()
    def follow(self, tensors: Sequence[torch.Tensor]) -> None:
        """Take over the values of the first, kind by kind of number."""
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            own = [tensor for tensor in tensors if tensor.dtype == dtype and tensor.numel()]
            if not own:
                continue
            told = self.group.of_first(torch.cat([tensor.detach().flatten() for tensor in own]).cpu())
            for tensor, part in zip(own, told.split([tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(part.view_as(tensor))


class GroupTeam:
    """Lets models be trained by all processes of a group; see `skae.training.fits.Team`.

    Parameters
    ----------
    group : Group
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.peers = GroupPeers(group)
        self.generators: list[torch.Generator] = []

    def share(self, model: Model, n_batches: int, like: torch.Tensor) -> None:
        """Let all begin as the first does, make as many steps, and hear of the same errors."""
        run = model.run
        self.peers.follow(_values(run.network) + _values(run.objective))
        run.batches = Shared(run.batches, n_batches, torch.zeros_like(like))
        if run.validate is not None:
            run.validate = Agreed(run.validate, run.network, run.objective, self.group)
        self.generators = [run.row_order, model.settings.noise]
        self.part(0)
        model.settings = dataclasses.replace(model.settings, peers=self.peers)

    def part(self, n_epochs: int) -> None:
        """Let each process but the first draw something of its own from now on, after so many epochs."""
        if self.group.rank:
            number = (self.group.rank + self.group.size * n_epochs) * _SEEDS_APART
            for generator in self.generators:
                generator.manual_seed((generator.initial_seed() + number) % 2**63)


def _values(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


class Shared:
    """Batches of one process of several: as many as the others have, some without a row that counts.

    Parameters
    ----------
    own : Batches
        Those of the rows of this process, not more than all have.
    n_batches : int
        How many all have.
    nothing : tensor of shape (1, n_features)
        A row, for batches that have none.
    """

    def __init__(self, own: Batches, n_batches: int, nothing: torch.Tensor) -> None:
        self.own = own
        self.n_batches = n_batches
        self.n_rows = own.n_rows
        self.is_weighted = own.is_weighted
        self._none = Batch(nothing, nothing, nothing.new_zeros(1, 1))

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Go over all rows once."""
        n_own = self.own.n_batches if self.n_rows else 0
        batches = self.own.epoch(generator) if n_own else iter(())
        for number in range(self.n_batches):
            # Evenly over the epoch.
            has_rows = (number + 1) * n_own // self.n_batches > number * n_own // self.n_batches
            yield next(batches) if has_rows else self._none


class Agreed:
    """A judge whom all processes ask, and whose answer is that of the first.

    Parameters
    ----------
    own : Judge
        With the same held-out rows in each of them.
    network, objective : torch.nn.Module
        What is judged.
    group : Group
    """

    def __init__(self, own: Judge, network: nn.Module, objective: nn.Module, group: Group) -> None:
        self.own = own
        self.modules = (network, objective)
        self.group = group

    def __call__(self) -> Validation:
        """Judge the model as it is now, with what modules keep beside their parameters averaged."""
        for module in self.modules:
            self._average(module)
        found = self.own()
        # The same on every machine but for rounding, and the last digit would be enough to part them.
        loss, score = self.group.of_first(
            torch.tensor([found.loss, found.score], dtype=torch.float64)
        ).tolist()
        return found._replace(loss=loss, score=score)

    def _average(self, module: nn.Module) -> None:
        """Average the buffers of numbers, such as means of batch normalisation, each over its own rows."""
        buffers = [part for part in module.buffers() if part.is_floating_point() and part.numel()]
        if not buffers or self.group.size == 1:
            return
        told = torch.cat([part.flatten().double() for part in buffers]).cpu()
        # Where all have the same, rounding changes nothing.
        mean = self.group.add_up(told) / self.group.size
        for part, own in zip(buffers, mean.split([part.numel() for part in buffers]), strict=True):
            part.copy_(own.view_as(part))

    def forget(self) -> None:
        """Forget the last epoch."""
        self.own.forget()

    def repeat(self) -> None:
        """Take the last epoch for the next one."""
        self.own.repeat()

    def state_dict(self) -> State:
        """Return the state of the judge."""
        return self.own.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        self.own.load_state_dict(state)


class RoundKeeper:
    """Keep states as a `Checkpoint` does, and end training after an epoch where the first is asked to.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of this process; that of the first writes.
    team : GroupTeam
    is_asked : callable
        Whether to end; only the first process is asked.
    """

    def __init__(self, checkpoint: Checkpoint, team: GroupTeam, is_asked: Callable[[], bool]) -> None:
        self.checkpoint = checkpoint
        self.team = team
        self.group = team.group
        self.is_asked = is_asked

    def begin(self, trainings: list[Training], steps: Steps) -> list[Training] | None:
        """Bring trainings to the state that was kept of them, which is that of the first process."""
        resumed = self.checkpoint.begin(trainings, steps)
        if resumed is not None:
            self.team.part(trainings[0].history.n_epochs)
        return resumed

    def end_epoch(self, trainings: list[Training], active: list[Training], steps: Steps) -> None:
        """Keep the state after an epoch.

        Raises
        ------
        RoundOver
            If training is to end here.
        """
        self.checkpoint.end_epoch(trainings, active, steps)
        asked = self.group.rank == 0 and self.is_asked()
        if bool(self.group.of_first(torch.tensor([float(asked)]))):
            raise RoundOver

    def end(self, trainings: list[Training]) -> None:
        """Take note of the end of trainings."""
        self.checkpoint.end(trainings)
