"""Pipelines with estimators of skae, exported by skl2onnx and run by onnxruntime."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

import skae
import skae.onnx
from skae.networks import Convolutional, Recurrent
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
data_types = pytest.importorskip("skl2onnx.common.data_types")

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

RANDOM = np.random.RandomState(0)
X, Y = load_breast_cancer(return_X_y=True)
X = X[:, :12]
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
TEXT = np.array(["x", "y", "z"])[RANDOM.randint(0, 3, len(X))]
FRAME = pd.DataFrame({"a": X[:, 0], "text": TEXT, "b": X[:, 1], "c": X[:, 2]})


def plain(n_components=3, **settings):
    return skae.AutoencoderTransformer(n_components, max_iter=5, random_state=0, **settings)


def imputer(**settings):
    return AutoencoderImputer(plain(), random_state=0, **settings)


def bits(**settings):
    return skae.BinaryAutoencoderTransformer(12, max_iter=5, random_state=0, **settings)


def sparse():
    return skae.SparseAutoencoderTransformer(16, max_iter=5, random_state=0)


def classifier():
    return LogisticRegression(max_iter=5000)


PIPELINES = {
    "classifier": (make_pipeline(StandardScaler(), plain(), classifier()), X),
    "large offset": (make_pipeline(StandardScaler(), plain(), classifier()), X + 1e6),
    "gaps": (make_pipeline(StandardScaler(), plain(), classifier()), GAPS),
    "scaling inside": (make_pipeline(plain(scaling="quantile"), StandardScaler(), plain(2)), GAPS),
    "variational": (
        make_pipeline(
            MinMaxScaler(),
            skae.VariationalAutoencoderTransformer(3, max_iter=5, random_state=0),
            classifier(),
        ),
        X,
    ),
    "sparse": (make_pipeline(RobustScaler(), sparse(), Ridge()), X),
    "images": (make_pipeline(StandardScaler(), plain(network=Convolutional((3, 4))), classifier()), X),
    "sequences": (make_pipeline(StandardScaler(), plain(network=Recurrent(6, cell="lstm"))), X),
    "imputer": (make_pipeline(StandardScaler(), imputer(), classifier()), GAPS),
    "indicator": (make_pipeline(StandardScaler(), imputer(add_indicator=True), plain()), GAPS),
    "detector": (
        make_pipeline(StandardScaler(), AutoencoderOutlierDetector(n_estimators=3, random_state=0)),
        GAPS,
    ),
    "packed": (make_pipeline(StandardScaler(), bits(packed=True)), X),
    "union": (
        make_pipeline(
            StandardScaler(), FeatureUnion([("pca", PCA(2)), ("ae", plain()), ("bits", bits())]), classifier()
        ),
        X,
    ),
    "columns": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("scaled", make_pipeline(StandardScaler(), plain(2)), [0, 1, 2, 3]),
                    ("raw", plain(2), [5, 6, 7]),
                ],
                remainder="passthrough",
            ),
            StandardScaler(),
            classifier(),
        ),
        X,
    ),
    "table": (make_pipeline(plain(), classifier()), FRAME),
    "columns of a table": (
        make_pipeline(
            ColumnTransformer([("mixed", plain(), ["a", "text"]), ("scaled", StandardScaler(), ["b", "c"])]),
            classifier(),
        ),
        FRAME,
    ),
    "encoded text": (
        make_pipeline(
            ColumnTransformer(
                [("text", OneHotEncoder(), ["text"]), ("scaled", StandardScaler(), ["a", "b", "c"])]
            ),
            plain(),
        ),
        FRAME,
    ),
}


@pytest.fixture(autouse=True, scope="module")
def registered():
    skae.onnx.register()


def number_type(dtype):
    return data_types.FloatTensorType if dtype == np.float32 else data_types.DoubleTensorType


def exported(pipe, rows, dtype, **settings):
    """Return what runs a Pipeline on rows in onnxruntime."""
    number = number_type(dtype)
    if isinstance(rows, pd.DataFrame):
        kinds = [(name, data_types.StringTensorType if name == "text" else number) for name in rows]
        types = [(name, kind([None, 1])) for name, kind in kinds]
    else:
        types = [("X", number([None, rows.shape[1]]))]
    options = {"zipmap": False} if hasattr(pipe[-1], "predict_proba") else None
    model = skl2onnx.to_onnx(pipe, initial_types=types, options=options, **settings)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    def run(part):
        if not isinstance(part, pd.DataFrame):
            return session.run(None, {"X": part})
        kind = {name: object if name == "text" else dtype for name in part}
        return session.run(None, {name: part[[name]].to_numpy().astype(kind[name]) for name in part})

    return run


def said(pipe, rows):
    """Return what the last step says of rows."""
    if hasattr(pipe[-1], "predict_proba"):
        return pipe.predict(rows), pipe.predict_proba(rows)
    if isinstance(pipe[-1], AutoencoderOutlierDetector):
        return pipe.predict(rows)[:, None], pipe.decision_function(rows)[:, None]
    return (pipe.predict(rows)[:, None] if hasattr(pipe, "predict") else pipe.transform(rows),)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_say_what_they_say(name, dtype):
    pipe, rows = PIPELINES[name]
    pipe.fit(rows, Y)
    typed = rows.astype(dict.fromkeys("abc", dtype)) if rows is FRAME else rows.astype(dtype)
    run = exported(pipe, rows, dtype)
    for n_rows in (1, 5, len(rows)):
        found = run(typed[:n_rows])
        for one, wanted in zip(found, said(pipe, typed[:n_rows]), strict=True):
            assert one.shape == wanted.shape
            np.testing.assert_allclose(one.astype(np.float64), wanted, atol=1e-5, rtol=1e-5)


def test_operators_of_older_versions_are_refused():
    pipe = make_pipeline(StandardScaler(), plain()).fit(X)
    with pytest.raises(RuntimeError, match="target_opset=15"):
        exported(pipe, X, np.float32, target_opset=15)


def test_a_class_of_ones_own_is_registered_by_name():
    class Own(skae.AutoencoderTransformer):
        pass

    skae.onnx.register(Own)
    pipe = make_pipeline(StandardScaler(), Own(2, max_iter=3, random_state=0)).fit(X)
    rows = X.astype(np.float32)
    np.testing.assert_allclose(exported(pipe, X, np.float32)(rows)[0], pipe.transform(rows), atol=1e-5)
