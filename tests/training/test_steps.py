import copy

import pytest
import torch
from torch import nn

from skae.networks import Dense
from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Bottleneck
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.objectives.corruption import Gaussian
from skae.objectives.penalties import ActivityL2
from skae.training import SOLVERS, Schedule
from skae.training.steps import StepSettings, parameter_groups, total


@pytest.fixture
def parts(generator):
    encoder, decoder = Dense((8,), activation="tanh").build(4, 2, 2, generator)
    network = Autoencoder(encoder, decoder, Bottleneck(), *linear_path(4, 2, 2, tied=False))
    nn.init.normal_(network.linear_encoder.weight, generator=generator)
    objective = Objective(Reconstruction(LOSSES["squared_error"].cell, "identity"))
    x = torch.randn(64, 4, generator=generator)
    return network, objective, Batch(x, x)


def step_of(network, objective, solver="adam", **changes):
    settings = {
        "schedule": Schedule(),
        "rate": 0.01,
        "weight_decay": 0.0,
        "gradient_clip": 1.0,
        "noise": torch.Generator(),
    }
    return SOLVERS[solver].make_step(network, objective, StepSettings(**(settings | changes)))


BY_GRADIENT = [name for name, solver in SOLVERS.items() if solver.follows_gradient]


@pytest.mark.parametrize("solver", BY_GRADIENT)
def test_steps_lower_the_loss(parts, solver):
    network, objective, batch = parts
    step = step_of(network, objective, solver)
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
    step = step_of(network, objective, weight_decay=50.0)
    for _ in range(10):
        step(batch, 0.0)
    assert network.encoder[0].weight.norm().item() < 0.1 * before


def test_decay_of_lbfgs_is_half_its_multiple_of_the_squared_weights(parts, monkeypatch):
    network, objective, batch = parts
    plain = objective(network, batch)["reconstruction"]
    (decaying, _) = parameter_groups(network, objective, 0.05)
    gradients = torch.autograd.grad(plain, decaying["params"])
    step = step_of(network, objective, "lbfgs", weight_decay=0.05)
    seen = []
    monkeypatch.setattr(step.optimizer, "step", lambda closure: seen.append(closure().detach()))
    step(batch, 0.0)
    squares = sum(weight.detach().square().sum() for weight in decaying["params"])
    torch.testing.assert_close(seen[0], plain.detach() + 0.025 * squares)
    for weight, gradient in zip(decaying["params"], gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient + 0.05 * weight.detach())


def test_a_line_search_tries_more_than_one_length(parts):
    network, objective, batch = parts
    step = step_of(network, objective, "lbfgs", weight_decay=0.05)
    losses = [float(step(batch, 0.0)["reconstruction"].detach()) for _ in range(60)]
    # Where the first length always had to do, it stood still after six steps, at 0.3604.
    assert losses[-1] < 0.3603
    assert len(set(losses)) > 10


def test_decay_of_lbfgs_is_no_part_of_the_terms(parts):
    network, objective, batch = parts
    before = objective(network, batch)["reconstruction"].detach()
    terms = step_of(network, objective, "lbfgs", weight_decay=10.0)(batch, 0.0)
    assert terms.keys() == {"reconstruction"}
    assert terms["reconstruction"] == before


def test_clipping_bounds_the_step(parts):
    network, objective, batch = parts
    before = [p.detach().clone() for p in network.parameters()]
    step_of(network, objective, "rmsprop", gradient_clip=1e-12)(batch, 0.0)
    moved = max((a - b).abs().max().item() for a, b in zip(network.parameters(), before, strict=True))
    assert moved < 1e-5


def test_the_schedule_sets_the_rate(parts):
    network, objective, batch = parts
    schedule = Schedule()
    schedule.factor = lambda progress: progress
    step = step_of(network, objective, schedule=schedule, rate=0.5)
    step(batch, 0.25)
    assert step.optimizer.param_groups[0]["lr"] == 0.125


def test_slowing_down_forgets_the_moments(parts):
    network, objective, batch = parts
    step = step_of(network, objective)
    step(batch, 0.0)
    step.slow_down(0.2)
    assert step.rate == pytest.approx(0.002)
    assert not step.optimizer.state


