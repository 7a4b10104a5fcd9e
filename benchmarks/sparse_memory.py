"""Time and memory of a fit to a sparse table of 11,000 x 100,000, 0.1 % filled, beside TruncatedSVD.

Each method runs in a process of its own, since memory that was once taken stays taken. The values are uniform
in [0, 1], at random places: there is nothing to learn, and nothing that makes the fit shorter.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import report
import scipy.sparse
from sklearn.decomposition import TruncatedSVD

N_COMPONENTS = 50


def measure(name: str) -> dict[str, Any]:
    """Fit one method, and give seconds and peak memory of the whole process."""
    from skae import AutoencoderTransformer

    random = np.random.default_rng(0)
    X = scipy.sparse.random_array((11_000, 100_000), density=1e-3, format="csr", random_state=random)
    methods = {
        "TruncatedSVD": TruncatedSVD(N_COMPONENTS, random_state=0),
        "skae": AutoencoderTransformer(N_COMPONENTS, random_state=0),
    }
    before = report.memory_mark()
    start = time.perf_counter()
    model = methods[name].fit(X)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    model.transform(X)
    return {
        "method": name,
        "fit seconds": seconds,
        "transform seconds": time.perf_counter() - start,
        "peak MB": report.peak_memory(),
        "of which before the fit": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="run one method, and print its figures as JSON")
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure(only)))
        return
    rows = []
    for name in ("TruncatedSVD", "skae"):
        command = [sys.executable, __file__, "--only", name]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    report.print_table(rows, f"11,000 x 100,000, 0.1 % filled, {N_COMPONENTS} components")
    report.save("sparse_memory", rows)


if __name__ == "__main__":
    main()
