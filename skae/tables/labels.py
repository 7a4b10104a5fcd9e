"""Targets as users have them: classes and numbers, some of them not known."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from skae._containers import is_sparse, readable
from skae.tables.cells import is_missing

if TYPE_CHECKING:
    from pandas import Series

# What stands for a class that is not known, as in scikit-learn's semi-supervised estimators.
_NO_CLASS = -1
# Whole numbers are classes where there are so few, or so many rows of each in the mean.
_FEW_CLASSES, _ROWS_A_CLASS = 20, 10


@dataclasses.dataclass
class Labels:
    """The outputs of a target, in the order of their numbers of classes.

    Parameters
    ----------
    order : list of int
        Which column of the target each output is.
    classes : list of (list or None)
        Classes of each output; None for one of numbers.
    centres, scales : list of float
        Mean and standard deviation of each output of numbers; 0 and 1 of classes.
    units : list of float
        What the best constant leaves, a row: entropy in nats, or half the variance of standardised numbers.
    """

    order: list[int]
    classes: list[list | None]
    centres: list[float]
    scales: list[float]
    units: list[float]

    @property
    def n_classes(self) -> list[int]:
        """Number of classes of each output; 1 for numbers."""
        return [1 if found is None else len(found) for found in self.classes]

    def read(self, y: object, n_rows: int) -> np.ndarray:
        """Return the numbers of classes, and standardised numbers, (n_rows, n_outputs), NaN where not known.

        Raises
        ------
        ValueError
            If the target has another shape, or classes that are not known.
        """
        columns = _columns(y, n_rows)
        if len(columns) != len(self.order):
            raise ValueError(
                f"y has {len(columns)} outputs, but had {len(self.order)} when it was first seen."
            )
        return np.column_stack(
            [
                self._read(columns[index], classes, centre, scale)
                for index, classes, centre, scale in zip(
                    self.order, self.classes, self.centres, self.scales, strict=True
                )
            ]
        )

    def _read(self, column: np.ndarray, classes: list | None, centre: float, scale: float) -> np.ndarray:
        if classes is None:
            return (_as_numbers(column) - centre) / scale
        places = {value: place for place, value in enumerate(classes)}
        known = _known_classes(column)
        odd = sorted({repr(value) for value in column[known].tolist() if value not in places})
        if odd:
            raise ValueError(
                f"y holds {', '.join(odd[:5])}, none of the classes {classes[:10]} of the first rows. Pass "
                "every class with those."
            )
        codes = np.full(len(column), np.nan)
        codes[known] = [places[value] for value in column[known].tolist()]
        return codes


def read_labels(y: object, n_rows: int, weight: np.ndarray | None = None) -> tuple[Labels, np.ndarray]:
    """Find out what a target is, and read it.

    Text, truth values and categories are classes, as for scikit-learn's `type_of_target`. Whole numbers are,
    too, unless there are more than 20 of them, with fewer than ten rows each in the mean: these are counts or
    rounded numbers, as those of `load_diabetes`. Other numbers are numbers.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        NaN, None and pandas' NA are not known, neither is -1 among whole numbers that are classes.
    n_rows : int
    weight : ndarray of shape (n_rows,), optional
        Weights of rows.

    Returns
    -------
    labels : Labels
    values : ndarray of shape (n_rows, n_outputs)
        From `Labels.read`.

    Raises
    ------
    ValueError
        If there is nothing to be learnt of it.
    """
    columns = _columns(y, n_rows)
    rows = np.ones(n_rows) if weight is None else weight
    found = [_output(column, rows, _name(index, len(columns))) for index, column in enumerate(columns)]
    order = sorted(range(len(found)), key=lambda index: len(found[index][0] or [0]))
    labels = Labels(order, *(list(part) for part in zip(*(found[index] for index in order), strict=True)))
    return labels, labels.read(y, n_rows)


def _name(index: int, n_outputs: int) -> str:
    return "y" if n_outputs == 1 else f"Output {index} of y"


def _columns(y: object, n_rows: int) -> list[np.ndarray]:
    """Return the outputs of a target, (n_rows,) each."""
    target = readable(y)
    if is_sparse(target):
        raise ValueError("y is sparse. Pass y.toarray().")
    if hasattr(target, "iloc"):
        columns = (
            [target.iloc[:, index] for index in range(target.shape[1])] if target.ndim == 2 else [target]
        )
        columns = [_plain(column) for column in columns]
    else:
        values = np.asarray(target)
        if values.ndim not in (1, 2):
            raise ValueError(
                f"y has shape {values.shape}. Pass one target a row, (n_samples,), or several outputs, "
                "(n_samples, n_outputs)."
            )
        columns = list(values.T) if values.ndim == 2 else [values]
    if not columns:
        raise ValueError("y has no columns.")
    if len(columns[0]) != n_rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: y has {len(columns[0])} rows, X "
            f"has {n_rows}. Pass the target of each row of X."
        )
    return columns


def _plain(column: Series) -> np.ndarray:
    """Return a column of pandas as an array: of objects, where its dtype is none of numpy's."""
    values = column.to_numpy()
    return values if isinstance(column.dtype, np.dtype) else column.to_numpy(dtype=object)


