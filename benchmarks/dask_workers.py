"""Fits on workers of dask: speed beside one worker, bytes a step, memory of the client, killed workers.

Workers are processes of one thread each on this machine. Rows, curved functions of eight hidden numbers with
noise, are made by the workers and stay there. Seconds are those of training; "fit" counts the pass over rows
and what comes before and after, too. The fit in memory has one thread, and is judged like the others by
20,000 further rows.

``--kills N`` kills a worker of three at a random moment of each of N fits.
"""

import argparse
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import report

N_COMPONENTS = 8
HIDDEN = (256, 256)
CHUNK = 50_000
# Seconds in which a fit has to end after a worker was killed.
LIMIT = 60
PACKAGES = ("dask", "distributed")


def make(seed: int, n_rows: int, n_features: int) -> np.ndarray:
    """Make some rows."""
    weights = np.random.default_rng(0).standard_normal((8, n_features)) / 2
    own = np.random.default_rng([1, seed])
    rows = np.sin(own.uniform(-2, 2, (n_rows, 8)) @ weights)
    return (rows + 0.1 * own.standard_normal(rows.shape)).astype(np.float32)


def rows_of(n_rows: int, n_features: int, chunk: int) -> Any:
    """Return a dask array of such rows."""
    import dask.array as da
    from dask import delayed

    blocks = [
        da.from_delayed(delayed(make)(start, size, n_features), (size, n_features), dtype=np.float32)
        for start in range(0, n_rows, chunk)
        for size in [min(chunk, n_rows - start)]
    ]
    return da.concatenate(blocks)


