"""Hidden cells of weatherAUS, filled from the other cells of their rows.

From the test rows, 10 % of the observed cells of the 16 measured columns are hidden, at random; and, as in
the data, whole columns by station: at a third of the stations, two columns are hidden in all test rows. R2 is
over the hidden cells in units of the columns' deviations, which makes the mean of the training rows zero.
Imputers see the 16 columns; "all columns" sees station, wind directions, month and rain today beside them.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import report
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skae.datasets import fetch_weather_aus
from skae.tasks import AutoencoderImputer

SUBSAMPLE = 10_000


def load() -> tuple[pd.DataFrame, list[str]]:
    """Give all rows and columns, the month for the date, and the names of the measured columns."""
    frame = fetch_weather_aus(as_frame=True, complete_rows=False, columns="all").data
    frame = frame.assign(Month=frame["Date"].str[5:7]).drop(columns="Date")
    return frame, [name for name in frame if frame[name].dtype.kind == "f" and name != "RainToday"]


def hide_cells(test: pd.DataFrame, names: list[str], seed: int) -> np.ndarray:
    """Choose a tenth of the observed cells."""
    return (np.random.default_rng(seed).random((len(test), len(names))) < 0.1) & test[
        names
    ].notna().to_numpy()


def hide_columns(test: pd.DataFrame, names: list[str], seed: int) -> np.ndarray:
    """Choose two columns at each of a third of the stations."""
    random = np.random.default_rng(seed)
    hidden = np.zeros((len(test), len(names)), dtype=bool)
    stations = test["Location"].unique()
    for station in random.choice(stations, len(stations) // 3, replace=False):
        columns = random.choice(len(names), 2, replace=False)
        hidden[np.ix_(np.flatnonzero(test["Location"] == station), columns)] = True
    return hidden & test[names].notna().to_numpy()


def imputers(full: bool) -> dict[str, tuple[Callable[[], Any], bool, int | None]]:
    """Give what makes each imputer, whether it sees all columns, and the rows it is fitted to."""
    trees = HistGradientBoostingRegressor(max_iter=50, random_state=0)
    return {
        "mean": (SimpleImputer, False, None),
        f"KNNImputer, {SUBSAMPLE} rows": (KNNImputer, False, SUBSAMPLE),
        "IterativeImputer": (lambda: IterativeImputer(random_state=0), False, None),
        f"IterativeImputer, trees, {SUBSAMPLE} rows": (
            lambda: IterativeImputer(trees, max_iter=10 if full else 3, random_state=0),
            False,
            SUBSAMPLE,
        ),
        "skae": (lambda: AutoencoderImputer(random_state=0), False, None),
        "skae, all columns": (lambda: AutoencoderImputer(random_state=0), True, None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="more rounds of trees, three seeds of hidden cells"
    )
    full = parser.parse_args().full
    frame, names = load()
    order = np.random.default_rng(0).permutation(len(frame))
    cut = int(0.8 * len(frame))
    train, test = frame.iloc[order[:cut]], frame.iloc[order[cut:]]
    test = test[test[names].notna().any(axis=1)]
    mean, deviation = train[names].mean().to_numpy(), train[names].std().to_numpy()
    truth = (test[names].to_numpy() - mean) / deviation
    rows = []
    for name, (make, sees_all, n_rows) in imputers(full).items():
        columns = list(frame) if sees_all else names
        row: dict[str, Any] = {"imputer": name}
        start = time.perf_counter()
        imputer = make().fit(train[columns].iloc[:n_rows])
        row["fit seconds"] = time.perf_counter() - start
        few = slice(None, SUBSAMPLE // 2) if n_rows else slice(None)
        for title, hide in (("cells", hide_cells), ("columns by station", hide_columns)):
            found, seconds = [], 0.0
            for seed in range(3 if full else 1):
                hidden = hide(test, names, seed)[few]
                gaps = test[columns].iloc[few].copy()
                gaps[names] = gaps[names].mask(hidden)
                start = time.perf_counter()
                filled = imputer.transform(gaps)
                seconds += time.perf_counter() - start
                filled = filled[names].to_numpy() if sees_all else np.asarray(filled)
                missed = ((filled - mean) / deviation - truth[few])[hidden]
                found.append(1 - np.square(missed).sum() / np.square(truth[few][hidden]).sum())
            row[f"R2, {title}"] = float(np.mean(found))
            row["transform seconds"] = seconds / len(found)
        rows.append(row)
        print(*row.values(), flush=True)
    report.print_table(rows, "weatherAUS: hidden cells, filled")
    report.save("imputation_full" if full else "imputation", rows)
    picture(rows)


def picture(rows: list[dict[str, Any]]) -> None:
    """Draw bars of R2, with the seconds of a fit beside them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for shift, name in ((0.2, "cells"), (-0.2, "columns by station")):
        axes.barh(places + shift, [max(0, row[f"R2, {name}"]) for row in rows], 0.38, label=name)
    axes.set_yticks(places, [f"{row['imputer']} ({row['fit seconds']:.0f} s)" for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("R2 on hidden cells")
    axes.legend()
    figure.savefig(report.RESULTS / "imputation.png", dpi=150)


if __name__ == "__main__":
    main()
