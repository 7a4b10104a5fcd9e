import pickle

import torch

from skae.networks.autoencoder import Autoencoder
from skae.networks.bottlenecks import Bottleneck
from skae.networks.dropout import Dropout


def test_it_keeps_the_mean_and_zeroes_the_share(generator):
    layer = Dropout(0.25)
    layer.generator = generator
    out = layer(torch.ones(200_000))
    assert abs((out == 0).float().mean() - 0.25) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert torch.equal(out.unique(), torch.tensor([0.0, 1 / 0.75]))


def test_it_does_nothing_in_use():
    x = torch.ones(10)
    assert Dropout(0.9).eval()(x) is x


def test_it_repeats_with_its_generator_and_leaves_the_global_one():
    before = torch.get_rng_state()
    network = Autoencoder(Dropout(0.5), torch.nn.Sequential(Dropout(0.5)), Bottleneck())
    results = []
    for _ in range(2):
        network.draw_dropout_from(torch.Generator().manual_seed(5))
        results.append(network(torch.ones(1, 100)))
    assert torch.equal(*results)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_pickles_without_its_generator(generator):
    layer = Dropout(0.5)
    layer.generator = generator
    assert pickle.loads(pickle.dumps(layer)).generator is None
