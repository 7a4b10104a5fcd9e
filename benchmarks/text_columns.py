"""Time of a default fit to 2,000 rows of text columns of two to six categories, by the number of columns.

Seconds should grow no faster than the columns do. Each fit is the only one of its process.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import report

N_ROWS = 2000
N_COLUMNS = (250, 500, 1000)


def table(n_columns: int) -> pd.DataFrame:
    """Give text columns that hang together by five numbers a row."""
    random = np.random.RandomState(0)
    causes = random.standard_normal((N_ROWS, 5))
    columns = {}
    for j in range(n_columns):
        n_levels = random.randint(2, 7)
        scores = causes @ random.standard_normal((5, n_levels)) + random.standard_normal((N_ROWS, n_levels))
        columns[f"c{j}"] = np.array([f"v{level}" for level in range(n_levels)])[scores.argmax(axis=1)]
    return pd.DataFrame(columns)


def measure(n_columns: int) -> dict[str, Any]:
    """Fit once, and give the seconds of each call."""
    from skae import AutoencoderTransformer

    X = table(n_columns)
    seconds, start = {}, time.perf_counter()
    model = AutoencoderTransformer(8, random_state=0).fit(X)
    seconds["fit seconds"], start = time.perf_counter() - start, time.perf_counter()
    codes = model.transform(X)
    seconds["transform seconds"], start = time.perf_counter() - start, time.perf_counter()
    back = model.inverse_transform(codes)
    seconds["back seconds"] = time.perf_counter() - start
    right = float((back.to_numpy(dtype=object) == X.to_numpy(dtype=object)).mean())
    return {"columns": n_columns, **seconds, "epochs": model.n_iter_, "cells right": right}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, help="fit one number of columns, and print its figures as JSON")
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure(only)))
        return
    rows = []
    for n_columns in N_COLUMNS:
        command = [sys.executable, __file__, "--only", str(n_columns)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    report.print_table(rows, f"{N_ROWS} rows of text")
    report.save("text_columns", rows)


if __name__ == "__main__":
    main()
