"""Rounds of training on the workers of a cluster, watched from the client: nothing waits for ever.

A round ends well, or because a worker has gone, does not answer, or has come. The next one goes on from the
last state that the scheduler keeps, on the workers that are there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from skae._random import Streams
from skae.dask._distributed import (
    Client,
    Future,
    Machine,
    address_kept,
    bytes_kept,
    distributed,
    event,
    wait_for_one,
)
from skae.dask.partitions import Part, Ready, Shape
from skae.dask.worker import OFF, Assignment, Meeting, Outcome, get_going, hold, train
from skae.training.peers import PeerLostError, RoundOver

# Seconds from one look at the cluster to the next.
_LOOKING = 0.2
# Seconds in which the others of a round fail, too, once one has; who has not is the one who does not answer.
_GRACE = 5.0
# Times an even share of the rows that a worker keeps before some of its partitions go to another one.
_UNEVEN = 1.25
# What has to be the same on all machines.
_PACKAGES = ("skae", "torch", "sklearn")
# What a task is that has failed. Where one is "lost", its result was on a worker that died, and is made anew.
_FAILED = ("error", "cancelled")
Result = TypeVar("Result")
# What runs on each worker of a round, the first one first.
Ranks: TypeAlias = "Mapping[str, Future[Outcome | None]]"


class WorkerLostError(RuntimeError):
    """Workers were lost, and the fit could not go on."""


class Limits(NamedTuple):
    """How long a fit waits, and how often it begins again."""

    timeout: float  # seconds that workers may take to answer each other
    max_restarts: int


class Cluster:
    """The workers of a client, and what it waits for on them.

    Parameters
    ----------
    client : distributed.Client
    limits : Limits
    """

    def __init__(self, client: Client, limits: Limits) -> None:
        self.client = client
        self.limits = limits
        # Those that did not answer, and are left out.
        self.silent: set[str] = set()
        self.lost = "none has been there"
        self._seen: set[str] = set()

    def workers(self) -> list[str]:
        """Return the addresses of the workers that can be used now, and remember who was lost."""
        there = set(self.client.nthreads())
        gone = sorted(self._seen - there)
        if gone:
            self.lost = f"{', '.join(gone)} was lost"
        self._seen |= there
        return sorted(there - self.silent)

    def some_workers(self) -> list[str]:
        """Return them, once there are any.

        Raises
        ------
        WorkerLostError
            If there is none for longer than the time limit.
        """
        end = time.monotonic() + self.limits.timeout
        while not (found := self.workers()):
            if time.monotonic() > end:
                raise WorkerLostError(f"No worker is there: {self.lost}. Start workers, and fit again.")
            time.sleep(_LOOKING)
        return found

    def check_versions(self) -> None:
        """Refuse workers on which an estimator would be something else.

        Dask asks again and again for what a worker cannot unpickle, and a fit would never end.

        Raises
        ------
        ValueError
            If a worker has another version of skae, torch or scikit-learn, or none.
        """
        found = self.client.get_versions(packages=_PACKAGES)
        here = _versions(found["client"])
        for address, worker in sorted(found["workers"].items()):
            there = _versions(worker)
            if there != here:
                raise ValueError(
                    f"The worker {address} has {_listed(there)}; here are {_listed(here)}. Install the same "
                    "versions on all machines, and start the workers anew."
                )

    def wait(self, futures: Collection[Future[object]]) -> None:
        """Wait for results, which stay where they are.

        Raises
        ------
        WorkerLostError
            If too many workers were lost on the way, or none is left.
        Exception
            What a task has raised.
        """
        while True:
            failed = [future for future in futures if future.status in _FAILED]
            if failed:
                raise self.error_of(failed[0])
            if all(future.status == "finished" for future in futures):
                return
            self.some_workers()
            _wait(futures)

    def result(self, future: Future[Result]) -> Result:
        """Wait for one small result, and return it."""
        self.wait([future])
        return future.result(timeout=self.limits.timeout)

    def error_of(self, future: Future[object]) -> Exception:
        """Return what a task has failed by."""
        error = future.exception(timeout=self.limits.timeout) if future.status == "error" else None
        if isinstance(error, distributed.KilledWorker):
            return WorkerLostError(
                f"Workers died again and again while they read the rows; the last one: {error}. Give them "
                "more memory, or make smaller partitions."
            )
        if isinstance(error, Exception):
            return error
        return WorkerLostError(
            f"Rows were lost with a worker ({self.lost}) and cannot be computed again. Pass a collection "
            "that is read from files, rather than one that was scattered."
        )


def _wait(futures: Collection[Future[object]]) -> None:
    """Wait a moment, or until one more result is there."""
    left = [future for future in futures if not future.done()]
    if left:
        try:
            wait_for_one(left, _LOOKING)
        except TimeoutError:
            return
        except Exception:  # a task was cancelled; what its status says is looked at next
            time.sleep(_LOOKING)


class Rounds:
    """Trains on all workers until a round ends well.

    Parameters
    ----------
    cluster : Cluster
    parts : sequence of Future
        Partitions.
    ready : Future
        A `Ready`.
    counts : sequence of int
        Rows of each partition that count.
    shape : Shape
    streams : Streams
        Randomness of the fit.
    """

    def __init__(
        self,
        cluster: Cluster,
        parts: Sequence[Future[Part]],
        ready: Future[Ready],
        counts: Sequence[int],
        shape: Shape,
        streams: Streams,
    ) -> None:
        self.cluster, self.client = cluster, cluster.client
        self.parts, self.ready, self.counts = parts, ready, counts
        self.shape, self.streams = shape, streams
        self.fit = f"skae-{uuid.uuid4().hex}"
        self.n_restarts = 0
        # Those that have imported what they need, and those that are at it.
        self.going: set[str] = set()
        self.coming: dict[str, Future[None]] = {}

    def run(self) -> Outcome:
        """Return what was found.

        Raises
        ------
        WorkerLostError
            If more workers were lost, one after the other, than rounds may begin again.
        """
        state = bytes_kept(Meeting(self.fit, 0).state, self.client)
        state.set(b"")
        number = 0
        try:
            while True:
                outcome = self._round(Meeting(self.fit, number))
                if outcome is not None:
                    return outcome
                number += 1
                # What was lost with a worker is told to the client a moment later than the worker's end.
                time.sleep(_LOOKING)
        finally:
            state.delete()
            for meeting in (Meeting(self.fit, round_) for round_ in range(number + 1)):
                address_kept(meeting.address, self.client).delete()

    def _round(self, meeting: Meeting) -> Outcome | None:
        """Train; return None where another round is to follow."""
        self.cluster.wait([self.ready, *self.parts])
        workers = self._workers()
        blocks = placed(self.counts, self._holders(), workers)
        if not self._all_hold(blocks):
            return None
        size, timeout = len(blocks), self.cluster.limits.timeout
        futures = {
            address: self._submit(
                address, train, own, Assignment(meeting, rank, size, own, self.shape, self.streams, timeout)
            )
            for rank, (address, own) in enumerate(blocks.items())
        }
        try:
            return self._watched(meeting, futures)
        finally:
            # Whoever still waits for the others, or trains on after an interrupt, hears of it.
            event(meeting.ending, self.client).set()
            address_kept(meeting.address, self.client).set(OFF)
            self.client.cancel(list(futures.values()))

    def _all_hold(self, blocks: Mapping[str, list[int]]) -> bool:
        """Wait until each worker has its partitions, so that all begin together; return whether all stay."""
        futures = {address: self._submit(address, hold, own) for address, own in blocks.items()}
        while any(future.status != "finished" for future in futures.values()):
            failed = [future for future in futures.values() if future.status in _FAILED]
            if failed:
                raise self.cluster.error_of(failed[0])
            gone = sorted(set(futures) - set(self.cluster.workers()))
            if gone:
                self._count(gone, [], [])
                return False
            _wait(futures.values())
        return True

    def _workers(self) -> list[str]:
        """Return those that take part: not those that would let the others wait until they can begin."""
        there = self.cluster.some_workers()
        chosen = [address for address in there if address in self.going] or there
        self.going |= set(chosen)
        return chosen

    def _welcome(self, there: Collection[str]) -> bool:
        """Let workers that have come import what they need; return whether one of them is ready."""
        for address in set(there) - self.going - self.coming.keys():
            self.coming[address] = self.client.submit(get_going, workers=[address], pure=False)
        over = [address for address, future in self.coming.items() if future.done()]
        ready = {address for address in over if self.coming[address].status == "finished"}
        for address in over:
            del self.coming[address]
        self.going |= ready
        return bool(ready)

    def _submit(
        self, address: str, function: Callable[..., Result], blocks: Sequence[int], *first: Assignment
    ) -> Future[Result]:
        """Run a task on one worker: of arguments of its own, what all need, and some partitions."""
        return self.client.submit(
            function,
            *first,
            self.ready,
            [self.parts[block] for block in blocks],
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
            priority=10,
        )

    def _holders(self) -> list[str | None]:
        """Return the worker that holds each partition."""
        held = self.client.who_has(list(self.parts))
        return [next(iter(held.get(part.key, ())), None) for part in self.parts]

    def _watched(self, meeting: Meeting, futures: Ranks) -> Outcome | None:
        """Wait for the end of a round; return None where it ended early, to be followed by another one."""
        first = next(iter(futures.values()))
        while True:
            if first.status == "finished":
                return first.result(timeout=self.cluster.limits.timeout)
            there = self.cluster.workers()
            gone = sorted(set(futures) - set(there))
            failed = [future for future in futures.values() if future.status in _FAILED]
            if gone or failed:
                self._end_early(futures, gone)
                return None
            if self._welcome(there):
                # They take part from the next round on.
                event(meeting.ending, self.client).set()
            _wait([future for future in futures.values() if not future.done()])

    def _end_early(self, futures: Ranks, gone: list[str]) -> None:
        """Find out why a round ended, and whether another one may follow."""
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and any(not future.done() for future in futures.values()) and not gone:
            _wait(futures.values())
            gone = sorted(set(futures) - set(self.cluster.workers()))
        errors = [future.exception() for future in futures.values() if future.status == "error"]
        own = next((error for error in errors if type(error) not in (PeerLostError, RoundOver)), None)
        if own is not None and not gone and not isinstance(own, distributed.KilledWorker):
            raise own
        if not gone and any(type(error) is RoundOver for error in errors):
            return
        silent = [] if gone else [address for address, future in futures.items() if not future.done()]
        self.cluster.silent |= set(silent)
        self._count(gone, silent, errors)

    def _count(self, gone: list[str], silent: list[str], errors: Sequence[BaseException | None]) -> None:
        """Count a restart; raise an error where there were as many as there may be."""
        self.n_restarts += 1
        if self.n_restarts > self.cluster.limits.max_restarts:
            raise WorkerLostError(_sentence(gone, silent, errors, self.cluster.limits)) from (
                errors[0] if errors else None
            )


def _sentence(
    gone: list[str], silent: list[str], errors: Sequence[BaseException | None], limits: Limits
) -> str:
    if gone:
        what = f"worker {', '.join(gone)} was lost"
    elif silent:
        what = f"worker {', '.join(silent)} did not answer within {limits.timeout:g} seconds"
    else:
        what = f"workers lost each other ({errors[0] if errors else 'without an error'})"
    return (
        f"Training was given up after {limits.max_restarts} restarts: {what}. See its log; max_restarts= and "
        "timeout= say how often a fit goes on, and how long workers wait for each other."
    )


def placed(
    counts: Sequence[int], holders: Sequence[str | None], workers: Sequence[str]
) -> dict[str, list[int]]:
    """Say which worker trains on which partitions: those it holds, unless these are far more than others'.

    Parameters
    ----------
    counts : sequence of int
        Rows of each partition. Those without any are given to nobody.
    holders : sequence of str or None
        Where each of them lies.
    workers : sequence of str
        Those that are there.

    Returns
    -------
    blocks : dict of str to list of int
        Partitions in ascending order, by worker. Workers without rows are left out.
    """
    even = sum(counts) / len(workers)
    loads = dict.fromkeys(workers, 0)
    blocks: dict[str, list[int]] = {address: [] for address in workers}
    filled = [block for block, count in enumerate(counts) if count]
    for block in sorted(filled, key=lambda block: -counts[block]):
        holder = holders[block]
        if holder not in loads or (loads[holder] and loads[holder] + counts[block] > _UNEVEN * even):
            holder = min(workers, key=lambda address: loads[address])
        loads[holder] += counts[block]
        blocks[holder].append(block)
    return {address: sorted(own) for address, own in blocks.items() if own}


def _versions(machine: Machine) -> dict[str, str]:
    """Return versions without what they were built for, as in 2.13.0+cpu."""
    found = machine["packages"]
    return {name: (found[name] or "none").partition("+")[0] for name in _PACKAGES}


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
