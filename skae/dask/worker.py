"""What one worker does in a round of training: it meets the others, and trains on its own partitions."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from sklearn.callback import with_callbacks

from skae import _computing
from skae._random import Streams
from skae.dask._distributed import (
    Variable,
    address_kept,
    bytes_kept,
    client_at_hand,
    event,
    leave_slot,
    own_host,
)
from skae.dask.partitions import Part, PartRows, Ready, Shape
from skae.estimators import BaseAutoencoder
from skae.estimators._reports import complaints
from skae.training.checkpoint import Checkpoint
from skae.training.courses import fit, take_part
from skae.training.peers import (
    Group,
    GroupTeam,
    PeerLostError,
    RoundKeeper,
    Store,
    find_store,
    open_store,
)
from skae.training.steps import State

# Seconds from one question to the scheduler, whether a round is to end, to the next.
_ASKING = 0.5
# What is said in place of an address where the meeting has been called off.
OFF = "off"


class Meeting(NamedTuple):
    """Names under which the workers of a fit and its client find each other on the scheduler."""

    fit: str
    number: int  # of the round

    @property
    def address(self) -> str:
        """Where the first worker is found by the others."""
        return f"{self.fit}-{self.number}-address"

    @property
    def ending(self) -> str:
        """Whether the round is to end after an epoch."""
        return f"{self.fit}-{self.number}-ending"

    @property
    def state(self) -> str:
        """The last state of training."""
        return f"{self.fit}-state"


class Assignment(NamedTuple):
    """What a worker is to do in a round."""

    meeting: Meeting
    rank: int
    size: int
    blocks: list[int]  # numbers of its partitions
    shape: Shape
    streams: Streams
    timeout: float  # seconds that the others may take to answer


class Outcome(NamedTuple):
    """What the first worker returns: a fitted estimator, and what users are to be warned of."""

    estimator: BaseAutoencoder
    complaints: list[tuple[str, type[Warning]]]


def get_going() -> None:
    """Do nothing: whoever runs it has imported this module, which takes seconds."""


def hold(ready: Ready, parts: Sequence[Part]) -> None:
    """Do nothing: whoever runs it has what a round needs, however long that took to come."""


def train(assignment: Assignment, ready: Ready, parts: Sequence[Part]) -> Outcome | None:
    """Train together with the other workers of a round; the first of them returns what was found.

    Raises
    ------
    PeerLostError
        If another worker has gone or does not answer in time.
    RoundOver
        If training was asked to end after an epoch, to go on with other workers.
    """
    # All of a round run at the same time: leave the slot to others, so that two fits never wait for each
    # other's.
    leave_slot()
    group = Group(_meet(assignment), assignment.rank, assignment.size, own_host(), assignment.timeout)
    source = PartRows(dict(zip(assignment.blocks, parts, strict=True)), assignment.shape)
    # Workers in one process have the same object.
    return _fit(copy.deepcopy(ready.estimator), assignment, ready, source, group)


def _meet(assignment: Assignment) -> Store:
    """Find the others: the first worker listens on a free port, and says which."""
    address = address_kept(assignment.meeting.address, client_at_hand())
    if assignment.rank == 0:
        store = open_store(own_host(), assignment.timeout)
        address.set([own_host(), store.port])
        return store
    try:
        found = address.get(timeout=assignment.timeout)
    except TimeoutError as error:
        raise PeerLostError("the first worker did not begin in time") from error
    if isinstance(found, str):
        raise PeerLostError(f"the round is {found}")
    host, port = found
    return find_store(str(host), int(port), assignment.timeout)


@with_callbacks
def _fit(
    estimator: BaseAutoencoder, assignment: Assignment, ready: Ready, source: PartRows, group: Group
) -> Outcome | None:
    """Train on the partitions of this worker; return what was found on the first one."""
    with _computing.learning():
        measured = ready.measured.of(assignment.blocks, group.size)
        inside = source.inside(estimator)
        begun = estimator._begin_measured(inside, measured, assignment.streams, None, None)
        team = GroupTeam(group)
        keeper = RoundKeeper(_checkpoint(assignment, group), team, _asking(assignment))
        fitting = begun.fitting.kept_by(keeper).shared_by(team)
        with _computing.threads(fitting.work):
            if group.rank:
                take_part(fitting)
                return None
            fitted = fit(fitting, begun.reports)
            attributes = estimator._fitted_attributes(fitted, begun.frame)
        estimator._end_fit(begun._replace(fitting=fitting), fitted, attributes)
    return Outcome(estimator, list(complaints(estimator, fitted)))


def _checkpoint(assignment: Assignment, group: Group) -> Checkpoint:
    """Return what keeps states on the scheduler, and begin with those that are there."""
    kept = bytes_kept(assignment.meeting.state, client_at_hand())
    found = bytearray(kept.get(timeout=assignment.timeout)) if group.rank == 0 else bytearray()
    # All get them from the first: another worker may find later ones, or none.
    length = int(group.of_first(torch.tensor([len(found)])))
    write = _silent if group.rank else _writing(kept)
    if not length:
        return Checkpoint(write)
    told = torch.frombuffer(found or bytearray(length), dtype=torch.uint8)
    states: list[State] = pickle.loads(group.of_first(told).numpy().tobytes())
    return Checkpoint(write, states)


def _writing(kept: Variable[bytes]) -> Callable[[list[State]], None]:
    def write(states: list[State]) -> None:
        kept.set(pickle.dumps(states))

    return write


def _silent(states: list[State]) -> None:
    """Keep nothing."""


def _asking(assignment: Assignment) -> Callable[[], bool]:
    """Return what says whether the round is to end, and asks the scheduler from time to time."""
    ending = event(assignment.meeting.ending, client_at_hand())
    asked = time.monotonic()

    def is_over() -> bool:
        nonlocal asked
        if time.monotonic() - asked < _ASKING:
            return False
        asked = time.monotonic()
        return ending.is_set()

    return is_over
