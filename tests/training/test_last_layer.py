import copy

import pytest
import torch
from torch import nn

from skae.networks import Dense
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck, Logistic
from skae.networks.principal_axes import Gaps
from skae.objectives import LOSSES, Objective, Reconstruction
from skae.objectives.corruption import Masking
from skae.objectives.nested import Nested
from skae.objectives.penalties import ActivityL2
from skae.training.batches import Rows
from skae.training.last_layer import can_solve, solve_last_layer

N_ROWS, N_FEATURES, N_COMPONENTS = 200, 6, 2


def build(
    generator, sizes=(9, 5), gaps=None, bottleneck=Bottleneck, linear_path=True, ordered=False, **dense
):
    blueprint = Blueprint(
        Dense(sizes, **dense), bottleneck, N_COMPONENTS, linear_path=linear_path, is_ordered=ordered
    )
    network = blueprint.build(N_FEATURES, generator, gaps).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return network.eval()


def squared_error(penalties=None, loss="squared_error", link="identity", kind=Objective, **further):
    cell = LOSSES[loss]
    return kind(Reconstruction(cell.cell, link, cell.from_output), penalties, **further)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rows(generator):
    return torch.randn(N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)


def last_parameters(network):
    layers = [network.decoder.last_layer(), network.linear_decoder]
    return [parameter for layer in layers if layer is not None for parameter in layer.parameters()]


def error(network, rows):
    with torch.no_grad():
        return float((network(rows) - rows).square().mean())


@pytest.mark.parametrize("sizes", [(9, 5), (4,), ()])
@pytest.mark.parametrize("linear_path", [True, False])
def test_only_a_ridge_towards_the_weights_as_they_were_keeps_from_the_best(
    generator, rows, sizes, linear_path
):
    network = build(generator, sizes, linear_path=linear_path)
    parameters = last_parameters(network)
    start, before = torch.nn.utils.parameters_to_vector(parameters).detach().clone(), error(network, rows)

    solve_last_layer(network, Rows(rows))

    assert error(network, rows) < 0.9 * before
    gradient = torch.autograd.grad((network(rows) - rows).square().mean(), parameters)
    gradient = torch.nn.utils.parameters_to_vector(gradient)
    change = torch.nn.utils.parameters_to_vector(parameters).detach() - start
    ridge = -(gradient @ change) / (change @ change)
    assert 0 < ridge < 1e-2
    torch.testing.assert_close(gradient, -ridge * change, rtol=1e-6, atol=1e-10)


def test_all_that_comes_before_stays(generator, rows):
    network = build(generator)
    before = copy.deepcopy(network)

    solve_last_layer(network, Rows(rows))

    torch.testing.assert_close(network.encode(rows), before.encode(rows), rtol=0, atol=0)
    for new, old in zip(list(network.decoder)[:-1], list(before.decoder)[:-1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))


def test_solving_again_changes_next_to_nothing(generator, rows):
    network = build(generator)
    for _ in range(2):
        solve_last_layer(network, Rows(rows))
    before = error(network, rows)

    solve_last_layer(network, Rows(rows))

    assert 0.99 * before < error(network, rows) <= before


def test_a_row_that_weighs_twice_counts_like_two(generator, rows):
    weighted, repeated = build(generator), None
    repeated = copy.deepcopy(weighted)
    weight = torch.ones(N_ROWS, 1, dtype=torch.float64)
    weight[:50] = 2

    solve_last_layer(weighted, Rows(rows, weight=weight))
    solve_last_layer(repeated, Rows(torch.cat([rows, rows[:50]])))

    for one, other in zip(weighted.parameters(), repeated.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_units_that_are_never_active_do_no_harm(generator, rows):
    network = build(generator)
    with torch.no_grad():
        list(network.decoder)[-3].bias[:3] = -1e3

    solve_last_layer(network, Rows(rows))

    assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    assert error(network, rows) < 1


@pytest.mark.parametrize(
    ("network", "objective", "expected"),
    [
        ({}, {}, True),
        ({"sizes": ()}, {}, True),
        ({"linear_path": False}, {}, True),
        ({"tied_weights": True}, {}, False),
        ({"dropout": 0.1}, {}, False),
        ({"batch_norm": True}, {}, False),
        ({"bottleneck": Logistic}, {}, False),
        ({"ordered": True}, {}, False),
        ({"gaps": Gaps(N_FEATURES, N_COMPONENTS, True, True)}, {}, False),
        ({}, {"loss": "absolute_error"}, False),
        ({}, {"link": "logistic"}, False),
        ({}, {"penalties": {"activity": ActivityL2(1.0)}}, False),
        ({}, {"corruption": Masking(torch.full((N_FEATURES,), 0.1), torch.arange(N_FEATURES))}, False),
    ],
)
def test_only_plain_layers_and_the_squared_error_are_solved_for(generator, network, objective, expected):
    assert can_solve(build(generator, **network), squared_error(**objective)) is expected


def test_rows_with_gaps_and_ordered_codes_are_left_alone(generator):
    objective = squared_error()
    objective.has_gaps = True
    assert not can_solve(build(generator), objective)
    assert not can_solve(build(generator), squared_error(kind=Nested, n_components=N_COMPONENTS))
