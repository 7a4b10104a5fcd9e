"""Statistics of a report: errors of rows, errors of columns, and the worst rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skae._containers import as_passed, readable, to_pandas
from skae._typing import Table
from skae.inspection._report.rows import Rows
from skae.inspection._rows import take
from skae.networks.architecture import Architecture, architecture_in
from skae.tables.columns import row_means

if TYPE_CHECKING:
    pass

__all__ = ["Statistics", "compute_statistics"]

N_WORST = 20


class Statistics(NamedTuple):
    """Numbers about the rows of a report."""

    score: float  # share of the variance explained
    codes: np.ndarray  # (n, n_components)
    errors: np.ndarray  # (n,) mean squared error of each row
    missed: np.ndarray  # (n_features,) sum of squared errors
    total: np.ndarray  # (n_features,) sum of squared deviations from the mean of training
    worst: np.ndarray  # (n_worst,) positions, the worst row first
    worst_cells: np.ndarray  # (n_worst, n_features) squared errors, NaN where a cell is missing
    worst_rows: Table  # (n_worst, n_features) those rows
    worst_back: Table  # (n_worst, n_features) what came back of them
    in_own_units: bool  # whether both are in the units of X


def compute_statistics(rows: Rows) -> Statistics:
    """Reconstruct the rows, and measure their errors.

    Parameters
    ----------
    rows : Rows
        Those of the report.

    Returns
    -------
    statistics : Statistics
    """
    part = rows.model._inside
    columns, inside = part.columns, part.rows(rows.inner)
    codes = part.codes(inside)
    back = part.back(codes)
    cells = columns.errors_by_cell(rows.inner, inside, back)
    errors = row_means(cells)
    worst = np.argsort(-errors, kind="stable")[:N_WORST]
    given, worst_back, is_own = _worst(rows, worst, back[worst])
    return Statistics(
        columns.explained(rows.inner, inside, back, part.centre, None),
        np.asarray(codes, dtype=np.float64),
        errors,
        np.nansum(cells, axis=0),
        np.nansum(columns.deviations_by_cell(rows.inner, inside, part.centre), axis=0),
        worst,
        cells[worst],
        given,
        worst_back,
        is_own,
    )


def _worst(rows: Rows, worst: np.ndarray, back: np.ndarray) -> tuple[Table, Table, bool]:
    """Return the worst rows and their reconstructions, in the units of X where the steps can be undone."""
    model = rows.model
    architecture = architecture_in(model.network) or Architecture()
    given = model._inside.columns.as_read(back)
    if getattr(given, "ndim", 2) > 2:
        given = architecture.to_rows(given)
    if not rows.steps:
        return take(rows.shown, worst), given, True
    if rows.in_own_units and all(hasattr(step, "inverse_transform") for step in rows.steps):
        given = as_passed(given, rows.inner)
        for step in reversed(rows.steps):
            given = step.inverse_transform(given)
        return take(rows.shown, worst), to_pandas(readable(given)), True
    inner = readable(take(rows.inner, worst))
    return architecture.to_rows(inner) if len(inner.shape) > 2 else inner, given, False
