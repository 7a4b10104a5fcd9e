"""What is recorded for ONNX, as torch modules: what the methods of estimators give."""

import copy

import numpy as np
import pytest
import torch

import skae
from skae.onnx import register, to_onnx
from skae.onnx._modules import Decode, Encode, Error, Reconstruct
from skae.onnx._tasks import Detect, Impute
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (80, 1)) + np.linspace(0, 6, 10)) + 0.1 * RANDOM.standard_normal((80, 10))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
Plain, Bits = skae.AutoencoderTransformer, skae.BinaryAutoencoderTransformer
MODELS = {
    "gaps": Plain(2),
    "standard": Plain(2, scaling="standard"),
    "quantile": Plain(2, scaling="quantile"),
    "packed": Bits(12, packed=True),
    "all layers": skae.DenoisingAutoencoderTransformer(2, hidden_layer_sizes=(6,), features="all"),
    "topk": skae.SparseAutoencoderTransformer(8, n_active=2),
    "variational": skae.VariationalAutoencoderTransformer(2),
}


def recorded(module, rows):
    """Return what a module computes when it is recorded with two other rows."""
    tensor = torch.from_numpy(rows)
    traced = torch.jit.trace(module.eval(), torch.zeros_like(tensor[:2]), check_trace=False)
    return traced(tensor)


@pytest.mark.parametrize("name", MODELS)
def test_modules_give_what_the_estimator_gives(name):
    model = copy.deepcopy(MODELS[name]).set_params(max_iter=2, early_stopping=False, random_state=0).fit(GAPS)
    codes = model.transform(GAPS)
    wanted = {
        Encode: (GAPS, codes),
        Decode: (codes.astype(np.float64), model.inverse_transform(codes)),
        Reconstruct: (GAPS, model.reconstruct(GAPS)),
        Error: (GAPS, model.reconstruction_error(GAPS)),
    }
    for module, (given, result) in wanted.items():
        found = recorded(module(model, torch.float64), given)
        np.testing.assert_allclose(found, result, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{}, {"add_indicator": True}, {"keep_empty_features": True}, {"missing_values": -1.0}],
    ids=lambda settings: "".join(settings),
)
def test_imputers_fill_what_they_fill(settings):
    rows = GAPS.copy()
    rows[:, 3] = np.nan
    if "missing_values" in settings:
        rows = np.nan_to_num(rows, nan=-1.0)
    model = Plain(3, scaling="standard", max_iter=2, random_state=0)
    imputer = AutoencoderImputer(model, random_state=0, **settings).fit(rows)
    found = recorded(Impute(imputer, torch.float64), rows)
    np.testing.assert_allclose(found, imputer.transform(rows), atol=1e-9)


def test_detectors_score_what_they_score():
    detector = AutoencoderOutlierDetector(n_estimators=2, random_state=0).fit(GAPS)
    rows = GAPS.copy()
    rows[0], rows[1, 2], rows[2] = np.nan, 1e30, 1e200
    labels, scores = recorded(Detect(detector, torch.float64), rows)
    np.testing.assert_allclose(scores[:, 0], detector.decision_function(rows), atol=1e-9)
    assert labels[:, 0].tolist() == detector.predict(rows).tolist()


def test_searched_codes_are_refused():
    model = skae.SparseAutoencoderTransformer(8, max_iter=1, inference="omp", random_state=0).fit(X)
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match="inference='encoder'"):
        to_onnx(model)


def test_missing_packages_are_named(monkeypatch):
    for name in ("onnx", "skl2onnx"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "skae\[onnx\]"'):
        to_onnx(Plain(2))
    with pytest.raises(ImportError, match=r'pip install "skae\[onnx\]"'):
        register()
