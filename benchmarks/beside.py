"""How long a fit takes alone, beside one busy process, and beside as many as there are cores.

Each fit is timed in a process of its own, after a brief one that loads what is loaded once. Busy processes
count. Figures are medians of three runs, and ratios to the same fit alone. The rivals train the same
architecture for the epochs that make 500 steps of the batch that skae takes, which is less than skae
does by default. A run of over a minute is ended (`--full`: ten minutes, and five runs).

`--steps` measures instead how much longer a step takes on one thread than on all, by the size of its largest
layer, alone: `skae._computing.ONE_THREAD_BELOW` was chosen by it.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import report
import torch
from sklearn import datasets
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer
from skae.datasets import fetch_weather_aus

HIDDEN = (128, 64)
N_STEPS = 500
# Rows of a batch, inputs and layers, of small to large networks.
STEP_SIZES = (
    (64, (13, 128, 64, 2)),
    (256, (64, 128, 64, 8)),
    (1024, (17, 128, 64, 3)),
    (1024, (64, 128, 64, 8)),
    (256, (100, 256, 256, 8)),
    (256, (784, 128, 64, 30)),
    (1024, (64, 256, 256, 8)),
    (256, (784, 512, 256, 30)),
    (1024, (784, 512, 256, 30)),
    (1024, (784, 1000, 500, 250, 30)),
)


def wine() -> tuple[np.ndarray, int]:
    """Return the rows and the number of components."""
    return StandardScaler().fit_transform(datasets.load_wine().data), 2


def digits() -> tuple[np.ndarray, int]:
    """Return the rows and the number of components."""
    return datasets.load_digits().data / 16, 8


def weather_aus() -> tuple[np.ndarray, int]:
    """Return the rows and the number of components."""
    return StandardScaler().fit_transform(fetch_weather_aus(return_X_y=True)[0]), 3


TABLES = {"wine": wine, "digits": digits, "weatherAUS": weather_aus}


def batch_size(X: np.ndarray) -> int:
    """Return the rows of a batch that skae takes."""
    return min(1024, max(64, len(X) // 16))


def n_epochs(X: np.ndarray) -> int:
    """Return the epochs of about so many steps."""
    return max(1, round(N_STEPS / (len(X) / batch_size(X))))


def network(sizes: tuple[int, ...]) -> nn.Sequential:
    """Build an autoencoder of linear layers and ReLU, with a linear code."""
    layers: list[nn.Module] = []
    for part in (sizes, sizes[::-1]):
        for n_in, n_out in itertools.pairwise(part):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        layers.pop()
    return nn.Sequential(*layers)


def fit_skae(X: np.ndarray, n_components: int, brief: bool) -> None:
    """Fit at default settings."""
    settings: dict[str, Any] = {"max_iter": 1} if brief else {}
    AutoencoderTransformer(n_components, random_state=0, **settings).fit(X)


def fit_mlp_regressor(X: np.ndarray, n_components: int, brief: bool) -> None:
    """Fit scikit-learn's perceptron."""
    sizes = (*HIDDEN, n_components, *HIDDEN[::-1])
    model = MLPRegressor(hidden_layer_sizes=sizes, random_state=0, batch_size=batch_size(X))
    for _ in range(1 if brief else n_epochs(X)):
        model.partial_fit(X, X)


