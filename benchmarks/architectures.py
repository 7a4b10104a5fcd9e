"""Architectures where they belong: convolutions on images, recurrent and recursive networks on sequences.

MNIST, 30 components, 20,000 images: convolutional against dense with as many parameters, for equal time,
and each with and without the linear path that starts at PCA. ETTh1, windows of 48 hours of 7 measurements,
8 components, trained on the first 80 % of the time: variance explained on the last 20 %. `--full` takes
all images and more epochs.
"""

import argparse
import time
from typing import Any

import numpy as np
import problems
import report
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.datasets import get_data_home
from skae.metrics import variance_explained
from skae.networks import Convolutional, Dense, Recurrent, Recursive

N_HOURS, N_SERIES = 48, 7


def n_parameters(model: Any) -> int:
    """Count what was learnt."""
    return sum(parameter.numel() for parameter in model.network_.parameters())


def images(problem: problems.Problem, full: bool) -> list[dict[str, Any]]:
    """Compare on MNIST; the dense network trains for as long as the convolutional one took."""
    train = problem.train if full else problem.train[:20_000]
    shared = {
        "loss": "binary_crossentropy",
        "learning_rate_init": 0.006,
        "batch_size": 256,
        "random_state": 0,
    }
    networks = {
        "convolutional": Convolutional((28, 28), channels=(16, 32), kernel_size=5, activation="silu"),
        "dense": Dense((74,), activation="silu"),
    }
    n_epochs = 15 if full else 10
    rows, seconds = [], 0.0
    pca = PCA(30, random_state=0).fit(train)
    back = pca.inverse_transform(pca.transform(problem.test))
    rows.append({"network": "PCA", "squared error of an image": _error(problem.test, back)})
    for linear_path in (True, False):
        for name, network in networks.items():
            settings = {"network": network, "linear_path": linear_path, **shared}
            n_epochs_here = epochs_in(seconds, settings, train) if name == "dense" else n_epochs
            start = time.perf_counter()
            model = AutoencoderTransformer(30, max_iter=n_epochs_here, **settings).fit(train)
            taken = time.perf_counter() - start
            seconds = taken if name == "convolutional" else seconds
            rows.append(
                {
                    "network": name,
                    "linear path": linear_path,
                    "squared error of an image": _error(problem.test, model.reconstruct(problem.test)),
                    "parameters": n_parameters(model),
                    "epochs": n_epochs_here,
                    "fit seconds": taken,
                }
            )
            print(*rows[-1].values(), flush=True)
    return rows


def epochs_in(seconds: float, settings: dict[str, Any], train: np.ndarray) -> int:
    """Find how many epochs there is time for, from two short fits."""
    times = []
    for n_epochs in (1, 9):
        start = time.perf_counter()
        AutoencoderTransformer(30, max_iter=n_epochs, **settings).fit(train)
        times.append(time.perf_counter() - start)
    an_epoch = (times[1] - times[0]) / 8
    return max(1, round((seconds - times[0]) / an_epoch) + 1)


def _error(X: np.ndarray, X_back: np.ndarray) -> float:
    return float(np.square(X - X_back).sum(axis=1).mean())


def windows() -> problems.Problem:
    """Give windows of ETTh1: each hour starts one, standardised by the first 80 % of the time."""
    path = get_data_home() / "ETTh1.csv.gz"
    table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 1 + N_SERIES))
    cut = int(0.8 * len(table))
    table = (table - table[:cut].mean(axis=0)) / table[:cut].std(axis=0)

    def cut_windows(part: np.ndarray) -> np.ndarray:
        starts = np.lib.stride_tricks.sliding_window_view(part, N_HOURS, axis=0)
        return np.ascontiguousarray(starts.transpose(0, 2, 1)).reshape(len(starts), -1)

    return problems.Problem("ETTh1", cut_windows(table[:cut]), cut_windows(table[cut:]))


def sequences(problem: problems.Problem, full: bool) -> list[dict[str, Any]]:
    """Compare on windows of ETTh1, as they would be met: the test rows come after all others."""
    networks = {
        "dense": Dense((128, 64)),
        "recurrent": Recurrent(N_HOURS, hidden_size=64),
        "recursive": Recursive(N_HOURS, hidden_size=64),
        "convolutional": Convolutional((1, N_HOURS, N_SERIES), channels=(16, 32), kernel_size=5),
    }
    pca = PCA(8, random_state=0).fit(problem.train)
    rows: list[dict[str, Any]] = [
        {"network": "PCA", "variance explained": variance_explained(pca, problem.test)}
    ]
    for name, network in networks.items():
        for linear_path in (True, False):
            start = time.perf_counter()
            model = AutoencoderTransformer(
                8,
                network=network,
                linear_path=linear_path,
                learning_rate_init=0.003,
                max_iter=40 if full else 15,
                batch_size=128,
                random_state=0,
            ).fit(problem.train)
            rows.append(
                {
                    "network": name,
                    "linear path": linear_path,
                    "variance explained": model.score(problem.test),
                    "held out": model.validation_score_,
                    "parameters": n_parameters(model),
                    "fit seconds": time.perf_counter() - start,
                }
            )
            print(*rows[-1].values(), flush=True)
    return rows


def draw(problem: problems.Problem) -> None:
    """Draw windows and what comes back of them."""
    from matplotlib.figure import Figure

    model = AutoencoderTransformer(
        8, network=Recurrent(N_HOURS), learning_rate_init=0.003, max_iter=15, batch_size=128, random_state=0
    ).fit(problem.train)
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    for axis, number in zip(figure.subplots(1, 3, sharey=True), (200, 1500, 2800), strict=True):
        row = problem.test[number : number + 1]
        for table, style in ((row, "-"), (model.reconstruct(row), "--")):
            for series, colour in ((0, "tab:blue"), (6, "tab:orange")):
                label = (
                    f"{('load', 'oil temperature')[series > 0]}{'' if style == '-' else ', from 8 numbers'}"
                )
                axis.plot(
                    table.reshape(N_HOURS, N_SERIES)[:, series], style, color=colour, label=label, lw=1.3
                )
        axis.set_xlabel("Hour")
    figure.axes[0].set_ylabel("Standard deviations")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8
    )
    figure.savefig(report.RESULTS / "sequences.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all images, more epochs")
    parser.add_argument("--part", choices=("images", "sequences"), help="one of the two alone")
    arguments = parser.parse_args()
    full = arguments.full
    for part, load, compare in (("images", problems.mnist, images), ("sequences", windows, sequences)):
        for problem in problems.at_hand(load):
            if arguments.part in (None, part):
                rows = compare(problem, full)
                report.print_table(rows, part)
                report.save(f"architectures_{part}" + ("_full" if full else ""), rows)
                if part == "sequences":
                    draw(problem)


if __name__ == "__main__":
    main()
