"""Convolutions: sizes that come back exactly, images in and out, a start at zero."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae import AutoencoderTransformer
from skae.networks import Convolutional


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    channels=st.integers(1, 3),
    layers=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
)
def test_all_sizes_come_back(height, width, channels, layers, kernel_size):
    generator = torch.Generator().manual_seed(0)
    # Not "relu", of whose four units all may be off for each of the five rows.
    settings = {"channels": (4,) * layers, "kernel_size": kernel_size, "activation": "tanh"}
    network = Convolutional((height, width, channels), **settings)
    n_features = height * width * channels
    encoder, decoder = network.build(n_features, 3, 2, generator)
    x = torch.randn(5, n_features, generator=generator)
    assert encoder(x).shape == (5, 3)
    assert decoder(torch.randn(5, 2, generator=generator)).shape == x.shape
    assert not encoder(x).any()
    encoder.start_random(generator)
    decoder.start_random(generator)
    assert encoder(x).any()
    assert decoder(torch.randn(5, 2, generator=generator)).any()
    # Cut into parts, the network is the same.
    code = x
    for part in encoder.parts():
        code = part(code)
    torch.testing.assert_close(code, encoder(x))
    back = z = torch.randn(5, 2, generator=generator)
    for part in decoder.parts():
        back = part(back)
    torch.testing.assert_close(back, decoder(z))


def test_outputs_keep_the_size_of_inputs(generator):
    # He's start keeps the variance of a layer's inputs; transposed convolutions must not blow it up.
    _, decoder = Convolutional((28, 28), channels=(16, 16, 16)).build(784, 8, 8, generator)
    x = torch.randn(50, 8, generator=generator)
    with torch.no_grad():
        hidden = decoder.hidden(x).reshape(50, *decoder.first_shape)
        after = decoder.convolutions[:-1](hidden)
    assert 0.3 < float(after.square().mean() / hidden.square().mean()) < 3


def test_images_are_rows_in_the_order_height_width_channels():
    network = Convolutional((2, 3, 4))
    images = np.arange(5 * 4 * 2 * 3).reshape(5, 4, 2, 3)
    rows = network.to_rows(images)
    assert rows.shape == (5, 24)
    np.testing.assert_array_equal(rows[0].reshape(2, 3, 4)[1, 2], images[0, :, 1, 2])
    np.testing.assert_array_equal(network.from_rows(rows, (4, 2, 3)), images)
    with pytest.raises(ValueError, match=r"\(n, 4, 2, 3\)"):
        network.to_rows(images.reshape(5, 4, 3, 2))


@pytest.mark.parametrize("shape", [(-1, 8, 8), (-1, 1, 8, 8)])
def test_arrays_of_images_come_back_as_they_were(digits, shape):
    images = digits[:200].reshape(shape)
    settings = {"network": Convolutional((8, 8), channels=(4,)), "max_iter": 2, "random_state": 0}
    model = AutoencoderTransformer(4, **settings).fit(images)
    assert model.n_features_in_ == 64
    codes = model.transform(images)
    assert model.inverse_transform(codes).shape == images.shape
    assert model.reconstruct(images).shape == images.shape
    assert model.reconstruction_error(images, per_feature=True).shape == (200, 64)
    rows = AutoencoderTransformer(4, **settings).fit(digits[:200])
    np.testing.assert_array_equal(rows.transform(digits[:200]), codes)
    np.testing.assert_array_equal(model.transform(list(images)), codes)
    # Fitted on images, rows are taken as well.
    np.testing.assert_array_equal(model.transform(digits[:200]), codes)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Convolutional((7, 8)), "holds 56 values, but rows have 64"),
        (Convolutional((8, 8.5)), "whole numbers"),
        (Convolutional((2, 2, 2, 8)), "image_shape must be"),
        (Convolutional((8, 8), channels=()), "channels must hold at least one"),
        (Convolutional((8, 8), kernel_size=4), "odd number"),
        (Convolutional((8, 8), activation="cube"), "activation must be"),
        (Convolutional((8, 8), dropout=1.0), "dropout must lie"),
    ],
)
def test_bad_settings_are_told_before_training(digits, network, message):
    model = AutoencoderTransformer(4, network=network)
    with pytest.raises(ValueError, match=message):
        model.fit(digits)
    assert not hasattr(model, "network_")


def test_batch_norm_and_dropout(digits):
    network = Convolutional((8, 8), channels=(4,), hidden_layer_sizes=(8,), batch_norm=True, dropout=0.2)
    model = AutoencoderTransformer(4, network=network, max_iter=3, random_state=0).fit(digits)
    np.testing.assert_allclose(model.transform(digits[:1]), model.transform(digits)[:1], atol=1e-9)
    assert model.validation_score_ >= model.pca_score_ - 1e-6


@pytest.mark.parametrize(
    ("image_shape", "shape", "says"),
    [
        (
            (6, 8, 3),
            (40, 6, 8, 3),
            r"channels last; .* order \(n, channels, height, width\), here \(n, 3, 6, 8\)",
        ),
        ((6, 8), (40, 6, 8, 1), r"here \(n, 1, 6, 8\): pass np.moveaxis\(X, -1, 1\)"),
        (None, (40, 3, 6, 8), r"image_shape is None: arrays of images need image_shape=\(height, width\)"),
    ],
)
def test_images_in_another_order_are_told_which_one_is_wanted(image_shape, shape, says):
    X = np.random.RandomState(0).standard_normal(shape)
    model = AutoencoderTransformer(2, network=Convolutional(image_shape), max_iter=1)
    with pytest.raises(ValueError, match=says):
        model.fit(X)