@contextmanager
def cluster_of(n_workers: int) -> Iterator[Any]:
    """Begin a cluster, and give its client."""
    import distributed

    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "memory_limit": 0}
    with (
        distributed.LocalCluster(n_workers=n_workers, silence_logs=50, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def watch_steps() -> None:
    """Let a worker take note of its epochs and messages; runs on it."""
    from skae.training import loop, peers

    seconds: list[tuple[float, int]] = []
    sent: list[int] = []
    run_epoch, add_up = loop._run_epoch, peers.Group.add_up

    def timed(active: Any, *rest: Any) -> Any:
        start = time.perf_counter()
        found = run_epoch(active, *rest)
        seconds.append((time.perf_counter() - start, active[0].run.batches.n_batches))
        return found

    def counted(self: Any, values: Any) -> Any:
        sent.append(values.numel() * values.element_size())
        return add_up(self, values)

    loop._run_epoch, peers.Group.add_up = timed, counted
    loop.watched = (seconds, sent)  # type: ignore[attr-defined]


def watched() -> tuple[list[tuple[float, int]], list[int]]:
    """Return what a worker took note of, and forget it; runs on it."""
    from skae.training import loop

    seconds, sent = loop.watched  # type: ignore[attr-defined]
    found = list(seconds), list(sent)
    seconds.clear()
    sent.clear()
    return found


@contextmanager
def memory() -> Iterator[dict[str, float]]:
    """Measure by how much this process grows, in MB."""
    import psutil

    own, found, is_over = psutil.Process(), {"grown": 0.0}, threading.Event()
    before = own.memory_info().rss

    def look() -> None:
        while not is_over.wait(0.05):
            found["grown"] = max(found["grown"], (own.memory_info().rss - before) / 2**20)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        is_over.set()
        looking.join()


def estimator(max_iter: int, hidden: tuple[int, ...] = HIDDEN, size: int | str = "auto") -> Any:
    """Return what is fitted, by steps of a size."""
    from skae import AutoencoderTransformer

    return AutoencoderTransformer(
        N_COMPONENTS,
        hidden_layer_sizes=hidden,
        max_iter=max_iter,
        batch_size=size,
        tol=0,
        random_state=0,
    )


def with_workers(
    n_workers: int, n_rows: int, n_features: int, max_iter: int, size: int | str
) -> dict[str, Any]:
    """Fit on so many workers."""
    import distributed

    from skae.dask import DaskTransformer

    with cluster_of(n_workers) as client:
        rows = rows_of(n_rows, n_features, CHUNK).persist()
        distributed.wait(rows)
        small = rows_of(4000, n_features, 1000)
        DaskTransformer(estimator(1), client).fit(small)  # imports
        client.run(watch_steps)
        with memory() as client_memory:
            model = DaskTransformer(estimator(max_iter, size=size), client, max_bytes=2**30).fit(rows)
        found = client.run(watched).values()
        # All make their steps together: the slowest tells.
        epoch = max(statistics.median(seconds for seconds, _ in epochs) for epochs, _ in found if epochs)
        n_batches = next(epochs[0][1] for epochs, _ in found if epochs)
        message = max((max(sent) for _, sent in found if sent), default=0)
        return {
            "workers": n_workers,
            "rows/s": n_rows / epoch,
            "s/epoch": epoch,
            "steps": n_batches,
            "ms/step": 1000 * epoch / n_batches,
            "fit s": model.estimator_.fit_time_,
            "MB/step sent by each": 2 * (n_workers - 1) / n_workers * message / 1e6,
            "client +MB": client_memory["grown"],
            "explained": model.estimator_.score(make(-1 % 2**32, 20_000, n_features)),
        }


def in_memory(n_rows: int, n_features: int, max_iter: int, size: int | str) -> dict[str, Any]:
    """Fit to all rows in this process."""
    import torch

    torch.set_num_threads(1)
    rows = np.concatenate(
        [make(start, min(CHUNK, n_rows - start), n_features) for start in range(0, n_rows, CHUNK)]
    )
    model = estimator(max_iter, size=size).fit(rows)
    return {
        "workers": "in memory",
        "fit s": model.fit_time_,
        "explained": model.score(make(-1 % 2**32, 20_000, n_features)),
    }


def speed(n_rows: int, n_features: int, max_iter: int, n_workers: list[int], size: int | str) -> None:
    """Compare numbers of workers."""
    results = [with_workers(number, n_rows, n_features, max_iter, size) for number in n_workers]
    base = results[0]["rows/s"]
    for result in results:
        result["speed"] = result["rows/s"] / base
    results.append(in_memory(n_rows, n_features, max_iter, size))
    title = f"{n_rows} x {n_features}, network {'-'.join(map(str, HIDDEN))}, {max_iter} epochs"
    name = "dask_workers"
    if isinstance(size, int):
        title, name = f"{title} of {size} rows a step", f"{name}_{size}"
    report.print_table(results, title)
    report.save(name, results, title=title)


# ---------------------------------------------------------------------- killed workers


def process_id() -> int:
    """Import what is needed, and return the number of the process; runs on workers."""
    import skae.dask.worker  # noqa: F401

    return os.getpid()


def running(client: Any, n_workers: int) -> dict[str, int]:
    """Wait for so many workers, and return the number of the process of each; none if they do not come."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            client.wait_for_workers(n_workers, timeout=LIMIT)
            found: dict[str, int] = client.run(process_id)
        except OSError:  # one that was killed is still on the list, or does not come back
            time.sleep(0.5)
            continue
        if len(found) == n_workers:
            return found
    return {}


def killed_fit(
    client: Any, processes: dict[str, int], rows: Any, longest: float, generator: random.Random
) -> dict[str, Any]:
    """Fit, kill a worker meanwhile, and say how it ended."""
    from skae.dask import DaskTransformer

    model = DaskTransformer(estimator(20, (32,)), client)
    outcome: dict[str, Any] = {}

    def fit() -> None:
        try:
            model.fit(rows)
            outcome["ended"] = "well"
            outcome["restarts"] = model.n_restarts_
            outcome["explained"] = model.estimator_.score(make(-1 % 2**32, 5000, rows.shape[1]))
        except Exception as error:
            outcome["ended"] = f"{type(error).__name__}: {error}"

    fitting = threading.Thread(target=fit, daemon=True)
    fitting.start()
    delay = generator.uniform(0, longest)
    time.sleep(delay)
    was_running = fitting.is_alive()
    os.kill(generator.choice(sorted(processes.values())), signal.SIGKILL)
    killed = time.monotonic()
    fitting.join(timeout=LIMIT)
    outcome["after s"] = delay
    outcome["seconds since"] = time.monotonic() - killed
    outcome["running"] = was_running
    if fitting.is_alive():
        outcome["ended"] = "HANGS"
        fitting.join(timeout=5 * LIMIT)
    return outcome


def kills(number: int, n_rows: int, n_features: int) -> None:
    """Kill a worker in each of some fits."""
    from skae.dask import DaskTransformer

    generator, results, longest = random.Random(0), [], 0.0
    while len(results) < number:
        with cluster_of(3) as client:
            rows = rows_of(n_rows, n_features, n_rows // 12)
            for _ in range(2):
                start = time.monotonic()
                DaskTransformer(estimator(20, (32,)), client).fit(rows)
                took = time.monotonic() - start
            longest = longest or took
            # Dask does not always bring a worker back that was killed: another cluster then.
            while len(results) < number and (processes := running(client, 3)):
                found = killed_fit(client, processes, rows, longest, generator)
                if not found.pop("running"):
                    # The fit had ended before: this tells nothing.
                    longest *= 0.9
                    continue
                results.append({"kill": len(results), **found})
                print(results[-1], flush=True)
    title = f"{number} fits, {n_rows} x {n_features}, of {longest:.1f} s undisturbed"
    report.print_table(results, title)
    report.save("dask_kills", results, title=title)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=10, help="those of max_iter='auto'")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-size", type=int, help="rows of a step of all workers; by default 'auto'")
    parser.add_argument("--full", action="store_true", help="four workers, too")
    parser.add_argument(
        "--kills", type=int, default=0, help="kill a worker in so many fits, and do nothing else"
    )
    arguments = parser.parse_args()
    if arguments.kills:
        kills(arguments.kills, min(arguments.rows, 30_000), 20)
        return
    workers = [*arguments.workers, 4] if arguments.full else arguments.workers
    size = arguments.batch_size or "auto"
    speed(arguments.rows, arguments.columns, arguments.epochs, workers, size)


if __name__ == "__main__":
    main()
