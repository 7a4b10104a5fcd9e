"""Which worker trains on what, and what happens where workers die or come."""

import os
import pickle
import signal
import threading
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae import AutoencoderTransformer
from skae.dask import DaskTransformer, WorkerLostError
from skae.dask.rounds import placed

# Seconds in which a fit must have ended, well or not, after a worker was lost.
LIMIT = 60


def test_partitions_stay_where_they_are():
    assert placed([10, 0, 12, 9], ["a", "a", "b", "c"], ["a", "b", "c"]) == {"a": [0], "b": [2], "c": [3]}


def test_partitions_go_to_others_where_one_has_far_more():
    blocks = placed([10, 10, 10, 10], ["a", "a", "a", "a"], ["a", "b"])
    assert {address: len(own) for address, own in blocks.items()} == {"a": 2, "b": 2}


def test_partitions_of_workers_that_have_gone_are_spread():
    blocks = placed([10, 10, 10], ["a", "gone", None], ["a", "b"])
    assert sorted([*blocks["a"], *blocks["b"]]) == [0, 1, 2]
    assert len(blocks["b"]) >= 1


def test_workers_without_rows_are_left_out():
    assert placed([10], ["a"], ["a", "b"]) == {"a": [0]}


@pytest.mark.parametrize(("version", "told"), [("0.0.1", "skae 0.0.1"), (None, "skae none")])
def test_workers_with_something_else_installed_are_refused(client, X, monkeypatch, version, told):
    def with_another(packages):
        found = type(client).get_versions(client, packages=packages)
        next(iter(found["workers"].values()))["packages"]["skae"] = version
        return found

    monkeypatch.setattr(client, "get_versions", with_another)
    model = DaskTransformer(AutoencoderTransformer(2, max_iter=1), client)
    with pytest.raises(ValueError, match=rf"worker .* has {told}.*Install the same"):
        model.fit(da.from_array(X, chunks=(3000, 8)))


# ---------------------------------------------------------------------- workers that die


def die_once(module, name, n_calls, flag):
    """Let a worker kill itself in the n-th call of a function, if none has done so before."""
    import importlib

    owner = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function, calls = getattr(owner, last), []

    def deadly(*arguments, **options):
        calls.append(1)
        if len(calls) >= n_calls:
            try:
                os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, last, deadly)


