"""The section of a report about `components_`: what components are made of."""

from __future__ import annotations

from html import escape

import numpy as np

from skae.inspection._report.rows import Rows
from skae.inspection._report.statistics import Statistics
from skae.inspection._rows import as_percent, component_names, loadings

__all__ = ["loadings_section"]

# Components whose columns are listed, and columns of each.
_MOST_LISTED, _LISTED = 30, 6


def loadings_section(rows: Rows, statistics: Statistics) -> str:
    """List how linear components are, and the columns that matter most to their linear approximation.

    Parameters
    ----------
    rows : Rows
        Those of the report.
    statistics : Statistics
        Numbers about them.

    Returns
    -------
    section : str
        HTML; empty where there is nothing of the kind.
    """
    slopes = loadings(rows.model, rows.inner, statistics.codes.std(axis=0))
    if slopes is None:
        return ""
    lines = []
    names = component_names(rows.model, len(slopes))
    for name, line, share in [*zip(names, slopes, rows.model.linearity_, strict=True)][:_MOST_LISTED]:
        largest = np.argsort(-abs(line), kind="stable")[:_LISTED]
        columns = ", ".join(f"{rows.names[column]} {line[column]:+.2f}" for column in largest if line[column])
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td class="figure">{as_percent(share)}</td>'
            f"<td>{escape(columns)}</td></tr>"
        )
    left_out = f" The first {_MOST_LISTED} of {len(slopes)} are listed." if len(slopes) > _MOST_LISTED else ""
    head = (
        '<tr><th scope="col">Component</th><th scope="col" class="figure">Linear</th>'
        '<th scope="col">Columns that matter most</th></tr>'
    )
    return (
        '<section id="loadings"><h2>What components are made of</h2><p>The best linear approximation of each '
        "component: how much of its variance that explains, and by how many standard deviations it changes "
        f"with one of a column.{left_out}</p>"
        f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table></section>"
    )
