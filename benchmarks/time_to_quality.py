"""Seconds until the weatherAUS test error per cell reaches 0.20 and 0.17, same architecture, one run.

17-128-64-3-64-128-17 for all. The error on the test rows is measured between epochs, outside the clock, and
so is what torch takes to compile. What is not installed, or cannot compile here, is left out with a line
that says so.
`--full` gives each competitor ten minutes instead of one and a half.
"""

import argparse
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import problems
import report
import torch
from sklearn.neural_network import MLPRegressor
from torch import nn

from skae import AutoencoderTransformer

HIDDEN = (128, 64)
N_COMPONENTS = 3
TARGETS = (0.20, 0.17)
# skae's schedule ends with its last epoch, so a shorter way to a target is a shorter fit.
BUDGETS = (3, 4, 5, 6, 7, 8, 10, 12, 16, 18, 20, 22, 25, 30, 40, 50, 75)
# PyOD and encdr only fit from the start, so each of their points is a fit of its own.
FIT_EPOCHS = (5, 10, 20)


def network(n_features: int) -> nn.Sequential:
    """Build the architecture that all share."""
    sizes = (n_features, *HIDDEN, N_COMPONENTS)
    layers: list[nn.Module] = []
    for part in (sizes, sizes[::-1]):
        for n_in, n_out in itertools.pairwise(part):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        layers.pop()
    return nn.Sequential(*layers)


def error(back: np.ndarray, X: np.ndarray) -> float:
    """Give the squared error of a cell."""
    return float(np.mean((back - X) ** 2))


Points = Iterator[tuple[float, float]]
Loss = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def run_skae(problem: problems.Problem) -> Points:
    """Yield seconds and error of whole fits with more and more epochs."""
    for epochs in BUDGETS:
        start = time.perf_counter()
        model = AutoencoderTransformer(N_COMPONENTS, max_iter=epochs, random_state=0).fit(problem.train)
        yield time.perf_counter() - start, error(model.reconstruct(problem.test), problem.test)


def run_mlp_regressor(problem: problems.Problem) -> Points:
    """Yield seconds and error after each epoch of scikit-learn's perceptron."""
    model = MLPRegressor(hidden_layer_sizes=(*HIDDEN, N_COMPONENTS, *HIDDEN[::-1]), random_state=0)
    seconds = 0.0
    while True:
        start = time.perf_counter()
        model.partial_fit(problem.train, problem.train)
        seconds += time.perf_counter() - start
        yield seconds, error(model.predict(problem.test), problem.test)


