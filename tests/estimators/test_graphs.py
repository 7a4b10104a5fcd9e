"""Encoders and decoders as graphs that are recorded once, for rows with and without gaps."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch.export import Dim, export

import skae
from skae.networks import Convolutional, Custom, Dense, Recurrent, Recursive, principal_axes, recurrent

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(12) >= RANDOM.randint(1, 7, 60)[:, None] * 2, np.nan, X)
FRAME = pd.DataFrame({"a": X[:, 0], "b": ["x", "y", "z"] * 20, "c": ["p", "q"] * 30, "d": X[:, 1]})
COUNTS = np.abs(X).round()
OWN = Custom(torch.nn.Linear(12, 2), torch.nn.Linear(2, 12))

MODELS = {
    "gaps": (skae.AutoencoderTransformer(2), GAPS, GAPS),
    "complete": (skae.AutoencoderTransformer(2), X, GAPS),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(6, hidden_size=5)), ENDS, ENDS),
    "mixed": (skae.AutoencoderTransformer(2), FRAME, FRAME),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((3, 4), channels=(4,))), GAPS, GAPS),
    "lstm": (skae.AutoencoderTransformer(2, network=Recurrent(6, cell="lstm", n_layers=2)), X, ENDS),
    "greedy": (skae.AutoencoderTransformer(2, network=Recursive(4, merging="greedy")), GAPS, GAPS),
    "tied": (skae.AutoencoderTransformer(2, network=Dense((6,), tied_weights=True)), GAPS, GAPS),
    "own": (
        skae.AutoencoderTransformer(2, network=Custom(torch.nn.Linear(12, 2), torch.nn.Linear(2, 12))),
        X,
        GAPS,
    ),
    "ordered": (skae.AutoencoderTransformer(0.9), GAPS, GAPS),
    "counts": (
        skae.AutoencoderTransformer(2, column_types={0: "count"}),
        np.abs(X).round(),
        np.abs(X).round(),
    ),
    "denoising": (skae.DenoisingAutoencoderTransformer(2, corruption="missing"), X, GAPS),
    "contractive": (skae.ContractiveAutoencoderTransformer(2), X, GAPS),
    "topk": (skae.SparseAutoencoderTransformer(8, n_active=2), X, GAPS),
    "jumprelu": (skae.SparseAutoencoderTransformer(8, penalty="jumprelu"), X, GAPS),
    "variational": (skae.VariationalAutoencoderTransformer(2), FRAME, FRAME),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2), X, GAPS),
    "binary": (skae.BinaryAutoencoderTransformer(8), X, GAPS),
}
# Recording takes seconds.
QUICK = ("gaps",)


def slow_but(names):
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


def fitted(name):
    """Return an estimator, and rows inside, with gaps and without."""
    model, rows, others = MODELS[name]
    model = copy.deepcopy(model).set_params(max_iter=2, random_state=0).fit(rows)
    inside = [model._validated(part) for part in (others, FRAME if rows is FRAME else np.nan_to_num(others))]
    return model, [part.astype(np.float32) for part in inside]


def in_units(model, rows):
    """Return rows inside as modules take them: with numbers in the units of X, whatever is scaled inside."""
    return torch.from_numpy(model._columns.unscale(rows))


def assert_follows(recorded, model, rows):
    """Compare with what the estimator says, of one row and of many."""
    for part in rows:
        for n_rows in (1, 5, len(part)):
            said = recorded(in_units(model, part[:n_rows])).numpy()
            np.testing.assert_allclose(said, model._codes(part[:n_rows]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", slow_but(QUICK))
def test_torch_export_of_encoder_and_decoder(name):
    model, rows = fitted(name)
    first = in_units(model, rows[0][:2])
    rule = ({0: Dim("rows")},)
    encoder = export(model.encoder_, (first,), dynamic_shapes=rule).module()
    assert_follows(encoder, model, rows)
    codes = model.encoder_(in_units(model, rows[0]))
    decoder = export(model.decoder_, (codes[:2],), dynamic_shapes=rule).module()
    back = model._columns.unscale(model._codec.decode(codes.numpy()))
    np.testing.assert_allclose(decoder(codes), back, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_tracing_complete_rows_serves_rows_with_gaps(name):
    model, rows = fitted(name)
    # What the legacy exporter to ONNX does.
    traced = torch.jit.trace(model.encoder_, in_units(model, rows[1][:2]), check_trace=False)
    assert_follows(traced, model, rows)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_elimination_gives_the_codes_of_gaps(rank, generator):
    rows = torch.randn(40, 12, generator=generator, dtype=torch.float64)
    there = (torch.rand(40, 12, generator=generator) < 0.7).to(rows)
    there[0], there[1] = 0, 1
    loadings = torch.randn(12, rank, generator=generator, dtype=torch.float64)
    wanted, _ = principal_axes.posterior(rows * there, there, loadings, torch.tensor(0.01))
    found, _ = principal_axes._posterior_by_steps(rows * there, there, loadings, torch.tensor(0.01))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.LSTM])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_reading_by_steps_gives_the_states_of_packed_sequences(kind, bidirectional, generator):
    reader = kind(3, 4, 2, batch_first=True, bidirectional=bidirectional).double().requires_grad_(False)
    for parameter in reader.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    sequences = torch.randn(7, 5, 3, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([1, 5, 3, 2, 5, 4, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        sequences, lengths, batch_first=True, enforce_sorted=False
    )
    wanted = reader(packed)[1]
    found = recurrent.read_by_steps(reader, sequences, lengths)
    torch.testing.assert_close(found, wanted[0] if isinstance(wanted, tuple) else wanted)
