"""What skae costs beside the arithmetic: `transform` against the bare forward pass, one row, memory of `fit`.

Times are medians. Memory is the peak of a fit over what the process held before it, each fit
in a process of its own, the loading of torch's optimisers included; it is measured on Linux.
`--full` measures the memory of a larger table.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import report
import torch
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

N_ROWS, N_FEATURES, N_COMPONENTS = 46_000, 17, 3


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Time a call, after three calls that warm up."""
    seconds = []
    for number in range(repeats + 3):
        start = time.perf_counter()
        call()
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def table(n_rows: int, n_features: int, dtype: str = "float64") -> np.ndarray:
    """Give correlated columns."""
    generator = np.random.default_rng(0)
    factors = generator.standard_normal((n_rows, 5), dtype=np.float32)
    noise = generator.standard_normal((n_rows, n_features), dtype=np.float32)
    noise += np.sin(factors) @ generator.standard_normal((5, n_features), dtype=np.float32)
    return noise.astype(dtype, copy=False)


def transforms() -> list[dict[str, Any]]:
    """Compare `transform` with the bare pass, and one row with PCA's."""
    rows = []
    for dtype in ("float32", "float64"):
        X = table(N_ROWS, N_FEATURES, dtype)
        model = AutoencoderTransformer(N_COMPONENTS, max_iter=2, random_state=0).fit(X)
        pca = PCA(N_COMPONENTS).fit(X)
        network, one = model.encoder_.to(getattr(torch, dtype)), X[:1]

        @torch.no_grad()
        def bare(rows: np.ndarray, network: torch.nn.Module = network) -> np.ndarray:
            return network(torch.from_numpy(rows)).numpy()

        for data, repeats in ((X, 30), (one, 2000)):
            rows.append(
                {
                    "dtype": dtype,
                    "rows": len(data),
                    "skae ms": 1e3 * median_seconds(lambda: model.transform(data), repeats),  # noqa: B023
                    "bare torch ms": 1e3 * median_seconds(lambda: bare(data), repeats),  # noqa: B023
                    "PCA ms": 1e3 * median_seconds(lambda: pca.transform(data), repeats),  # noqa: B023
                }
            )
            rows[-1]["skae / bare"] = rows[-1]["skae ms"] / rows[-1]["bare torch ms"]
            rows[-1]["skae / PCA"] = rows[-1]["skae ms"] / rows[-1]["PCA ms"]
    return rows


def memory(n_rows: int, n_features: int, dtype: str) -> dict[str, Any]:
    """Measure the growth of the peak memory over one fit in a fresh process."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import overheads, report\n"
        f"X = overheads.table({n_rows}, {n_features}, {dtype!r})\n"
        "before = report.memory_mark()\n"
        "overheads.AutoencoderTransformer(3, max_iter=1, random_state=0).fit(X)\n"
        "print(report.peak_memory() - before)\n"
    )
    folder = str(report.RESULTS.parent)
    printed = subprocess.run(
        [sys.executable, "-c", program, folder], check=True, capture_output=True, text=True
    ).stdout
    size = n_rows * n_features * 4 / 2**20
    return {
        "table": f"{n_rows} x {n_features} {dtype}",
        "X in float32, MB": size,
        "extra of fit, MB": float(printed),
        "bar, MB": 2 * size + 200,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a table of 2 GB as well")
    arguments = parser.parse_args()
    times = transforms()
    report.print_table(times, f"transform, {N_FEATURES} columns to {N_COMPONENTS} components")
    sizes = [(46_000, 17), (500_000, 100), *([(2_500_000, 200)] if arguments.full else [])]
    memories = [memory(*size, dtype) for size in sizes for dtype in ("float32", "float64")]
    report.print_table(memories, "memory")
    report.save("overheads", times, memory=memories)


if __name__ == "__main__":
    main()
