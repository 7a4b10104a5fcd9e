"""Steps of much work are the same in parts, whoever computes them, and leave no thread behind."""

import threading
from functools import partial

import pytest
import torch
from small_fits import squared

from skae import _computing
from skae._computing import threads
from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import BatchTopK, Bottleneck, Gaussian, Logistic, Rectified, TopK
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.objectives.corruption import Masking
from skae.objectives.penalties import (
    ActivityKL,
    ActivityL1,
    ActivityL2,
    Divergence,
    Nonlinearity,
    WeightL1,
)
from skae.training import Schedule, threaded
from skae.training import stack as stack_module
from skae.training.batches import InMemory
from skae.training.dense_gradient import can_differentiate
from skae.training.loop import Run, train
from skae.training.stack import StackedStep
from skae.training.steps import Pair, StepSettings
from skae.training.threaded import member_parts, row_parts

N_ROWS, N_FEATURES = 23, 6


class OwnL1(ActivityL1):
    """A penalty that says nothing of parts of rows."""


class OwnBottleneck(Bottleneck):
    """One that shows each row the mean of all."""

    def forward(self, pre, draw=None):
        return pre - pre.mean(0)


@pytest.fixture(params=[1, 2, 5])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def any_work(monkeypatch):
    """Let steps of any size be divided, into as many parts as there are threads."""
    for module in (threaded, stack_module):
        monkeypatch.setattr(module, "ROWS_FROM", 0)
        monkeypatch.setattr(module, "MEMBERS_FROM", 0)
    for name in ("_ALL_FROM", "_LEAST_WORK"):
        monkeypatch.setattr(threaded, name, 1)
    monkeypatch.setattr(threaded, "_LEAST_ROWS", 4)


@pytest.fixture
def never(monkeypatch):
    """Return what keeps steps whole from now on."""

    def never():
        for name in ("ROWS_FROM", "MEMBERS_FROM"):
            monkeypatch.setattr(stack_module, name, 10**12)

    return never


def pair_of(seed=0, bottleneck=Bottleneck, loss="squared_error", penalties=None, **objective):
    generator = torch.Generator().manual_seed(seed)
    network = Blueprint(Dense((7, 4)), bottleneck, 2).build(N_FEATURES, generator, None)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    cell = LOSSES[loss]
    reconstruction = (
        squared() if loss == "squared_error" else Reconstruction(cell.cell, "logistic", cell.from_output)
    )
    return Pair(network, Objective(reconstruction, penalties, **objective)).double()


def stack_of(*pairs):
    settings = [StepSettings(Schedule(), 0.01, 0.1, 1.0, torch.Generator().manual_seed(3)) for _ in pairs]
    return StackedStep(pairs, settings, can_differentiate(pairs[0].network, pairs[0].objective))


def batch_of(seed, weight=None, gaps=False):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    if gaps:
        rows[2, 3] = rows[11, :4] = torch.nan
    if weight == "some zero":
        weight = (torch.rand(N_ROWS, 1, generator=generator, dtype=torch.float64) - 0.4).clamp_min(0)
    elif weight == "all zero":
        weight = torch.zeros(N_ROWS, 1, dtype=torch.float64)
    return Batch(rows, rows, weight)


def run(steps, batches_of, n_steps=4):
    """Return the terms of some steps, and the parameters after them."""
    n_members = len(steps.schedules)
    terms = [
        steps([batches_of(10 * number + member) for member in range(n_members)], [0.5] * n_members)
        for number in range(n_steps)
    ]
    values = steps.stack.values.clone()
    steps.close()
    return terms, values


def assert_same(found, expected, **tolerance):
    for one, other in zip(found[0], expected[0], strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], **tolerance)
    torch.testing.assert_close(found[1], expected[1], **tolerance)


def masked():
    return {"corruption": Masking(torch.full((N_FEATURES,), 0.3), torch.arange(N_FEATURES)), "emphasis": 0.8}


