"""`to_onnx` in onnxruntime: what methods of estimators give, for one row, many rows, and gaps."""

import copy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import issparse
from scipy.sparse import random as random_sparse

import skae
from skae.networks import Convolutional, Custom, Dense, Dictionary, Recurrent, Recursive
from skae.onnx import to_onnx
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
X = (X - X.mean(axis=0)) / X.std(axis=0)
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(12) >= RANDOM.randint(1, 7, 60)[:, None] * 2, np.nan, X)
Plain, Sparse = skae.AutoencoderTransformer, skae.SparseAutoencoderTransformer
VARIANTS = {
    "plain": Plain(2),
    "ordered": Plain(3, ordered=True),
    "denoising": skae.DenoisingAutoencoderTransformer(2),
    "contractive": skae.ContractiveAutoencoderTransformer(2),
    "sparse": Sparse(8),
    "variational": skae.VariationalAutoencoderTransformer(2),
    "adversarial": skae.AdversarialAutoencoderTransformer(2),
    "binary": skae.BinaryAutoencoderTransformer(8),
}
NETWORKS = {
    "dense": None,
    "convolutional": Convolutional((3, 4), channels=(4,)),
    "recurrent": Recurrent(6, hidden_size=5),
    "recursive": Recursive(4),
    "dictionary": Dictionary((5,)),
    "own": "own",
}
OTHERS = {
    **{
        f"activation {one}": Plain(2, activation=one) for one in ("gelu", "silu", "elu", "leaky_relu", "tanh")
    },
    **{f"link {one}": Plain(2, output_activation=one) for one in ("softplus", "exp")},
    **{f"scaling {one}": Plain(2, scaling=one) for one in ("standard", "robust", "quantile")},
    **{f"penalty {one}": Sparse(8, penalty=one) for one in ("batch_topk", "jumprelu", "gated", "l1", "kl")},
    "n_active": Sparse(8, n_active=2, sparse_output=True),
    "all layers": skae.DenoisingAutoencoderTransformer(2, features="all"),
    "packed": skae.BinaryAutoencoderTransformer(12, packed=True),
    "batch norm": Plain(2, network=Dense((6,), batch_norm=True)),
    "tied": Plain(2, network=Dense((6,), tied_weights=True)),
    "lstm": Plain(2, network=Recurrent(6, cell="lstm", hidden_size=5)),
    "greedy": Plain(2, network=Recursive(4, merging="greedy")),
    "counts": skae.VariationalAutoencoderTransformer(2, likelihood="poisson"),
}


def on_network(variant, network):
    """Return an unfitted estimator, its training rows, and others."""
    model = copy.deepcopy(VARIANTS[variant])
    chosen, n_components = NETWORKS[network], model.n_components
    if chosen == "own":
        n_outputs = 2 * n_components if variant == "variational" else n_components
        chosen = Custom(torch.nn.Linear(12, n_outputs), torch.nn.Linear(n_components, 12))
    rows, others = (ENDS, ENDS) if network == "recurrent" else (X, GAPS)
    return model.set_params(network=chosen), rows, others


def fitted(model, rows):
    settings = {"max_iter": 3, "early_stopping": False, "random_state": 0}
    return copy.deepcopy(model).set_params(**settings).fit(rows)


def run(model, **given):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)


def dense(codes):
    return codes.toarray() if issparse(codes) else codes


def assert_all_follow(model, others, dtype=np.float32, tables=None):
    """Compare all that can be exported with what the methods give."""
    graphs = {
        what: to_onnx(model, what, dtype=dtype) for what in ("encode", "decode", "reconstruct", "error")
    }
    for table in tables or (others, np.nan_to_num(others)):
        for n_rows in (1, 5, len(table)):
            rows = table[:n_rows].astype(dtype)
            codes = dense(model.transform(rows))
            wanted = {
                "encode": codes,
                "decode": model.inverse_transform(codes if codes.dtype == np.uint8 else codes.astype(dtype)),
                "reconstruct": model.reconstruct(rows),
                "error": model.reconstruction_error(rows),
            }
            for what, graph in graphs.items():
                given = {"Z": codes.astype(dtype)} if what == "decode" else {"X": rows}
                found = run(graph, **given)[0]
                assert found.dtype == (np.uint8 if what == "encode" and codes.dtype == np.uint8 else dtype)
                assert found.shape == wanted[what].shape
                np.testing.assert_allclose(found, wanted[what], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("variant", "network"), list(product(VARIANTS, NETWORKS)))
