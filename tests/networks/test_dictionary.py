"""Dictionaries: unit-norm atoms, a tied start, gradients across them; and the bottlenecks before."""

import pytest
import torch

from skae.networks import Dictionary
from skae.networks.bottlenecks import BatchTopK, Gated, JumpReLU, Logistic, Rectified, TopK


@pytest.fixture
def parts(generator):
    encoder, decoder = Dictionary().build(5, 8, 8, generator)
    encoder.start_random(generator)
    decoder.start_random(generator)
    return encoder, decoder


@pytest.fixture
def rows(generator):
    return torch.randn(30, 5, generator=generator) + torch.arange(5.0)


def test_atoms_have_norm_one_and_the_encoder_reads_along_them(parts, rows, generator):
    encoder, decoder = parts
    encoder.start_at(rows, TopK(2), generator)
    torch.testing.assert_close(decoder.weight.norm(dim=0), torch.ones(8))
    reader = encoder.layers.linear_layers()[-1].weight
    torch.testing.assert_close(torch.nn.functional.normalize(reader, dim=1), decoder.weight.T)


def test_atoms_start_near_rows_about_the_offset(parts, rows, generator):
    encoder, decoder = parts
    encoder.start_at(rows, TopK(2), generator)
    about = torch.nn.functional.normalize(rows - decoder.offset, dim=1)
    assert (about @ decoder.weight).max(0).values.min() > 0.97


@pytest.mark.parametrize(
    "bottleneck", [TopK(3), BatchTopK(3), Rectified(), Gated(8), JumpReLU(8, 3)], ids=repr
)
def test_no_other_strength_of_the_reader_fits_better_at_the_start(parts, rows, generator, bottleneck):
    encoder, decoder = parts
    encoder.start_at(rows, bottleneck, generator)
    code = bottleneck.read(encoder(rows)).detach()
    errors = [float((decoder(factor * code).detach() - rows).square().sum()) for factor in (0.9, 1.0, 1.1)]
    assert errors[1] == min(errors)


def test_more_atoms_than_rows_and_rows_that_are_all_alike(generator):
    encoder, decoder = Dictionary().build(5, 8, 8, generator)
    encoder.start_at(torch.ones(3, 5), TopK(2), generator)
    assert decoder.weight.isfinite().all()
    torch.testing.assert_close(decoder.weight.norm(dim=0), torch.ones(8))
    assert torch.linalg.matrix_rank(decoder.weight) == 5  # no two are the same


def test_components_start_again_at_what_is_left(parts, rows, generator):
    encoder, decoder = parts
    encoder.start_at(rows, TopK(2), generator)
    before = decoder.weight.detach().clone()
    left = torch.tensor([[3.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0]])
    alive = torch.tensor([True] * 6 + [False] * 2)
    encoder.start_again(torch.tensor([6, 7]), left, alive)
    torch.testing.assert_close(decoder.weight[:, 6], torch.eye(5)[0])
    # Nothing is left of the second row, so nothing can be learnt from it; the living stay.
    torch.testing.assert_close(decoder.weight[:, 7], before[:, 7])
    torch.testing.assert_close(decoder.weight[:, :6], before[:, :6])
    reader = encoder.layers.linear_layers()[-1].weight
    torch.testing.assert_close(reader[6].norm(), reader[:6].norm(dim=1).mean())


def test_the_gradient_has_no_part_along_the_atoms(parts, generator):
    _, decoder = parts
    decoder(torch.randn(10, 8, generator=generator)).square().sum().backward()
    along = (decoder.directions.grad * decoder.directions).sum(0)
    torch.testing.assert_close(along, torch.zeros(8), atol=1e-4, rtol=0)


def test_the_offset_starts_at_the_geometric_median(parts, generator):
    encoder, decoder = parts
    # Four rows at zero and one far away: the mean is at 20, the geometric median stays.
    rows = torch.zeros(5, 5)
    rows[0] = 100.0
    decoder.place(rows, generator)
    assert decoder.offset.abs().max() < 2
    # The encoder sees rows less the offset.
    assert encoder(decoder.offset[None].detach()).abs().max() < 1e-5


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_deep_encoders_keep_one_layer_of_atoms(hidden, rows, generator):
    encoder, decoder = Dictionary(hidden).build(5, 8, 8, generator)
    encoder.start_random(generator)
    encoder.start_at(rows, TopK(2), generator)
    encoder.start_again(torch.tensor([1]), rows[:1], torch.ones(8, dtype=torch.bool))
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


@pytest.mark.parametrize(
    "bottleneck", [Rectified(), Logistic(), TopK(2), BatchTopK(2), Gated(6), JumpReLU(6, 2)], ids=repr
)
def test_read_is_of_each_row_alone(bottleneck, generator):
    pre = torch.randn(30, 6, generator=generator)
    bottleneck(pre)
    together = bottleneck.read(pre)
    alone = torch.cat([bottleneck.read(row[None]) for row in pre])
    torch.testing.assert_close(together, alone)
    assert (together >= 0).all()


def test_thresholds_start_where_so_many_are_kept(generator):
    pre = torch.randn(200, 10, generator=generator)
    for bottleneck in (BatchTopK(2), JumpReLU(10, 2)):
        bottleneck.start(pre)
        assert float((bottleneck.read(pre) > 0).sum(1).float().mean()) == pytest.approx(2, abs=0.02)
    # More than are positive: all that are positive.
    bottleneck = JumpReLU(10, 10)
    bottleneck.start(pre)
    torch.testing.assert_close(bottleneck.read(pre), pre.relu())


def test_a_gate_opens_and_its_code_has_a_size_of_its_own():
    bottleneck = Gated(3)
    with torch.no_grad():
        bottleneck.shift.copy_(torch.tensor([1.0, 1.0, -5.0]))
        bottleneck.log_stretch.copy_(torch.tensor([2.0, 1.0, 1.0]).log())
    # open and stretched; closed although its size would be one; open, but its size would be negative
    assert bottleneck.read(torch.tensor([[2.0, -0.5, 3.0]])).tolist() == [[5.0, 0.0, 0.0]]


def test_the_reconstruction_does_not_reach_the_gates_but_the_sizes():
    bottleneck = Gated(1)
    pre = torch.tensor([[2.0]], requires_grad=True)
    bottleneck(pre).sum().backward()
    assert bottleneck.shift.grad.item() == 1
    assert bottleneck.log_stretch.grad.item() == 2
    assert pre.grad.item() == 1  # through the size alone, as if the gate were a constant


def test_a_jump_keeps_what_it_keeps_and_tells_thresholds_near_it():
    bottleneck = JumpReLU(2, 1)
    with torch.no_grad():
        bottleneck.log_threshold.copy_(torch.tensor([1.0, 1.0]).log())
    pre = torch.tensor([[1.05, 2.0], [0.95, 0.5]], requires_grad=True)
    code = bottleneck(pre)
    torch.testing.assert_close(code, torch.tensor([[1.05, 2.0], [0.0, 0.0]]))
    code.sum().backward()
    assert pre.grad.tolist() == [[1, 1], [0, 0]]
    # A higher threshold would cost the near codes of the first component, over the kernel's width;
    # the second has none that are near.
    expected = -(1.05 + 0.95) / bottleneck.bandwidth
    assert bottleneck.log_threshold.grad.tolist() == pytest.approx([expected, 0.0])
