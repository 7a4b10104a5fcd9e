"""Penalties on codes: values spelt out, finite gradients, warm-up, and who is judged by them."""

import math
from types import SimpleNamespace

import pytest
import torch

from skae.networks import Dictionary
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import JumpReLU, Rectified
from skae.objectives import LOSSES, Batch, Objective, Pass, Reconstruction
from skae.objectives.penalties import (
    ActiveCount,
    ActivityKL,
    ActivityL1,
    ActivityL2,
    AuxK,
    Contraction,
    GateFit,
    GateL1,
    Resample,
)

X = torch.ones(2, 4)  # the root of four columns is 2
CODE = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])


def passed(code, network=None, target=X, output=X, pre=None):
    return Pass(network, Batch(X, target), code if pre is None else pre, code, output)


def test_values():
    assert ActivityL1(1.0)(passed(CODE)).tolist() == [2.0, 0.0]  # (1 + 3) / 2
    assert ActivityL2(1.0)(passed(CODE)).tolist() == [2.5, 0.0]  # (1 + 9) / 4
    # A code that is on as often as wanted costs nothing; one that is on half as often costs
    # 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75).
    code = torch.tensor([[0.5, 0.5], [0.5, 0.0]])
    expected = (0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2
    assert float(ActivityKL(1.0, 0.5)(passed(code))) == pytest.approx(expected)


@pytest.mark.parametrize("penalty", [ActivityL1(1.0), ActivityL2(1.0), ActivityKL(1.0, 0.1)])
def test_gradients_are_finite_at_the_ends(penalty):
    code = torch.tensor([[0.0, 1.0], [0.0, 1.0]], requires_grad=True)
    penalty(passed(code)).sum().backward()
    assert code.grad.isfinite().all()


@pytest.fixture
def parts(generator):
    encoder, decoder = Dictionary().build(4, 6, 6, generator)
    encoder.start_random(generator)
    loss = LOSSES["squared_error"]
    reconstruction = Reconstruction(loss.cell, "identity", loss.from_output)
    objective = Objective(reconstruction, {"l1": ActivityL1(2.0)})
    return Autoencoder(encoder, decoder, Rectified()), objective


def test_the_coefficient_rises_over_a_tenth_of_training(parts, generator):
    network, objective = parts
    rows = torch.randn(20, 4, generator=generator)

    def value():
        batch = objective.prepare(Batch(rows, rows), network, generator)
        return float(objective(network, batch)["l1"].detach())

    values = []
    for objective.progress in (0.0, 0.05, 0.1, 1.0):
        values.append(value())
    assert values[0] == 0
    assert values[1] == pytest.approx(values[3] / 2)
    assert values[2] == pytest.approx(values[3])
    objective.progress, objective.warms_up = 0.0, False
    assert value() == pytest.approx(values[3])


def test_held_out_rows_are_judged_by_the_penalty_too(parts, generator):
    network, objective = parts
    rows = torch.randn(20, 4, generator=generator)
    errors = objective.evaluate(network, Batch(rows, rows))
    expected = (network(rows) - rows).square().mean(1) + 2.0 * network.encode(rows).sum(1) / 2
    torch.testing.assert_close(errors.loss, expected.detach())


def test_the_dead_learn_from_what_is_left_over(parts):
    network, _ = parts
    auxiliary = AuxK(6, 2)
    auxiliary.adapt(torch.zeros(3, 4))
    code = torch.zeros(2, 6)
    code[:, 0] = 1.0
    pre = torch.ones(2, 6, requires_grad=True)
    output = torch.zeros(2, 4)
    # Two rows without the others is less than an epoch of three rows: nobody is dead yet.
    assert not auxiliary(passed(code, network, output=output, pre=pre)).any()
    value = auxiliary(passed(code, network, output=output, pre=pre)).sum()
    value.backward()
    assert value > 0
    assert not pre.grad[:, 0].any()  # the living get no gradient
    assert pre.grad[:, 1:].any()


def test_active_codes_are_counted(parts):
    network, _ = parts
    network.bottleneck = JumpReLU(3, 1)
    with torch.no_grad():
        network.bottleneck.log_threshold.copy_(torch.tensor([1.0, 2.0, 3.0]).log())
    pre = torch.tensor([[1.5, 2.5, 2.5], [0.0, 0.0, 9.0]])
    assert ActiveCount(1.0)(passed(CODE, network, pre=pre)).tolist() == [2, 1]


def test_gates_are_pushed_down_and_fitted_without_teaching_the_atoms(parts):
    network, _ = parts
    pre = torch.tensor([[2.0, -3.0, 0, 0, 0, 0]], requires_grad=True)
    row = torch.ones(1, 4)
    through = Pass(network, Batch(row, row), pre, pre, row)
    assert GateL1(1.0)(through).tolist() == [1.0]  # 2 over the root of four columns
    value = GateFit()(through)
    atom = network.decoder.weight[:, 0].detach()
    torch.testing.assert_close(value, (2 * atom - 1).square().mean()[None])
    value.sum().backward()
    assert pre.grad[0, 0] != 0
    assert network.decoder.directions.grad is None


def test_the_dead_start_again_once_an_epoch_and_not_at_the_end(parts):
    network, _ = parts
    revival = Resample(6)
    revival.adapt(torch.zeros(4, 4))
    code = torch.zeros(2, 6)
    code[:, 0] = 1.0
    output = torch.zeros(2, 4)
    start = network.decoder.weight.detach().clone()

    def epoch(progress):
        for _ in range(2):
            revival.renew(network, progress, revival.watch(passed(code, network, output=output)))
        return network.decoder.weight.detach()

    assert not revival.state_dict()
    assert torch.equal(epoch(0.9), start)
    after = epoch(0.5)
    torch.testing.assert_close(after[:, 0], start[:, 0])  # in use
    # One for each row of the last batch, where all four columns miss one.
    torch.testing.assert_close(after[:, 1:3], torch.full((4, 2), 0.5))
    torch.testing.assert_close(after[:, 3:], start[:, 3:])


@pytest.mark.parametrize("gaps", [False, True], ids=["weights", "gaps"])
def test_the_dead_start_again_at_what_is_left_of_cells_that_count(parts, gaps):
    network, _ = parts
    revival = Resample(6)
    revival.adapt(torch.zeros(2, 4))
    code = torch.zeros(2, 6)
    code[:, 0] = 1.0
    start = network.decoder.weight.detach().clone()
    # All four cells are missed by one, but in the first row the first cell is not there, and the second row
    # has none that is.
    there = torch.tensor([[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    if gaps:
        batch = Batch(X, X.where(there > 0, torch.nan))
    else:
        batch = Batch(X, X, there)
    watched = revival.watch(Pass(network, batch, code, code, torch.zeros(2, 4)))
    revival.renew(network, 0.5, watched)
    after = network.decoder.weight.detach()
    torch.testing.assert_close(after[:, 1], torch.tensor([0.0, 1.0, 1.0, 1.0]) / 3**0.5)
    # Nothing starts at a row of which nothing counts.
    torch.testing.assert_close(after[:, [0, 2, 3, 4, 5]], start[:, [0, 2, 3, 4, 5]])


@pytest.mark.parametrize(
    "weight", [torch.tensor([[3.0], [1.0]]), torch.tensor([[3.0, 3, 3, 3], [2, 0, 0, 2]])]
)
def test_how_often_codes_are_on_is_weighted(weight):
    code = torch.tensor([[0.2, 0.6], [0.4, 0.8]])
    weighted = Pass(None, Batch(X, X, weight), code, code, X)
    # A row weighs as much as its cells do in the mean: three and one.
    repeated = code[[0, 0, 0, 1]]
    expected = ActivityKL(1.0, 0.3)(passed(repeated))
    torch.testing.assert_close(ActivityKL(1.0, 0.3)(weighted), expected)


def test_contraction_is_the_mean_over_columns_of_what_is_measured(generator):
    asked = []

    def measure(network, rows, there, *signs):
        asked.append((rows, there, *signs))
        return rows.sum(1)

    rows = torch.randn(3, 4, generator=generator)
    network = SimpleNamespace(filled=lambda rows: (rows, None))
    handed = Pass(network, Batch(rows, rows), rows, rows, rows)
    exact = Contraction(1.0, 2, measure, is_exact=True)
    assert exact.draw(rows, generator) is None
    torch.testing.assert_close(exact(handed), rows.sum(1) / 4)
    assert asked.pop() == (rows, None)
    drawn = Contraction(1.0, 2, measure, is_exact=False)
    signs = drawn.draw(rows, generator)
    assert signs.shape == (3, 2)
    assert set(drawn.draw(rows.repeat(20, 1), generator).unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn(handed._replace(draw=signs)), rows.sum(1) / 4)
    assert asked.pop()[2] is signs
    # Rows are judged by the same signs every time.
    drawn(handed), drawn(handed)
    assert torch.equal(asked.pop()[2], asked.pop()[2])
    # Where gaps were filled before, they are not filled again.
    there = rows > 0
    handed = handed._replace(batch=Batch(rows, rows, filled=2 * rows, there=there))
    torch.testing.assert_close(exact(handed), 2 * rows.sum(1) / 4)
    assert asked.pop()[1] is there
