import pytest
import torch
from torch import nn

from skae.networks import Dense
from skae.networks.activations import ACTIVATIONS
from skae.networks.autoencoder import Blueprint
from skae.networks.bottlenecks import Bottleneck, Logistic
from skae.networks.principal_axes import Gaps
from skae.objectives import LOSSES, Batch, Objective, Reconstruction
from skae.objectives.corruption import Masking
from skae.objectives.nested import Nested
from skae.objectives.penalties import ActivityL2, Nonlinearity, Straightness
from skae.training import dense_gradient
from skae.training.dense_gradient import DenseGradient, can_differentiate
from skae.training.steps import total

N_ROWS, N_FEATURES, N_COMPONENTS = 11, 5, 2


def build(
    generator, sizes=(7, 4), gaps=None, bottleneck=Bottleneck, is_ordered=False, linear_path=True, **dense
):
    """Return a network whose weights are all random, so that no gradient is zero."""
    blueprint = Blueprint(
        Dense(sizes, **dense), bottleneck, N_COMPONENTS, is_ordered=is_ordered, linear_path=linear_path
    )
    network = blueprint.build(N_FEATURES, generator, gaps).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return network


def squared_error(penalties=None, loss="squared_error", link="identity", kind=Objective, **further):
    cell = LOSSES[loss]
    return kind(Reconstruction(cell.cell, link, cell.from_output), penalties, **further)


class Stacked:
    """Networks with their weights in one table, and the gradients beside them."""

    def __init__(self, networks, contiguous=True, at_once=False, penalties=()):
        names = [name for name, _ in networks[0].named_parameters()]
        self.networks = networks
        self.parameters = {
            name: torch.stack([dict(network.named_parameters())[name].detach() for network in networks])
            for name in names
        }
        self.gradients = {name: torch.full_like(value, torch.nan) for name, value in self.parameters.items()}
        if not contiguous:
            sizes = [value[0].numel() for value in self.parameters.values()]
            flat = torch.full((len(networks), sum(sizes)), torch.nan, dtype=torch.float64)
            self.gradients = {
                name: part.unflatten(1, value.shape[1:])
                for (name, value), part in zip(self.parameters.items(), flat.split(sizes, 1), strict=True)
            }
        table = flat if at_once else None
        self.gradient = DenseGradient(networks[0], self.parameters, self.gradients, table, penalties)


def by_autograd(network, objective, batch):
    network.zero_grad()
    loss = total(objective(network, batch))
    loss.backward()
    return loss.detach(), {name: value.grad for name, value in network.named_parameters()}


