"""The importance-weighted bound, spelt out on a model of one number."""

import math

import pytest
import torch
from torch import distributions

from skae.networks import Dense
from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Gaussian
from skae.objectives import Batch, Objective
from skae.objectives.importance import (
    ImportanceWeighted,
    codes_given,
    evidence_bound,
    log_mean_exp,
    log_weights,
    weighted_bound,
)
from skae.objectives.likelihood import Likelihood
from skae.objectives.penalties import Divergence, Penalty, WeightL1


@pytest.fixture
def parts(generator):
    encoder, decoder = Dense((4,)).build(3, 2, 1, generator)
    network = Autoencoder(encoder, decoder, Gaussian(1, n_draws=6), *linear_path(3, 2, 1, tied=False))
    torch.nn.init.normal_(network.linear_encoder.weight, generator=generator)
    torch.nn.init.normal_(network.linear_decoder.weight, generator=generator)
    return network, Likelihood(["gaussian"] * 3, [0, 1, 2], "identity", 0.5, False)


def test_weights_are_ratios_of_densities(parts, generator):
    network, likelihood = parts
    x = torch.randn(5, 3, generator=generator)
    pre = network.pre_code(x)
    noise = network.bottleneck.draw(5, generator)
    weights = log_weights(network, likelihood, pre, x, noise)
    assert weights.shape == (6, 5)
    posterior = network.bottleneck.posterior(pre)
    for draw in range(6):
        z = posterior.mean + (posterior.log_variance / 2).exp() * noise[5 * draw : 5 * draw + 5]
        expected = (
            distributions.Normal(network.decode(z), math.sqrt(0.5)).log_prob(x).sum(1)
            + distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
            - distributions.Normal(posterior.mean, (posterior.log_variance / 2).exp()).log_prob(z).sum(1)
        )
        torch.testing.assert_close(weights[draw], expected)


def test_cells_that_are_not_there_count_nothing(parts, generator):
    network, likelihood = parts
    x = torch.randn(5, 3, generator=generator)
    pre, noise = network.pre_code(x), network.bottleneck.draw(5, generator)
    without = x.clone()
    without[:, 2] = torch.nan
    difference = log_weights(network, likelihood, pre, x, noise)
    difference = difference - log_weights(network, likelihood, pre, without, noise)
    code = network.bottleneck(pre, noise)
    cells = likelihood.cells(network.decode(code), x.repeat(6, 1))[:, 2].reshape(6, 5)
    torch.testing.assert_close(difference, -cells)


def test_the_objective_is_minus_the_bound_a_cell(parts, generator):
    network, likelihood = parts
    objective = ImportanceWeighted(likelihood, {"l1_weights": WeightL1(0.1)})
    x = torch.randn(5, 3, generator=generator)
    batch = objective.prepare(Batch(x, x), network, generator)
    terms = objective(network, batch)
    weights = log_weights(network, likelihood, network.pre_code(x), x, batch.draws["code"])
    torch.testing.assert_close(terms["reconstruction"], -log_mean_exp(weights).mean() / 3)
    assert terms["l1_weights"] > 0
    # More draws tighten the bound.
    assert log_mean_exp(weights).mean() >= weights.mean()


def test_log_mean_exp_does_not_overflow():
    assert float(log_mean_exp(torch.tensor([1000.0, 1000.0]))) == 1000.0


@pytest.mark.parametrize("kind", ["elbo", "iwae"])
def test_with_gaps_the_loss_is_minus_the_bounds_over_the_cells_that_are_there(parts, generator, kind):
    network, likelihood = parts
    network.bottleneck.n_draws = 1
    network.encoder.takes_gaps = True
    x = torch.randn(5, 3, generator=generator)
    x[1, 1:] = torch.nan
    if kind == "iwae":
        objective = ImportanceWeighted(likelihood)
    else:
        objective = Objective(likelihood, {"divergence": Divergence(1.0)})
    objective.has_gaps = True
    batch = objective.prepare(Batch(x, x), network, generator)
    batch = batch._replace(inputs=x.nan_to_num() if kind == "elbo" else x)
    network.encoder[0].register_forward_pre_hook(lambda module, inputs: (inputs[0].nan_to_num(),))
    pre = network.pre_code(x)
    if kind == "iwae":
        bound = log_weights(network, likelihood, pre, x, batch.draws["code"]).sum()
    else:
        output = network.decode(network.bottleneck(pre, batch.draws["code"]))
        cells = likelihood.cells(output, x.nan_to_num()) * ~x.isnan()
        bound = -cells.sum() - network.bottleneck.posterior(pre).divergence().sum()
    terms = objective(network, batch)
    torch.testing.assert_close(sum(terms.values()), -bound / 13)


