"""A cluster for the quick tests, in this process, and one of processes for those that take longer."""

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="session")
def client():
    """Return a client of two workers in threads of this process."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def workers():
    """Return what starts a cluster of processes and gives its client."""
    begun = []

    def start(n_workers, threads_per_worker=1):
        cluster = distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            processes=True,
            dashboard_address=":0",
        )
        begun.extend([cluster, distributed.Client(cluster)])
        return begun[-1]

    yield start
    for each in reversed(begun):
        each.close()


@pytest.fixture(scope="session")
def X():
    """Return 6,000 rows that bend, in float32."""
    random = np.random.default_rng(0)
    rows = np.tanh(random.standard_normal((6000, 2)) @ random.standard_normal((2, 8)))
    return (rows + 0.05 * random.standard_normal(rows.shape)).astype(np.float32)
