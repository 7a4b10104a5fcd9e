"""Dictionaries: unit-norm atoms, a tied start, gradients across them; and the bottlenecks before."""

import pytest
import torch

from skae.networks import Dictionary
from skae.networks.bottlenecks import BatchTopK, Logistic, Rectified, TopK


@pytest.fixture
def parts(generator):
    encoder, decoder = Dictionary().build(5, 8, 8, generator)
    encoder.start_random(generator)
    decoder.start_random(generator)
    return encoder, decoder


def test_atoms_have_norm_one_and_the_encoder_reads_along_them(parts):
    encoder, decoder = parts
    torch.testing.assert_close(decoder.weight.norm(dim=0), torch.ones(8))
    torch.testing.assert_close(encoder.layers.linear_layers()[-1].weight, decoder.weight.T)


def test_the_gradient_has_no_part_along_the_atoms(parts, generator):
    _, decoder = parts
    decoder(torch.randn(10, 8, generator=generator)).square().sum().backward()
    along = (decoder.directions.grad * decoder.directions).sum(0)
    torch.testing.assert_close(along, torch.zeros(8), atol=1e-4, rtol=0)


def test_the_offset_starts_at_the_geometric_median(parts):
    encoder, decoder = parts
    # Four rows at zero and one far away: the mean is at 20, the geometric median stays.
    rows = torch.zeros(5, 5)
    rows[0] = 100.0
    decoder.measure(rows)
    assert decoder.offset.abs().max() < 2
    # The encoder sees rows less the offset.
    assert encoder(decoder.offset[None].detach()).abs().max() < 1e-5


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_deep_encoders_keep_one_layer_of_atoms(hidden, generator):
    encoder, decoder = Dictionary(hidden).build(5, 8, 8, generator)
    encoder.start_random(generator)
    assert encoder(torch.zeros(2, 5)).shape == (2, 8)
    assert decoder(torch.zeros(2, 8)).shape == (2, 5)


def test_top_k_keeps_the_largest_positive():
    pre = torch.tensor([[3.0, -5.0, 1.0, 2.0], [-1.0, -2.0, 4.0, -3.0]])
    assert TopK(2).read(pre).tolist() == [[3, 0, 0, 2], [0, 0, 4, 0]]
    assert TopK(9).read(pre).tolist() == [[3, 0, 1, 2], [0, 0, 4, 0]]


def test_batch_top_k_shares_and_learns_a_threshold():
    bottleneck = BatchTopK(1)
    pre = torch.tensor([[3.0, -5.0, 1.0, 2.0], [-1.0, -2.0, 1.5, -3.0]])
    # one for each of two rows on average: the first row takes both
    assert bottleneck(pre).tolist() == [[3, 0, 0, 2], [0, 0, 0, 0]]
    assert float(bottleneck.threshold) == 2.0
    assert bottleneck.read(pre[1:]).tolist() == [[0, 0, 0, 0]]
    bottleneck(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert float(bottleneck.threshold) == pytest.approx(0.99 * 2 + 0.01 * 1)


@pytest.mark.parametrize("bottleneck", [Rectified(), Logistic(), TopK(2), BatchTopK(2)], ids=repr)
def test_read_is_of_each_row_alone(bottleneck, generator):
    pre = torch.randn(30, 6, generator=generator)
    bottleneck(pre)
    together = bottleneck.read(pre)
    alone = torch.cat([bottleneck.read(row[None]) for row in pre])
    torch.testing.assert_close(together, alone)
    assert (together >= 0).all()
