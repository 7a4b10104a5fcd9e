"""What a fit explains in so many seconds, by a schedule that ends with them and by one that is cut off.

15,000 rows of weatherAUS, standardised, three components; variance explained of 10,000 other rows, mean over
seeds. Both ways are measured in turn in one process, and seconds are those of its processor, so that what
else the machine does changes little. A fit without a limit is beside them.
"""

import argparse
import time
import warnings
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import report
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.training import pace

SECONDS = (0.5, 1.0, 2.0)


def measured(rows: np.ndarray, others: np.ndarray, seed: int, max_time: float | None) -> dict[str, float]:
    """Return what a fit explains, and what it took."""
    start = time.process_time()
    model = AutoencoderTransformer(3, max_time=max_time, random_state=seed).fit(rows)
    seconds = time.process_time() - start
    return {"explained": model.score(others), "epochs": float(model.n_iter_), "seconds": seconds}


def compare(n_seeds: int) -> list[dict[str, Any]]:
    """Return a row a limit and a way."""
    X = StandardScaler().fit_transform(fetch_weather_aus(return_X_y=True)[0])
    X = X[np.random.RandomState(0).permutation(len(X))]
    rows, others = X[:15_000], X[20_000:30_000]
    # What is loaded once is loaded here.
    AutoencoderTransformer(3, max_iter=1, random_state=0).fit(rows)
    found: dict[tuple[float, str], list[dict[str, float]]] = {}
    for seed in range(n_seeds):
        for limit in SECONDS:
            found.setdefault((limit, "ends with the time"), []).append(measured(rows, others, seed, limit))
            with mock.patch.object(pace.Pace, "_adapt"):
                found.setdefault((limit, "is cut off"), []).append(measured(rows, others, seed, limit))
    found[np.inf, "no limit"] = [measured(rows, others, 0, None)]
    return [
        {"limit": limit, "schedule": way, **{name: mean(fits, name) for name in fits[0]}}
        for (limit, way), fits in found.items()
    ]


def mean(fits: list[dict[str, float]], name: str) -> float:
    """Return the mean of a figure."""
    return float(np.mean([fit[name] for fit in fits]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten seeds instead of three")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with mock.patch.object(pace, "time", SimpleNamespace(perf_counter=time.process_time)):
        rows = compare(10 if arguments.full else 3)
    report.print_table(rows, "fits with a limit of time")
    report.save("time_limits", [{**row, "limit": str(row["limit"])} for row in rows])


if __name__ == "__main__":
    main()
