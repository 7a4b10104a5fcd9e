"""What architectures declare is what their modules do."""

import numpy as np
import pytest
import torch
from torch import nn

from skae.networks import Convolutional, Custom, Dense, Dictionary, Recurrent, Recursive
from skae.networks.architecture import Architecture, architecture_in
from skae.networks.bottlenecks import Bottleneck
from skae.networks.dictionary import Atoms

ARCHITECTURES = {
    "dense": Dense((6,)),
    "tied": Dense((6,), tied_weights=True),
    "convolutional": Convolutional((4, 4), channels=(4,)),
    "signal": Convolutional(channels=(4,)),
    "recurrent": Recurrent(4, hidden_size=5),
    "recursive": Recursive(4, hidden_size=5),
    "dictionary": Dictionary(),
    "custom": Custom(nn.Linear(16, 3), nn.Linear(3, 16)),
}


def built(name, **flags):
    return ARCHITECTURES[name].build(16, 3, 3, torch.Generator().manual_seed(0), **flags)


@pytest.fixture(params=ARCHITECTURES)
def name(request):
    return request.param


def test_parts_are_there_where_they_are_declared(name):
    assert [bool(coder.parts()) for coder in built(name)] == [ARCHITECTURES[name].has_parts] * 2


def test_activations_are_listed_where_they_are_declared(name, generator):
    encoder, decoder = built(name)
    listed = encoder.activations(torch.randn(2, 16, generator=generator))
    assert bool(listed) == ARCHITECTURES[name].has_activations
    assert sum(x.shape[1] for x in listed) == encoder.n_hidden_units
    assert bool(decoder.activations(torch.randn(2, 3, generator=generator))) == bool(listed)


def test_flags_are_taken_where_they_are_declared(name):
    architecture = ARCHITECTURES[name]
    for declared, flags in (
        (architecture.takes_flags, {"n_flags": 16}),
        (architecture.takes_code_flags, {"n_code_flags": 3}),
    ):
        if declared:
            encoder, decoder = built(name, **flags)
            assert encoder(torch.zeros(2, 16 + flags.get("n_flags", 0))).shape == (2, 3)
            assert decoder(torch.zeros(2, 3 + flags.get("n_code_flags", 0))).shape == (2, 16)
        elif name != "tied":
            with pytest.raises(TypeError):
                built(name, **flags)


def test_an_encoder_takes_gaps_where_its_architecture_says_so(name):
    encoder, decoder = built(name)
    assert encoder.takes_gaps == ARCHITECTURES[name].takes_gaps
    assert not decoder.takes_gaps
    if encoder.takes_gaps:
        rows = torch.zeros(2, 16)
        rows[0, 12:] = torch.nan
        assert encoder(rows).isfinite().all()


def test_arrays_come_back_as_they_were(name):
    architecture = ARCHITECTURES[name]
    if not architecture.takes_arrays:
        assert architecture.row_kind == "table"
        return
    X = np.arange(32.0).reshape((2, 1, 16) if name == "signal" else (2, 4, 4))
    rows = architecture.to_rows(X) if name != "signal" else X.reshape(2, -1)
    assert rows.shape == (2, 16)
    np.testing.assert_array_equal(architecture.from_rows(rows, X.shape[1:]), X)


@pytest.mark.parametrize(
    ("architecture", "kind", "shape"),
    [
        (Dense(), "table", (12,)),
        (Convolutional(), "table", (12,)),
        (Convolutional((12,)), "table", (12,)),
        (Convolutional((3, 4)), "images", (3, 4)),
        (Convolutional((2, 2, 3)), "images", (2, 2, 3)),
        (Recurrent(4), "sequences", (4, 3)),
        (Recursive(), "sequences", (12, 1)),
    ],
)
def test_rows_are_shown_as_what_they_are(architecture, kind, shape):
    assert architecture.row_kind == kind
    assert architecture.row_shape(12) == shape


@pytest.mark.parametrize(
    ("architecture", "n_layers"),
    [
        (Dense((8, 4)), 2),
        (Dense(()), 0),
        (Dense((), dropout=0.5, batch_norm=True), 0),  # between hidden layers, of which there are none
        (Dense((8,), dropout=0.1), None),
        (Dense((8,), batch_norm=True), None),
        (Convolutional((4, 4)), None),
        (Dictionary(), None),
    ],
)
def test_layers_are_plain_where_nothing_else_lies_between(architecture, n_layers):
    assert architecture.n_plain_layers == n_layers


def test_a_dictionary_alone_has_atoms(name):
    assert ARCHITECTURES[name].has_atoms == isinstance(built(name)[1], Atoms)


def test_outputs_start_at_zero_and_can_start_at_random(name, generator):
    encoder, decoder = built(name)
    x = torch.randn(3, 16, generator=generator)
    if name != "dictionary":
        assert not encoder(x).any()
        assert not decoder(encoder(x)).any()
    encoder.start_random(generator)
    decoder.start_random(generator)
    assert encoder(x).std() > 0
    assert decoder(torch.randn(3, 3, generator=generator)).std() > 0


def test_coders_that_start_at_rows_say_so(name, generator):
    encoder, _ = built(name)
    encoder.start_random(generator)
    before = [p.clone() for p in encoder.parameters()]
    encoder.start_at(torch.randn(8, 16, generator=generator), Bottleneck(), generator)
    moved = any(not torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
    assert moved == encoder.starts_at_rows == ARCHITECTURES[name].has_atoms


def test_an_architecture_says_nothing_by_itself():
    plain = Architecture()
    assert plain.row_work(4, 2, 2) == 8
    assert plain.n_weights(4, 2, 2) == 0
    plain.check_gaps(np.array([[np.nan]]))
    assert architecture_in(plain) is plain
    assert architecture_in((nn.Linear(2, 1), nn.Linear(1, 2))) is None
    with pytest.raises(NotImplementedError):
        plain.build(4, 2, 2, torch.Generator())


def test_work_of_sizes_that_are_not_valid_is_an_error():
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        Dense((0,)).row_work(4, 2, 2)
