"""The sections of a report as HTML. All that comes from the user goes through `escape`."""

from __future__ import annotations

import inspect
import platform
from datetime import datetime
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from skae._containers import take_column
from skae._typing import RandomState
from skae.inspection._report.figures import MOST_COLUMNS, cumulative
from skae.inspection._report.loadings import loadings_section
from skae.inspection._report.rows import LONGEST_NAME, Rows, cut
from skae.inspection._report.statistics import Statistics
from skae.inspection._rows import take
from skae.tables.cells import is_missing, missing_cells

if TYPE_CHECKING:
    from skae.estimators import BaseAutoencoder

__all__ = ["all_parts"]

MOST_BARS = 40
_OFF = 3
_LONGEST = 300


def all_parts(
    rows: Rows,
    statistics: Statistics,
    n_points: int,
    n_columns: int,
    title: str | None,
    random_state: RandomState,
) -> dict[str, str]:
    """Return the texts of the page, by their places in the template.

    Parameters
    ----------
    rows : Rows
        Those of the report.
    statistics : Statistics
        Numbers about them.
    n_points : int
        Rows that are drawn.
    n_columns : int
        Columns that are shown of each of them.
    title : str, optional
        Of the page.
    random_state : object
        Source of the choice of rows, for the sentence about it.

    Returns
    -------
    parts : dict of str
        HTML.
    """
    model = rows.model
    name = cut(type(model).__name__, LONGEST_NAME)
    explained = cumulative(model)
    return {
        "title": escape(cut(title if title is not None else f"Report of {_article(name)}", _LONGEST)),
        "result": escape(_result(model, statistics.score)),
        "fitted": _fitted(rows, statistics),
        "against": _against(model, statistics.score),
        "training": escape(_training(model)),
        "cumulative": _cumulative(explained),
        "cumulative_link": "" if explained is None else '<li><a href="#cumulative">Components</a></li>',
        "loadings": loadings_section(rows, statistics),
        "sampled": escape(_sampled(rows, statistics, n_points, random_state)),
        "columns_shown": escape(_columns_shown(rows, n_columns)),
        "worst": _worst(rows, statistics),
        "worst_units": ""
        if statistics.in_own_units
        else "Values are those that reach the autoencoder, after the earlier steps of the Pipeline.",
        "by_column": _by_column(rows, statistics),
        "settings": _settings(rows),
        "versions": _versions(),
    }


