"""How far a training has come where it has only so much time: schedules that end when the time does.

Knows no model: it speaks of shares of the epochs, and of seconds.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import NamedTuple

# A training is measured from this step on: the first ones also load and prepare what later ones use.
_FIRST_STEPS = 3
# Share of the time that is measured before anything is changed.
_MEASURED = 0.03
# Factor by which a schedule must miss the time before it is changed: what is measured varies.
_TOLERANCE = 1.1
# Share of the time that is left for what comes after training.
_SPARE = 0.02
# Share of the time that each layer of a pretraining may take, of what is left.
_LAYER = 0.03


class Knot(NamedTuple):
    """Where the speed of a schedule changed."""

    share: float  # of the epochs that the plan names
    progress: float  # of the schedule
    speed: float  # of the schedule, over that of the plan


class Pace:
    """The progress of one training, or of several side by side, up to a point in time.

    As long as all epochs fit into the time, progress is the share of the epochs. Else the schedule is run
    through faster, so that it ends with the time.

    Parameters
    ----------
    end : float
        When training has to end, in seconds of `time.perf_counter`.
    knots : list of Knot
        How fast the schedule is run through; changed in place.
    follows : bool, default=False
        Whether the knots are those of another training, and stay as they are.
    """

    def __init__(self, end: float, knots: list[Knot], follows: bool = False) -> None:
        self.start = time.perf_counter()
        self.end = end
        self.knots = knots
        self.follows = follows
        self.n_steps = 0
        self.measured_from: tuple[float, float] | None = None
        self.is_over = False

    @property
    def is_shortened(self) -> bool:
        """Whether the schedule is run through faster than the plan names."""
        return len(self.knots) > 1

    def reserve(self, seconds: float) -> None:
        """Leave time for one more look at held-out rows, which takes so many seconds."""
        self.end -= seconds

    def progress(self, share: float) -> float:
        """Return the progress of the schedule at a share of the epochs."""
        knot = next(knot for knot in reversed(self.knots) if knot.share <= share or knot is self.knots[0])
        return share if knot is self.knots[0] else min(1.0, knot.progress + knot.speed * (share - knot.share))

    def step(self, share: float) -> None:
        """Take note of a step, before which the share of the epochs was this."""
        now = time.perf_counter()
        self.n_steps += 1
        if self.n_steps == _FIRST_STEPS:
            self.measured_from = now, share
        if self.measured_from is not None and not self.follows:
            self._adapt(now, share, *self.measured_from)
        self.is_over = now >= self.end or (self.is_shortened and self.progress(share) >= 1)

    def _adapt(self, now: float, share: float, start: float, first: float) -> None:
        """Change the speed of the schedule, if it misses the time."""
        if now - start < _MEASURED * (self.end - self.start) or share <= first:
            return
        progress = self.progress(share)
        possible = (share - first) / (now - start) * (self.end - now)
        if possible <= 0:
            return
        # Never slower than the plan: a fit that is quick enough is as without a limit.
        speed, current = max(1.0, (1 - progress) / possible), self.knots[-1].speed
        if speed > _TOLERANCE * current or (self.is_shortened and speed < current / _TOLERANCE):
            self.knots.append(Knot(share, progress, speed))

    def keeps(self, epoch: int, kept: Collection[int], n_epochs: int) -> bool:
        """Return whether weights are kept after an epoch.

        Parameters
        ----------
        epoch : int
        kept : collection of int
            The epochs of the plan after which they are.
        n_epochs : int
            Of the plan.
        """
        if not self.is_shortened:
            return epoch in kept or bool(kept and self.is_over)
        before, after = (n_epochs * self.progress(part / n_epochs) for part in (epoch - 1, epoch))
        return bool(kept and self.is_over) or any(before < one <= after for one in kept)


class Clock:
    """The time that one fit may take, spread over its trainings.

    Parameters
    ----------
    seconds : float
        From now on.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + (1 - _SPARE) * seconds
        self.knots: list[Knot] | None = None

    def pace(self, share: float) -> Pace:
        """Return the pace of the next training, which has a share of the time that is left.

        Those after the first one follow its schedule, so that their epochs compare.
        """
        now = time.perf_counter()
        follows, self.knots = self.knots is not None, self.knots or [Knot(0.0, 0.0, 1.0)]
        return Pace(now + share * (self.end - now), self.knots, follows)

    def pace_of_layer(self) -> Pace:
        """Return the pace of the pretraining of a layer."""
        now = time.perf_counter()
        return Pace(now + _LAYER * (self.end - now), [Knot(0.0, 0.0, 1.0)])
