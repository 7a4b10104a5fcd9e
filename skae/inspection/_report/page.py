"""Write a report: one page of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.utils import check_random_state

from skae._extras import import_extra
from skae._typing import RandomState, Table
from skae.inspection._report import figures, sections
from skae.inspection._report.rows import check_path, check_points, read_rows
from skae.inspection._report.statistics import compute_statistics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.base import BaseEstimator

__all__ = ["report"]

_PLACE = re.compile(r"\{\{ (\w+) \}\}")


def report(
    estimator: BaseEstimator,
    X: ArrayLike | Table,
    y: ArrayLike | None = None,
    path: str | os.PathLike = "report.html",
    *,
    title: str | None = None,
    max_points: int = 5000,
    random_state: RandomState = 0,
) -> Path:
    """Write an HTML report about a fitted autoencoder and some rows.

    The page compares the fit with PCA, shows its training curves, draws the codes of the rows (with colours,
    tooltips, and a lasso that lists how the selected rows differ from the others), and lists the rows and
    columns with the largest errors. It is one file, loads nothing from elsewhere, and contains the values of
    the rows that it draws. Needs plotly: ``pip install "skae[report]"``. Read more in the guide,
    :doc:`/guide/report`.

    Parameters
    ----------
    estimator : autoencoder of skae, Pipeline or search
        Fitted; a Pipeline must end in an autoencoder, and its earlier steps are applied to X. Of a search,
        such as GridSearchCV, the page is about ``best_estimator_``.
    X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        Rows to report on, at least 2: those of training or, better, others. They may be all that the
        estimator takes, including missing values, text and images. Sparse rows are made dense, and so must be
        few.
    y : array-like of shape (n_samples,), default=None
        A class or number for each row, to colour by. The estimator does not see it.
    path : path-like, default="report.html"
        Where to write the page. An existing file is replaced, and keeps its permissions; links are
        followed.
    title : str, default=None
        Title of the page. None names the estimator.
    max_points : int, default=5000
        Maximum number of rows that are drawn and written into the page, from 10 to 10,000; the rows with the
        largest errors are added to them.
    random_state : int, RandomState instance or None, default=0
        Source of the choice of rows, where not all are drawn or measured.

    Returns
    -------
    path : pathlib.Path
        Path of the page.

    Raises
    ------
    ImportError
        If plotly is not installed.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not an autoencoder of skae.
    ValueError
        If X, y, `path` or `max_points` cannot be used; nothing is written then.

    Notes
    -----
    Statistics are computed on at most 100,000 rows (fewer where they are wide: 20 million cells), chosen at
    random. The page says on how many. It is smaller than eight megabytes, five of which are plotly.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import report
    >>> X, y = load_iris(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(2, max_iter=5, random_state=0).fit(X)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = report(autoencoder, X, y, Path(folder.name) / "iris.html")
    >>> path.name, path.stat().st_size < 8e6
    ('iris.html', True)
    >>> folder.cleanup()
    """
    found = check_path(path)
    max_points = check_points(max_points)
    if title is not None and not isinstance(title, str):
        raise ValueError(f"title must be a str or None; got {title!r}.")
    random = check_random_state(random_state)
    plotly = import_extra("plotly.offline", "report", "report")
    rows = read_rows(estimator, X, y, random)
    statistics = compute_statistics(rows)
    points = figures.choose_points(len(statistics.errors), statistics.worst, max_points, random)
    columns = figures.choose_columns(statistics, len(points))
    drawn = figures.as_json(figures.drawings(rows, statistics, points, columns))
    parts = sections.all_parts(rows, statistics, len(points), len(columns), title, random_state)
    _write(found, _page(parts, drawn, plotly.get_plotlyjs()))
    return found


def _page(parts: dict[str, str], drawn: str, library: str) -> str:
    """Put the parts into the page."""
    scripts = [_script(text) for text in (library, _own("page.js"))]
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    parts = {
        **parts,
        "policy": _policy(hashes),
        "style": _own("page.css"),
        "data": drawn,
        "library": scripts[0],
        "script": scripts[1],
    }
    # In one go: what stands in the parts is never read as a place itself.
    return _PLACE.sub(lambda place: parts[place[1]], _own("page.html"))


def _policy(hashes: str) -> str:
    """Return a policy by which the browser loads nothing, and runs no script but these two."""
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _script(text: str) -> str:
    """Return a script as the browser reads it within a page: what is hashed must be what it sees."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _own(name: str) -> str:
    return (files("skae.inspection._report") / name).read_text(encoding="utf-8")


def _write(path: Path, page: str) -> None:
    """Write all or nothing, so that nobody reads half a page."""
    # Halves of surrogate pairs, which names of columns may hold, cannot be encoded.
    content = page.encode("utf-8", errors="replace")
    # A link stays one: what it points to is written.
    path = Path(os.path.realpath(path))
    # Beside it, since files are not moved at once from one disk to another.
    beside = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            if path.exists():
                # Whoever may not read the old page may not read the new one, from the first byte on.
                os.chmod(beside, stat.S_IMODE(path.stat().st_mode))
            file.write(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
