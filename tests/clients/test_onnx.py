"""Encoders and decoders in onnxruntime, by both exporters of torch: what `transform` gives, gaps included."""

import copy
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from torch.export import Dim

import skae
from skae.networks import Convolutional, Dense, Recurrent, Recursive

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(12) >= RANDOM.randint(1, 7, 60)[:, None] * 2, np.nan, X)
FRAME = pd.DataFrame({"a": X[:, 0], "b": ["x", "y", "z"] * 20, "c": ["p", "q"] * 30, "d": X[:, 1]})
MODELS = {
    "gaps": (skae.AutoencoderTransformer(2), GAPS, GAPS),
    "complete": (skae.AutoencoderTransformer(2, network=Dense((6,), batch_norm=True)), X, GAPS),
    "mixed": (skae.AutoencoderTransformer(2), FRAME, FRAME),
    "ordered": (skae.AutoencoderTransformer(4, ordered=True), GAPS, GAPS),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((3, 4), channels=(4,))), GAPS, GAPS),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(6, hidden_size=5)), ENDS, ENDS),
    "lstm": (skae.AutoencoderTransformer(2, network=Recurrent(6, cell="lstm", hidden_size=5)), X, ENDS),
    "recursive": (skae.AutoencoderTransformer(2, network=Recursive(4)), X, GAPS),
    "topk": (skae.SparseAutoencoderTransformer(8, n_active=2), X, GAPS),
    "jumprelu": (skae.SparseAutoencoderTransformer(8, penalty="jumprelu"), X, GAPS),
    "variational": (skae.VariationalAutoencoderTransformer(2), X, GAPS),
    "binary": (skae.BinaryAutoencoderTransformer(8), X, GAPS),
}


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def session(module, example, path, dynamo):
    """Export a module from two complete rows, and return what runs it on arrays of any number of rows."""
    options = (
        {"dynamic_shapes": ({0: Dim("rows")},), "verbose": False}
        if dynamo
        else {"dynamic_axes": {"x": {0: "rows"}}}
    )
    torch.onnx.export(
        module, (example,), str(path), dynamo=dynamo, input_names=["x"], output_names=["y"], **options
    )
    running = onnxruntime.InferenceSession(str(path))
    return lambda rows: running.run(None, {"x": rows})[0]


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "legacy"])
@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_gives_codes_and_rows(name, dynamo, tmp_path):
    model, rows, others = MODELS[name]
    model = copy.deepcopy(model).set_params(max_iter=2, random_state=0).fit(rows)
    inside = model._validated(others).astype(np.float32)
    complete = np.where(np.isnan(inside), 0.0, inside).astype(np.float32)
    # Small tables are trained in float64, and onnxruntime has not all operations in it.
    encoder, decoder = copy.deepcopy(model.encoder_).float(), copy.deepcopy(model.decoder_).float()
    # Modules take numbers in the units of X, whatever is scaled inside.
    unscaled = model._columns.unscale
    encode = session(encoder, torch.from_numpy(unscaled(complete[:2])), tmp_path / "encoder.onnx", dynamo)
    for part in (inside, complete):
        for n_rows in (1, 5, len(part)):
            found = encode(unscaled(part[:n_rows]))
            np.testing.assert_allclose(found, model._codes(part[:n_rows]), atol=1e-5, rtol=1e-5)
    codes = model._codes(inside)
    decode = session(decoder, torch.from_numpy(codes[:2]), tmp_path / "decoder.onnx", dynamo)
    back = unscaled(model._codec.decode(codes))
    np.testing.assert_allclose(decode(codes), back, atol=1e-5, rtol=1e-5)
