"""Fits to rows that do not fit into memory: peak memory, rows a second, and variance explained.

Rows are made on the fly: curved functions of four hidden numbers with noise, 17 and 200 columns, as a
memory map and as a Parquet file; "sorted" is a memory map in the order of a hidden number. Each fit makes
one epoch, in a process of its own, since memory that was once taken stays taken. Rows a second are those of
training alone; in memory lie as many rows as `--in-memory` bytes hold. All are judged by the last 20,000
rows of the memory map, which are trained on in blocks and, unless all rows lie in memory, not by the fit in
memory. One epoch of one seed differs by 0.01 from another.

By default tables of 0.4 GB and a quarter of the usual `max_bytes`. Tables of 5 GB take minutes a fit:
`--bytes 5e9 --max-bytes 268435456 --kinds memmap parquet`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import report

N_COMPONENTS = 4
BLOCK = 50_000
KINDS = ["in memory", "memmap", "parquet", "sorted"]


def make(n_rows: int, n_features: int, folder: Path, is_sorted: bool) -> None:
    """Write rows as an array and as Parquet, or sorted as an array."""
    import pyarrow
    import pyarrow.parquet

    random = np.random.default_rng(0)
    weights = random.standard_normal((4, n_features))
    names = [f"x{j}" for j in range(n_features)]
    kind = "sorted" if is_sorted else "memmap"
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
    writer = None if is_sorted else pyarrow.parquet.ParquetWriter(folder / "rows.parquet", schema)
    with (folder / f"{kind}.f32").open("wb") as file:
        for start in range(0, n_rows, BLOCK):
            hidden = random.uniform(-2, 2, (min(BLOCK, n_rows - start), 4))
            if is_sorted:
                # Uniform in all, and in order over the whole of the file.
                hidden[:, 0] = np.linspace(start, start + len(hidden), len(hidden)) / n_rows * 4 - 2
            rows = np.sin(hidden @ weights) + 0.1 * random.standard_normal((len(hidden), n_features))
            rows = rows.astype(np.float32)
            rows.tofile(file)
            if writer is not None:
                writer.write_table(pyarrow.table(list(np.ascontiguousarray(rows.T)), schema=schema))
    if writer is not None:
        writer.close()


def measure(kind: str, folder: Path, n_features: int, n_rows: int, max_bytes: int) -> dict[str, Any]:
    """Fit to one kind of rows; give time, memory, and what is explained of the last rows of the map."""
    from skae import AutoencoderTransformer
    from skae.data import ArrayRows, ParquetRows
    from skae.training import loop

    name = "sorted" if kind == "sorted" else "memmap"
    mapped = np.memmap(folder / f"{name}.f32", np.float32, "r").reshape(-1, n_features)
    rows: Any = np.array(mapped[:n_rows]) if kind == "in memory" else ArrayRows(mapped, max_bytes)
    if kind == "parquet":
        rows = ParquetRows(folder / "rows.parquet", max_bytes=max_bytes)
    seconds, run_epoch = [], loop._run_epoch

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        found = run_epoch(*arguments)
        seconds.append(time.perf_counter() - start)
        return found

    loop._run_epoch = timed
    start = time.perf_counter()
    model = AutoencoderTransformer(N_COMPONENTS, max_iter=1, random_state=0).fit(rows)
    fit_seconds = time.perf_counter() - start
    test = np.memmap(folder / "memmap.f32", np.float32, "r").reshape(-1, n_features)[-20_000:]
    return {
        "rows": kind,
        "columns": n_features,
        "n": rows.shape[0],
        "MB": rows.shape[0] * n_features * 4 / 1e6,
        "fit seconds": fit_seconds,
        "rows/s in training": rows.shape[0] / sum(seconds),
        "variance explained": variance_explained(model, np.array(test)),
        "peak MB": report.peak_memory(),
    }


def variance_explained(model: Any, test: np.ndarray) -> float:
    """Give what is explained of rows, by arrays whatever their names were."""
    back = model.decoder_(model.encoder_(_tensor(test))).detach().numpy()
    return float(1 - ((test - back) ** 2).sum() / ((test - model.mean_) ** 2).sum())


def _tensor(rows: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=float, default=4e8, help="of the rows as float32")
    parser.add_argument("--in-memory", type=float, default=1e9, help="bytes that are fitted in memory")
    parser.add_argument("--max-bytes", type=int, default=2**26, help="of the rows that training holds")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--columns", type=int, nargs="*", default=[17, 200])
    parser.add_argument("--full", action="store_true", help="20 GB")
    parser.add_argument("--folder", help="where files are written; a temporary folder by default")
    parser.add_argument("--only", nargs=5, help="run one fit, and print its figures as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        kind, folder, *numbers = arguments.only
        print(json.dumps(measure(kind, Path(folder), *map(int, numbers))))
        return
    n_bytes = 20e9 if arguments.full else arguments.bytes
    rows = []
    for n_features in arguments.columns:
        n_rows = int(n_bytes / 4 / n_features)
        few = int(min(n_bytes, arguments.in_memory) / 4 / n_features)
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            make(n_rows, n_features, Path(folder), is_sorted=False)
            if "sorted" in arguments.kinds:
                make(n_rows, n_features, Path(folder), is_sorted=True)
            for kind in arguments.kinds:
                command = [sys.executable, __file__, "--only", kind, folder]
                command += [str(n_features), str(few), str(arguments.max_bytes)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout))
                print(rows[-1], flush=True)
    report.print_table(rows, f"One epoch of rows of {n_bytes / 1e9:.3g} GB, {N_COMPONENTS} components")
    report.save("out_of_core", rows, bytes=n_bytes)


if __name__ == "__main__":
    main()
