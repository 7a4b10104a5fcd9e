"""Graphs of ONNX by the reference implementation of its operators: one case of each kind.

All variants, architectures and pipelines are run in onnxruntime, by `pytest -m clients`.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.onnx import register, to_onnx
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
reference = pytest.importorskip("onnx.reference")
skl2onnx = pytest.importorskip("skl2onnx")
data_types = pytest.importorskip("skl2onnx.common.data_types")

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 5)) + 0.1 * RANDOM.standard_normal((60, 5))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "text": ["x", "y", "z"] * 20,
        "level": pd.Categorical(RANDOM.randint(0, 3, 60)),
        "flag": X[:, 1] > 0,
    }
)
TEXT, TRUTH = onnx.TensorProto.STRING, onnx.TensorProto.BOOL


def plain(**settings):
    return skae.AutoencoderTransformer(2, max_iter=2, random_state=0, **settings)


def run(graph, **given):
    return reference.ReferenceEvaluator(graph).run(None, given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [1, 60])
def test_codes_rows_and_errors(n_rows, dtype):
    model = plain(scaling="standard").fit(GAPS)
    rows = GAPS[:n_rows].astype(dtype)
    codes = model.transform(rows)
    for what, given, wanted in (
        ("encode", {"X": rows}, codes),
        ("decode", {"Z": codes}, model.inverse_transform(codes)),
        ("reconstruct", {"X": rows}, model.reconstruct(rows)),
        ("error", {"X": rows}, model.reconstruction_error(rows)),
    ):
        found = run(to_onnx(model, what, dtype=dtype), **given)[0]
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_text_categories_and_truth_values():
    model = plain().fit(FRAME)
    encode, back = to_onnx(model), to_onnx(model, "reconstruct")
    rows = FRAME.copy()
    rows.loc[3, "number"], rows.loc[4, "text"], rows.loc[5, "text"] = np.nan, None, "new"
    given = {}
    for one in encode.graph.input:
        values, kind = rows[one.name].to_numpy()[:, None], one.type.tensor_type.elem_type
        if kind == TEXT:
            given[one.name] = np.where(pd.isna(values), "", values).astype(object)
        else:
            given[one.name] = values.astype(bool if kind == TRUTH else np.float32)
    np.testing.assert_allclose(run(encode, **given)[0], model.transform(rows), atol=1e-5)
    wanted = model.reconstruct(rows)
    for found, name in zip(run(back, **given), wanted, strict=True):
        if name == "number":
            np.testing.assert_allclose(found[:, 0], wanted[name], atol=1e-5)
        else:
            assert found[:, 0].tolist() == wanted[name].tolist()


def test_imputers_and_outlier_detectors():
    rows = GAPS.astype(np.float32)
    imputer = AutoencoderImputer(plain(), add_indicator=True, random_state=0).fit(GAPS)
    np.testing.assert_allclose(run(to_onnx(imputer), X=rows)[0], imputer.transform(rows), atol=1e-5)
    detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(GAPS)
    labels, scores = run(to_onnx(detector), X=rows)
    np.testing.assert_allclose(scores[:, 0], detector.decision_function(rows), atol=1e-5)
    assert labels[:, 0].tolist() == detector.predict(rows).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_pipelines(dtype):
    register()
    y = X[:, 2] > 0
    steps = StandardScaler(), AutoencoderImputer(plain(), random_state=0), plain(), LogisticRegression()
    pipe = make_pipeline(*steps).fit(GAPS, y)
    kind = data_types.FloatTensorType if dtype == np.float32 else data_types.DoubleTensorType
    graph = skl2onnx.to_onnx(pipe, initial_types=[("X", kind([None, 5]))], options={"zipmap": False})
    labels, shares = run(graph, X=GAPS.astype(dtype))
    np.testing.assert_allclose(shares, pipe.predict_proba(GAPS.astype(dtype)), atol=1e-5)
    assert labels.tolist() == pipe.predict(GAPS).tolist()


def test_pipelines_of_tables_and_detectors():
    register()
    # The reference implementation compares no texts that come as columns.
    table = pd.DataFrame(X[:, :2].astype(np.float32), columns=["one", "two"])
    pipe = make_pipeline(plain(), StandardScaler()).fit(table)
    graph = skl2onnx.to_onnx(
        pipe, initial_types=[(name, data_types.FloatTensorType([None, 1])) for name in table]
    )
    given = {name: table[[name]].to_numpy() for name in table}
    np.testing.assert_allclose(run(graph, **given)[0], pipe.transform(table), atol=1e-5)

    detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0)
    pipe = make_pipeline(StandardScaler(), detector).fit(X)
    graph = skl2onnx.to_onnx(pipe, initial_types=[("X", data_types.DoubleTensorType([None, 5]))])
    labels, scores = run(graph, X=X)
    np.testing.assert_allclose(scores[:, 0], pipe.decision_function(X), atol=1e-5)
    assert labels[:, 0].tolist() == pipe.predict(X).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "codes"}, "what must be one of"),
        ({"dtype": np.int64}, "dtype must be"),
        ({"opset": 9}, "opset must be"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(plain().fit(X), **arguments)


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(TypeError, match="got LogisticRegression"):
        to_onnx(LogisticRegression())
    with pytest.raises(ValueError, match="is for autoencoders"):
        to_onnx(AutoencoderImputer(), "decode")
    with pytest.raises(ValueError, match="Encode text before"):
        to_onnx(AutoencoderImputer(plain(), random_state=0).fit(FRAME))
