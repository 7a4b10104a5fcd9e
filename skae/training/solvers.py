"""The solvers by name: what each of them wants of a fit, and the step that it is."""

import dataclasses
from collections.abc import Callable
from functools import partial

from skae.networks.autoencoder import Autoencoder
from skae.objectives.objective import Objective
from skae.training.recirculation import RecirculationStep
from skae.training.steps import GradientStep, LBFGSStep, Step, StepSettings, adam, rmsprop, sgd


@dataclasses.dataclass(frozen=True)
class Solver:
    """What is particular to a solver.

    Parameters
    ----------
    rate : float
        What ``learning_rate_init="auto"`` stands for, where an estimator has no rate of its own.
    weight_decay : float
        What ``weight_decay="auto"`` stands for, likewise.
    make_step : callable
        Takes a network, an objective and `StepSettings`, and returns a `Step`.
    all_rows : bool, default=False
        Whether a step takes all rows at once, in the order in which they are stored.
    n_epochs : int, optional
        What ``max_iter="auto"`` stands for; None takes the epochs of a number of steps.
    decouples_decay : bool, default=False
        Whether decay shrinks weights by a share in each step, rather than adding to the loss.
    takes_gaps : bool, default=True
        Whether rows may hold NaN.
    follows_gradient : bool, default=True
        Whether it minimises any objective of any network. One that does not knows one layer of weights each
        way and the squared error alone.
    stacks : bool, default=False
        Whether `StackedStep` does the same for several models at once.
    averages : bool, default=False
        Whether training without an end keeps the mean of the weights, see `ScheduleFree`.
    """

    rate: float
    weight_decay: float
    make_step: Callable[[Autoencoder, Objective, StepSettings], Step]
    all_rows: bool = False
    n_epochs: int | None = None
    decouples_decay: bool = False
    takes_gaps: bool = True
    follows_gradient: bool = True
    stacks: bool = False
    averages: bool = False


# Adam's decay is a share of each step, a penalty adds to the loss: the same number means other things.
SOLVERS: dict[str, Solver] = {
    "adam": Solver(
        0.02, 0.1, partial(GradientStep, optimizer=adam), decouples_decay=True, stacks=True, averages=True
    ),
    "sgd": Solver(0.1, 1e-4, partial(GradientStep, optimizer=sgd)),
    "rmsprop": Solver(0.003, 1e-4, partial(GradientStep, optimizer=rmsprop)),
    "lbfgs": Solver(1.0, 2e-3, LBFGSStep, all_rows=True, n_epochs=300),
    "recirculation": Solver(0.1, 0.03, RecirculationStep, takes_gaps=False, follows_gradient=False),
}
