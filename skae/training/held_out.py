"""Rows that judge a network after each epoch, and which epoch they speak for."""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from skae.networks.autoencoder import Autoencoder
from skae.networks.principal_axes import PrincipalAxes
from skae.objectives.batch import Batch
from skae.objectives.linear_model import LinearModel
from skae.objectives.objective import Errors, Objective
from skae.training.batches import Rows
from skae.training.loop import History, Validation
from skae.training.steps import State

_CHUNK = 8192
# Numbers of the held-out rows of several networks, up to which they are joined: 128 MiB of float32.
_MOST_JOINED = 2**25
# Standard errors by which a gain may be less than it seems.
_EVIDENCE = 2.0
# From this share of the epochs on, training may end where nothing more is to be gained, see `is_past_best`:
# where the loss has risen by such shares of that of the start, above the start where nothing was surely
# better, or above the best epoch. Of 410 fits of 25 to 400 rows of the tables of `benchmarks/many_tables.py`,
# 108 ended so, after 0.30 of their epochs on average, and none would have been better after all of them. A
# rise by a share of the best loss ended fits that had come far, whose losses swing more for their size.
_PAST_BEST_FROM, _ABOVE_START, _ABOVE_BEST = 0.25, 0.1, 0.2
# What an epoch is charged for the share of the variance that an ordered code explains less than at the start,
# at the size where it is most. No ban: where components are many, PCA misses so little that nothing that
# bends would be accepted, whatever it gains at small sizes (digits, 32 components: -0.004 at 32, +0.22 at 2).
_CHARGE = 3.0


class Labels(NamedTuple):
    """The target of held-out rows, and what the best constant, that of training rows, leaves of it."""

    values: torch.Tensor  # (n_rows, n_outputs)
    constant: float


def labels_of(objective: Objective, rows: Rows, held: Rows) -> Labels | None:
    """Return the target of held-out rows; None where there is none.

    Parameters
    ----------
    objective : Objective
        Its linear model of the target has begun.
    rows, held : Rows
        Those that are trained on, and the others.
    """
    if rows.labels is None or held.labels is None or objective.head is None:
        return None
    # Of no features at all, the best linear model is a constant.
    bias = objective.head.outputs.constants(rows.labels, rows.weight)
    constant = LinearModel(bias.new_zeros(len(bias), 0), bias)
    losses = objective.head.losses(held.target[:, :0], held.labels, constant)
    return Labels(held.labels, float((losses.double() * _of_rows(held.weight)).sum()))


def _of_rows(weight: torch.Tensor | None) -> torch.Tensor | float:
    return 1.0 if weight is None else weight[:, 0].double()