OBJECTIVES = {
    "squared error": dict,
    "corruption and emphasis": masked,
    "cross-entropy": lambda: {"loss": "binary_crossentropy"},
    "sparse": lambda: {"penalties": {"a": ActivityL1(0.1), "b": ActivityL2(0.2), "c": WeightL1(0.01)}},
    "variational": lambda: {"bottleneck": partial(Gaussian, 2), "penalties": {"kl": Divergence(0.3)}},
}


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("weight", [None, "some zero", "all zero"])
@pytest.mark.parametrize("settings", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_parts_of_rows_give_the_step_of_all(settings, weight, n_threads, never):
    def steps():
        return stack_of(pair_of(**settings()))

    divided = steps()
    found = run(divided, lambda seed: batch_of(seed, weight))
    assert len(divided.divided.parts) == max(2, n_threads)
    never()
    whole = steps()
    expected = run(whole, lambda seed: batch_of(seed, weight))
    assert whole.divided is None
    assert_same(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("any_work")
def test_gaps_count_in_no_part(n_threads, never):
    def steps():
        pair = pair_of()
        pair.objective.has_gaps = True
        return stack_of(pair)

    def batches(seed):
        batch = batch_of(seed, gaps=True)
        return batch._replace(inputs=batch.inputs.nan_to_num())

    found = run(steps(), batches)
    never()
    assert_same(found, run(steps(), batches), rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_threads", [2], indirect=True)
@pytest.mark.parametrize(
    "penalty",
    [ActivityKL(0.1, 0.1), Divergence(0.1, free_bits=0.1), Nonlinearity(0.1), OwnL1(0.1)],
    ids=lambda penalty: type(penalty).__name__,
)
def test_what_is_measured_of_the_whole_batch_keeps_it_whole(penalty, n_threads):
    bottleneck = partial(Gaussian, 2) if isinstance(penalty, Divergence) else Bottleneck
    steps = stack_of(pair_of(bottleneck=bottleneck, penalties={"own": penalty}))
    run(steps, batch_of)
    assert steps.divided is None


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_threads", [2], indirect=True)
@pytest.mark.parametrize(
    ("bottleneck", "divides"),
    [
        (Bottleneck, True),
        (partial(TopK, 1), True),
        (partial(BatchTopK, 1), False),
        (Rectified, True),
        (Logistic, True),
        (OwnBottleneck, False),
        (partial(Gaussian, 2), True),
    ],
)
def test_rows_are_divided_whose_codes_do_not_depend_on_others(bottleneck, divides, n_threads, never):
    steps = stack_of(pair_of(bottleneck=bottleneck))
    batch = batch_of(0)
    if steps.stack.pairs[0].network.bottleneck.draws_codes:
        batch = batch._replace(draws={"code": torch.ones(N_ROWS, 2, dtype=torch.float64)})
    terms = steps([batch], [0.5])
    assert (steps.divided is not None) == divides
    never()
    whole = stack_of(pair_of(bottleneck=bottleneck))
    torch.testing.assert_close(terms, whole([batch], [0.5]))
    for each in (steps, whole):
        each.close()


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_threads", [2], indirect=True)
@pytest.mark.parametrize("coefficients", [[0, 0, 0.1, 0.1], [0.1, 0.1, 0, 0]], ids=str)
def test_penalties_may_weigh_nothing_in_some_models(coefficients, n_threads, never):
    def steps():
        return stack_of(
            *(
                pair_of(seed, penalties={"nonlinearity": Nonlinearity(coefficient)})
                for seed, coefficient in enumerate(coefficients)
            )
        )

    divided = steps()
    found = run(divided, batch_of)
    assert divided.divided is not None
    never()
    assert_same(found, run(steps(), batch_of), rtol=1e-12, atol=1e-14)


def test_several_draws_of_a_row_do_not_lie_beside_it():
    assert Gaussian(2).divides
    assert not Gaussian(2, n_draws=2).divides


def test_few_large_parts_are_left_to_openmp():
    much = 10**9
    assert member_parts(3, much, n_threads=16) == 1
    assert member_parts(16, much, n_threads=16) == 8
    assert row_parts(256, much, 1, n_threads=16) == 1
    assert row_parts(1024, much, 1, n_threads=16) == 8
    # Tables of gradients are bounded.
    assert row_parts(4096, much, 2**24, n_threads=16) == 4


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("weight", [None, "some zero"])
def test_models_have_the_same_numbers_in_any_number_of_threads(n_threads, weight, never, monkeypatch):
    monkeypatch.setattr(threaded, "_ALL_FROM", 10**12)

    def steps():
        return stack_of(*(pair_of(seed) for seed in range(5)))

    divided = steps()
    found = run(divided, lambda seed: batch_of(seed, weight))
    assert (divided.divided is None) == (n_threads == 1)
    never()
    assert_same(found, run(steps(), lambda seed: batch_of(seed, weight)), rtol=0, atol=0)


def in_two_parts(n_threads):
    """Return what a step of medium size gives on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return run(stack_of(pair_of()), batch_of)
    finally:
        torch.set_num_threads(before)


def test_medium_steps_are_the_same_on_any_number_of_threads(any_work, monkeypatch):
    monkeypatch.setattr(threaded, "_ALL_FROM", 10**12)
    one = in_two_parts(1)
    for n_threads in (2, 4):
        assert_same(in_two_parts(n_threads), one, rtol=0, atol=0)


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_threads_end_with_the_training(n_members, n_threads):
    before = set(threading.enumerate())
    steps = stack_of(*map(pair_of, range(n_members)))
    steps([batch_of(member) for member in range(n_members)], [0.5] * n_members)
    assert len(set(threading.enumerate()) - before) == 1
    steps.close()
    assert set(threading.enumerate()) == before


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_threads_end_with_an_error(n_threads, monkeypatch):
    before = set(threading.enumerate())
    steps = stack_of(pair_of())
    rows = batch_of(0).target

    def fail():
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(steps, "are_finite", fail)
    pair = steps.stack.pairs[0]
    run = Run(pair.network, pair.objective, InMemory(rows, N_ROWS, False), 3, torch.Generator())
    with pytest.raises(ZeroDivisionError):
        train([run], steps)
    assert steps.divided is not None
    assert set(threading.enumerate()) == before


@pytest.mark.usefixtures("any_work")
@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_parts_are_computed_with_one_thread_each(n_threads, monkeypatch):
    seen = []
    method = threaded.rows_of

    def noting(*arguments):
        seen.append(torch.get_num_threads())
        return method(*arguments)

    monkeypatch.setattr(threaded, "rows_of", noting)
    steps = stack_of(pair_of(**OBJECTIVES["cross-entropy"]()))
    # As in a fit of little work, and of much.
    for work in (0, _computing.ONE_THREAD_BELOW):
        with threads(work):
            steps([batch_of(0)], [0.5])
    steps.close()
    assert len(seen) == 4
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2