def fit_loop(X: np.ndarray, n_components: int, brief: bool) -> None:
    """Fit by a plain loop over batches of a tensor."""
    torch.manual_seed(0)
    rows, model = torch.tensor(X, dtype=torch.float32), network((X.shape[1], *HIDDEN, n_components))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(1 if brief else n_epochs(X)):
        for index in torch.randperm(len(rows)).split(batch_size(X)):
            loss = nn.functional.mse_loss(model(rows[index]), rows[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def fit_skorch(X: np.ndarray, n_components: int, brief: bool) -> None:
    """Fit skorch with Adam."""
    from skorch import NeuralNetRegressor

    torch.manual_seed(0)
    rows = X.astype(np.float32)
    NeuralNetRegressor(
        network((X.shape[1], *HIDDEN, n_components)),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size(X),
        max_epochs=1 if brief else n_epochs(X),
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(rows, rows)


FITS: dict[str, Callable[[np.ndarray, int, bool], None]] = {
    "skae": fit_skae,
    "MLPRegressor": fit_mlp_regressor,
    "plain loop": fit_loop,
    "skorch": fit_skorch,
}


@contextlib.contextmanager
def busy(n_processes: int) -> Iterator[None]:
    """Keep so many processes counting."""
    command = [sys.executable, "-c", "n = 0\nwhile True:\n    n += 1"]
    running = [subprocess.Popen(command) for _ in range(n_processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def one_fit(name: str, table: str) -> None:
    """Print the seconds of one fit in this process."""
    X, n_components = TABLES[table]()
    FITS[name](X[: len(X) // 4] if len(X) > 1000 else X, n_components, True)
    start = time.perf_counter()
    FITS[name](X, n_components, False)
    print(time.perf_counter() - start)


def seconds(name: str, table: str, limit: float, repeats: int) -> float | None:
    """Return the median time of fits in processes of their own, None beyond the limit."""
    found = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--one", name, table]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        found.append(float(done.stdout))
    return float(np.median(found))


def compare(tables: list[str], limit: float, repeats: int) -> Iterator[dict[str, Any]]:
    """Time every fit alone and beside other work; yield a row a fit."""
    n_cores = len(os.sched_getaffinity(0))
    for table in tables:
        try:
            TABLES[table]()
        except OSError as error:
            print(f"left out: {error}")
            continue
        for name in FITS:
            row: dict[str, Any] = {"table": table, "name": name}
            for n_busy in dict.fromkeys((0, 1, n_cores)):
                with busy(n_busy):
                    row[f"beside {n_busy}, s"] = seconds(name, table, limit, repeats)
            for n_busy in dict.fromkeys((1, n_cores)):
                alone, beside = row["beside 0, s"], row[f"beside {n_busy}, s"]
                row[f"beside {n_busy}, of alone"] = beside / alone if alone and beside else None
            report.print_table([row])
            yield row


def step_seconds(n_rows: int, sizes: tuple[int, ...]) -> float:
    """Return the least time of a step, of fifteen runs of a tenth of a second each."""
    torch.manual_seed(0)
    model, rows = network(sizes), torch.randn(n_rows, sizes[0])
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        loss = nn.functional.mse_loss(model(rows), rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    found = []
    for _ in range(15):
        start, n_steps = time.perf_counter(), 0
        while time.perf_counter() - start < 0.1:
            step()
            n_steps += 1
        found.append((time.perf_counter() - start) / n_steps)
    return min(found)


def steps() -> list[dict[str, Any]]:
    """Time steps on one thread and on all."""
    rows, n_threads = [], torch.get_num_threads()
    for n_rows, sizes in STEP_SIZES:
        row: dict[str, Any] = {"batch": n_rows, "layers": "-".join(map(str, sizes))}
        row["multiply-adds of the largest"] = n_rows * max(map(int.__mul__, sizes, sizes[1:]))
        for number in (1, n_threads):
            torch.set_num_threads(number)
            row[f"ms on {number}"] = 1e3 * step_seconds(n_rows, sizes)
        row["one of all"] = row["ms on 1"] / row[f"ms on {n_threads}"]
        rows.append(row)
    return sorted(rows, key=lambda row: row["multiply-adds of the largest"])


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw how many times as long each fit takes beside as many busy processes as there are cores."""
    from matplotlib.figure import Figure

    name = [key for key in rows[0] if key.endswith("of alone")][-1]
    tables = [table for table in TABLES if any(row["table"] == table for row in rows)]
    axes = Figure(figsize=(7, 4.2), layout="constrained").add_subplot()
    for index, fit in enumerate(FITS):
        found = {row["table"]: row[name] for row in rows if row["name"] == fit}
        places = np.arange(len(tables)) + (index - 1.5) * 0.2
        bars = axes.bar(places, [found.get(table) or np.nan for table in tables], 0.19, label=fit)
        axes.bar_label(bars, [f"{found[t]:.1f}" if found.get(t) else "" for t in tables], fontsize=8)
        for place, table in zip(places, tables, strict=True):
            if table in found and not found[table]:
                axes.text(place, 0.1, "not ended", rotation=90, ha="center", va="bottom", fontsize=8)
    axes.axhline(1, color="0.5", linewidth=0.8)
    axes.set_xticks(np.arange(len(tables)), tables)
    axes.set(xlim=(-0.5, len(tables) - 0.5), ylabel="Seconds, over those of the fit alone")
    axes.set_title(f"Fits {name.partition(',')[0]} busy processes")
    axes.figure.legend(loc="outside lower center", ncols=len(FITS))
    axes.figure.savefig(report.RESULTS / "beside.png", dpi=120)


def kept(tables: list[str]) -> list[dict[str, Any]]:
    """Return the rows of the last run about other tables than those that are timed now."""
    path = report.RESULTS / "beside.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return [row for row in rows if row["table"] not in tables]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five runs of ten minutes at most")
    parser.add_argument(
        "--tables", nargs="+", choices=list(TABLES), default=list(TABLES), help="which to time"
    )
    parser.add_argument("--steps", action="store_true", help="time steps on one thread and on all")
    parser.add_argument("--one", nargs=2, metavar=("FIT", "TABLE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one_fit(*arguments.one)
    elif arguments.steps:
        rows = steps()
        report.print_table(rows, "a step on one thread and on all, alone")
        report.save("beside_steps", rows)
    else:
        rows = kept(arguments.tables)
        for row in compare(arguments.tables, 600 if arguments.full else 60, 5 if arguments.full else 3):
            # After every fit: a run takes a quarter of an hour.
            rows.append(row)
            report.save("beside", rows)
        report.print_table(rows, "fits beside busy processes")
        draw(rows)


if __name__ == "__main__":
    main()
