import torch
from torch import nn

from skae.networks.autoencoder import Autoencoder, linear_path
from skae.networks.bottlenecks import Bottleneck
from skae.networks.coder import Chain


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
    assert bottleneck.width(3) == 3
    assert bottleneck.draw(2, generator) is None
    assert bottleneck(code) is code