def _output(column: np.ndarray, weight: np.ndarray, name: str) -> tuple[list | None, float, float, float]:
    """Return the classes of an output, its mean, its deviation, and what the best constant leaves of it."""
    if column.dtype.kind not in "biufOUS":
        raise ValueError(f"{name} is of {column.dtype}. Pass classes (numbers or text) or numbers.")
    if _is_classes(column):
        known = _known_classes(column)
        _check_known(known, weight, name)
        kinds = {type(value) for value in column[known].tolist()}
        try:
            classes = sorted(set(column[known].tolist()))
        except TypeError:
            raise ValueError(
                f"{name} mixes {sorted(kind.__name__ for kind in kinds)}: pass one type."
            ) from None
        if len(classes) < 2:
            hint = ""
            if _NO_CLASS in column.tolist():
                hint = " (-1 stands for a class that is not known: number classes from 0)"
            raise ValueError(
                f"{name} has one class, {classes[0]!r}{hint}: there is nothing to learn. Pass a target that "
                "varies, or target_weight=0."
            )
        counts = np.array([weight[known][column[known] == value].sum() for value in classes])
        shares = counts[counts > 0] / counts.sum()
        return classes, 0.0, 1.0, max(float(-(shares * np.log(shares)).sum()), 1e-3)
    numbers = _as_numbers(column)
    known = ~np.isnan(numbers)
    if np.isinf(numbers[known]).any():
        raise ValueError(f"{name} contains infinity. Pass finite numbers, NaN where a target is not known.")
    _check_known(known, weight, name)
    centre = float(np.average(numbers[known], weights=weight[known]))
    scale = float(np.sqrt(np.average((numbers[known] - centre) ** 2, weights=weight[known])))
    if scale <= 1e-12 * max(abs(centre), np.finfo(float).tiny):
        raise ValueError(
            f"{name} is the same number, {centre:g}, in every row: there is nothing to learn. Pass a target "
            "that varies, or target_weight=0."
        )
    return None, centre, scale, 0.5


def _check_known(known: np.ndarray, weight: np.ndarray, name: str) -> None:
    if not weight[known].any():
        raise ValueError(
            f"{name} is missing for every row of a positive weight. Pass a target for some of them, or "
            "target_weight=0."
        )


def _is_classes(column: np.ndarray) -> bool:
    """Whether an output is of classes; see `read_labels`."""
    if column.dtype.kind == "O":
        known = [value for value in column.tolist() if not is_missing(value)]
        if any(isinstance(value, (str, bool, np.bool_)) for value in known):
            return True
        try:
            column = np.asarray(known, dtype=np.float64)
        except (TypeError, ValueError):
            return True
    if column.dtype.kind in "bUS":
        return True
    known = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    if not np.isfinite(known).all() or (known != np.round(known)).any():
        return False
    n_values = len(np.unique(known[known != _NO_CLASS]))
    return n_values <= _FEW_CLASSES or len(known) >= _ROWS_A_CLASS * n_values


def _known_classes(column: np.ndarray) -> np.ndarray:
    """Return which classes are known."""
    if column.dtype.kind == "O":
        return np.array(
            [not is_missing(value) and value != _NO_CLASS for value in column.tolist()], dtype=bool
        )
    if column.dtype.kind in "US":
        return np.ones(len(column), dtype=bool)
    return ~np.isnan(column.astype(np.float64)) & (column != _NO_CLASS)


def _as_numbers(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "O":
        column = np.array([np.nan if is_missing(value) else value for value in column.tolist()])
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError("y holds what is no number, and was of numbers when it was first seen.") from None
