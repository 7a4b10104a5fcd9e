import copy

import pytest
import torch
from torch import nn

from skae.networks import Convolutional, Dense, Recurrent
from skae.networks.autoencoder import Autoencoder, Blueprint, linear_path
from skae.networks.bottlenecks import Bottleneck
from skae.networks.coder import Chain
from skae.networks.custom import as_architecture
from skae.networks.principal_axes import principal_axes


def test_the_parts_add_up():
    network = Autoencoder(
        Chain(nn.Linear(3, 2)), Chain(nn.Linear(2, 3)), Bottleneck(), *linear_path(3, 2, 2, tied=False)
    )
    with torch.no_grad():
        network.linear_encoder.weight += 1
        network.linear_decoder.bias += 2
    x = torch.randn(4, 3)
    code = network.encoder(x) + x.sum(1, keepdim=True)
    torch.testing.assert_close(network.encode(x), code)
    torch.testing.assert_close(network(x), network.decoder(code) + 2)


def test_a_tied_path_has_one_matrix():
    into, out_of = linear_path(3, 2, 2, tied=True)
    with torch.no_grad():
        into.weight.copy_(torch.arange(6.0).reshape(2, 3))
    torch.testing.assert_close(out_of(torch.tensor([[1.0, 0.0]])), torch.tensor([[0.0, 1.0, 2.0]]))


def test_the_plain_bottleneck_passes_codes_on(generator):
    bottleneck, code = Bottleneck(), torch.ones(2, 3)
    assert bottleneck.n_inputs == 1
    assert bottleneck.draw(2, generator) is None
    assert bottleneck(code) is code


ARCHITECTURES = [
    Dense((4,)),
    Convolutional((2, 3), channels=(2,), kernel_size=1),
    Recurrent(3, hidden_size=4),
    as_architecture((nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), nn.Linear(2, 6))),
]


def built(architecture, generator):
    """Return a network at its start and rows."""
    network = Blueprint(architecture, Bottleneck, 2).build(6, generator, None)
    rows = torch.randn(30, 6, generator=generator)
    network.start_at(principal_axes(rows, 2, generator), generator)
    return network.eval(), rows


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: type(one).__name__)
def test_a_network_is_straightened_between_its_start_and_what_it_learnt(architecture, generator):
    network, rows = built(architecture, generator)
    start = network.path()
    at_start = network(rows)
    assert network.can_straighten
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    learnt = copy.deepcopy(network)
    network.straighten(start, 1.0)
    torch.testing.assert_close(network(rows), learnt(rows))
    network.straighten(start, 0.5)
    # Half of what the encoder adds, and half of the way of the linear path.
    path = (start["linear_encoder.weight"] + learnt.linear_encoder.weight) / 2
    torch.testing.assert_close(network.encode(rows), rows @ path.T + learnt.encoder(rows) / 2)
    network.straighten(start, 0.0)
    torch.testing.assert_close(network(rows), at_start)


def test_networks_whose_parts_cannot_be_scaled_say_so(generator):
    assert not built(Dense((4,), tied_weights=True), generator)[0].can_straighten
    alone = Blueprint(Dense((4,)), Bottleneck, 2, linear_path=False).build(6, generator, None)
    assert not alone.can_straighten