class HeldOut:
    """Held-out rows; calling it measures the network on them.

    Parameters
    ----------
    network, objective : Autoencoder, Objective
        What is measured.
    rows : tensor of shape (n_rows, n_features)
        Centred and scaled rows, the target.
    inputs : tensor of shape (n_rows, n_features), optional
        What the encoder sees of them; the rows themselves by default.
    keep_rows : bool, default=False
        Whether to keep the errors of each row, for choosing an epoch over several folds.
    weight : tensor of shape (n_rows, 1), optional
        Weights of rows; equal by default.
    labels : Labels, optional
        A target that codes are to tell.
    """

    def __init__(
        self,
        network: Autoencoder,
        objective: Objective,
        rows: torch.Tensor,
        inputs: torch.Tensor | None = None,
        keep_rows: bool = False,
        weight: torch.Tensor | None = None,
        labels: Labels | None = None,
    ) -> None:
        self.network = network
        self.objective = objective
        self.rows = rows
        self.inputs = rows if inputs is None else inputs
        self.keep_rows = keep_rows
        self.weight = weight
        # What fills gaps is not trained, so that once is enough.
        self.filled, self.there = network.filled(self.inputs)
        self.labels = labels
        self.total = total_squares(rows, weight)
        self.errors: list[Errors] = []
        self.missed_by_size: list[np.ndarray] = []
        # Summed losses of the target.
        self.told: list[float] = []

    def __call__(self) -> Validation:
        """Measure the network as it is now."""
        return self.completed([self.objective.evaluate(self.network, batch) for batch in self.batches])

    def completed(self, parts: Sequence[Errors]) -> Validation:
        """Return what the errors of all batches come to, and keep what is kept of them."""
        errors = Errors(torch.cat([p.loss for p in parts]), torch.cat([p.squared for p in parts]))
        self.keep(errors)
        sizes = [p.by_size for p in parts if p.by_size is not None]
        if self.weight is None:
            squared = float(errors.squared.sum(dtype=torch.float64))
            loss = float(errors.loss.double().mean())
        else:
            weight = self.weight[:, 0].double()
            squared = float((weight * errors.squared).sum())
            loss = float((weight * errors.loss).sum() / weight.sum())
        validation = Validation(loss, explained(squared, self.total))
        if sizes:
            validation = self._by_size(validation, torch.cat(sizes))
        told = [p.told for p in parts if p.told is not None]
        return self._with_target(validation, torch.cat(told)) if told else validation

    @property
    def is_plain(self) -> bool:
        """Whether all rows weigh the same, and nothing but their errors is kept."""
        return self.weight is None and self.labels is None and not self.objective.judged_sizes

    @property
    def kind(self) -> Hashable:
        """What is equal for judges whose rows are measured at once, of networks of one structure."""
        objective = self.objective
        penalties = tuple(penalty.coefficient for _, penalty in objective.named_penalties() if penalty.judges)
        settings = objective.emphasis, tuple(objective.judged_sizes), float(objective.reconstruction.scale)
        shapes = tuple(
            None if part is None else part.shape
            for batch in self.batches
            for part in (batch.target, batch.weight, batch.filled, batch.labels)
        )
        return penalties, settings, shapes, self.inputs is self.rows

    @functools.cached_property
    def batches(self) -> Sequence[Batch]:
        """The rows in parts."""
        tables = {"target": self.rows}
        if self.inputs is not self.rows:
            tables["inputs"] = self.inputs
        if self.weight is not None:
            tables["weight"] = self.weight
        if self.there is not None:
            tables |= {"filled": self.filled, "there": self.there}
        if self.labels is not None:
            tables["labels"] = self.labels.values
        found = []
        for parts in zip(*(table.split(_CHUNK) for table in tables.values()), strict=True):
            own = dict(zip(tables, parts, strict=True))
            found.append(Batch(**{"inputs": own["target"], **own}))
        return found

    def keep(self, errors: Errors) -> None:
        """Keep the errors of an epoch, if they are kept."""
        if self.keep_rows:
            self.errors.append(Errors(errors.loss.cpu(), errors.squared.cpu()))

    def forget(self) -> None:
        """Forget what was kept of the last epoch."""
        del self.errors[-1:], self.missed_by_size[-1:], self.told[-1:]

    def repeat(self) -> None:
        """Take what was kept of the last epoch for that of the next one."""
        self.errors += self.errors[-1:]
        self.missed_by_size += self.missed_by_size[-1:]
        self.told += self.told[-1:]

    def state_dict(self) -> State:
        """Return the errors that were kept, (n_epochs, n_rows) each, and those by size."""
        return {
            "loss": _stacked([errors.loss for errors in self.errors]),
            "squared": _stacked([errors.squared for errors in self.errors]),
            "by_size": _stacked([torch.from_numpy(missed) for missed in self.missed_by_size]),
            "told": torch.tensor(self.told, dtype=torch.float64),
        }

    def load_state_dict(self, state: State) -> None:
        """Load a state from `state_dict`."""
        loss, squared, by_size = state["loss"], state["squared"], state["by_size"]
        self.errors = [Errors(*both) for both in zip(loss, squared, strict=True)]
        self.missed_by_size = [missed.numpy() for missed in by_size]
        self.told = state["told"].tolist()

    def _by_size(self, validation: Validation, squared: torch.Tensor) -> Validation:
        """Add what the first components explain; charge what is below the start."""
        weight = 1.0 if self.weight is None else self.weight.double()
        self.missed_by_size.append((squared.double() * weight).sum(0).cpu().numpy())
        by_size = tuple(explained(float(missed), self.total) for missed in self.missed_by_size[-1])
        charge = charges(
            self.objective, np.stack([self.missed_by_size[0], self.missed_by_size[-1]]), self.total
        )
        return Validation(validation.loss + charge[-1], validation.score, by_size)

    def _with_target(self, validation: Validation, losses: torch.Tensor) -> Validation:
        """Add what the linear model of the target explains."""
        self.told.append(float((losses.double() * _of_rows(self.weight)).sum()))
        return validation._replace(told=explained(self.told[-1], self.constant))

    @property
    def constant(self) -> float:
        """Summed loss of the best constant for the target."""
        return 0.0 if self.labels is None else self.labels.constant

    def missed(self, errors: Errors) -> float:
        """Return the sum of squared errors of a measurement that was kept."""
        return float(self.missed_by_row(errors).sum())

    def missed_now(self) -> torch.Tensor:
        """Measure the network as it is now, and return the squared error of each row, (n_rows,)."""
        self.keep_rows = True
        self()
        return self.missed_by_row(self.errors[-1])

    def missed_by_row(self, errors: Errors) -> torch.Tensor:
        """Return the squared error of each row, times its weight, (n_rows,)."""
        weight = 1.0 if self.weight is None else self.weight[:, 0].double().cpu()
        return errors.squared.double() * weight


