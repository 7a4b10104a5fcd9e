import pytest
import torch
from torch import nn

from skae.networks import Dense
from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.training import OPTIMIZERS, GradientStep, LBFGSStep, Schedule
from skae.training.steps import parameter_groups


@pytest.fixture
def parts(generator):
    encoder, decoder = Dense((8,), activation="tanh").build(4, 2, 2, generator)
    network = Autoencoder(encoder, decoder, Bottleneck(), *linear_path(4, 2, 2, tied=False))
    nn.init.normal_(network.linear_encoder.weight, generator=generator)
    objective = Objective(Reconstruction(LOSSES["squared_error"].cell, "identity"))
    x = torch.randn(64, 4, generator=generator)
    return network, objective, Batch(x, x)


def gradient_step(network, objective, **changes):
    options = {
        "optimizer": "adam",
        "schedule": Schedule(),
        "rate": 0.01,
        "weight_decay": 0.0,
        "gradient_clip": 1.0,
        "noise": torch.Generator(),
    }
    return GradientStep(network, objective, **(options | changes))


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "lbfgs"])
def test_steps_lower_the_loss(parts, optimizer):
    network, objective, batch = parts
    if optimizer == "lbfgs":
        step = LBFGSStep(network, objective, weight_decay=0.0, noise=torch.Generator())
    else:
        step = gradient_step(network, objective, optimizer=optimizer)
    losses = [step(batch, 0.0)["reconstruction"].item() for _ in range(60)]
    assert losses[-1] < 0.9 * losses[0]


def test_only_the_nonlinear_weights_decay(parts):
    network, objective, _ = parts
    decaying, free = parameter_groups(network, objective, 0.1)
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decaying["params"]} == {
        id(layer.weight) for part in (network.encoder, network.decoder) for layer in part.linear_layers()
    }


def test_decay_shrinks_weights(parts):
    network, objective, batch = parts
    before = network.encoder[0].weight.norm().item()
    step = gradient_step(network, objective, weight_decay=50.0)
    for _ in range(10):
        step(batch, 0.0)
    assert network.encoder[0].weight.norm().item() < 0.1 * before


def test_clipping_bounds_the_step(parts):
    network, objective, batch = parts
    before = [p.detach().clone() for p in network.parameters()]
    gradient_step(network, objective, optimizer="rmsprop", gradient_clip=1e-12)(batch, 0.0)
    moved = max((a - b).abs().max().item() for a, b in zip(network.parameters(), before, strict=True))
    assert moved < 1e-5


def test_the_schedule_sets_the_rate(parts):
    network, objective, batch = parts
    schedule = Schedule()
    schedule.factor = lambda progress: progress
    step = gradient_step(network, objective, schedule=schedule, rate=0.5)
    step(batch, 0.25)
    assert step.optimizer.param_groups[0]["lr"] == 0.125


def test_slowing_down_forgets_the_moments(parts):
    network, objective, batch = parts
    step = gradient_step(network, objective)
    step(batch, 0.0)
    step.slow_down(0.2)
    assert step.rate == pytest.approx(0.002)
    assert not step.optimizer.state


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_resumes_bit_for_bit(parts, optimizer):
    import copy

    network, objective, batch = parts
    step = gradient_step(network, objective, optimizer=optimizer, noise=torch.Generator().manual_seed(3))
    step(batch, 0.0)
    other_network = copy.deepcopy(network)
    other = gradient_step(other_network, objective, optimizer=optimizer)
    other.load_state_dict(copy.deepcopy(step.state_dict()))
    for _ in range(3):
        step(batch, 0.5), other(batch, 0.5)
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), other_network.parameters(), strict=True)
    )
