"""Fits on a GPU: the same kind of numbers as on the CPU, and estimators that need no GPU afterwards.

Skipped where there is none.
"""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from torch import nn

import skae
from skae.data import ArrayRows
from skae.networks import Convolutional, Custom, Dense, Recurrent, Recursive
from skae.selection import StackedGridSearchCV
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of CUDA's"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

MODELS = {
    "plain": skae.AutoencoderTransformer(3),
    "ordered": skae.AutoencoderTransformer(6, ordered=True),
    "searched": skae.AutoencoderTransformer(0.8),
    "linear": skae.AutoencoderTransformer(3, encoder="linear"),
    "straightened": skae.AutoencoderTransformer(3, linearity=0.3),
    "dropout": skae.AutoencoderTransformer(3, dropout=0.2, batch_norm=True),
    "sgd": skae.AutoencoderTransformer(3, solver="sgd"),
    "lbfgs": skae.AutoencoderTransformer(3, solver="lbfgs"),
    "recirculation": skae.AutoencoderTransformer(3, solver="recirculation", hidden_layer_sizes=()),
    "layerwise": skae.AutoencoderTransformer(3, pretrain="layerwise", hidden_layer_sizes=(16, 8)),
    "quantile": skae.AutoencoderTransformer(3, scaling="quantile"),
    "several starts": skae.AutoencoderTransformer(3, n_init=2),
    "convolutional": skae.AutoencoderTransformer(3, network=Convolutional((8, 8), channels=(4,))),
    "recurrent": skae.AutoencoderTransformer(3, network=Recurrent(8, hidden_size=6)),
    "recursive": skae.AutoencoderTransformer(3, network=Recursive(8, hidden_size=6, merging="greedy")),
    "custom": skae.AutoencoderTransformer(
        3, network=Custom(nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3)), nn.Linear(3, 64))
    ),
    "adversarial": skae.AdversarialAutoencoderTransformer(3, prior="mixture"),
    "binary": skae.BinaryAutoencoderTransformer(8),
    "contractive": skae.ContractiveAutoencoderTransformer(3),
    "denoising": skae.DenoisingAutoencoderTransformer(3),
    "swapped": skae.DenoisingAutoencoderTransformer(3, corruption="swap"),
    "sparse": skae.SparseAutoencoderTransformer(16, n_active=3),
    "batch_topk": skae.SparseAutoencoderTransformer(16, penalty="batch_topk", n_active=3),
    "jumprelu": skae.SparseAutoencoderTransformer(16, penalty="jumprelu"),
    "gated": skae.SparseAutoencoderTransformer(16, penalty="gated", revival="auxiliary"),
    "deep sparse": skae.SparseAutoencoderTransformer(16, n_active=3, network=Dense((16,))),
    "variational": skae.VariationalAutoencoderTransformer(3),
    "importance": skae.VariationalAutoencoderTransformer(3, objective="iwae"),
}


def on(device, model, **settings):
    """Return a model that trains there for a moment."""
    return clone(model).set_params(device=device, random_state=0, **{"max_iter": 20, **settings})


@pytest.fixture(scope="module")
def targets():
    """Classes of the digits, of which every second one is unknown."""
    y = load_digits().target.copy()
    y[::2] = -1
    return y


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_what_the_cpu_gives(name, digits):
    """Rounding and noise differ; on the CPU, two seeds differ by as much as this allows."""
    with_validation = {"validation_fraction": 0.2}
    here = on("cpu", MODELS[name], **with_validation).fit(digits)
    state = torch.cuda.get_rng_state(), torch.get_rng_state()
    there = on("cuda", MODELS[name], **with_validation).fit(digits)
    assert all(map(torch.equal, state, (torch.cuda.get_rng_state(), torch.get_rng_state())))
    assert there.score(digits) == pytest.approx(here.score(digits), abs=0.04)
    # Nothing of it stays on the device.
    assert {value.device.type for value in there.network_.state_dict().values()} == {"cpu"}
    codes = there.transform(digits)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(there)).transform(digits), codes)
    np.testing.assert_allclose(there.transform(digits[5:6]), codes[5:6], atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "ordered", "denoising", "variational", "sparse"])
