"""A trained network in use: arrays of any dtype in their own units, some rows at a time."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from small_fits import PLAN, ROWS, parts, plain

from skae._random import Streams
from skae.networks.scaling import Scaling
from skae.training import courses, tensors
from skae.training.batches import Rows
from skae.training.fits import Fitting
from skae.training.tensors import Codec, Decoder, Encoder, Frame, labels_to, weights_to

FITTED = courses.fit(Fitting(PLAN, parts(plain), Rows(ROWS), Streams(0)), lambda *given: False)
NETWORK, RECONSTRUCTION = FITTED.network.eval().requires_grad_(False), FITTED.objective.reconstruction
FRAME = Frame(np.linspace(-3.0, 4.0, ROWS.shape[1]), 2.5)
X = FRAME.to_data(ROWS.numpy())
SCALING = Scaling(np.linspace(1.0, 2.0, ROWS.shape[1]), np.linspace(0.5, 3.0, ROWS.shape[1]))


@pytest.fixture
def codec():
    return Codec(NETWORK, RECONSTRUCTION, FRAME)


@pytest.fixture
def rows_at_a_time(monkeypatch):
    """Let 7 of 40 rows go through at once: five whole chunks and a rest."""
    monkeypatch.setattr(tensors, "_MIN_CHUNK_ROWS", 7)
    monkeypatch.setattr(tensors, "_CHUNK_VALUES", 0)


def test_activations_are_those_of_all_layers_and_the_code(codec):
    found = codec.activations(X)
    np.testing.assert_allclose(found, NETWORK.activations(ROWS))
    codes, width = codec.encode(X), found.shape[1] - 2
    np.testing.assert_allclose(found[:, width // 2 : width // 2 + 2], codes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_chunks_of_rows_are_computed(codec, dtype, monkeypatch, request):
    given = X.astype(dtype)
    whole = [codec.activations(given), codec.encode(given), codec.decode(codec.encode(given))]
    request.getfixturevalue("rows_at_a_time")
    assert len(tensors.chunks(given)) == 6
    parts = [codec.activations(given), codec.encode(given), codec.decode(codec.encode(given))]
    for one, other in zip(parts, whole, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_linear_codes_of_single_precision_take_little_memory_beside_the_table():
    plan = dataclasses.replace(PLAN, stays_at_start=True)
    start = courses.fit(Fitting(plan, parts(plain), Rows(ROWS), Streams(0)), lambda *given: False)
    codec = Codec(start.network.eval().requires_grad_(False), RECONSTRUCTION, FRAME)
    assert codec.linear is not None
    given = np.tile(X, (5000, 1)).astype(np.float32)
    tracemalloc.start()
    try:
        codes = codec.encode(given)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The codes, whether they are finite, and a chunk or two.
    assert most < 2 * codes.nbytes < given.nbytes
    np.testing.assert_allclose(codes[-40:], codec.encode(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", [None, SCALING], ids=["plain", "scaled"])
def test_modules_map_data_in_its_own_units(codec, scaling):
    encoder = Encoder(NETWORK, FRAME, scaling)
    decoder = Decoder(NETWORK, RECONSTRUCTION, FRAME, scaling)
    given = torch.from_numpy(X)
    in_own_units = given if scaling is None else scaling.undo(given)
    np.testing.assert_allclose(encoder(in_own_units), codec.encode(X), rtol=1e-6, atol=1e-6)
    back = torch.from_numpy(codec.decode(codec.encode(X)))
    wanted = back if scaling is None else scaling.undo(back)
    torch.testing.assert_close(decoder(torch.from_numpy(codec.encode(X))), wanted, rtol=1e-5, atol=1e-5)


def test_what_belongs_to_rows_follows_their_order():
    order = np.array([2, 0, 1])
    labels, weight = np.array([[1.0], [2.0], [3.0]]), np.array([4.0, 5.0, 6.0])
    np.testing.assert_array_equal(labels_to(labels, ROWS), labels)
    np.testing.assert_array_equal(labels_to(labels, ROWS, order), labels[order])
    np.testing.assert_array_equal(weights_to(weight, ROWS, order), weight[order][:, None])
    # Shares are divided by their mean.
    np.testing.assert_allclose(weights_to(weight / 10, ROWS)[:, 0], weight / 5)
    assert labels_to(None, ROWS) is None
    assert weights_to(None, ROWS) is None