def test_every_variant_and_architecture(variant, network):
    if variant == "sparse" and network == "dense":
        network = "dictionary"
    model, rows, others = on_network(variant, network)
    if variant == "ordered" and network in ("dictionary", "own", "recurrent"):
        pytest.skip("as plain: these decoders are not told which components are cut")
    model = fitted(model, rows)
    # Decoders put out all steps of sequences that have ended.
    assert_all_follow(model, others, tables=(others,) if network == "recurrent" else None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OTHERS)
def test_every_setting(name, dtype):
    rows = np.abs(X).round() if name == "counts" else np.abs(X) if name.startswith("link") else X
    assert_all_follow(fitted(OTHERS[name], rows), X if name == "lstm" else GAPS, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_in_training_and_large_offsets(dtype):
    assert_all_follow(fitted(Plain(3), GAPS), GAPS, dtype)
    model = fitted(Plain(3), X + 1e6)
    rows = (X + 1e6).astype(dtype)
    np.testing.assert_allclose(run(to_onnx(model, dtype=dtype), X=rows)[0], model.transform(rows), atol=1e-5)


def test_wide_sparse_rows_are_read_along_their_directions():
    rows = random_sparse(60, 300, 0.05, format="csr", random_state=0)
    model = fitted(Plain(2), rows)
    assert_all_follow(model, rows.toarray())


FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "text": ["x", "y", "z"] * 20,
        "two": ["p", "q"] * 30,
        "whole": RANDOM.poisson(3, 60),
        "flag": RANDOM.uniform(size=60) < 0.5,
        "level": pd.Categorical(RANDOM.randint(0, 3, 60)),
        "count": RANDOM.poisson(2, 60),
    }
)
# A gap, a missing text, texts and levels that training has not seen.
ODD = FRAME.copy()
ODD["level"] = ODD["level"].cat.add_categories([9])
ODD.loc[3, "number"], ODD.loc[4, "text"], ODD.loc[5, "two"], ODD.loc[6, "level"] = np.nan, None, "new", 9


def as_given(graph, frame, dtype):
    """Return columns as tensors, in the types that a graph asks for."""
    found = {}
    for one in graph.graph.input:
        values = frame[one.name].to_numpy()[:, None]
        kind = one.type.tensor_type.elem_type
        if kind == 8:
            found[one.name] = np.where(pd.isna(values), "", values).astype(object)
        else:
            found[one.name] = values.astype(bool if kind == 9 else dtype)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "model", [Plain(3), skae.VariationalAutoencoderTransformer(3), Plain(3, scaling="quantile")]
)
def test_tables_have_one_input_and_one_output_a_column(model, dtype):
    model = fitted(copy.deepcopy(model).set_params(column_types={"count": "count"}), FRAME)
    encode, error, back = (to_onnx(model, what, dtype=dtype) for what in ("encode", "error", "reconstruct"))
    for frame in (FRAME, ODD):
        for n_rows in (1, 5, 60):
            rows = frame[:n_rows]
            codes = model.transform(rows)
            np.testing.assert_allclose(run(encode, **as_given(encode, rows, dtype))[0], codes, atol=1e-5)
            errors = model.reconstruction_error(rows)
            np.testing.assert_allclose(run(error, **as_given(error, rows, dtype))[0], errors, atol=1e-5)
            given_back = run(back, **as_given(back, rows, dtype))
            for found, (name, wanted) in zip(given_back, model.reconstruct(rows).items(), strict=True):
                if name in ("number",):
                    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-5)
                else:
                    assert found[:, 0].tolist() == wanted.tolist()
    decoded = run(to_onnx(model, "decode", dtype=dtype), Z=codes.astype(dtype))
    assert decoded[1][:, 0].tolist() == model.inverse_transform(codes)["text"].tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_imputers_and_outlier_detectors(dtype):
    imputer = AutoencoderImputer(Plain(3, max_iter=3, scaling="standard"), add_indicator=True, random_state=0)
    detector = AutoencoderOutlierDetector(n_estimators=3, random_state=0)
    fill, detect = to_onnx(imputer.fit(GAPS), dtype=dtype), to_onnx(detector.fit(GAPS), dtype=dtype)
    for n_rows in (1, 60):
        rows = GAPS[:n_rows].astype(dtype)
        np.testing.assert_allclose(run(fill, X=rows)[0], imputer.transform(rows), atol=1e-5)
        labels, scores = run(detect, X=rows)
        np.testing.assert_allclose(scores[:, 0], detector.decision_function(rows), atol=1e-5)
        assert labels[:, 0].tolist() == detector.predict(rows).tolist()