def number(value: object) -> str:
    """Write a number with four digits, whole ones with all of theirs, and anything else as text.

    Parameters
    ----------
    value : object
        Of a cell.

    Returns
    -------
    text : str
    """
    if is_missing(value):
        return "missing"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return cut(str(value), _LONGEST)
    value = float(value)
    if not np.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    if 1e-4 <= abs(value) < 1e7:
        return np.format_float_positional(value, precision=4, fractional=False, trim="-")
    return f"{value:.3e}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share in percent.

    Parameters
    ----------
    share : float
        Of one.
    digits : int, default=1
        Behind the point.

    Returns
    -------
    text : str
    """
    return f"{100 * share:.{digits}f} %"


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _result(model: BaseAutoencoder, score: float) -> str:
    """Return a sentence about the result."""
    subject = _plural(model.n_components_, "component")
    verb = "explains" if model.n_components_ == 1 else "explain"
    own, pca = model.validation_score_, model.pca_score_
    if own is None:
        return (
            f"{subject} {verb} {percent(score)} of the variance of the rows of this page. No rows were held "
            "out in training, so that nothing is known about rows like these that were not trained on."
        )
    sentence = f"{subject} {verb} {{}} of the variance of held-out rows"
    if pca is None:
        return sentence.format(percent(own)) + "."
    if _is_pca(model):
        return sentence.format(percent(own)) + ", as PCA's do: training found nothing that is better."
    whole = own < 0.985 and round(100 * own) != round(100 * pca)
    digits = 0 if whole else 1 if round(1000 * own) != round(1000 * pca) else 2
    n_pca = model._inside.n_pca_components
    others = "PCA's" if n_pca == model.n_components_ else f"{n_pca:,} of PCA"
    verb = "explains" if n_pca == 1 else "explain"
    return f"{sentence.format(percent(own, digits))}; {others} {verb} {percent(pca, digits)}."


def _is_pca(model: BaseAutoencoder) -> bool:
    """Whether the model stayed at a start that is PCA."""
    own, pca = model.validation_score_, model.pca_score_
    return (
        model.best_iter_ == 0
        and own is not None
        and pca is not None
        and bool(np.isclose(own, pca, atol=1e-6))
    )


def _fitted(rows: Rows, statistics: Statistics) -> str:
    model = rows.model
    of_all = f"of {rows.n_given:,} given, " if rows.n_given > len(statistics.errors) else ""
    facts = {
        "Estimator": cut(type(model).__name__, LONGEST_NAME),
        "After": cut(", ".join(_step_names(rows)), _LONGEST),
        "Rows": f"{len(statistics.errors):,} {of_all and '(' + of_all + 'chosen at random)'}",
        "Columns": f"{model.n_features_in_:,}{_inside(model)}",
        "Components": f"{model.n_components_:,}",
        "Missing cells": _missing(rows),
        "Epochs": f"{model.n_iter_:,} run; the weights of epoch {model.best_iter_} were kept"
        + (" (PCA itself)" if _is_pca(model) else ""),
    }
    items = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value]
    return f"<dl>{''.join(items)}</dl>"


def _step_names(rows: Rows) -> list[str]:
    return [
        step if isinstance(step, str) else type(step).__name__
        for part in rows.steps
        for _, step in part.steps
    ]


def _inside(model: BaseAutoencoder) -> str:
    n_inside = model._inside.columns.n_inside
    return f" ({n_inside:,} numeric columns inside)" if n_inside != model.n_features_in_ else ""


def _missing(rows: Rows) -> str:
    share = float(missing_cells(rows.shown).mean())
    return percent(share) if share else ""


def _against(model: BaseAutoencoder, score: float) -> str:
    """Draw the shares of variance as bars."""
    n_pca = model._inside.n_pca_components
    own = ("of held-out rows, by the autoencoder", model.validation_score_, "own")
    pca = (f"of held-out rows, by PCA with {_plural(n_pca, 'component')}", model.pca_score_, "pca")
    bars = [own, pca, ("of the rows of this page, by the autoencoder", score, "own")]
    lines = [
        f'<tr><th scope="row">{escape(name)}</th><td class="bar">{_bar(share, kind)}</td>'
        f'<td class="figure">{percent(share)}</td></tr>'
        for name, share, kind in bars
        if share is not None
    ]
    caption = "<caption>Share of the variance that is explained</caption>"
    text = _gain(model)
    return f'<table class="bars">{caption}<tbody>{"".join(lines)}</tbody></table><p>{escape(text)}</p>'


def _gain(model: BaseAutoencoder) -> str:
    own, pca = model.validation_score_, model.pca_score_
    if own is None or pca is None:
        return "There is no figure of PCA: no rows were held out to compare on."
    note = "PCA was fitted on the same training rows, and judged by the same held-out rows."
    if pca >= 1 or own <= pca or _is_pca(model):
        return note
    return f"The autoencoder leaves {percent((own - pca) / (1 - pca), 0)} less unexplained than PCA. {note}"


def _bar(share: float, kind: str) -> str:
    width = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="{kind}" style="width:{width:.2f}%"></span>'


def _training(model: BaseAutoencoder) -> str:
    if model.validation_scores_ is None:
        return (
            "The loss of the training rows by epoch. No rows were held out, so that the last epoch was kept, "
            "and nothing is promised about new rows."
        )
    if model.best_iter_ == 0:
        kept = "Epoch 0, the start, was kept: no later epoch was better on held-out rows."
    else:
        kept = f"Epoch {model.best_iter_} was kept."
    return (
        "Left, the loss of the training rows by epoch. Right, the share of the variance of held-out rows "
        "that is explained, before training (epoch 0) and after each epoch, with PCA's as a dashed line. "
        f"{kept}"
    )


def _cumulative(explained: dict[str, object] | None) -> str:
    if explained is None:
        return ""
    return (
        '<section id="cumulative"><h2>Explained variance by number of components</h2><p>What the first '
        "component explains, the first two, and so on: where the line is flat, fewer components do."
        '</p><div class="figure" id="cumulative-figure"></div></section>'
    )


def _sampled(rows: Rows, statistics: Statistics, n_points: int, random_state: RandomState) -> str:
    """Return a text about which rows the numbers refer to, and which are drawn."""
    n_rows = len(statistics.errors)
    source = f"random_state={random_state!r}" if isinstance(random_state, int) else "random_state as given"
    if n_rows == rows.n_given:
        text = f"The numbers of this page are about all {n_rows:,} rows. "
    else:
        text = (
            f"The numbers of this page are about {n_rows:,} of the {rows.n_given:,} rows, chosen at random "
            f"({source}). "
        )
    if n_points == n_rows:
        return text + f"All {n_points:,} are drawn." if n_rows != rows.n_given else text + "All are drawn."
    return text + (
        f"{n_points:,} are drawn: chosen at random ({source}), and the {len(statistics.worst)} that came "
        "back worst."
    )


def _columns_shown(rows: Rows, n_columns: int) -> str:
    n_all, n_components = len(rows.names), rows.model.n_components_
    texts = []
    if n_columns < n_all:
        texts.append(
            f"Of the {n_all:,} columns, the {n_columns} with most error and most variance can be looked at "
            "here."
        )
    if n_components > MOST_COLUMNS:
        texts.append(f"Of the {n_components:,} components, the {MOST_COLUMNS} that vary most can be drawn.")
    return " ".join(texts)


def _worst(rows: Rows, statistics: Statistics) -> str:
    """List the rows that are reconstructed worst, and their largest errors."""
    usual = max(float(np.median(statistics.errors)), np.finfo(float).tiny)
    lines = []
    for place, row in enumerate(statistics.worst):
        error = statistics.errors[row]
        y = "" if rows.y is None else f"<td>{escape(number(rows.y[row]))}</td>"
        times = f"{error / usual:,.0f}" if error / usual < 1e6 else "> 1,000,000"
        label = escape(number(rows.labels[row]))
        lines.append(
            f'<tr><th scope="row"><button type="button" class="row" data-place="{place}" '
            f'aria-label="Show row {label} in the drawing">{label}</button></th>{y}'
            f'<td class="figure">{escape(number(float(error)))}</td><td class="figure">{times}</td>'
            f"{_off(rows, statistics, place)}</tr>"
        )
    y_head = "" if rows.y is None else f'<th scope="col">{escape(rows.y_name)}</th>'
    off_heads = "".join(
        f'<th scope="col">{text}</th>' for text in ("Most off", "then", "then")[: min(_OFF, len(rows.names))]
    )
    head = (
        f'<tr><th scope="col">Row</th>{y_head}<th scope="col" class="figure">Error</th>'
        f'<th scope="col" class="figure">Times the median</th>{off_heads}</tr>'
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _off(rows: Rows, statistics: Statistics, place: int) -> str:
    """Return the cells of a row with the largest errors: the value, and its reconstruction."""
    cells = np.nan_to_num(statistics.worst_cells[place])
    whole = max(float(cells.sum()), np.finfo(float).tiny)
    parts = []
    for j in np.argsort(-cells, kind="stable")[:_OFF]:
        if not cells[j]:
            parts.append("<td></td>")
            continue
        value = take(take_column(statistics.worst_rows, int(j)), np.array([place]))
        back = take(take_column(statistics.worst_back, int(j)), np.array([place]))
        texts = [escape(number(np.asarray(one, dtype=object)[0])) for one in (value, back)]
        parts.append(
            f'<td><span class="name">{escape(rows.names[j])}</span> '
            f'<span class="values"><b>{texts[0]}</b> → {texts[1]} '
            f'<span class="share">· {percent(cells[j] / whole, 0)}</span></span></td>'
        )
    return "".join(parts)


def _by_column(rows: Rows, statistics: Statistics) -> str:
    """Draw the unexplained share of each column's variance, and its share of the total error."""
    varies = np.flatnonzero(statistics.total > 0)
    chosen = varies[np.argsort(-statistics.missed[varies], kind="stable")[:MOST_BARS]]
    shares = statistics.missed[chosen] / statistics.total[chosen]
    parts = statistics.missed[chosen] / max(float(statistics.missed.sum()), np.finfo(float).tiny)
    lines = [
        f'<tr><th scope="row">{escape(rows.names[chosen[k]])}</th>'
        f'<td class="bar">{_bar(float(shares[k]), "left")}</td>'
        f'<td class="figure">{percent(float(shares[k]))}</td>'
        f'<td class="figure">{percent(float(parts[k]))}</td></tr>'
        for k in np.argsort(-shares, kind="stable")
    ]
    head = (
        '<tr><th scope="col">Column</th><th scope="col" colspan="2">Share of its variance left unexplained'
        '</th><th scope="col" class="figure">Part of all error</th></tr>'
    )
    table = f'<table class="bars"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'
    return f"{_columns_left_out(len(rows.names), len(varies), len(chosen))}{table}"