def test_the_same_seed_gives_the_same_numbers(name, digits):
    first, second = (on("cuda", MODELS[name]).fit(digits).transform(digits) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["plain", "denoising", "variational", "sparse", "convolutional"])
def test_small_tables_are_judged_by_folds(name, digits):
    X = digits[:300]
    here, there = (on(device, MODELS[name]).fit(X) for device in ("cpu", "cuda"))
    assert there.validation_score_ == pytest.approx(here.validation_score_, abs=0.03)


@pytest.mark.parametrize("name", ["plain", "denoising", "variational"])
def test_gaps_and_weights(name, digits):
    X = digits.copy()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    weight = np.random.RandomState(1).uniform(1, 2, len(X))
    here, there = (on(device, MODELS[name]).fit(X, sample_weight=weight) for device in ("cpu", "cuda"))
    assert there.score(X) == pytest.approx(here.score(X), abs=0.04)


def test_mixed_columns(digits):
    pd = pytest.importorskip("pandas")
    kind = pd.Categorical.from_codes(np.arange(1797) % 3, list("abc"))
    frame = pd.DataFrame(digits[:, :5]).assign(kind=kind)
    frame.columns = frame.columns.map(str)
    there = on("cuda", skae.AutoencoderTransformer(3)).fit(frame)
    assert set(there.inverse_transform(there.transform(frame)).columns) == set(frame.columns)


def test_a_target(digits, targets):
    here, there = (
        on(device, skae.AutoencoderTransformer(3, target_weight=0.3)).fit(digits, targets)
        for device in ("cpu", "cuda")
    )
    assert there.target_score_ == pytest.approx(here.target_score_, abs=0.03)
    found = on("cuda", skae.AutoencoderTransformer(2, target_weight="auto"))
    assert found.fit(load_iris().data, load_iris().target).target_score_ > 0.5


def test_partial_fit_goes_on(digits):
    model = on("cuda", skae.AutoencoderTransformer(3))
    for _ in range(3):
        for part in np.array_split(digits, 4):
            model.partial_fit(part)
    assert {value.device.type for value in model.network_.state_dict().values()} == {"cpu"}
    assert model.score(digits) > 0.3


def test_rows_in_blocks(digits):
    X = np.tile(digits, (4, 1)).astype(np.float32)
    X += 0.01 * np.random.RandomState(0).standard_normal(X.shape).astype(np.float32)
    source = ArrayRows(X, max_bytes=2**19)
    here, there = (on(device, skae.AutoencoderTransformer(3)).fit(source) for device in ("cpu", "cuda"))
    assert there.score(X) == pytest.approx(here.score(X), abs=0.04)


class Stopped(Exception):
    """What ends a fit between two epochs."""


class StopsAfter:
    """A callback that raises after so many epochs."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_left -= 1
        if not self.n_left:
            raise Stopped

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("name", ["plain", "denoising", "dropout", "custom", "sparse"])
def test_a_checkpoint_goes_on(name, digits, tmp_path):
    settings = {"checkpoint": tmp_path / "c.skae", "max_iter": 8}
    whole = on("cuda", MODELS[name], max_iter=8).fit(digits)
    with pytest.raises(Stopped):
        on("cuda", MODELS[name], **settings).set_callbacks(StopsAfter(5)).fit(digits)
    again = on("cuda", MODELS[name], **settings).fit(digits)
    np.testing.assert_array_equal(again.transform(digits), whole.transform(digits))


def test_stacks(digits):
    X = digits[:600]
    search = StackedGridSearchCV(
        on("cuda", skae.AutoencoderTransformer()), {"n_components": [2, 4], "weight_decay": [0.0, 0.01]}, cv=3
    ).fit(X)
    assert search.best_params_["n_components"] == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_tasks(digits):
    odd = np.vstack([digits[:300], np.random.RandomState(0).uniform(size=(15, 64))])
    detector = AutoencoderOutlierDetector(on("cuda", skae.AutoencoderTransformer(3)), random_state=0).fit(odd)
    scores = detector.score_samples(odd)
    assert scores[300:].mean() < scores[:300].mean()
    gaps = digits[:300].copy()
    gaps[::3, 20] = np.nan
    imputer = AutoencoderImputer(on("cuda", skae.AutoencoderTransformer(3)), random_state=0)
    assert np.isfinite(imputer.fit_transform(gaps)).all()
