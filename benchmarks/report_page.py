"""Seconds and bytes of a report: 58,090 rows of weatherAUS, 145,460 with gaps and text, and wide rows.

The page is opened by nobody here: what a browser takes to draw it depends on the number of rows drawn alone.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import report
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus
from skae.inspection import report as write_page


def tables() -> dict[str, tuple[Any, Any, Any]]:
    """Give unfitted estimators, rows and what to colour by, by name."""
    X, y = fetch_weather_aus(return_X_y=True, as_frame=True)
    whole = fetch_weather_aus(as_frame=True, complete_rows=False, columns="all")
    wide = np.random.default_rng(0).standard_normal((20_000, 784)).astype(np.float32)
    return {
        "weatherAUS, complete rows": (
            make_pipeline(StandardScaler(), AutoencoderTransformer(3, max_iter=10, random_state=0)),
            X,
            y,
        ),
        "weatherAUS, all rows and columns": (
            AutoencoderTransformer(3, max_iter=1, random_state=0),
            whole.data.drop(columns="Date"),
            whole.target,
        ),
        "normal, 784 columns": (AutoencoderTransformer(3, max_iter=1, random_state=0), wide, None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-points", type=int, default=5000, help="rows that are drawn")
    max_points = parser.parse_args().max_points
    rows = []
    for name, (model, X, y) in tables().items():
        model.fit(X)
        with tempfile.TemporaryDirectory() as folder:
            before = report.memory_mark()
            start = time.perf_counter()
            path = write_page(model, X, y, Path(folder) / "page.html", max_points=max_points)
            rows.append(
                {
                    "rows": name,
                    "shape": " x ".join(f"{size:,}" for size in X.shape),
                    "seconds": time.perf_counter() - start,
                    "MB": path.stat().st_size / 1e6,
                    "peak memory above the start, MB": report.peak_memory() - before,
                }
            )
    report.print_table(rows, f"A report, {max_points:,} rows drawn")
    report.save("report_page", rows, max_points=max_points)


if __name__ == "__main__":
    main()
