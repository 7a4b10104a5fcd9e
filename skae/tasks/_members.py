"""One autoencoder of an ensemble of outlier detectors: how it is fitted, and how it scores rows."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skae._containers import take_rows
from skae._typing import Dense
from skae.estimators import BaseAutoencoder
from skae.estimators._checks import take_fit_params
from skae.estimators.base import Job, fit_together
from skae.tables import Columns
from skae.tables.mixed import means
from skae.tasks._density import Density

__all__ = ["Member", "Training", "grow", "quantile", "root_mean_square"]

_LEAST_ROWS = 10
# Parts of a column's deviation below which an error is none: columns that are given back exactly.
LEAST_DEVIATION = 0.01
_N_REFERENCE = 256
# Deviations from the mean of a column at which cells are cut off: the network could not compute with them,
# and nothing is odder.
_FARTHEST = 1e6
# The surprise of what cannot be computed: as if each cell were so far off.
MOST_SURPRISE = (_FARTHEST / LEAST_DEVIATION) ** 2
_LARGEST = 1e100
# Scaled back by a deviation of up to `_LARGEST`, this is finite.
_MOST_INSIDE = 1e150


class Member(NamedTuple):
    """One autoencoder of the ensemble, with the scales of its errors and codes."""

    model: BaseAutoencoder
    deviations: np.ndarray  # (n_inside,) of the errors of each column
    density: Density  # of codes
    reference: np.ndarray  # (n_reference, n_inside) some of the rows trained on
    lowest: np.ndarray  # (n_inside,) what the network sees of lower cells
    highest: np.ndarray
    n_rows: int

    def surprise(self, X: Dense, as_whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return signed errors in deviations (n, n_inside), NaN where missing, and code distances (n,)."""
        inside = self.inside(X)
        codes, back = given_back(self.model, self.seen(inside))
        most = np.sqrt(MOST_SURPRISE)
        with np.errstate(over="ignore", invalid="ignore"):
            errors = np.clip((inside - back) / self.deviations, -most, most)
            distances = np.minimum(self.density.distances(codes, as_whole), MOST_SURPRISE)
        # NaN where something is there: what the network cannot compute.
        errors[np.isnan(errors) & ~np.isnan(inside) & ~np.isnan(self.deviations)] = most
        return errors, np.where(np.isnan(distances), MOST_SURPRISE, distances)

    def scores(self, X: Dense, as_whole: bool = False) -> np.ndarray:
        """Return the anomaly of each row, about one for usual rows; `as_whole` ignores clusters."""
        errors, distances = self.surprise(X, as_whole)
        there = ~np.isnan(errors)
        squared = np.where(there, errors, 0.0) ** 2
        # Rows with gaps: as if the missing cells were as surprising as the others.
        share = errors.shape[1] / np.maximum(there.sum(axis=1), 1)
        n_terms = errors.shape[1] + self.density.whole.centres.shape[1]
        # A category that is not known is as odd as one that was seen less than once.
        unknown = self.unknown(X).sum(axis=1) * self.n_unseen**2
        found = (squared.sum(axis=1) * share + distances + unknown) / n_terms
        # A row of which nothing is there can be told nothing of.
        return np.where(there.any(axis=1) | (unknown > 0), np.minimum(found, MOST_SURPRISE), MOST_SURPRISE)

    @property
    def n_unseen(self) -> float:
        """Deviations of a category that no training row has: as if one more row had it."""
        return np.sqrt(self.n_rows + 1.0)

    def inside(self, X: Dense) -> np.ndarray:
        """Return the numeric columns inside; infinite where a number is too large to be scaled."""
        with np.errstate(over="ignore"):
            return self.model._inside.rows(X)

    def seen(self, inside: np.ndarray) -> np.ndarray:
        """Return rows inside for the network: values that are too far off are clipped."""
        return np.clip(inside, self.lowest, self.highest)

    def unknown(self, X: Dense) -> np.ndarray:
        """Return which cells (n, n_features) hold a category that this member has not seen."""
        return self.model._inside.columns.unknown(X)

    def contributions(self, X: Dense, units: str) -> np.ndarray:
        """Return the signed errors of the user's columns, each predicted from the others, (n, n_features)."""
        columns = self.model._inside.columns
        inside = self.inside(X)
        errors = self._expected_errors(inside)
        if units == "deviations":
            usual = root_mean_square(self._expected_errors(self.reference))
            errors = errors / np.maximum(usual, self.deviations)
        elif columns.is_scaled:
            is_number = columns.is_numeric & ~np.isnan(inside)
            errors = np.where(is_number, _in_data(columns, inside, errors), errors)
        # Finite, and so that means over members are, too.
        most = inside.dtype.type(min(_LARGEST, 1e-4 * float(np.finfo(inside.dtype).max)))
        errors = np.where(np.isnan(errors) & ~np.isnan(inside * self.deviations), most, errors)
        errors = np.clip(errors, -most, most).astype(inside.dtype, copy=False)
        if columns.is_plain:
            return errors
        first = np.searchsorted(columns.owners, np.arange(columns.n_features))
        largest = np.maximum.reduceat(np.abs(errors), first, axis=1)
        largest[self.unknown(X)] = 1.0 if units == "data" else self.n_unseen
        is_number = [columns.kinds[j] in ("numeric", "count") for j in first]
        return np.where(is_number, errors[:, first], largest)

    def _expected_errors(self, inside: np.ndarray) -> np.ndarray:
        """Return the errors of each of the user's columns, predicted from the others, in columns inside."""
        owners = self.model._inside.columns.owners
        errors = np.empty_like(inside)
        for owner in range(owners.max() + 1):
            own = owners == owner
            hidden = self.seen(inside)
            hidden[:, own] = np.nan
            with np.errstate(over="ignore"):
                errors[:, own] = inside[:, own] - given_back(self.model, hidden)[1][:, own]
        return errors