def run_skorch(problem: problems.Problem) -> Points:
    """Yield seconds and error after each epoch of skorch with Adam."""
    from skorch import NeuralNetRegressor

    train, test = (X.astype(np.float32) for X in (problem.train, problem.test))
    torch.manual_seed(0)
    model = NeuralNetRegressor(
        network(train.shape[1]),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=128,
        max_epochs=1,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    seconds = 0.0
    while True:
        start = time.perf_counter()
        model.partial_fit(train, train)
        seconds += time.perf_counter() - start
        yield seconds, error(model.predict(test), test)


def run_loader(problem: problems.Problem) -> Points:
    """Yield seconds and error after each epoch of a plain loop over a DataLoader."""
    return loop(problem, lambda model, rows: nn.functional.mse_loss(model(rows), rows))


def run_compiled(problem: problems.Problem) -> Points:
    """Yield the same with the loss and its gradient compiled, on batches of one size."""

    def loss(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(model(rows), rows)

    return loop(problem, torch.compile(loss, dynamic=False), drop_last=True)


def loop(problem: problems.Problem, loss: Loss, drop_last: bool = False) -> Points:
    """Yield seconds and error after each epoch of a loop over a DataLoader."""
    train, test = (torch.tensor(X, dtype=torch.float32) for X in (problem.train, problem.test))
    torch.manual_seed(0)
    model = network(train.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rows_of = torch.utils.data.TensorDataset(train)
    loader = torch.utils.data.DataLoader(rows_of, batch_size=128, shuffle=True, drop_last=drop_last)
    # What is compiled is compiled here, before the clock runs.
    loss(model, train[:128]).backward()
    seconds = 0.0
    while True:
        start = time.perf_counter()
        for (rows,) in loader:
            value = loss(model, rows)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        seconds += time.perf_counter() - start
        with torch.no_grad():
            yield seconds, error(model(test).numpy(), test.numpy())


def run_pyod(problem: problems.Problem) -> Points:
    """Yield seconds and error of whole fits of PyOD's autoencoder, otherwise at its defaults."""
    from pyod.models.auto_encoder import AutoEncoder

    for epochs in FIT_EPOCHS:
        start = time.perf_counter()
        model = AutoEncoder(
            epoch_num=epochs, hidden_neuron_list=[*HIDDEN, N_COMPONENTS], preprocessing=False, verbose=0
        ).fit(problem.train)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            rows = torch.tensor(problem.test, dtype=torch.float32)
            yield seconds, error(model.model.eval()(rows).numpy(), problem.test)


def run_encdr(problem: problems.Problem) -> Points:
    """Yield seconds and error of whole fits of encdr, on batches as large as those of the loop."""
    import encdr

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    for epochs in FIT_EPOCHS:
        model = encdr.ENCDR(
            [*HIDDEN],
            N_COMPONENTS,
            batch_size=128,
            max_epochs=epochs,
            validation_split=0.0,
            standardize=False,
            random_state=0,
            trainer_kwargs=trainer,
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            # Lightning advises on workers and loggers, and speaks of its own deprecations.
            warnings.simplefilter("ignore")
            model.fit(problem.train)
        yield time.perf_counter() - start, error(model.predict(problem.test), problem.test)


RUNS = {
    "skae": run_skae,
    "MLPRegressor": run_mlp_regressor,
    "skorch": run_skorch,
    "DataLoader loop": run_loader,
    "compiled loop": run_compiled,
    "encdr": run_encdr,
    "PyOD AutoEncoder": run_pyod,
}


def follow(points: Points, limit: float) -> list[tuple[float, float]]:
    """Collect points until the last target is reached or time is up."""
    found: list[tuple[float, float]] = []
    start = time.perf_counter()
    for point in points:
        found.append(point)
        if point[1] <= min(TARGETS) or time.perf_counter() - start > limit:
            break
    return found


def first_below(points: list[tuple[float, float]], target: float) -> float | None:
    """Give the seconds at which a target was reached."""
    return next((seconds for seconds, value in points if value <= target), None)


def tabulate(curves: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    """Make a row of each competitor, with ratios to skae."""
    rows = []
    for name, points in curves.items():
        row: dict[str, Any] = {"name": name}
        for target in TARGETS:
            seconds, ours = first_below(points, target), first_below(curves["skae"], target)
            row[f"seconds to {target}"] = seconds
            row[f"of skae's ({target})"] = None if seconds is None or ours is None else seconds / ours
        row["best error"] = min(value for _, value in points)
        row["seconds in all"] = points[-1][0]
        rows.append(row)
    return rows


def draw(curves: dict[str, list[tuple[float, float]]]) -> None:
    """Draw error against seconds."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(7, 4.5), layout="constrained").add_subplot()
    for (name, points), marker in zip(curves.items(), "os^vDPX", strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=name)
    for target in TARGETS:
        axes.axhline(target, color="0.7", linewidth=0.8)
    axes.set(xlabel="Seconds of fitting", ylabel="Test squared error per cell", xscale="log")
    axes.set_title("weatherAUS, three components, same architecture")
    axes.legend()
    axes.figure.savefig(report.RESULTS / "time_to_quality.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten minutes for each competitor")
    arguments = parser.parse_args()
    for problem in problems.at_hand(problems.weather_aus):
        # The first fit of a process loads parts of torch; all competitors would pay for it alike.
        AutoencoderTransformer(N_COMPONENTS, max_iter=1).fit(problem.train)
        curves = {}
        for name, run in RUNS.items():
            try:
                curves[name] = follow(run(problem), 600 if arguments.full else 90)
            except (ImportError, RuntimeError) as reason:
                print(f"{name} is left out: {str(reason).partition(chr(10))[0]}")
                continue
            print(f"{name}: best error {min(value for _, value in curves[name]):.3f}", flush=True)
        rows = tabulate(curves)
        report.print_table(rows, "weatherAUS: seconds to a test error per cell")
        report.save("time_to_quality", rows, curves=curves)
        draw(curves)


if __name__ == "__main__":
    main()
