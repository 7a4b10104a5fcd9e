"""Learning rates as functions of progress in [0, 1], as factors of the initial rate.

A schedule that learns from validation results also has `observe`.
"""

import math


class Schedule:
    """A constant rate; the base of every other schedule.

    Attributes
    ----------
    warm_up : float
        Share of the training over which the rate rises. Before its end, a lack of
        improvement says nothing and no patience is lost.
    """

    warm_up = 0.0

    def factor(self, progress: float) -> float:
        """Give the factor of the initial rate."""
        return 1.0

    def observe(self, loss: float) -> None:
        """Take note of the loss after an epoch."""


class OneCycle(Schedule):
    """Rise to the rate over a quarter of the training, then fall to zero, both by cosines.

    Smith and Topin (2018). On weatherAUS, the high peak that this allows was worth more
    than any other choice about the optimiser (`benchmarks/many_tables.py`).
    """

    warm_up = 0.25

    def factor(self, progress: float) -> float:
        """Give the factor of the initial rate."""
        if progress < self.warm_up:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / self.warm_up)) / 2
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2


class Cosine(Schedule):
    """Fall from the rate to zero by half a cosine (Loshchilov and Hutter 2017)."""

    def factor(self, progress: float) -> float:
        """Give the factor of the initial rate."""
        return (1 + math.cos(math.pi * progress)) / 2


class ReduceOnPlateau(Schedule):
    """Divide the rate by five whenever the loss has not improved for five epochs."""

    def __init__(self) -> None:
        self.reduced = 1.0
        self.best = math.inf
        self.waited = 0

    def factor(self, progress: float) -> float:
        """Give the factor of the initial rate."""
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
