import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skae.networks import Dense
from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import LINKS, LOSSES, Batch, Objective, Reconstruction, weighted_mean
from skae.objectives.corruption import Corruption
from skae.objectives.penalties import WeightL1


@pytest.fixture
def network(generator):
    encoder, decoder = Dense((4,)).build(3, 2, 2, generator)
    encoder.start_random(generator)
    decoder.start_random(generator)
    return Autoencoder(encoder, decoder, Bottleneck())


def reconstruction(name, link=None, **units):
    loss = LOSSES[name]
    return Reconstruction(loss.cell, link or loss.links[0], loss.from_output, **units)


@pytest.mark.parametrize(
    ("name", "output", "target", "expected"),
    [
        ("squared_error", 3.0, 1.0, 4.0),
        ("absolute_error", 3.0, 1.0, 2.0),
        ("huber", 0.5, 0.0, 0.25),  # as the squared error below 1
        ("huber", 3.0, 0.0, 5.0),  # 2 * (3 - 1/2) beyond
        ("binary_crossentropy", 0.0, 1.0, math.log(2)),
        ("poisson", math.log(2), 2.0, 0.0),  # a deviance: zero where the mean is the count
        ("poisson", 0.0, 0.0, 2.0),  # 2 * exp(0)
    ],
)
def test_losses_spelt_out(name, output, target, expected):
    value = reconstruction(name).cells(torch.tensor([[output]]), torch.tensor([[target]]))
    assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@given(st.floats(-50, 50), st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_losses_are_finite_and_have_finite_gradients(name, output, target):
    out = torch.tensor([[output]], requires_grad=True)
    loss = reconstruction(name).cells(out, torch.tensor([[target]]))
    loss.backward()
    assert loss.isfinite().all()
    assert out.grad.isfinite().all()
    assert loss >= -1e-5


@pytest.mark.parametrize("name", LINKS)
@given(st.floats(-1e4, 1e4))
@settings(deadline=None, max_examples=30)
def test_links_stay_within_their_range(name, output):
    link = LINKS[name]
    value = link.mean(torch.tensor(output)).item()
    assert link.lowest <= value <= link.highest
    assert math.isfinite(value)


def test_targets_are_in_the_units_of_the_link():
    units = {"centre": torch.tensor([0.5, 0.5]), "scale": 0.25}
    rows = torch.tensor([[2.0, -2.0]])
    assert torch.equal(reconstruction("squared_error", **units).target(rows), rows)
    expected = torch.tensor([[1.0, 0.0]])
    assert torch.equal(reconstruction("binary_crossentropy", **units).target(rows), expected)
    assert torch.equal(reconstruction("squared_error", "logistic", **units).target(rows), expected)


@pytest.mark.parametrize("shape", [(6,), (6, 3)])
def test_integer_weights_are_repetitions(shape, generator):
    values = torch.rand(shape, generator=generator)
    counts = torch.tensor([1, 2, 0, 3, 1, 1])
    repeated = values.repeat_interleave(counts, dim=0)
    torch.testing.assert_close(weighted_mean(values, counts[:, None].float()), repeated.mean())


def test_cells_without_weight_do_not_count(generator):
    values = torch.rand(4, 3, generator=generator)
    weight = torch.ones(4, 3)
    weight[0, 0] = 0
    expected = (values.sum() - values[0, 0]) / 11
    torch.testing.assert_close(weighted_mean(values, weight), expected)
    assert weighted_mean(torch.tensor(3.0), weight) == 3.0


def test_terms_have_names_and_coefficients(network, generator):
    penalty = WeightL1(0.5)
    objective = Objective(reconstruction("squared_error"), {"l1": penalty})
    x = torch.randn(5, 3, generator=generator)
    terms = objective(network, objective.prepare(Batch(x, x), network, generator))
    assert list(terms) == ["reconstruction", "l1"]
    torch.testing.assert_close(terms["reconstruction"], (network(x) - x).square().mean())
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Linear)]
    torch.testing.assert_close(terms["l1"], 0.5 * sum(w.abs().sum() for w in weights))


def test_corruption_changes_inputs_and_not_targets(network, generator):
    class Nothing(Corruption):
        def forward(self, inputs, generator, weight=None):
            return inputs * 0

    objective = Objective(reconstruction("squared_error"), corruption=Nothing())
    x = torch.ones(2, 3)
    batch = objective.prepare(Batch(x, x), network, generator)
    assert not batch.inputs.any()
    assert torch.equal(batch.target, x)
    # In use there is no corruption.
    assert objective.evaluate(network, Batch(x, x)).squared[0] == (network(x) - x).square().sum(1)[0]


def test_noise_of_inputs_leaves_targets_gaps_and_held_out_rows_alone(network, generator):
    objective = Objective(reconstruction("squared_error"))
    objective.input_noise, objective.has_gaps = 0.5, True
    rows = torch.zeros(2000, 3)
    rows[0, 0] = math.nan
    batch = objective.prepare(Batch(rows, rows), network, generator)
    noise = batch.inputs[1:]
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    assert noise.mean() == pytest.approx(0.0, abs=0.03)
    assert batch.inputs.isnan().nonzero().tolist() == [[0, 0]]
    assert not batch.target.any()
    clean = torch.ones(5, 3)
    errors = [objective.evaluate(network, Batch(clean, clean)).loss for _ in range(2)]
    torch.testing.assert_close(*errors, atol=0, rtol=0)
    objective.input_noise = 0.0
    torch.testing.assert_close(
        objective.evaluate(network, Batch(clean, clean)).loss, errors[0], atol=0, rtol=0
    )


