"""What happens to codes, spelt out; what a user gets is one answer a row."""

import math

import pytest
import torch

from skae.networks.bottlenecks import (
    CODE_ACTIVATIONS,
    BatchTopK,
    Binary,
    Bottleneck,
    Gated,
    Gaussian,
    JumpReLU,
    Logistic,
    Rectified,
    TopK,
)

# Two rows of three codes.
PRE = torch.tensor([[3.0, -1.0, 2.0], [0.5, 1.0, -2.0]])


def test_the_plain_code_is_passed_on():
    bottleneck = Bottleneck()
    assert bottleneck(PRE) is PRE
    assert bottleneck.read(PRE) is PRE
    assert bottleneck.n_inputs == 1
    assert bottleneck.draw(2, torch.Generator()) is None


def test_codes_that_are_not_negative():
    assert Rectified().read(PRE).tolist() == [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]
    assert Logistic().read(torch.tensor([[0.0, math.log(3)]])).tolist() == [[0.5, pytest.approx(0.75)]]
    assert type(CODE_ACTIVATIONS["logistic"]()) is Logistic
    assert type(CODE_ACTIVATIONS["identity"]()) is Bottleneck


# ---------------------------------------------------------------------- the largest


@pytest.mark.parametrize(
    ("n_active", "expected"),
    [
        (1, [[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        (2, [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]),
        (3, [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]),
        (9, [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]),
    ],
)
def test_the_largest_codes_of_each_row_are_kept(n_active, expected):
    assert TopK(n_active).read(PRE).tolist() == expected
    assert TopK(n_active)(PRE).tolist() == expected


@pytest.mark.parametrize(
    ("n_active", "expected"),
    [
        # Two of the six: both of the first row.
        (1, [[3.0, 0.0, 2.0], [0.0, 0.0, 0.0]]),
        # Four of the six, and there are no more above zero.
        (2, [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]),
        (3, [[3.0, 0.0, 2.0], [0.5, 1.0, 0.0]]),
    ],
)
def test_the_largest_codes_of_a_batch_are_kept(n_active, expected):
    assert BatchTopK(n_active)(PRE).tolist() == expected


def test_the_threshold_is_the_running_mean_of_the_least_code_kept():
    bottleneck = BatchTopK(1)
    # Of a first batch it is the least code kept.
    bottleneck(PRE)
    assert bottleneck.threshold.item() == 2.0
    bottleneck(5 * PRE)
    assert bottleneck.threshold.item() == pytest.approx(0.99 * 2 + 0.01 * 10)
    # In use it stays, and a row's code does not depend on the other rows.
    assert bottleneck.read(PRE).tolist() == [[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert bottleneck.threshold.item() == pytest.approx(2.08)


def test_a_threshold_of_zero_is_one_that_was_measured():
    bottleneck = BatchTopK(2)
    bottleneck(torch.tensor([[-1.0, -2.0, -3.0]]))
    assert bottleneck.threshold.item() == 0.0
    bottleneck(torch.tensor([[5.0, 4.0, 3.0]]))
    assert bottleneck.threshold.item() == pytest.approx(0.04)


def test_thresholds_start_where_so_many_codes_are_above_them():
    bottleneck = BatchTopK(1)
    bottleneck.start(PRE)
    assert bottleneck.threshold.item() == 2.0
    # Where more codes are asked for than there are, or than lie above zero, nothing is below the threshold.
    bottleneck = BatchTopK(5)
    bottleneck.start(PRE)
    assert bottleneck.threshold.item() == 0.0
    assert bottleneck(PRE).tolist() == Rectified()(PRE).tolist()


def test_gradients_reach_the_codes_that_are_kept_alone():
    for bottleneck in (TopK(1), BatchTopK(1)):
        pre = torch.tensor([[3.0, 2.0, 1.0]], requires_grad=True)
        bottleneck(pre).sum().backward()
        assert pre.grad.tolist() == [[1.0, 0.0, 0.0]]


# ---------------------------------------------------------------------- gates and jumps


def test_a_gate_says_which_codes_are_on_and_a_line_how_large():
    bottleneck = Gated(3)
    assert bottleneck.read(PRE).tolist() == Rectified()(PRE).tolist()
    with torch.no_grad():
        bottleneck.log_stretch.copy_(torch.tensor([2.0, 1.0, 1.0]).log())
        bottleneck.shift.copy_(torch.tensor([1.0, 9.0, -3.0]))
    # 2 * 3 + 1; closed, although the line is at 8; below zero, although open. 2 / 2 + 1; 1 + 9; closed.
    torch.testing.assert_close(bottleneck.read(PRE), torch.tensor([[7.0, 0.0, 0.0], [2.0, 10.0, 0.0]]))


def jump(*thresholds):
    bottleneck = JumpReLU(len(thresholds), 1)
    with torch.no_grad():
        bottleneck.log_threshold.copy_(torch.tensor(thresholds).log())
    return bottleneck


def test_codes_jump_at_a_threshold_of_their_own():
    bottleneck = jump(2.0, 0.5, 2.5)
    assert bottleneck.active(PRE).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert bottleneck.read(PRE).tolist() == [[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert bottleneck.active(torch.tensor([[2.0, 0.5, 2.5]])).sum() == 0


def test_jumps_start_where_so_many_codes_are_above_them():
    bottleneck = JumpReLU(3, 1)
    bottleneck.start(PRE)
    torch.testing.assert_close(bottleneck.log_threshold.exp(), torch.full((3,), 2.0))
    bottleneck.start(-PRE.abs())
    # Not at zero, of which there is no logarithm.
    torch.testing.assert_close(bottleneck.log_threshold.exp(), torch.full((3,), 1e-6))


def test_thresholds_learn_from_the_codes_of_their_own_component():
    bottleneck = jump(2.0, 4.0)
    pre = torch.tensor([[2.1, 4.1], [2.1, 0.0], [0.0, 4.1]])
    (bottleneck.active(pre) * torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])).sum().backward()
    expected = torch.tensor([-(1.0 + 4) / 0.5 * 2, -(2.0 + 32) / 1.0 * 4])
    torch.testing.assert_close(bottleneck.log_threshold.grad, expected)


def test_thresholds_learn_from_codes_near_them():
    bottleneck = jump(2.0)
    # A quarter of the threshold wide: from 1.75 to 2.25.
    pre = torch.tensor([[1.7], [1.8], [2.2], [2.3]], requires_grad=True)
    active = bottleneck.active(pre)
    assert active[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    (active * torch.tensor([[1.0], [2.0], [3.0], [4.0]])).sum().backward()
    # Minus the gradients of the two over the width, times the slope of the exponential.
    assert bottleneck.log_threshold.grad.item() == pytest.approx(-(2 + 3) / 0.5 * 2)
    assert pre.grad is None
    (gradient,) = torch.autograd.grad(bottleneck.read(pre).sum(), pre)
    assert gradient[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]


# ---------------------------------------------------------------------- draws and bits


def test_the_divergence_spelt_out():
    bottleneck = Gaussian(2)
    with torch.no_grad():
        bottleneck.offset[1] = 1.0
    # Means 0 and 2, log-variances 0 and -1 + 1: KL is 0 and (4 + 1 - 1 - 0) / 2.
    posterior = bottleneck.posterior(torch.tensor([[0.0, 2.0, 0.0, -1.0]]))
    assert posterior.divergence().tolist() == [[0.0, 2.0]]
    assert posterior.moments().tolist() == [[0.0, 2.0, 0.0, 2.0, 0.0, 4.0]]
    # A variance of e^2 about 0: (e^2 - 1 - 2) / 2.
    wide = bottleneck.posterior(torch.tensor([[0.0, 0.0, 2.0, -1.0]])).divergence()
    torch.testing.assert_close(wide, torch.tensor([[(math.e**2 - 3) / 2, 0.0]]))


def test_draws_have_the_posterior_s_moments(generator):
    bottleneck = Gaussian(2, n_draws=3)
    pre = torch.tensor([[1.0, -1.0, 0.0, 2.0]]).repeat(5000, 1)
    code = bottleneck(pre, bottleneck.draw(5000, generator))
    assert code.shape == (15000, 2)
    torch.testing.assert_close(code.mean(0), torch.tensor([1.0, -1.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(code.var(0), torch.tensor([1.0, 7.39]), atol=0.3, rtol=0)
    assert torch.equal(bottleneck.read(pre), pre[:, :2])
    assert torch.equal(bottleneck(pre), pre[:, :2])
    assert bottleneck.n_inputs == 2


def test_variances_are_kept_within_bounds():
    posterior = Gaussian(1).posterior(torch.tensor([[0.0, 99.0], [0.0, -99.0]]))
    assert posterior.log_variance[:, 0].tolist() == [6.0, -12.0]


def test_draws_are_those_of_the_generator_and_one_a_row_by_default(generator):
    bottleneck = Gaussian(3)
    draw = bottleneck.draw(4, generator)
    assert draw.shape == (4, 3)
    assert torch.equal(draw, bottleneck.draw(4, torch.Generator().manual_seed(0)))
    pre = torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, 2 * math.log(2)]]).repeat(4, 1)
    torch.testing.assert_close(bottleneck(pre, draw), pre[:, :3] + draw * torch.tensor([1.0, 1.0, 2.0]))


def test_several_draws_go_through_all_rows_before_the_next():
    bottleneck = Gaussian(1, n_draws=2)
    pre = torch.tensor([[10.0, 0.0], [20.0, 2 * math.log(3)]])
    code = bottleneck(pre, torch.tensor([[1.0], [1.0], [2.0], [2.0]]))
    torch.testing.assert_close(code[:, 0], torch.tensor([11.0, 23.0, 12.0, 26.0]))


def test_what_is_kept_of_a_distribution_is_its_first_components(generator):
    bottleneck = Gaussian(3)
    bottleneck.keep(2)
    pre = torch.tensor([[1.0, 2.0, 3.0, 0.0, 2.0, 4.0]])
    assert bottleneck.read(pre).tolist() == [[1.0, 2.0]]
    posterior = bottleneck.posterior(pre)
    assert posterior.mean.tolist() == [[1.0, 2.0]]
    assert posterior.log_variance.tolist() == [[0.0, 2.0]]
    assert bottleneck.draw(1, generator).shape == (1, 2)


@pytest.mark.parametrize(
    "bottleneck",
    [Binary(), Gaussian(3), TopK(2), BatchTopK(2), Gated(6), jump(*[0.3] * 6)],
    ids=["binary", "gaussian", "top k", "batch top k", "gated", "jump"],
)
def test_a_row_is_read_from_itself_alone(bottleneck, generator):
    pre = torch.randn(20, 6, generator=generator)
    torch.testing.assert_close(bottleneck.read(pre)[4:7], bottleneck.read(pre[4:7]))


def test_bits_pass_gradients_as_if_squashed():
    pre = torch.tensor([[-2.0, 0.0, 0.5]], requires_grad=True)
    code = Binary()(pre)
    assert code.tolist() == [[0.0, 0.0, 1.0]]
    code.sum().backward()
    squashed = pre.detach().sigmoid()
    torch.testing.assert_close(pre.grad, squashed * (1 - squashed))