def _stacked(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack tensors of one shape; where there are none, an empty one."""
    return torch.stack(list(tensors)) if tensors else torch.empty(0)


def completed_together(judges: Sequence[HeldOut], errors: Errors) -> list[Validation]:
    """Return what `HeldOut.completed` would of each judge, for errors (n_judges, n_rows).

    Parameters
    ----------
    judges : sequence of HeldOut
        Those that are plain, all of as many rows.
    errors : Errors
    """
    losses = errors.loss.double().mean(1).tolist()
    missed = errors.squared.sum(1, dtype=torch.float64).tolist()
    for judge, loss, squared in zip(judges, errors.loss, errors.squared, strict=True):
        judge.keep(Errors(loss, squared))
    return [
        Validation(loss, explained(squared, judge.total))
        for judge, loss, squared in zip(judges, losses, missed, strict=True)
    ]


def can_judge_together(judges: Sequence[HeldOut]) -> bool:
    """Return whether `HeldOutTogether` measures what each of some judges would, in little memory."""
    return can_join_rows(judges) and all(judge.objective.emphasis is None for judge in judges)


def can_join_rows(judges: Sequence[HeldOut]) -> bool:
    """Return whether the rows of some judges, joined, take little memory."""
    # A copy of all rows is made, but not for one.
    n_numbers = len(judges) * max(judge.rows.numel() for judge in judges)
    return len(judges) == 1 or n_numbers <= _MOST_JOINED


class HeldOutTogether:
    """Held-out rows of several networks, all measured at once.

    Parameters
    ----------
    judges : sequence of HeldOut
        Each with rows of its own, of networks whose objectives are the squared error alone, without emphasis.
    errors : callable
        Takes inputs and target, (n_judges, n_rows, n_features), and whether they may hold NaN; gives the
        errors of rows, (n_judges, n_rows) each.
    """

    def __init__(
        self,
        judges: Sequence[HeldOut],
        errors: Callable[[torch.Tensor, torch.Tensor, bool], Errors],
    ) -> None:
        self.judges = judges
        self.errors = errors
        self.has_gaps = any(judge.objective.has_gaps for judge in judges)
        self.target = _padded([judge.rows for judge in judges])
        is_same = all(judge.inputs is judge.rows for judge in judges)
        self.inputs = self.target if is_same else _padded([judge.inputs for judge in judges])
        ones = [torch.ones(len(judge.rows), 1, device=judge.rows.device) for judge in judges]
        weights = [
            one if judge.weight is None else judge.weight for judge, one in zip(judges, ones, strict=True)
        ]
        # Rows that make up for a lack weigh nothing.
        self.weight = _padded(weights)[:, :, 0].double()
        self.total_weight = self.weight.sum(1)

    def __call__(self) -> list[Validation]:
        """Measure the networks as they are now."""
        pieces = zip(self.inputs.split(_CHUNK, 1), self.target.split(_CHUNK, 1), strict=True)
        parts = [self.errors(inputs, target, self.has_gaps) for inputs, target in pieces]
        loss = torch.cat([part.loss for part in parts], 1)
        squared = torch.cat([part.squared for part in parts], 1)
        losses = ((loss * self.weight).sum(1) / self.total_weight).tolist()
        missed = (squared * self.weight).sum(1).tolist()
        for judge, *errors in zip(self.judges, loss, squared, strict=True):
            judge.keep(Errors(*(values[: len(judge.rows)] for values in errors)))
        return [
            Validation(loss, explained(missed, judge.total))
            for judge, loss, missed in zip(self.judges, losses, missed, strict=True)
        ]


def _padded(tables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack tables, (n_tables, n_rows, n_columns), shorter ones with rows of zeros at the end."""
    if len(tables) == 1:
        return tables[0].unsqueeze(0)
    n_rows = max(len(table) for table in tables)
    return torch.stack([functional.pad(table, (0, 0, 0, n_rows - len(table))) for table in tables])


class Judged(NamedTuple):
    """Held-out rows, with the network that they judge and the PCA that it is compared with."""

    network: Autoencoder
    axes: PrincipalAxes
    held: Rows


def pca_score(parts: list[Judged], n_components: int | None = None) -> float:
    """Return the variance of held-out rows that PCA explains from what the encoder sees of them.

    Parameters
    ----------
    parts : list of Judged
        One a fold.
    n_components : int, optional
        How many components PCA has; all that were found by default.

    Returns
    -------
    share : float
    """
    missed = total = 0.0
    for network, axes, held in parts:
        axes = axes if n_components is None else axes.first(n_components)
        for start in range(0, len(held.target), _CHUNK):
            part = held.take(slice(start, start + _CHUNK))
            error = part.target - axes.project(network.complete(part.seen))
            missed += total_squares(error, part.weight)
            total += total_squares(part.target, part.weight)
    return explained(missed, total)


def total_squares(rows: torch.Tensor, weight: torch.Tensor | None = None) -> float:
    """Sum the squares of rows about the training mean, which is zero for centred rows."""
    if weight is not None:
        rows = rows * weight.sqrt()
    return sum(float(part.double().square().nansum()) for part in rows.split(_CHUNK))


def charges(objective: Objective, missed: np.ndarray, total: float) -> np.ndarray:
    """Return the charge of epochs, (n_epochs + 1,), for squared errors by size, (n_epochs + 1, n_sizes)."""
    if not objective.penalizes_regressions or not total > 0:
        return np.zeros(len(missed))
    return _CHARGE * ((missed - missed[0]) / total).max(axis=1).clip(0)


def explained(squared_error: float, total: float) -> float:
    """Return the share of variance explained; without variance, 1 if nothing is missed, else 0."""
    if total > 0:
        return 1 - squared_error / total
    return 1.0 if squared_error < 1e-10 else 0.0


def assured_gains(losses: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return by how much held-out rows are better off than at the start, at least.

    The mean of the paired differences, less two standard errors. On small tables a few rows decide, and the
    start, PCA, is the choice that needs no evidence.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_rows)
        Loss of each row when it was held out; candidate 0 is the start.
    weight : ndarray of shape (n_rows,), optional
        Weights of rows, which count like as many rows.

    Returns
    -------
    gains : ndarray of shape (n_candidates,)
        Zero for the start.
    """
    gains = losses[0] - losses
    n_rows = gains.shape[1] if weight is None else weight.sum()
    means = np.average(gains, axis=1, weights=weight)
    variances = np.average((gains - means[:, None]) ** 2, axis=1, weights=weight)
    return means - _EVIDENCE * np.sqrt(variances / n_rows)


def weights_of(judges: list[HeldOut]) -> np.ndarray | None:
    """Join the weights of the rows of several folds, (n_rows,)."""
    parts = [judge.weight[:, 0].cpu().double().numpy() for judge in judges if judge.weight is not None]
    return np.concatenate(parts) if parts else None


def pool(histories: Sequence[History], judges: list[HeldOut]) -> tuple[History, np.ndarray]:
    """Join the folds of a cross-validation.

    Parameters
    ----------
    histories : sequence of History
        One a fold.
    judges : list of HeldOut
        Those of the folds; they have kept the errors of rows.

    Returns
    -------
    history : History
        Means over the folds, as far as all of them went.
    losses : ndarray of shape (n_epochs + 1, n_rows)
        Loss of each row when it was held out.
    """
    n_epochs = min(history.n_epochs for history in histories)
    validations, losses = pooled_validations(judges, range(n_epochs + 1))
    pooled = History(
        losses=[
            {
                name: float(np.mean([h.losses[epoch][name] for h in histories]))
                for name in histories[0].losses[0]
            }
            for epoch in range(n_epochs)
        ],
        validations=validations,
        n_recoveries=sum(history.n_recoveries for history in histories),
        interrupted=any(history.interrupted for history in histories),
    )
    return pooled, losses


def missed_by_row(judges: list[HeldOut], measurement: int) -> torch.Tensor:
    """Return the squared error of each row of several folds, times its weight, of one measurement."""
    return torch.cat([judge.missed_by_row(judge.errors[measurement]) for judge in judges])


def pooled_validations(
    judges: list[HeldOut], measurements: Sequence[int]
) -> tuple[list[Validation], np.ndarray]:
    """Join measurements of several folds.

    Parameters
    ----------
    judges : list of HeldOut
        Those of the folds; they have kept the errors of rows.
    measurements : sequence of int
        Which of their measurements, the start first; negative numbers count from the last one back.

    Returns
    -------
    validations : list of Validation
    losses : ndarray of shape (n_measurements, n_rows)
        Loss of each row when it was held out.
    """
    weight, total = weights_of(judges), sum(judge.total for judge in judges)
    errors = [[judge.errors[index] for index in measurements] for judge in judges]
    losses = np.concatenate(
        [np.stack([each.loss.numpy() for each in part]) for part in errors], axis=1
    ).astype(np.float64)
    missed = np.sum(
        [[judge.missed(each) for each in part] for judge, part in zip(judges, errors, strict=True)], axis=0
    )
    by_size: list[tuple[float, ...] | None] = [None] * len(measurements)
    if judges[0].missed_by_size:
        squares = np.sum(
            [[judge.missed_by_size[index] for index in measurements] for judge in judges], axis=0
        )
        by_size = [tuple(explained(float(part), total) for part in row) for row in squares]
        losses += charges(judges[0].objective, squares, total)[:, None]
    told: list[float | None] = [None] * len(measurements)
    if judges[0].told:
        left = np.sum([[judge.told[index] for index in measurements] for judge in judges], axis=0)
        constant = sum(judge.constant for judge in judges)
        told = [explained(float(loss), constant) for loss in left]
    means = np.average(losses, axis=1, weights=weight)
    shares = [explained(float(squares), total) for squares in missed]
    rows = zip(means.tolist(), shares, by_size, told, strict=True)
    return [Validation(*row) for row in rows], losses


def chosen_epoch(
    pooled: History, losses: np.ndarray, weight: np.ndarray | None, epochs: Sequence[int], on_evidence: bool
) -> int:
    """Return the best epoch after several folds.

    Parameters
    ----------
    pooled : History
        Of all folds, from `pool`.
    losses : ndarray of shape (n_epochs + 1, n_rows)
        Loss of each row when it was held out.
    weight : ndarray of shape (n_rows,), optional
        Weights of rows.
    epochs : sequence of int
        Those to choose from, 0 first; those that were not reached do not count.
    on_evidence : bool
        Whether the epoch after the start is sought that gains most, see `assured_gains`, however little; else
        the one of least loss, the start among them.

    Returns
    -------
    epoch : int
        0 where the folds were interrupted.
    """
    reached = [epoch for epoch in epochs if epoch < len(losses)]
    if pooled.interrupted or len(reached) == 1:
        return 0
    if on_evidence:
        return reached[1 + int(assured_gains(losses[reached], weight)[1:].argmax())]
    return min(reached, key=lambda epoch: pooled.validations[epoch].loss)


def is_past_best(judges: list[HeldOut], epochs: Sequence[int], n_epochs: int, on_evidence: bool) -> bool:
    """Return whether it is clear, before all epochs of several folds are over, that the best one is past.

    Parameters
    ----------
    judges : list of HeldOut
        Those of the folds; they have kept the errors of rows.
    epochs : sequence of int
        Those to choose from, 0 first, up to the one that has just ended.
    n_epochs : int
        All that there are to be.
    on_evidence : bool
        As for `chosen_epoch`.

    Returns
    -------
    is_past : bool
        False where folds do not have all of these epochs.
    """
    is_early = epochs[-1] < _PAST_BEST_FROM * n_epochs
    if is_early or any(len(judge.errors) <= epochs[-1] for judge in judges):
        return False
    validations, losses = pooled_validations(judges, epochs)
    means = [validation.loss for validation in validations]
    start, now = means[0], means[-1]
    # Of a loss that may be negative, shares say nothing.
    if start <= 0:
        return False
    is_nothing_better = on_evidence and assured_gains(losses, weights_of(judges)).max() <= 0
    is_above_start = is_nothing_better and now - start > _ABOVE_START * start
    return is_above_start or now - min(means) > _ABOVE_BEST * start
