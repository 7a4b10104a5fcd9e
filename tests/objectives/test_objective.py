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


def test_errors_of_rows(network, generator):
    objective = Objective(reconstruction("absolute_error"))
    x = torch.randn(5, 3, generator=generator)
    errors = objective.evaluate(network, Batch(x, x))
    np.testing.assert_allclose(errors.loss, (network(x) - x).abs().mean(1).detach(), rtol=1e-6)
    np.testing.assert_allclose(errors.squared, (network(x) - x).square().sum(1).detach(), rtol=1e-6)