def test_noise_of_inputs_is_no_corruption_that_emphasis_sees(network, generator):
    objective = Objective(reconstruction("squared_error"), emphasis=0.9)
    objective.input_noise = 0.5
    rows = torch.zeros(4, 3)
    weight = objective.prepare(Batch(rows, rows), network, generator).weight
    torch.testing.assert_close(weight, torch.full((4, 3), 0.1))


def test_errors_of_rows(network, generator):
    objective = Objective(reconstruction("absolute_error"))
    x = torch.randn(5, 3, generator=generator)
    errors = objective.evaluate(network, Batch(x, x))
    np.testing.assert_allclose(errors.loss, (network(x) - x).abs().mean(1).detach(), rtol=1e-6)
    np.testing.assert_allclose(errors.squared, (network(x) - x).square().sum(1).detach(), rtol=1e-6)


@pytest.mark.parametrize("weight", [None, torch.tensor([[2.0], [1.0]])])
def test_emphasis_weighs_cells_that_the_encoder_does_not_see_as_they_are(network, generator, weight):
    hidden = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    objective = Objective(
        reconstruction("squared_error"),
        corruption=Written(lambda rows: torch.where(hidden > 0, 0.0, rows)),
        emphasis=0.75,
    )
    x = torch.ones(2, 3)
    batch = objective.prepare(Batch(x, x, weight), network, generator)
    expected = torch.tensor([[0.75, 0.25, 0.25], [0.25, 0.75, 0.75]])
    torch.testing.assert_close(batch.weight, expected if weight is None else expected * weight)
    # Held-out rows are judged in the same manner.
    cells = (network(batch.inputs) - x).square().detach()
    errors = objective.evaluate(network, Batch(batch.inputs, x))
    torch.testing.assert_close(errors.loss, (cells * expected).sum(1) / expected.sum(1))
    torch.testing.assert_close(errors.squared, cells.sum(1))


class Written(Corruption):
    """A corruption that a test writes down, and what it was handed."""

    def __init__(self, function, makes_gaps=False):
        super().__init__()
        self.function, self.makes_gaps, self.seen = function, makes_gaps, []

    def adapt(self, rows, zeros):
        self.seen.append((rows, zeros))

    def forward(self, inputs, generator, weight=None):
        self.seen.append(weight)
        return self.function(inputs)


def test_a_corruption_is_told_where_the_zeros_of_the_data_lie_and_what_rows_weigh(generator):
    corruption = Written(lambda rows: rows)
    objective = Objective(
        reconstruction("squared_error", centre=torch.tensor([2.0, 4.0]), scale=2.0), corruption=corruption
    )
    rows, weight = torch.ones(3, 2), torch.rand(3, 1)
    objective.adapt(rows)
    objective.corrupt(rows, generator, weight)
    (measured, zeros), seen = corruption.seen
    assert measured is rows
    assert zeros.tolist() == [-1.0, -2.0]
    assert seen is weight


@pytest.mark.parametrize("makes_gaps", [False, True])
def test_gaps_stay_gaps_whatever_the_noise_does(generator, makes_gaps):
    rows = torch.tensor([[1.0, torch.nan, 3.0]])
    noisy = torch.tensor([[torch.nan, 5.0, 7.0]])
    objective = Objective(
        reconstruction("squared_error"), corruption=Written(lambda rows: noisy, makes_gaps=makes_gaps)
    )
    objective.has_gaps = True
    found = objective.corrupt(rows, generator)
    # Noise that hides cells is believed; other noise that has lost a cell to a gap gives it back.
    expected = noisy if makes_gaps else torch.tensor([[1.0, torch.nan, 7.0]])
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_cells_that_are_not_there_count_nowhere(network, generator):
    objective = Objective(reconstruction("squared_error"))
    objective.has_gaps = True
    target = torch.tensor([[1.0, torch.nan, 2.0], [torch.nan, torch.nan, torch.nan], [1.0, 1.0, 1.0]])
    inputs = torch.ones(3, 3)
    cells = (network(inputs) - target).square().detach()
    errors = objective.evaluate(network, Batch(inputs, target))
    torch.testing.assert_close(
        errors.loss, torch.stack([cells[0, [0, 2]].mean(), torch.tensor(0.0), cells[2].mean()])
    )
    torch.testing.assert_close(errors.squared, cells.nan_to_num().sum(1))
    batch = objective.prepare(Batch(inputs, target), network, generator)
    assert torch.equal(batch.weight, (~target.isnan()).float())
    terms = objective(network, batch)
    torch.testing.assert_close(terms["reconstruction"].detach(), cells.nansum() / 5)


def test_objectives_without_order_have_no_sizes(network):
    objective = Objective(reconstruction("squared_error"))
    assert objective.n_sizes == 0
    assert objective.missed_by_size(network, Batch(torch.ones(2, 3), torch.ones(2, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("name", "link", "output", "expected"),
    [
        ("squared_error", "logistic", 0.0, 0.25),
        ("squared_error", "exp", 0.0, 0.0),
        ("squared_error", "relu", -3.0, 1.0),
        ("binary_crossentropy", "logistic", math.log(3), math.log(4 / 3)),
    ],
)
def test_losses_are_between_the_target_and_what_the_link_makes_of_the_output(name, link, output, expected):
    loss = reconstruction(name, link).cells(torch.tensor([[output]]), torch.ones(1, 1))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
