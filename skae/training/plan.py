"""How a network is trained: a plan with nothing left to "auto", and the rules behind ``"auto"``.

`benchmarks/many_tables.py` and `benchmarks/time_to_quality.py` chose the numbers.
"""

import dataclasses
import math
from typing import Literal, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from skae._random import Streams
from skae.training.solvers import SOLVERS, Solver

FOLDS_BELOW = 1000
# Rows below which a network learns what does not hold for others, unless it is kept from it.
_FEW = 2000
# Rows from which on nothing is done about that; rows that come in parts are taken for as many.
MANY = 10_000
# Rows below which half as wide a network at twice the rate learns as much, in less than half the time.
FEWER = 500
# Sizes of the hidden layers, and those of networks of fewer rows.
LAYER_SIZES, FEWER_LAYER_SIZES = (128, 64), (64, 32)
NOTHING_BELOW = 20
# Ordered components learn for every size at once; more would take over three times as long as a plain fit.
ORDERED_STEPS = 1.6
N_FOLDS = 5
# Share of the epochs that each layer is trained for beforehand.
PRETRAINING = 0.2
# Weights of a target of which "auto" takes one; the first is a fit that does not know the target.
TARGET_WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
# Rows of a step on a part of a stream, at most.
_PART_BATCH = 512
# Steps that several workers make at least before each of them takes as many rows as one alone would.
_SHARED_STEPS = 2700
# Of the learning rate, where no schedule ends at a low one and no weights are averaged.
CONSTANT = 0.1


class Tuning(NamedTuple):
    """What is done about few rows."""

    rate: float = 1.0  # times the usual learning rate
    decay: float = 1.0  # times the usual weight decay
    noise: float = 0.0  # deviation of what is added to inputs, of rows of deviation one
    batch_size: int = 64  # least rows of a step


USUAL = Tuning()