@pytest.mark.parametrize("solver", [name for name in BY_GRADIENT if not SOLVERS[name].all_rows])
def test_a_step_resumes_bit_for_bit(parts, solver):
    network, objective, batch = parts
    step = step_of(network, objective, solver, noise=torch.Generator().manual_seed(3))
    step(batch, 0.0)
    other_network = copy.deepcopy(network)
    other = step_of(other_network, objective, solver)
    other.load_state_dict(copy.deepcopy(step.state_dict()))
    for _ in range(3):
        step(batch, 0.5), other(batch, 0.5)
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), other_network.parameters(), strict=True)
    )


@pytest.mark.parametrize(("reweighs", "memory"), [(False, 0.999), (True, 0.95)])
def test_adam_forgets_where_parts_of_the_loss_are_weighed_anew(parts, reweighs, memory):
    network, objective, _ = parts
    objective.reweighs = reweighs
    assert step_of(network, objective).optimizer.param_groups[0]["betas"] == (0.9, memory)


def test_adam_remembers_squares_as_long_as_it_is_told_to(parts):
    network, objective, _ = parts
    step = step_of(network, objective, second_moment=0.9)
    assert step.optimizer.param_groups[0]["betas"] == (0.9, 0.9)


def test_every_solver_says_what_it_is():
    assert all(solver.rate > 0 and solver.weight_decay >= 0 for solver in SOLVERS.values())
    # What takes all rows at once has no number of steps an epoch that epochs could follow from.
    assert all((solver.n_epochs is not None) == solver.all_rows for solver in SOLVERS.values())


@pytest.mark.parametrize("solver", BY_GRADIENT)
def test_all_terms_are_minimised(parts, solver):
    network, objective, batch = parts
    objective.add_penalty("codes", ActivityL2(100.0))
    step = step_of(network, objective, solver)
    terms = [step(batch, 1.0) for _ in range(30)]
    first, last = (float(one["codes"].detach()) for one in (terms[0], terms[-1]))
    assert last < 0.5 * first


def test_terms_are_added_up():
    assert float(total({"one": torch.tensor(1.0)})) == 1
    assert float(total({"one": torch.tensor(1.0), "two": torch.tensor(2.0)})) == 3
    assert float(total({name: torch.tensor(2.0) for name in "abc"})) == 6


@pytest.mark.parametrize(
    ("solver", "settings"),
    [
        ("adam", {"betas": (0.9, 0.999), "fused": True}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("rmsprop", {"momentum": 0, "alpha": 0.99}),
        ("lbfgs", {"max_iter": 1, "max_eval": 26, "history_size": 20, "line_search_fn": "strong_wolfe"}),
    ],
)
def test_solvers_are_those_of_the_papers(parts, solver, settings):
    network, objective, _ = parts
    step = step_of(network, objective, solver, rate=0.25, weight_decay=0.5)
    group = step.optimizer.param_groups[0]
    assert {name: group[name] for name in settings} == settings
    if solver != "lbfgs":
        assert (group["lr"], group["weight_decay"]) == (0.25, 0.5)


@pytest.mark.parametrize("solver", BY_GRADIENT)
def test_noise_is_drawn_from_the_stream_of_the_step(parts, solver):
    network, objective, batch = parts
    objective.corruption = Gaussian(torch.full((4,), 0.5), torch.arange(4))
    nn.init.ones_(network.linear_decoder.weight)
    seen = []
    for seed in (0, 0, 1):
        noise = torch.Generator().manual_seed(seed)
        seen.append(step_of(copy.deepcopy(network), objective, solver, noise=noise)(batch, 0.0))
        assert not torch.equal(noise.get_state(), torch.Generator().manual_seed(seed).get_state())
    first, again, other = (terms["reconstruction"].item() for terms in seen)
    assert first == again != other


def test_squares_of_gradients_are_forgotten_faster_where_the_loss_is_weighed_anew(parts):
    network, objective, _ = parts
    objective.reweighs = True
    assert step_of(network, objective).optimizer.param_groups[0]["betas"] == (0.9, 0.95)
