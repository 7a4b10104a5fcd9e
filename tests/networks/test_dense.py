import pytest
import torch
from torch import nn

from skae.networks import Dense
from skae.networks.activations import ACTIVATIONS
from skae.networks.dense import Transposed


def shapes(module):
    return [tuple(layer.weight.shape) for layer in module if isinstance(layer, nn.Linear)]


def test_the_decoder_mirrors_the_encoder(generator):
    encoder, decoder = Dense((8, 4)).build(10, 2, 2, generator)
    # (out, in) of each layer: 10 -> 8 -> 4 -> 2 and 2 -> 4 -> 8 -> 10
    assert shapes(encoder) == [(8, 10), (4, 8), (2, 4)]
    assert shapes(decoder) == [(4, 2), (8, 4), (10, 8)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("tied", [False, True])
def test_outputs_start_at_zero(generator, activation, tied):
    encoder, decoder = Dense((8, 4), activation=activation, tied_weights=tied).build(10, 2, 2, generator)
    x = torch.randn(5, 10, generator=generator)
    assert torch.equal(encoder(x), torch.zeros(5, 2))
    torch.testing.assert_close(decoder(encoder(x)), torch.zeros(5, 10), atol=1e-6, rtol=0)


def test_started_at_random_they_do_not(generator):
    encoder, _ = Dense((8,)).build(10, 2, 2, generator)
    encoder.start_random(generator)
    assert encoder(torch.ones(1, 10)).abs().sum() > 0


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("silu", 2.0), ("tanh", 1.0)])
def test_hidden_weights_start_as_their_activation_wants(generator, activation, gain):
    encoder, _ = Dense((2000,), activation=activation).build(1000, 2, 2, generator)
    # He: variance 2 / fan_in; Glorot: 2 / (fan_in + fan_out)
    expected = 2 / 1000 if gain == 2.0 else 2 / 3000
    assert encoder[0].weight.var().item() == pytest.approx(expected, rel=0.01)
    assert not encoder[0].bias.any()


def test_the_generator_decides_and_the_global_state_is_left_alone():
    before = torch.get_rng_state()
    first, second = (Dense((8,)).build(5, 2, 2, torch.Generator().manual_seed(1))[0] for _ in range(2))
    assert torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_tied_weights_are_shared(generator):
    encoder, decoder = Dense((8,), tied_weights=True).build(5, 2, 2, generator)
    assert [type(layer) for layer in decoder] == [Transposed, nn.ReLU, Transposed]
    assert decoder[0].linear is encoder[2]
    assert decoder[2].linear is encoder[0]
    # two matrices, shared; two biases each
    own = {id(p): p for module in (encoder, decoder) for p in module.parameters()}
    assert sorted(p.ndim for p in own.values()) == [1, 1, 1, 1, 2, 2]


def test_normalisation_and_dropout_stand_around_the_activation(generator):
    encoder, _ = Dense((8,), dropout=0.5, batch_norm=True).build(5, 2, 2, generator)
    assert [type(layer).__name__ for layer in encoder] == [
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Dropout",
        "Linear",
    ]


def test_no_hidden_layers(generator):
    encoder, decoder = Dense(()).build(5, 2, 2, generator)
    assert (shapes(encoder), shapes(decoder)) == ([(2, 5)], [(5, 2)])


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        (Dense((8, 0)), "hidden_layer_sizes must hold whole numbers of at least 1"),
        (Dense((8.5,)), "hidden_layer_sizes must hold whole numbers"),
        (Dense(activation="sine"), "activation must be one of .*'relu'.*; got 'sine'"),
        (Dense(dropout=1.0), "dropout must lie in"),
    ],
)
def test_bad_specifications_are_refused(specification, message, generator):
    with pytest.raises(ValueError, match=message):
        specification.build(5, 2, 2, generator)


def test_tied_weights_need_equal_widths(generator):
    with pytest.raises(ValueError, match="4 outputs for 2 components"):
        Dense(tied_weights=True).build(5, 4, 2, generator)