def test_bounds_of_rows_are_means_over_the_same_draws(parts, generator):
    network, likelihood = parts
    x, draws = torch.randn(5, 3, generator=generator), torch.randn(400, 1, generator=generator)
    draws = torch.cat([draws, -draws])
    posterior = network.bottleneck.posterior(network.pre_code(x))
    bound = evidence_bound(network, likelihood, x, draws)
    logs = [
        distributions.Normal(
            network.decode(posterior.mean + (posterior.log_variance / 2).exp() * draw), math.sqrt(0.5)
        )
        .log_prob(x)
        .sum(1)
        for draw in draws
    ]
    torch.testing.assert_close(bound, torch.stack(logs).mean(0) - posterior.divergence().sum(1))
    tighter = weighted_bound(network, likelihood, x, draws)
    assert (tighter >= bound - 1e-4).all()
    torch.testing.assert_close(
        weighted_bound(network, likelihood, x[2:3], draws), tighter[2:3], atol=1e-5, rtol=1e-5
    )


@pytest.mark.slow
def test_codes_are_chosen_by_how_well_they_explain_the_cells_that_are_there(parts, generator):
    network, likelihood = parts
    x = torch.randn(4, 3, generator=generator)
    noise = torch.randn(500 * 4, 1, generator=generator)
    chosen = codes_given(network, likelihood, x, noise, generator)
    candidates = network.bottleneck(network.pre_code(x), noise).reshape(500, 4, 1)
    assert all(bool((candidates[:, row] == chosen[row]).any()) for row in range(4))
    drawn = torch.cat([codes_given(network, likelihood, x, noise, generator) for _ in range(300)], 1)
    weights = log_weights(network, likelihood, network.pre_code(x), x, noise).softmax(0)
    expected = (weights * candidates[:, :, 0]).sum(0)
    torch.testing.assert_close(drawn.mean(1), expected, atol=0.15, rtol=0)


@pytest.mark.parametrize("penalised", [False, True])
def test_penalties_see_the_codes_that_a_user_gets(parts, generator, penalised):
    network, likelihood = parts
    seen = []

    class Watching(Penalty):
        def forward(self, passed):
            seen.append(passed)
            return passed.code.sum(1)

    objective = ImportanceWeighted(likelihood, {"watching": Watching(2.0)} if penalised else {})
    x = torch.randn(5, 3, generator=generator)
    batch = objective.prepare(Batch(x, x), network, generator)
    terms = objective(network, batch)
    assert list(terms) == ["reconstruction", "watching"] if penalised else ["reconstruction"]
    if penalised:
        (passed,) = seen
        torch.testing.assert_close(passed.pre, network.pre_code(x))
        torch.testing.assert_close(passed.code, network.encode(x))
        torch.testing.assert_close(passed.output, network(x))
        torch.testing.assert_close(terms["watching"], 2 * network.encode(x).sum(1).mean())


def test_without_gaps_the_target_is_that_of_the_batch(parts, generator):
    network, likelihood = parts
    objective = ImportanceWeighted(likelihood)
    x, clean = (torch.randn(5, 3, generator=generator) for _ in range(2))
    batch = objective.prepare(Batch(x, clean), network, generator)
    weights = log_weights(network, likelihood, network.pre_code(x), clean, batch.draws["code"])
    torch.testing.assert_close(objective(network, batch)["reconstruction"], -log_mean_exp(weights).mean() / 3)
