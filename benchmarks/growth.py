"""How the time of a fit grows with rows and with columns, at a fixed number of epochs.

Rows are curved functions of four hidden numbers with noise. 17 columns and 10^4 to 10^6 rows (`--full`:
10^7), in memory and in blocks; 5,000 rows and 10 to 10^4 columns. Each fit makes two epochs; of sizes that
take little, the least of three times is kept. The exponent is the slope of the logarithms over all sizes;
where constant costs flatten it, that of the last two sizes tells more.
"""

import argparse
import time
from typing import Any

import numpy as np
import report

from skae import AutoencoderTransformer
from skae.data import ArrayRows

N_EPOCHS, N_COLUMNS, N_ROWS = 2, 17, 5000
PART = 100_000
# Seconds below which a fit is repeated.
SHORT = 5.0


def make(n_rows: int, n_columns: int) -> np.ndarray:
    """Make rows, some at a time."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((4, n_columns), dtype=np.float32)
    rows = np.empty((n_rows, n_columns), np.float32)
    for start in range(0, n_rows, PART):
        part = rows[start : start + PART]
        hidden = random.uniform(-2, 2, (len(part), 4)).astype(np.float32)
        noise = random.standard_normal(part.shape, dtype=np.float32)
        part[:] = np.sin(hidden @ weights) + 0.1 * noise
    return rows


def fit_seconds(X: np.ndarray, in_blocks: bool) -> tuple[float, float]:
    """Fit; give the seconds that pass, and those of the processor."""
    found = []
    while len(found) < 3 and (not found or found[0][0] < SHORT):
        rows: Any = ArrayRows(X, max_bytes=max(2**16, X.nbytes // 4)) if in_blocks else X
        model = AutoencoderTransformer(4, max_iter=N_EPOCHS, random_state=0)
        start = time.perf_counter(), time.process_time()
        model.fit(rows)
        found.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return min(seconds for seconds, _ in found), min(seconds for _, seconds in found)


def grow(what: str, sizes: list[int], in_blocks: bool = False) -> list[dict[str, Any]]:
    """Fit tables of growing size."""
    rows = []
    for size in sizes:
        X = make(size, N_COLUMNS) if what == "rows" else make(N_ROWS, size)
        seconds, of_processor = fit_seconds(X, in_blocks)
        rows.append(
            {
                "grows": what + (", in blocks" if in_blocks else ""),
                "rows": X.shape[0],
                "columns": X.shape[1],
                "seconds": seconds,
                "processor seconds": of_processor,
            }
        )
        print(rows[-1], flush=True)
    return rows


def exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fit an exponent to each kind of growth."""
    found = []
    for kind in dict.fromkeys(row["grows"] for row in rows):
        own = [row for row in rows if row["grows"] == kind]
        sizes = np.log([row[kind.partition(",")[0]] for row in own])
        line = {"grows": kind}
        for name in ("seconds", "processor seconds"):
            times = np.log([row[name] for row in own])
            line[f"exponent, {name}"] = float(np.polyfit(sizes, times, 1)[0])
            line[f"of the last two, {name}"] = float(np.diff(times[-2:])[0] / np.diff(sizes[-2:])[0])
        found.append(line)
    return found


def draw(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Draw times against sizes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.8), layout="constrained")
    for axis, what in zip(figure.subplots(1, 2), ("rows", "columns"), strict=True):
        for line in found:
            if line["grows"].partition(",")[0] != what:
                continue
            own = [row for row in rows if row["grows"] == line["grows"]]
            place = "in blocks" if "," in line["grows"] else "in memory"
            label = f"{place}, exponent {line['exponent, seconds']:.2f}"
            axis.plot([row[what] for row in own], [row["seconds"] for row in own], marker="o", label=label)
        fixed = f"{N_COLUMNS} columns" if what == "rows" else f"{N_ROWS:,} rows"
        axis.set(xscale="log", yscale="log", xlabel=f"Number of {what}", title=fixed)
        axis.set_ylabel(f"Seconds of a fit of {N_EPOCHS} epochs")
        axis.legend()
    figure.savefig(report.RESULTS / "growth.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="up to 10^7 rows")
    full = parser.parse_args().full
    n_rows = [10**4, 10**5, 10**6] + [10**7] * full
    # What is loaded and prepared once.
    fit_seconds(make(10**4, N_COLUMNS), in_blocks=True)
    rows = (
        grow("rows", n_rows) + grow("rows", n_rows, in_blocks=True) + grow("columns", [10, 100, 1000, 10**4])
    )
    found = exponents(rows)
    report.print_table(rows, f"Fits of {N_EPOCHS} epochs, 4 components")
    report.print_table(found, "Exponents")
    name = "growth_full" if full else "growth"
    report.save(name, rows, exponents=found)
    draw(rows, found)


if __name__ == "__main__":
    main()
