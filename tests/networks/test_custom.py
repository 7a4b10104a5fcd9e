import pytest
import torch
from torch import nn

from skae.networks import Custom


def test_modules_are_copied_and_start_as_nothing(generator):
    pair = Custom(nn.Linear(5, 2), nn.Linear(2, 5))
    encoder, decoder = pair.build(5, 2, 2, generator)
    x = torch.randn(3, 5, generator=generator)
    assert encoder.module is not pair.encoder
    assert not encoder(x).any()
    decoder.start_random(generator)
    z = torch.randn(3, 2, generator=generator)
    torch.testing.assert_close(decoder(z), pair.decoder(z))


def test_gains_are_learnt(generator):
    encoder, _ = Custom(nn.Linear(5, 2), nn.Linear(2, 5)).build(5, 2, 2, generator)
    encoder(torch.ones(1, 5)).sum().backward()
    assert encoder.gain.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        (
            (nn.Linear(5, 3), nn.Linear(2, 5)),
            ValueError,
            r"encoder must map \(n, 5\) to \(n, 2\), but it gave \(2, 3\)",
        ),
        (
            (nn.Linear(4, 2), nn.Linear(2, 5)),
            ValueError,
            r"encoder must map .* fails on an input of shape \(2, 5\)",
        ),
        (
            (nn.Linear(5, 2), nn.Linear(2, 6)),
            ValueError,
            r"decoder must map \(n, 2\) to \(n, 5\), but it gave \(2, 6\)",
        ),
        ((nn.Linear(5, 2), "decoder"), TypeError, "the decoder is a str"),
    ],
)
def test_modules_that_do_not_fit_are_named(pair, error, message, generator):
    with pytest.raises(error, match=message):
        Custom(*pair).build(5, 2, 2, generator)
