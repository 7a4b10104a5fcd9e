"""Codes that are drawn or rounded: what a user gets is one answer a row."""

import pytest
import torch

from skae.networks.bottlenecks import Binary, Gaussian


def test_the_divergence_spelt_out():
    bottleneck = Gaussian(2)
    with torch.no_grad():
        bottleneck.offset[1] = 1.0
    # Means 0 and 2, log-variances 0 and -1 + 1: KL is 0 and (4 + 1 - 1 - 0) / 2.
    posterior = bottleneck.posterior(torch.tensor([[0.0, 2.0, 0.0, -1.0]]))
    assert posterior.divergence().tolist() == [[0.0, 2.0]]


def test_draws_have_the_posterior_s_moments(generator):
    bottleneck = Gaussian(2, n_draws=3)
    pre = torch.tensor([[1.0, -1.0, 0.0, 2.0]]).repeat(5000, 1)
    code = bottleneck(pre, bottleneck.draw(5000, generator))
    assert code.shape == (15000, 2)
    torch.testing.assert_close(code.mean(0), torch.tensor([1.0, -1.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(code.var(0), torch.tensor([1.0, 7.39]), atol=0.3, rtol=0)
    assert torch.equal(bottleneck.read(pre), pre[:, :2])
    assert torch.equal(bottleneck(pre), pre[:, :2])
    assert bottleneck.width(2) == 4


@pytest.mark.parametrize("bottleneck", [Binary(), Gaussian(3)], ids=["binary", "gaussian"])
def test_a_row_is_read_from_itself_alone(bottleneck, generator):
    pre = torch.randn(20, 6, generator=generator)
    torch.testing.assert_close(bottleneck.read(pre)[4:7], bottleneck.read(pre[4:7]))


def test_bits_pass_gradients_as_if_squashed():
    pre = torch.tensor([[-2.0, 0.0, 3.0]], requires_grad=True)
    code = Binary()(pre)
    assert code.tolist() == [[0.0, 0.0, 1.0]]
    code.sum().backward()
    squashed = pre.detach().sigmoid()
    torch.testing.assert_close(pre.grad, squashed * (1 - squashed))