def _in_data(columns: Columns, inside: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return errors in units of the data: values minus the values without their errors."""
    # In float64 and cut off, since scalers refuse tables in which anything is infinite.
    most = _MOST_INSIDE
    whole, off = (np.clip(cells.astype(np.float64), -most, most) for cells in (inside, errors))
    return columns.unscale(whole) - columns.unscale(whole - off)


class Training(NamedTuple):
    """What members are fitted on."""

    model: BaseAutoencoder  # not fitted
    rows: Dense
    weight: np.ndarray | None
    params: dict[str, object]  # of `fit`
    trim: float
    n_refits: int
    seed: int
    owner: Any  # the estimator that callbacks are told of
    task: Any  # their context

    def only(self, kept: np.ndarray) -> Training:
        """Return the same for some of the rows."""
        return self._replace(
            rows=take_rows(self.rows, kept),
            weight=None if self.weight is None else self.weight[kept],
            params=take_fit_params(self.rows, self.params, kept),
        )


def grow(trainings: list[Training]) -> list[Member]:
    """Return members, fitted side by side, and fitted again without the rows with the largest anomalies.

    Parameters
    ----------
    trainings : list of Training
        One a member, with as many refits each.
    """
    for training in trainings:
        training.task.call_on_fit_task_begin(estimator=training.owner, X=training.rows)
    models, current = _fitted(trainings), list(trainings)
    again = list(range(len(trainings)))
    for _ in range(trainings[0].n_refits):
        kept = {
            place: _usual(_measured(current[place], models[place], False), current[place]) for place in again
        }
        again = [place for place in again if len(kept[place]) >= _LEAST_ROWS]
        for place in again:
            current[place] = current[place].only(kept[place])
        for place, model in zip(again, _fitted([current[place] for place in again]), strict=True):
            models[place] = model
    for training in current:
        training.task.call_on_fit_task_end(estimator=training.owner, X=training.rows)
    return [_measured(training, model) for training, model in zip(current, models, strict=True)]


def _usual(member: Member, training: Training) -> np.ndarray:
    """Return the positions of the rows that are not the oddest."""
    # Not by clusters, which outliers among the rows may have drawn to themselves.
    surprise = member.scores(training.rows, as_whole=True)
    return np.flatnonzero(surprise <= quantile(surprise, 1 - training.trim, training.weight))


def _fitted(trainings: list[Training]) -> list[BaseAutoencoder]:
    models: list[Any] = [clone(training.model) for training in trainings]
    with contextlib.ExitStack() as stack:
        fits = []
        for training, model in zip(trainings, models, strict=True):
            fit = training.task.subcontext(task_name="fit-member")
            stack.enter_context(fit.propagate_callback_context(model))
            fit.call_on_fit_task_begin(estimator=training.owner, X=training.rows)
            fits.append(fit)
        jobs = [
            Job(model, training.rows, fit_params=training.params)
            for training, model in zip(trainings, models, strict=True)
        ]
        for error in fit_together(jobs):
            if error is not None:
                raise error
        for training, fit in zip(trainings, fits, strict=True):
            fit.call_on_fit_task_end(estimator=training.owner, X=training.rows)
    return models


def _measured(training: Training, model: BaseAutoencoder, with_clusters: bool = True) -> Member:
    """Return a member, whose errors and codes are measured on its rows."""
    weight = training.weight
    inside = model._inside.rows(training.rows)
    codes, back = given_back(model, inside)
    mean = means(inside, weight)
    spread = _spread(inside, mean, weight)
    return Member(
        model,
        root_mean_square(inside - back, weight) + LEAST_DEVIATION * spread,
        Density.of(codes, weight, np.random.RandomState(training.seed) if with_clusters else None),
        inside[:_N_REFERENCE],
        *_limits(mean, spread, inside.dtype),
        len(inside) if weight is None else round(float(weight.sum())),
    )


def _limits(mean: np.ndarray, spread: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest number of each column that a network gets, in a dtype."""
    most = np.finfo(dtype).max
    lowest, highest = (np.clip(mean + sign * _FARTHEST * spread, -most, most) for sign in (-1, 1))
    return lowest.astype(dtype), highest.astype(dtype)


def given_back(model: BaseAutoencoder, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and reconstructions; NaN for rows that the network cannot compute."""
    try:
        codes = model._inside.codes(inside)
        return codes, model._inside.back(codes)
    except ValueError:
        # Some rows are too far off: halves find out which.
        if len(inside) == 1:
            return np.full((1, model.n_components_), np.nan), np.full_like(inside, np.nan)
        middle = len(inside) // 2
        halves = [given_back(model, half) for half in (inside[:middle], inside[middle:])]
        return np.concatenate([codes for codes, _ in halves]), np.concatenate([back for _, back in halves])


def quantile(values: np.ndarray, share: float, weight: np.ndarray | None) -> float:
    """Return a quantile; with weights, that of values repeated by weight."""
    if weight is None:
        return float(np.quantile(values, share))
    order = np.argsort(values)
    counts = np.cumsum(weight[order])
    place = max(0.0, share * (counts[-1] - 1))
    # Positions from 0, as np.quantile counts them.
    below, above = (
        values[order][min(np.searchsorted(counts, position, side="right"), len(values) - 1)]
        for position in (np.floor(place), np.ceil(place))
    )
    return float(below + (above - below) * (place - np.floor(place)))


def root_mean_square(cells: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return that of each column over its observed cells, NaN where there are none."""
    # Squares of float32 overflow from 1e19 on.
    cells = cells.astype(np.float64, copy=False)
    there = ~np.isnan(cells)
    counts = there.sum(axis=0) if weight is None else weight @ there
    squares = np.nansum(cells**2, axis=0) if weight is None else weight @ np.where(there, cells, 0.0) ** 2
    means = squares / np.where(counts > 0, counts, 1)
    return np.where(counts > 0, np.sqrt(means), np.nan)


def _spread(inside: np.ndarray, mean: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the standard deviation of each column, and a large one for constant columns."""
    spread = root_mean_square(inside - mean, weight)
    return np.where(spread > 0, spread, 1 / LEAST_DEVIATION)