def batch_of(generator, weight=None):
    inputs, target = torch.randn(2, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    return Batch(inputs, target, weight)


def assert_equal_to_autograd(stacked, batches, objective=None):
    objective = objective or squared_error()
    inputs, target, weight = (
        None if batches[0][place] is None else torch.stack([batch[place] for batch in batches])
        for place in range(3)
    )
    losses = sum(stacked.gradient(inputs, target, weight).values())
    objectives = objective if isinstance(objective, list) else [objective] * len(batches)
    for index, (network, batch) in enumerate(zip(stacked.networks, batches, strict=True)):
        loss, gradients = by_autograd(network, objectives[index], batch)
        torch.testing.assert_close(losses[index], loss, rtol=1e-13, atol=0)
        for name, expected in gradients.items():
            torch.testing.assert_close(stacked.gradients[name][index], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(generator, activation, n_members):
    stacked = Stacked([build(generator, activation=activation) for _ in range(n_members)])
    assert_equal_to_autograd(stacked, [batch_of(generator) for _ in range(n_members)])


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("penalties", [{}, {"nonlinearity": 0.5, "straightness": 0.3}], ids=str)
def test_narrow_products_may_be_computed_transposed(
    generator, monkeypatch, n_members, linear_path, activation, penalties
):
    products = []
    turned = dense_gradient._Layer._turned

    def noting(*arguments):
        products.append(arguments)
        return turned(*arguments)

    monkeypatch.setattr(dense_gradient._Layer, "_turned", noting)
    for name in ("_FORWARD_FROM", "_BACKWARD_FROM"):
        monkeypatch.setattr(dense_gradient, name, 0)
    networks = [build(generator, activation=activation, linear_path=linear_path) for _ in range(n_members)]
    classes = {"nonlinearity": Nonlinearity, "straightness": Straightness}
    own = penalties if linear_path else {}
    objective = squared_error({name: classes[name](weight) for name, weight in own.items()})
    stacked = Stacked(networks, penalties=[own] * n_members)
    assert_equal_to_autograd(stacked, [batch_of(generator) for _ in range(n_members)], objective)
    assert products


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("sizes", [(), (6,), (6, 5, 3)], ids=str)
def test_any_depth_with_or_without_a_linear_path(generator, sizes, linear_path, n_members):
    stacked = Stacked([build(generator, sizes, linear_path=linear_path) for _ in range(n_members)])
    assert_equal_to_autograd(stacked, [batch_of(generator) for _ in range(n_members)])


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("shape", [(N_ROWS, 1), (N_ROWS, N_FEATURES)], ids=["rows", "cells"])
def test_rows_and_cells_have_weights(generator, shape, n_members):
    weights = torch.rand((n_members, *shape), generator=generator, dtype=torch.float64)
    weights[:, :3] = 0
    stacked = Stacked([build(generator) for _ in range(n_members)])
    assert_equal_to_autograd(stacked, [batch_of(generator, weight) for weight in weights])


@pytest.mark.parametrize("coefficients", [[0.5], [0.5, 2.0, 0.0]], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [["nonlinearity"], ["straightness"], ["nonlinearity", "straightness"]])
def test_codes_are_kept_near_linear_ones(generator, coefficients, weighted, penalty):
    penalties = [dict.fromkeys(penalty, each) for each in coefficients]
    stacked = Stacked([build(generator) for _ in coefficients], penalties=penalties)
    weight = torch.rand(N_ROWS, 1, generator=generator, dtype=torch.float64) if weighted else None
    classes = {"nonlinearity": Nonlinearity, "straightness": Straightness}
    objectives = [squared_error({name: classes[name](each) for name in penalty}) for each in coefficients]
    assert_equal_to_autograd(stacked, [batch_of(generator, weight) for _ in coefficients], objectives)


def test_codes_of_zero_are_linear(generator):
    network = build(generator)
    torch.nn.init.zeros_(network.encoder.last_layer().weight)
    torch.nn.init.zeros_(network.encoder.last_layer().bias)
    torch.nn.init.zeros_(network.linear_encoder.weight)
    stacked = Stacked([network], penalties=[{"nonlinearity": 1.0}])
    assert_equal_to_autograd(
        stacked, [batch_of(generator)], squared_error({"nonlinearity": Nonlinearity(1.0)})
    )


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("at_once", [True, False])
def test_gradients_may_be_views_of_one_table(generator, at_once, n_members):
    stacked = Stacked([build(generator) for _ in range(n_members)], contiguous=False, at_once=at_once)
    assert_equal_to_autograd(stacked, [batch_of(generator) for _ in range(n_members)])


def test_rows_without_weight_change_nothing(generator):
    stacked = Stacked([build(generator) for _ in range(2)])
    inputs, target = torch.randn(2, 2, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    weight = torch.ones(2, N_ROWS, 1, dtype=torch.float64)
    expected = stacked.gradient(inputs, target, weight)["reconstruction"]
    gradients = {name: value.clone() for name, value in stacked.gradients.items()}
    longer = [
        torch.cat([table, filling], 1)
        for table, filling in (
            (inputs, torch.randn(2, 4, N_FEATURES, generator=generator, dtype=torch.float64)),
            (target, torch.zeros(2, 4, N_FEATURES, dtype=torch.float64)),
            (weight, torch.zeros(2, 4, 1, dtype=torch.float64)),
        )
    ]
    torch.testing.assert_close(stacked.gradient(*longer)["reconstruction"], expected, rtol=1e-13, atol=0)
    for name, value in gradients.items():
        torch.testing.assert_close(stacked.gradients[name], value, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("n_members", [1, 3])
def test_nothing_that_counts_is_a_loss_of_zero(generator, n_members):
    stacked = Stacked([build(generator) for _ in range(n_members)])
    rows = torch.randn(n_members, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    losses = stacked.gradient(rows, rows, torch.zeros(n_members, N_ROWS, 1, dtype=torch.float64))[
        "reconstruction"
    ]
    assert not losses.any()
    assert not any(value.any() for value in stacked.gradients.values())


def test_corrupted_rows_with_emphasis_and_gaps(generator):
    corruption = Masking(torch.full((N_FEATURES,), 0.3), torch.arange(N_FEATURES)).double()
    objective = squared_error(corruption=corruption, emphasis=0.8)
    objective.has_gaps = True
    network = build(generator)
    batch = batch_of(generator)
    batch.target[0, :2] = torch.nan
    prepared = objective.prepare(Batch(batch.inputs, batch.target), network, generator)
    assert can_differentiate(network, objective)
    assert_equal_to_autograd(Stacked([network]), [prepared], objective)


def test_inputs_and_targets_are_left_alone(generator):
    stacked = Stacked([build(generator, (), activation="identity")])
    batch = batch_of(generator)
    weight = torch.rand(1, N_ROWS, 1, generator=generator, dtype=torch.float64)
    tables = [batch.inputs.unsqueeze(0), batch.target.unsqueeze(0), weight]
    before = [table.clone() for table in tables]
    stacked.gradient(*tables)
    for table, same in zip(tables, before, strict=True):
        assert torch.equal(table, same)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_outputs_are_those_of_the_networks(generator, activation, n_members):
    stacked = Stacked([build(generator, activation=activation) for _ in range(n_members)])
    rows = torch.randn(n_members, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    output = stacked.gradient.output(rows)
    for index, network in enumerate(stacked.networks):
        torch.testing.assert_close(output[index], network(rows[index]).detach(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("has_gaps", [True, False])
def test_errors_are_those_that_the_objective_measures(generator, has_gaps, n_members):
    stacked = Stacked([build(generator) for _ in range(n_members)])
    inputs, target = torch.randn(2, n_members, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    if has_gaps:
        target[:, 1, 2:] = target[:, 3] = torch.nan
    objective = squared_error()
    objective.has_gaps = has_gaps
    loss, squared, *_ = stacked.gradient.errors(inputs, target, has_gaps)
    for index, network in enumerate(stacked.networks):
        expected = objective.evaluate(network, Batch(inputs[index], target[index]))
        torch.testing.assert_close(loss[index], expected.loss)
        torch.testing.assert_close(squared[index], expected.squared)


def test_weights_may_change_between_calls(generator):
    stacked = Stacked([build(generator)])
    batch = batch_of(generator)
    stacked.gradient(batch.inputs.unsqueeze(0), batch.target.unsqueeze(0))
    for name, parameter in stacked.networks[0].named_parameters():
        nn.init.normal_(parameter, generator=generator)
        stacked.parameters[name][0].copy_(parameter.detach())
    assert_equal_to_autograd(stacked, [batch])


@pytest.mark.parametrize("n_members", [1, 3])
def test_batches_may_have_any_number_of_rows(generator, n_members):
    stacked = Stacked([build(generator) for _ in range(n_members)])
    for n_rows in (11, 4, 7, 1, 2, 3, 11):
        batches = [batch_of(generator) for _ in range(n_members)]
        assert_equal_to_autograd(
            stacked, [Batch(batch.inputs[:n_rows], batch.target[:n_rows]) for batch in batches]
        )


def test_results_outlast_the_next_call(generator):
    stacked = Stacked([build(generator)])
    first, second = torch.randn(2, 1, N_ROWS, N_FEATURES, generator=generator, dtype=torch.float64)
    results = [stacked.gradient(first, first)["reconstruction"], stacked.gradient.output(first)]
    before = [result.clone() for result in results]
    stacked.gradient(second, second)
    stacked.gradient.output(second)
    for result, same in zip(results, before, strict=True):
        assert torch.equal(result, same)


def test_float32_stays_float32(generator):
    network = build(generator).float()
    rows = torch.randn(1, N_ROWS, N_FEATURES, generator=generator)
    stacked = Stacked([network])
    losses = stacked.gradient(rows, rows)["reconstruction"]
    expected, gradients = by_autograd(network, squared_error(), Batch(rows[0], rows[0]))
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses[0], expected)
    for name, value in gradients.items():
        torch.testing.assert_close(stacked.gradients[name][0], value)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.1},
        {"batch_norm": True},
        {"tied_weights": True},
        {"bottleneck": Logistic},
        {"is_ordered": True},
        {"gaps": Gaps(N_FEATURES, N_COMPONENTS, always=True)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_networks_that_are_more_than_layers_are_declined(generator, changes):
    network = build(generator, **changes)
    assert not can_differentiate(network, squared_error())
    with pytest.raises(ValueError, match="can_differentiate"):
        DenseGradient(network, {}, {})


def test_gaps_that_training_has_not_seen_are_no_hindrance(generator):
    network = build(generator, gaps=Gaps(N_FEATURES, N_COMPONENTS, always=False))
    assert can_differentiate(network, squared_error())


def test_dropout_and_normalisation_of_no_layers_are_no_hindrance(generator):
    assert can_differentiate(build(generator, (), dropout=0.1, batch_norm=True), squared_error())


@pytest.mark.parametrize(
    "objective",
    [
        squared_error(loss="absolute_error"),
        squared_error(link="logistic"),
        squared_error(loss="binary_crossentropy", link="logistic"),
        squared_error({"codes": ActivityL2(0.1)}),
        squared_error(kind=Nested, n_components=N_COMPONENTS),
    ],
    ids=["loss", "link", "likelihood", "penalty", "nested"],
)
def test_objectives_that_are_more_than_the_squared_error_are_declined(generator, objective):
    assert not can_differentiate(build(generator), objective)


class Doubled(Bottleneck):
    def read(self, pre):
        return 2 * pre


def test_bottlenecks_of_others_are_declined(generator):
    assert not can_differentiate(build(generator, bottleneck=Doubled), squared_error())