def _columns_left_out(n_all: int, n_varying: int, n_shown: int) -> str:
    texts = []
    if n_shown < n_varying:
        texts.append(f"The {n_shown} of {n_varying:,} columns that hold most of the error are shown.")
    if n_varying < n_all:
        constant = _plural(n_all - n_varying, "column")
        texts.append(f"{constant} without any variance {'is' if n_all - n_varying == 1 else 'are'} left out.")
    return f"<p>{' '.join(texts)}</p>" if texts else ""


def _settings(rows: Rows) -> str:
    """List all parameters; those that are not at their default are marked."""
    model = rows.model
    signature = inspect.signature(type(model)).parameters
    lines = []
    for name, value in model.get_params(deep=False).items():
        default = signature[name].default if name in signature else inspect.Parameter.empty
        changed = default is inspect.Parameter.empty or repr(value) != repr(default)
        mark = '<span class="mark">changed</span>' if changed else ""
        lines.append(
            f'<tr{" class=changed" if changed else ""}><th scope="row">{escape(name)}</th>'
            f"<td><code>{escape(_shortened(value))}</code></td><td>{mark}</td>"
            f"<td>{f'<code>{escape(_shortened(default))}</code>' if changed else ''}</td></tr>"
        )
    steps = "".join(
        f"<li><code>{escape(_shortened(step))}</code></li>" for part in rows.steps for step in part
    )
    before = f"<p>Earlier steps of the Pipeline:</p><ol>{steps}</ol>" if steps else ""
    head = (
        '<tr><th scope="col">Parameter</th><th scope="col">Value</th><th scope="col"></th>'
        '<th scope="col">Default</th></tr>'
    )
    return f'{before}<table class="settings"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _shortened(value: object) -> str:
    return cut(" ".join(repr(value).split()), _LONGEST)


def _versions() -> str:
    names = ("skae", "torch", "scikit-learn", "numpy", "plotly")
    listed = [f"{name} {version(name)}" for name in names] + [f"Python {platform.python_version()}"]
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()
    return f"<p>{escape(', '.join(listed))}.</p><p>This page was written on {escape(written)}.</p>"