MOMENTS = {
    "the pass over rows": ("skae.data.inside", "Measuring.add", 1),
    "the meeting": ("skae.training.peers", "Group.__init__", 1),
    "an epoch": ("skae.training.peers", "GroupPeers.average", 70),
    "validation": ("skae.training.peers", "Agreed.__call__", 3),
    "the end of an epoch": ("skae.training.peers", "RoundKeeper.end_epoch", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [2, 4])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_fit_goes_on_where_a_worker_is_killed(workers, X, tmp_path, moment, n_workers):
    client = workers(n_workers)
    flag = str(tmp_path / "died")
    client.run(die_once, *MOMENTS[moment], flag)
    estimator = AutoencoderTransformer(2, max_iter=8, hidden_layer_sizes=(32,), random_state=0)
    rows = da.from_array(X, chunks=((2000, 0, 500, 1500, 1000, 1000), 8))
    model = DaskTransformer(estimator, client).fit(rows)
    assert Path(flag).exists()
    assert model.n_restarts_ == (0 if moment == "the pass over rows" else 1)
    assert model.estimator_.n_iter_ == 8
    assert_allclose(model.estimator_.score(X), estimator.fit(X).score(X), atol=0.005)


@pytest.mark.slow
def test_a_fit_that_may_not_begin_again_names_the_worker(workers, X, tmp_path):
    client = workers(2)
    client.run(die_once, *MOMENTS["an epoch"], str(tmp_path / "died"))
    estimator = AutoencoderTransformer(2, max_iter=8, random_state=0)
    addresses = set(client.nthreads())
    model = DaskTransformer(estimator, client, max_restarts=0)
    with pytest.raises(WorkerLostError, match="worker tcp://.* was lost") as caught:
        model.fit(da.from_array(X, chunks=(1500, 8)))
    assert any(address in str(caught.value) for address in addresses)
    assert not hasattr(model, "estimator_")


@pytest.mark.slow
def test_a_worker_that_does_not_answer_is_named(workers, X):
    """It neither dies nor goes on: only the time limit tells."""
    client = workers(2)
    rows = da.from_array(np.tile(X, (10, 1)), chunks=(6000, 8))
    estimator = AutoencoderTransformer(2, max_iter=1000, tol=0, random_state=0)
    model = DaskTransformer(estimator, client, max_restarts=0, timeout=5)
    processes = client.run(os.getpid)
    address, process = next(iter(processes.items()))
    frozen = threading.Timer(25, os.kill, (process, signal.SIGSTOP))
    frozen.start()
    start = time.monotonic()
    try:
        with pytest.raises(WorkerLostError, match=f"{address} did not answer within 5 seconds"):
            model.fit(rows)
    finally:
        frozen.join()
        os.kill(process, signal.SIGCONT)
    assert time.monotonic() - start < 25 + LIMIT


@pytest.mark.slow
def test_a_worker_that_comes_takes_part(workers, X):
    client = workers(1)
    rows = da.from_array(np.tile(X, (10, 1)), chunks=(6000, 8))
    estimator = AutoencoderTransformer(2, max_iter=60, tol=0, n_iter_no_change=1000, random_state=0)
    grown = threading.Timer(10, client.cluster.scale, (2,))
    grown.start()
    model = DaskTransformer(estimator, client).fit(rows)
    grown.join()
    assert model.n_restarts_ == 0
    assert model.estimator_.n_iter_ == 60


@pytest.mark.slow
def test_no_partition_comes_to_the_client(workers):
    """Rows of 400 MB are made, measured and trained on by workers; the client grows by far less."""
    psutil = pytest.importorskip("psutil")
    client = workers(2)
    rows = da.random.default_rng(0).standard_normal((1_000_000, 100), chunks=(100_000, -1), dtype=np.float32)
    estimator = AutoencoderTransformer(4, max_iter=1, hidden_layer_sizes=(16,), batch_size=8192)
    DaskTransformer(estimator, client).fit(rows[:2000])
    own = psutil.Process()
    before, most, is_over = own.memory_info().rss, 0, threading.Event()

    def watch():
        nonlocal most
        while not is_over.wait(0.05):
            most = max(most, own.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    DaskTransformer(estimator, client).fit(rows)
    is_over.set()
    watching.join()
    assert most - before < 100e6


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_two_fits_at_once_on_workers_that_are_processes(workers, X, threads):
    client = workers(2, threads)
    rows = da.from_array(X, chunks=(1500, 8))
    estimator = AutoencoderTransformer(2, max_iter=10, random_state=0)
    models = [DaskTransformer(estimator, client) for _ in range(3)]
    fits = [threading.Thread(target=model.fit, args=(rows,)) for model in models]
    for each in fits:
        each.start()
    for each in fits:
        each.join(timeout=5 * LIMIT)
    assert [model.n_restarts_ for model in models] == [0, 0, 0]


@pytest.mark.slow
def test_a_fitted_estimator_needs_no_dask(workers, X, tmp_path):
    import subprocess
    import sys

    estimator = AutoencoderTransformer(2, max_iter=2, random_state=0)
    model = DaskTransformer(estimator, workers(2)).fit(da.from_array(X, chunks=(1500, 8)))
    file = tmp_path / "model.pickle"
    file.write_bytes(pickle.dumps((model.estimator_, X[:5])))
    code = (
        "import pickle, sys; from pathlib import Path; "
        f"model, X = pickle.loads(Path({str(file)!r}).read_bytes()); model.transform(X); "
        "sys.exit('dask' in sys.modules or 'distributed' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
