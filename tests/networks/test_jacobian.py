"""The norm of the encoder's Jacobian: closed forms against differences, and the estimate against it."""

import pytest
import torch

from skae.networks import Dense
from skae.networks.activations import ACTIVATIONS
from skae.networks.autoencoder import Autoencoder, Blueprint, linear_path
from skae.networks.bottlenecks import Bottleneck, Logistic
from skae.networks.dense import Layers
from skae.networks.jacobian import projected_squared_norms, squared_norms


def network(hidden, generator, bottleneck=None, with_path=True, **settings):
    encoder, decoder = Dense(hidden, activation="tanh", **settings).build(6, 3, 3, generator)
    encoder.start_random(generator)
    path = linear_path(6, 3, 3, tied=False) if with_path else (None, None)
    if with_path:
        torch.nn.init.xavier_normal_(path[0].weight, generator=generator)
    return Autoencoder(encoder, decoder, bottleneck or Bottleneck(), *path).double().eval()


def by_differences(net, x, step=1e-6):
    total = torch.zeros(len(x), dtype=torch.float64)
    with torch.no_grad():
        for direction in torch.eye(x.shape[1], dtype=torch.float64):
            moved = net.encode(x + step * direction) - net.encode(x - step * direction)
            total += (moved / (2 * step)).square().sum(1)
    return total


NETWORKS = [
    ((), {}),
    ((5,), {}),
    ((5,), {"with_path": False}),
    ((), {"bottleneck": Logistic()}),
    ((5,), {"bottleneck": Logistic()}),
    ((5, 4), {}),
    ((5,), {"dropout": 0.3}),
]


@pytest.mark.parametrize(("hidden", "settings"), NETWORKS)
def test_the_norm_is_that_of_differences(hidden, settings, generator):
    net = network(hidden, generator, **settings)
    x = torch.randn(7, 6, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(squared_norms(net, x).detach(), by_differences(net, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("hidden", [(5,), (5, 4)])
def test_the_estimate_is_right_on_average(hidden, generator):
    net = network(hidden, generator)
    x = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    # All eight choices of three signs: their mean is the expectation.
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    estimates = projected_squared_norms(net, x.expand(8, 6), None, signs)
    torch.testing.assert_close(estimates.mean().detach(), by_differences(net, x)[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_all_ways_teach_the_weights_the_same(hidden, generator):
    net = network(hidden, generator)
    x = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    weights = [net.linear_encoder.weight, *(layer.weight for layer in net.encoder.linear_layers())]
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    every = [projected_squared_norms(net, x, None, sign.expand(4, 3)).mean() for sign in signs]
    ours = torch.autograd.grad(squared_norms(net, x).mean(), weights)
    theirs = torch.autograd.grad(torch.stack(every).mean(), weights)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_norms_are_found_where_gradients_are_off(off, generator):
    net = network((5, 4), generator)
    x = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    signs = torch.ones(4, 3, dtype=torch.float64)
    with off():
        exact = squared_norms(net, x)
        estimate = projected_squared_norms(net, x, None, signs)
    assert not exact.requires_grad
    assert not estimate.requires_grad
    torch.testing.assert_close(exact, by_differences(net, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bottleneck", [Bottleneck, Logistic])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)], ids=str)
def test_derivatives_written_out_are_those_of_autograd(
    hidden, bottleneck, activation, generator, monkeypatch
):
    has_path = bottleneck is Bottleneck
    blueprint = Blueprint(Dense(hidden, activation=activation), bottleneck, 3, linear_path=has_path)
    network = blueprint.build(6, generator, None).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    x = torch.randn(7, 6, generator=generator, dtype=torch.float64)
    signs = torch.randint(2, (7, 3), generator=generator).double() * 2 - 1

    def found():
        values = [squared_norms(network, x), projected_squared_norms(network, x, None, signs)]
        parameters = list(network.encoder.parameters())
        gradients = [
            torch.autograd.grad(value.sum(), parameters, allow_unused=True, materialize_grads=True)
            for value in values
        ]
        return [*values, *gradients[0], *gradients[1]]

    written = found()
    monkeypatch.setattr(Layers, "plain_layers", lambda self: None)
    for one, expected in zip(written, found(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-11)
