"""Data sets that the examples, tests and benchmarks use, with scikit-learn's conventions."""

import csv
import gzip
import http.client
import io
import os
import secrets
import urllib.request
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from skae._extras import import_extra

__all__ = ["fetch_weather_aus", "get_data_home"]

WEATHER_AUS_URL = "https://rattle.togaware.com/weatherAUS.csv"
# A body that was cut at the end of a line is a table, too: only the number of rows tells.
_N_ROWS = 145_460
_MOST_BYTES = 64 * 2**20  # four times the file
_FILES = ("weatherAUS.csv.gz", "weatherAUS.csv")
_TARGET = "RainTomorrow"
_COLUMNS = (
    "Date Location MinTemp MaxTemp Rainfall Evaporation Sunshine WindGustDir WindGustSpeed WindDir9am "
    "WindDir3pm WindSpeed9am WindSpeed3pm Humidity9am Humidity3pm Pressure9am Pressure3pm Cloud9am "
    "Cloud3pm Temp9am Temp3pm RainToday"
).split()
_TEXT = ("Date", "Location", "WindGustDir", "WindDir9am", "WindDir3pm")
_YES_NO = {"No": 0.0, "Yes": 1.0}
_MISSING = ("NA", "")

_DESCRIPTION = """Rain in Australia (weatherAUS)

Daily observations of 49 Australian weather stations, 2007 to 2017, by the Bureau of
Meteorology, collected by Graham Williams in the R package rattle.data. The target is whether it
rained the next day. 145,460 rows, 22 columns (17 of them numeric), 40 % of the rows complete.
"""


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder of data sets; create it if it does not exist.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder. None takes the environment variable ``SKAE_DATA_HOME``, else
        ``~/skae_data``.

    Returns
    -------
    folder : pathlib.Path

    Examples
    --------
    >>> import tempfile
    >>> from skae.datasets import get_data_home
    >>> get_data_home(tempfile.gettempdir()).is_dir()
    True
    """
    folder = Path(data_home or os.environ.get("SKAE_DATA_HOME") or "~/skae_data").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch_weather_aus(
    *,
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    as_frame: bool = False,
    return_X_y: bool = False,
    complete_rows: bool = True,
    columns: Literal["numeric", "all"] = "numeric",
) -> Any:
    """Load the weatherAUS data: rain tomorrow, from today's weather in Australia.

    Reads ``weatherAUS.csv`` or ``weatherAUS.csv.gz`` from the data folder, and downloads the
    public file of its author there first if neither is found.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the file; see `get_data_home`.
    download_if_missing : bool, default=True
        Whether to download the file if it is not there.
    as_frame : bool, default=False
        Whether to return pandas objects.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    complete_rows : bool, default=True
        Whether to keep only the rows without missing values in the chosen columns and the target:
        58,090 with "numeric" columns. If False, missing values are NaN, in the target, too.
    columns : {"numeric", "all"}, default="numeric"
        "numeric" selects the 17 numeric columns (`RainToday` as 0 and 1), as in most tutorials,
        "all" the 22 columns of the file, including text; it needs ``as_frame=True``.

    Returns
    -------
    data : Bunch
        With ``data`` (n_samples, n_features), float64; ``target`` (n_samples,), 0 for no rain
        and 1 for rain tomorrow, int64 for complete rows, else float64 with NaN;
        ``feature_names``, ``target_names``, ``DESCR``, and ``frame`` if `as_frame`.
    (X, y) : tuple
        If `return_X_y`.

    Raises
    ------
    OSError
        If the file does not exist and cannot be downloaded completely within 64 megabytes.
    ValueError
        If the file is not the expected table, or if columns="all" without ``as_frame=True``.

    Examples
    --------
    >>> from skae.datasets import fetch_weather_aus
    >>> X, y = fetch_weather_aus(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (58090, 17)
    """
    if columns not in ("numeric", "all"):
        raise ValueError(f"columns must be 'numeric' or 'all'; got {columns!r}.")
    if columns == "all" and not as_frame:
        raise ValueError("columns='all' includes text, so it needs as_frame=True.")
    table = _read(_find(get_data_home(data_home), download_if_missing))
    names = [name for name in _COLUMNS if columns == "all" or name not in _TEXT]
    features = {name: table[name] for name in names}
    target = table[_TARGET]
    if complete_rows:
        keep = ~np.isnan(target)
        for values in features.values():
            keep &= ~np.isnan(values) if values.dtype != object else values != None  # noqa: E711
        features = {name: values[keep] for name, values in features.items()}
        target = target[keep].astype(np.int64)
    return _pack(features, target, as_frame, return_X_y)


def _pack(features: dict[str, np.ndarray], target: np.ndarray, as_frame: bool, return_X_y: bool) -> Any:
    data: Any
    labels: Any = target
    frame = None
    if as_frame:
        pandas = import_extra("pandas", "benchmark", "as_frame=True")
        data, labels = pandas.DataFrame(features), pandas.Series(target, name=_TARGET)
        frame = pandas.concat([data, labels], axis=1)
    else:
        data = np.column_stack(list(features.values()))
    if return_X_y:
        return data, labels
    return Bunch(
        data=data,
        target=labels,
        frame=frame,
        feature_names=list(features),
        target_names=list(_YES_NO),
        DESCR=_DESCRIPTION,
    )


def _find(folder: Path, download_if_missing: bool) -> Path:
    for name in _FILES:
        if (folder / name).is_file():
            return folder / name
    advice = f"Put {_FILES[1]} of the R package rattle.data, or of {WEATHER_AUS_URL}, into {folder}."
    if not download_if_missing:
        raise OSError(f"weatherAUS is not in {folder}, and download_if_missing=False. {advice}")
    try:
        return _download(WEATHER_AUS_URL, folder / _FILES[1])
    except (OSError, http.client.HTTPException) as error:
        # Servers that hang up, answer nonsense or end too early, certificates, timeouts, a full disk.
        said = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"weatherAUS could not be downloaded ({said}). {advice}") from error


def _download(url: str, destination: Path) -> Path:
    """Download into a temporary file, check it, and only then move it to its destination."""
    part = destination.with_name(f"{destination.name}.{secrets.token_hex(8)}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, part.open("xb") as file:
            n_bytes = 0
            while piece := answer.read(2**16):
                n_bytes += len(piece)
                if n_bytes > _MOST_BYTES:
                    raise OSError(
                        f"the answer of {url} is longer than {_MOST_BYTES:,} bytes, which the file is not; "
                        "nothing was kept"
                    )
                file.write(piece)
            expected = answer.headers.get("Content-Length", "").strip()
        if expected.isdecimal() and n_bytes != int(expected):
            raise OSError(
                f"the answer of {url} ended after {n_bytes} of {expected} bytes; nothing was kept, try again"
            )
        n_rows = len(_read(part)[_TARGET])
        if n_rows < _N_ROWS:
            raise OSError(
                f"the answer of {url} ended after {n_rows:,} of {_N_ROWS:,} rows; nothing was kept, try again"
            )
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)
    return destination


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read all columns: text as objects with None for missing values, numbers as float64 with NaN."""
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    with opened as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        try:
            header = next(reader, [])
            rows = list(reader)
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is not a table of comma-separated values: {error}") from error
    missing = [name for name in [*_COLUMNS, _TARGET] if name not in header]
    if missing:
        raise ValueError(f"{path} is not weatherAUS: it has no column {', '.join(missing[:5])}.")
    short = [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]
    if short or not rows:
        where = f"line {short[0]} is incomplete" if short else "it has no rows"
        raise ValueError(f"{path} is cut off: {where}. Delete it and fetch it again.")
    by_name = dict(zip(header, zip(*rows, strict=True), strict=True))
    try:
        return {name: _column(name, by_name[name]) for name in [*_COLUMNS, _TARGET]}
    except ValueError as error:
        raise ValueError(f"{path} is not weatherAUS: {error}.") from error


def _column(name: str, texts: tuple[str, ...]) -> np.ndarray:
    if name in _TEXT:
        return np.array([None if text in _MISSING else text for text in texts], dtype=object)
    if name in ("RainToday", _TARGET):
        return np.array([_YES_NO.get(text, np.nan) for text in texts])
    return np.array([np.nan if text in _MISSING else float(text) for text in texts])
