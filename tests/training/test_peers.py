"""Processes that train one model together: here they are threads, which is the same to them."""

import threading
import time

import pytest
import torch
from numpy.testing import assert_allclose

from skae.objectives.batch import Batch
from skae.training import InMemory
from skae.training.peers import Group, GroupPeers, PeerLostError, Shared, find_store, open_store


def together(function, size, timeout=20.0):
    """Call a function of a group in so many threads; return what each gives or raises."""
    store = open_store("127.0.0.1", timeout)
    found = [None] * size

    def run(rank):
        try:
            own = find_store("127.0.0.1", store.port, timeout) if rank else store
            found[rank] = function(Group(own, rank, size, "127.0.0.1", timeout))
        except Exception as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def squared_error(weights, rows):
    """Return the gradient of the mean of (row * weights) ** 2 by autograd, and the mean."""
    weights = weights.clone().requires_grad_()
    loss = (rows * weights).square().sum(1).mean()
    loss.backward()
    return weights.grad, loss.detach()


def test_the_average_gradient_is_that_of_all_rows():
    rows, weights = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), torch.ones(3)
    parts = rows.split([7, 1, 2])

    def average(group):
        own = parts[group.rank]
        gradient, loss = squared_error(weights, own)
        terms = GroupPeers(group).average([gradient], {"reconstruction": loss}, Batch(own, own))
        return gradient, terms["reconstruction"]

    expected = squared_error(weights, rows)
    for gradient, loss in together(average, 3):
        assert_allclose(gradient, expected[0], rtol=1e-5)
        assert_allclose(loss, expected[1], rtol=1e-5)


def test_rows_count_by_their_weights():
    def average(group):
        own = torch.full((2, 1), float(group.rank))
        weight = torch.tensor([[3.0], [1.0]]) if group.rank else torch.tensor([[1.0], [1.0]])
        gradient = own[0].clone()
        GroupPeers(group).average([gradient], {"loss": own[0].clone()}, Batch(own, own, weight))
        return float(gradient)

    assert_allclose(together(average, 2), [4 / 6, 4 / 6])


def test_rows_of_no_weight_change_nothing():
    def average(group):
        own = torch.ones(1, 1)
        weight = torch.zeros(1, 1) if group.rank else None
        gradient = torch.tensor([float("nan") if group.rank else 2.0])
        GroupPeers(group).average([gradient], {"loss": gradient.clone()}, Batch(own, own, weight))
        return float(gradient)

    assert together(average, 2) == [2.0, 2.0]


def test_all_follow_the_first():
    def follow(group):
        values = [torch.full((2,), float(group.rank)), torch.full((3,), group.rank)]
        GroupPeers(group).follow(values)
        return [value.tolist() for value in values]

    assert together(follow, 3) == [[[0.0, 0.0], [0, 0, 0]]] * 3


def test_one_that_goes_is_missed_at_once():
    def go(group):
        if group.rank:
            return None
        start = time.monotonic()
        with pytest.raises(PeerLostError):
            group.add_up(torch.zeros(3))
        return time.monotonic() - start

    seconds, nothing = together(go, 2)
    assert nothing is None
    assert seconds < 10


def test_one_that_does_not_answer_is_waited_for_so_long():
    is_over = threading.Event()

    def wait(group):
        if group.rank:
            is_over.wait(20)
            return None
        start = time.monotonic()
        try:
            group.add_up(torch.zeros(3))
        except PeerLostError:
            return time.monotonic() - start
        finally:
            is_over.set()

    seconds, _ = together(wait, 2, timeout=1.0)
    assert 0.5 < seconds < 15


@pytest.mark.parametrize(("n_rows", "n_batches"), [(10, 5), (3, 7), (0, 4), (7, 7)])
def test_all_make_as_many_steps(n_rows, n_batches):
    rows = torch.arange(n_rows, dtype=torch.float32)[:, None] + 1
    own = InMemory(rows, 1)
    own.n_batches = min(n_batches, n_rows)
    batches = list(Shared(own, n_batches, torch.zeros(1, 1)).epoch(torch.Generator()))
    assert len(batches) == n_batches
    counted = [batch.target for batch in batches if batch.weight is None]
    assert sorted(torch.cat([torch.zeros(0, 1), *counted])[:, 0].tolist()) == rows[:, 0].tolist()
    assert all(float(batch.weight.sum()) == 0 for batch in batches if batch.weight is not None)
