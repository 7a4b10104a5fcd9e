"""What the drawings of a report are made of, as JSON that stays text wherever it stands in a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from skae._containers import take_column
from skae.inspection._report.rows import Rows, cut
from skae.inspection._report.statistics import Statistics
from skae.inspection._rows import take
from skae.tables.cells import is_missing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import Series

    from skae.estimators import BaseAutoencoder

__all__ = ["as_json", "choose_columns", "choose_points", "cumulative", "drawings"]

MOST_COLUMNS = 30
# About six characters each, so that the drawn rows stay below three megabytes.
MOST_CELLS = 400_000
MOST_CLASSES = 12
LONGEST_TEXT = 80
# Texts that hardly repeat would make the page large: characters of all columns, and of the names of all rows.
MOST_TEXT = 1_000_000
SHORTEST_TEXT = 12


def as_json(drawn: object) -> str:
    """Write what is drawn so that no part of it can end a script or begin a tag.

    Parameters
    ----------
    drawn : object
        Made of dicts, lists, texts, numbers and None.

    Returns
    -------
    text : str
        JSON without angle brackets, ampersands, and ends of lines of JavaScript.
    """
    text = json.dumps(drawn, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def choose_points(
    n_rows: int, worst: np.ndarray, max_points: int, random: np.random.RandomState
) -> np.ndarray:
    """Choose the rows that are drawn: at random, and the worst.

    Parameters
    ----------
    n_rows : int
        Rows there are.
    worst : ndarray of int
        Positions of those that came back worst.
    max_points : int
        Rows chosen at random, at most.
    random : RandomState
        Source of the choice.

    Returns
    -------
    points : ndarray of int
        Positions, sorted.
    """
    if n_rows <= max_points:
        return np.arange(n_rows)
    return np.union1d(random.permutation(n_rows)[:max_points], worst)


def choose_columns(statistics: Statistics, n_points: int) -> np.ndarray:
    """Choose the columns to colour by and to show of each row: all, or those that matter most.

    Parameters
    ----------
    statistics : Statistics
        Numbers about the rows.
    n_points : int
        Rows that are drawn.

    Returns
    -------
    columns : ndarray of int
        Positions, sorted: half of them those with most error, the others those with most variance.
    """
    n_columns = len(statistics.missed)
    n_components = min(MOST_COLUMNS, statistics.codes.shape[1])
    n_chosen = max(3, min(MOST_COLUMNS, MOST_CELLS // n_points - n_components))
    if n_columns <= n_chosen:
        return np.arange(n_columns)
    by_error = np.argsort(-statistics.missed, kind="stable")[: n_chosen // 2]
    by_variance = [j for j in np.argsort(-statistics.total, kind="stable") if j not in set(by_error)]
    return np.sort(np.r_[by_error, by_variance[: n_chosen - len(by_error)]]).astype(int)


def drawings(
    rows: Rows, statistics: Statistics, points: np.ndarray, columns: np.ndarray
) -> dict[str, object]:
    """Gather all that is drawn.

    Parameters
    ----------
    rows : Rows
        Those of the report.
    statistics : Statistics
        Numbers about them.
    points : ndarray of int
        Positions of the rows that are drawn.
    columns : ndarray of int
        Positions of the columns that are shown of each.

    Returns
    -------
    drawn : dict
        To be written as JSON.
    """
    shown = take(rows.shown, points)
    place = {int(row): number for number, row in enumerate(points)}
    parts = _components(statistics.codes[points])
    in_label = _room(MOST_TEXT, len(points))
    in_column = MOST_TEXT // (len(columns) + 1)
    return {
        "rows": [_label(rows.labels[row], in_label) for row in points],
        "errors": _numbers(statistics.errors[points]),
        "components": parts,
        "columns": [_column(rows.names[j], take_column(shown, int(j)), in_column) for j in columns],
        "y": None if rows.y is None else _column(rows.y_name, rows.y[points], in_column, may_be_classes=True),
        "worst": [place[int(row)] for row in statistics.worst],
        "training": _training(rows.model),
        "cumulative": cumulative(rows.model),
    }


def cumulative(model: BaseAutoencoder) -> dict[str, object] | None:
    """Return the variance explained by the first components, where the estimator orders them.

    Parameters
    ----------
    model : object
        Fitted.

    Returns
    -------
    explained : dict or None
        Of the model and, where it is known, of PCA.
    """
    own = getattr(model, "cumulative_explained_variance_", None)
    if own is None:
        return None
    pca = getattr(model, "pca_cumulative_explained_variance_", None)
    return {"own": _numbers(own), "pca": None if pca is None else _numbers(pca)}


def _training(model: BaseAutoencoder) -> dict[str, object]:
    scores = getattr(model, "validation_scores_", None)
    pca = getattr(model, "pca_score_", None)
    return {
        "loss": _numbers(model.loss_curve_),
        "scores": None if scores is None else _numbers(scores),
        "pca": None if pca is None else _number(pca),
        "kept": int(model.best_iter_),
    }


def _components(codes: np.ndarray) -> list[dict[str, object]]:
    """Return the components, the most varied ones where there are many."""
    chosen = np.arange(codes.shape[1])
    if len(chosen) > MOST_COLUMNS:
        chosen = np.argsort(-codes.var(axis=0), kind="stable")[:MOST_COLUMNS]
    parts = []
    for j in chosen:
        found = np.unique(codes[:, j])
        parts.append(
            {
                "name": f"component {j}",
                "values": _numbers(codes[:, j]),
                # Points of few values would lie on each other: the page draws them a little apart.
                "few": len(found) <= 20 and len(codes) > 60,
            }
        )
    return parts


def _room(most_text: int, n_texts: int) -> int:
    """Return how long each of some texts may be."""
    return min(LONGEST_TEXT, max(SHORTEST_TEXT, most_text // max(n_texts, 1)))


def _column(
    name: str, values: np.ndarray | Series, most_text: int, may_be_classes: bool = False
) -> dict[str, object]:
    """Return a column as numbers, or as the places of its texts among those that occur."""
    numbers = _as_numbers(values)
    if numbers is not None and not (may_be_classes and _are_classes(numbers)):
        return {"name": _label(name), "kind": "number", "values": _numbers(numbers)}
    if isinstance(values, np.ndarray) and values.dtype.kind in "mM":
        values = values.astype(str)  # as objects, dates would be nanoseconds
    levels: dict[str, int] = {}
    codes = []
    for value in np.asarray(values, dtype=object).tolist():
        codes.append(-1 if is_missing(value) else levels.setdefault(_text(value), len(levels)))
    longest = _room(most_text, len(levels))
    texts = [cut(level, longest) for level in levels]
    return {"name": _label(name), "kind": "category", "levels": texts, "codes": codes}


def _as_numbers(values: np.ndarray | Series) -> np.ndarray | None:
    """Return a column of numbers as such, None for anything else."""
    kind = getattr(values.dtype, "kind", "O")
    if hasattr(values.dtype, "categories") or kind not in "iufO":
        return None
    listed = np.asarray(values, dtype=object).tolist()
    if kind == "O" and any(
        isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.number))
        for value in listed
        if not is_missing(value)
    ):
        return None
    return np.array([np.nan if is_missing(value) else float(value) for value in listed])


def _are_classes(numbers: np.ndarray) -> bool:
    found = np.unique(numbers[~np.isnan(numbers)])
    is_whole = np.isfinite(found) & (found == np.round(found))
    return len(found) <= MOST_CLASSES and bool(is_whole.all())


def _numbers(values: ArrayLike) -> list[float | int | None]:
    return [_number(value) for value in np.asarray(values, dtype=np.float64).tolist()]


def _number(value: float) -> float | int | None:
    """Return four digits of a number, whole ones as they are: they may be years or names of rows."""
    if not np.isfinite(value):
        return None
    if value == int(value) and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.4g}")


def _label(value: object, longest: int = LONGEST_TEXT) -> str | int:
    """Return what a row or column is called."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    return cut(_text(value), longest)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # classes that are counted in floats
    return str(value)
