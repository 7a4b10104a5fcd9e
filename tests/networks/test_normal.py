"""The normal distribution in plain operations: that of torch."""

import pytest
import torch

from skae.networks import normal


def test_shares_are_those_of_torch():
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    torch.testing.assert_close(normal.share(x), torch.special.ndtr(x), atol=1e-11, rtol=0)
    assert normal.share(torch.tensor([float("nan")], dtype=torch.float64)).isnan().all()


@pytest.mark.parametrize("side", [0, 1])
def test_quantiles_are_those_of_torch(side):
    share = torch.logspace(-9, -0.3011, 2000, dtype=torch.float64)
    share = (side - share).abs()
    torch.testing.assert_close(normal.quantile(share), torch.special.ndtri(share), atol=1e-13, rtol=0)
    assert normal.quantile(torch.tensor([float("nan")], dtype=torch.float64)).isnan().all()