def for_few(n_rows: int) -> Tuning:
    """Return how a network that starts at PCA is kept from learning what does not hold for other rows.

    From noise it learns to be smooth (Bishop 1995). With all this, 600 steps of digits and of cardio leave
    0.93 of the variance unexplained that 3,400 steps left without it, and 300 steps of 13 tables below
    1,000 rows 0.92. From 2,000 to 10,000 rows, a third of the noise left 0.96 of six tables, over two cuts.
    """
    rate = 2.0 if n_rows < FEWER else 1.0
    decay = min(10.0, max(1.0, 4000 / n_rows))
    if n_rows >= _FEW:
        return Tuning(rate, decay, 0.1 if n_rows < MANY else 0.0)
    return Tuning(rate, decay, 0.3, max(64, min(256, n_rows // 5)))


def for_few_steps(tuning: Tuning, n_rows: int, n_steps: int) -> Tuning:
    """Return the same at a higher rate where fewer than 1,500 steps are made on rows that are not few.

    Of twelve comparisons of 4,000 to 46,000 rows, 1,000 steps so left 1.10 of what 3,400 steps left, and 1.12
    at the usual rate; 2,500 steps gained nothing.
    """
    is_short = n_rows >= _FEW and n_steps < 1500
    return tuning._replace(rate=1.5 * tuning.rate) if is_short else tuning


def batch_size(n_rows: int, wanted: int | str, solver: Solver, least: int = 64) -> int:
    """Return the rows of a step: for "auto" 1/16 of them, up to 1024, where a solver takes some.

    Parameters
    ----------
    n_rows : int
        Rows of a fit.
    wanted : int or "auto"
    solver : Solver
    least : int, default=64
        What "auto" is at least.

    Returns
    -------
    size : int
    """
    if solver.all_rows:
        return n_rows
    if isinstance(wanted, str):
        return min(1024, max(least, n_rows // 16))
    return min(wanted, n_rows)


def part_batch_size(n_rows: int, wanted: int | str, solver: Solver) -> int:
    """Return the rows of a step on a part of a stream: for "auto" up to 512 of them.

    Parameters
    ----------
    n_rows : int
        Rows of the part.
    wanted : int or "auto"
    solver : Solver

    Returns
    -------
    size : int
    """
    return n_rows if solver.all_rows else min(n_rows, _PART_BATCH if isinstance(wanted, str) else wanted)


def shared_batch_size(size: int, n_rows: int, n_epochs: int, n_workers: int) -> int:
    """Return the rows of a step that several workers share: as many times those of one as leave 2,700 steps.

    Of a million rows of 100 columns, ten epochs of 2,048 rows a step explain 0.9706, of 1,024 0.9717.

    Parameters
    ----------
    size : int
        Rows of a step of one worker.
    n_rows, n_epochs : int
        Rows that are trained on, and how often.
    n_workers : int
        How many there are.

    Returns
    -------
    size : int
        Of all of them together.
    """
    most = n_epochs * n_rows // (_SHARED_STEPS * size)
    return size * max(1, min(n_workers, most))


class Steps(NamedTuple):
    """What ``max_iter="auto"`` stands for: about how many steps."""

    folds: int  # of each fold
    few: int  # below 2,000 rows
    many: int


def n_epochs(n_rows: int, size: int, steps: Steps, held_out: str, factor: float = 1.0) -> int:
    """Return the epochs of about so many steps, between 10 and 300.

    From 10,000 rows on, a fifth fewer steps of such as are more than 2,700: there, batches are large, and
    2,700 steps of weatherAUS explain what 3,400 did before Adam forgot sooner.

    Parameters
    ----------
    n_rows, size : int
        Rows of a fit and of a step.
    steps : Steps
        About how many.
    held_out : str
        How rows are held out, see `Layout`.
    factor : float, default=1.0
        How many times as many.

    Returns
    -------
    n_epochs : int
    """
    of_few = steps.folds if held_out == "folds" else steps.few
    n_steps = round(factor * (of_few if n_rows < _FEW else steps.many))
    if n_rows >= MANY:
        n_steps = min(n_steps, max(2700, round(0.8 * n_steps)))
    if held_out == "folds":
        n_rows -= -(-n_rows // N_FOLDS)
    steps_per_epoch = -(-n_rows // size)
    return min(300, max(10, round(n_steps / steps_per_epoch)))


def warm_up(n_rows: int, size: int, n_epochs: int) -> float:
    """Return the share of a training over which the rate rises: 250 steps, between a tenth and a quarter."""
    return min(0.25, max(0.1, 250 / (n_epochs * -(-n_rows // size))))


def second_moment(n_rows: int) -> float:
    """Return the decay of Adam's mean of squared gradients: a shorter memory for rows that are not few.

    With it and a shorter rise of the rate, 1,700 steps of weatherAUS leave 1.02 of what 3,400 steps left
    before, and 2,500 leave 0.98; without, 1,700 leave 1.07.
    """
    return 0.99 if n_rows >= _FEW else 0.999


def ordered_decay(n_components: int, n_rows: int) -> float:
    """Return how many times the weight decay is for ordered components: more beyond 16, less for many rows.

    What is learnt of small sizes overfits where large ones are to be as good as PCA: of digits, 32 components
    explained 0.943 at 0.1 and 0.959 at 0.3, where PCA explains 0.962. On weatherAUS, where nothing
    overfits, half of 0.1 is worth 0.002 of the variance.
    """
    return min(10.0, max(1.0, (n_components / 16) ** 2)) * (0.5 if n_rows >= 10_000 else 1.0)


def validation(n_rows: int, early_stopping: bool, fraction: float | str) -> Literal["none", "folds", "split"]:
    """Return how rows are held out; see `validation_fraction` of the estimators."""
    if not early_stopping or n_rows < NOTHING_BELOW:
        return "none"
    return "folds" if fraction == "auto" and n_rows < FOLDS_BELOW else "split"


class Layout(NamedTuple):
    """How the rows of a fit are held out."""

    kind: Literal["none", "folds", "split"]
    n_training: int  # rows before this one are trained on, if kind is "split"
    order: np.ndarray | None  # the order in which rows are stored; None: as given


def lay_out(n_rows: int, early_stopping: bool, fraction: float | str, streams: Streams) -> Layout:
    """Decide which rows are held out, before they are put on the device.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    early_stopping : bool
        Whether any are held out, where there are enough.
    fraction : float or "auto"
        Share of them, see `validation_fraction` of the estimators.
    streams : Streams
        The one called "split" draws them.

    Returns
    -------
    layout : Layout

    Raises
    ------
    ValueError
        If fewer than 2 rows would be left to train on.
    """
    kind = validation(n_rows, early_stopping, fraction)
    if kind != "split":
        return Layout(kind, n_rows, None)
    share = 0.1 if isinstance(fraction, str) else fraction
    if n_rows - math.ceil(share * n_rows) < 2:
        raise ValueError(
            f"validation_fraction={share} leaves fewer than 2 of {n_rows} rows to train on; lower it, or "
            "use 'auto'."
        )
    training, held_out = train_test_split(
        np.arange(n_rows),
        test_size=share,
        random_state=streams.numpy("split"),
    )
    return Layout(kind, len(training), np.concatenate([training, held_out]))


def lay_out_stream(n_rows: int, n_sampled: int, early_stopping: bool, fraction: float | str) -> Layout:
    """Decide how many rows are held out of those that are read in blocks: half of the sample, at most.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    n_sampled : int
        How many of them lie in memory.
    early_stopping, fraction
        As for `lay_out`.

    Returns
    -------
    layout : Layout
    """
    if validation(n_rows, early_stopping, fraction) == "none":
        return Layout("none", n_rows, None)
    share = 0.1 if isinstance(fraction, str) else fraction
    return Layout("split", n_rows - min(math.ceil(share * n_rows), n_sampled // 2), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How a network is trained on rows, every choice made.

    Parameters
    ----------
    n_pca_components : int
        Components of the PCA that the network starts at and is compared with.
    init : {"pca", "random"}
        How the linear path starts.
    n_init : int
        Number of starts, of which the best is kept.
    starts_at_pca : bool
        Whether epoch 0 is PCA itself, which folds leave on evidence alone.
    stays_at_start : bool
        Whether there are too few rows to learn anything from that holds for others.
    held_out : {"none", "folds", "split"}
        How rows are held out.
    n_training : int
        Rows before this one are trained on, where `held_out` is "split".
    solver : str
        A key of `SOLVERS`.
    batch_size : int
        Rows of a step.
    n_epochs : int
        Epochs at most.
    n_pretraining_epochs : int
        Epochs of each layer beforehand; 0 for none.
    schedule : str
        A key of `SCHEDULES`.
    learning_rate : float
        The rate that the schedule scales.
    constant_rate : float
        The rate where there is no schedule, since rows come in parts.
    weight_decay : float
        Decay of the weights of the nonlinear parts.
    warm_up : float
        Share of the training over which the rate rises, where the schedule lets it.
    second_moment : float
        Decay of the mean of squared gradients, where the solver has one.
    input_noise : float
        Deviation of the noise that rows are seen with in training.
    gradient_clip : float or None
        Largest norm of the gradient of a step.
    patience : int or None
        Epochs without an improvement after which training stops.
    tol : float
        Improvement that counts for it, relative to the best loss.
    ends_early : bool, default=False
        Whether folds end training where it is clear that the best epoch is past.
    target_weights : tuple of float, default=()
        Weights of the loss of a target, of which one is chosen where there are several; none without one.
    """

    n_pca_components: int
    init: Literal["pca", "random"]
    n_init: int
    starts_at_pca: bool
    stays_at_start: bool
    held_out: Literal["none", "folds", "split"]
    n_training: int
    solver: str
    batch_size: int
    n_epochs: int
    n_pretraining_epochs: int
    schedule: str
    learning_rate: float
    constant_rate: float
    weight_decay: float
    warm_up: float
    second_moment: float
    input_noise: float
    gradient_clip: float | None
    patience: int | None
    tol: float
    ends_early: bool = False
    target_weights: tuple[float, ...] = ()

    @property
    def shuffles(self) -> bool:
        """Whether rows are put in another order in each epoch: not where a step takes all of them."""
        return not SOLVERS[self.solver].all_rows

    def without_schedule(self) -> "Plan":
        """Return the plan of an epoch over one part of the rows, which does not know how many will follow."""
        return dataclasses.replace(self, schedule="constant", learning_rate=self.constant_rate)
