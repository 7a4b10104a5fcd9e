"""What is kept of estimators: plain data of which everything is made again."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

import skae
from skae._plain import Catalogue
from skae.estimators import _state
from skae.networks import Convolutional, Custom, Dense, Recurrent, Recursive
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (60, 1)) + np.linspace(0, 6, 12)) + 0.1 * RANDOM.standard_normal((60, 12))
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
ENDS = np.where(np.arange(12) >= RANDOM.randint(2, 7, 60)[:, None] * 2, np.nan, X)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "whole": np.arange(60) % 7,
        "nullable": pd.array([None, *range(59)], dtype="Int64"),
        "text": ["red", "green", "blue", None] * 15,
        "two": ["yes", "no"] * 30,
        "truth": pd.array([True, False, None] * 20, dtype="boolean"),
        "category": pd.Categorical(["low", "high", "high"] * 20, ["low", "mid", "high"], ordered=True),
        "one": pd.Categorical([1, 2, 3] * 20),
    }
)
SPARSE = scipy.sparse.random(60, 300, 0.05, format="csr", random_state=0)


def weighted(X, random):
    return X + random.standard_normal(X.shape)


ESTIMATORS = {
    "plain": (skae.AutoencoderTransformer(2), X),
    "gaps": (skae.AutoencoderTransformer(2), GAPS),
    "tied": (skae.AutoencoderTransformer(2, tied_weights=True, hidden_layer_sizes=(6, 5)), X),
    "layers": (skae.AutoencoderTransformer(2, network=Dense((6,), dropout=0.1, batch_norm=True)), X),
    "images": (skae.AutoencoderTransformer(2, network=Convolutional((3, 4), channels=(4, 5))), X),
    "sequences": (skae.AutoencoderTransformer(2, network=Recurrent(6, hidden_size=5)), ENDS),
    "lstm": (skae.AutoencoderTransformer(2, network=Recurrent(6, cell="lstm", n_layers=2)), X),
    "recursive": (skae.AutoencoderTransformer(2, network=Recursive(4, merging="greedy")), X),
    "ordered": (skae.AutoencoderTransformer(4, ordered=True), X),
    "share": (skae.AutoencoderTransformer(0.8), X),
    "mixed": (skae.AutoencoderTransformer(2), FRAME),
    "kinds": (skae.AutoencoderTransformer(2, column_types={0: "count", 2: "numeric"}), np.abs(X).round()),
    "quantiles": (skae.AutoencoderTransformer(2, scaling="quantile", linear_path=False), X),
    "robust": (skae.AutoencoderTransformer(2, scaling="robust", loss="huber"), X),
    "sparse rows": (skae.AutoencoderTransformer(2), SPARSE),
    "counts": (skae.AutoencoderTransformer(2, loss="poisson", l1_weights=1e-3), np.abs(X)),
    "swap": (skae.DenoisingAutoencoderTransformer(2, features="all", column_groups=[[0, 1]]), X),
    "noise": (skae.DenoisingAutoencoderTransformer(2, corruption="gaussian"), X),
    "salt": (skae.DenoisingAutoencoderTransformer(2, corruption="salt_and_pepper"), X),
    "masking": (skae.DenoisingAutoencoderTransformer(2, corruption="masking"), X),
    "missing": (skae.DenoisingAutoencoderTransformer(2, corruption="missing"), FRAME),
    "function": (skae.DenoisingAutoencoderTransformer(2, corruption=weighted), X),
    "contractive": (skae.ContractiveAutoencoderTransformer(2), X),
    "estimated": (skae.ContractiveAutoencoderTransformer(2, hidden_layer_sizes=(5, 4)), X),
    "topk": (skae.SparseAutoencoderTransformer(8, n_active=2), X),
    "batch_topk": (skae.SparseAutoencoderTransformer(8, penalty="batch_topk", revival="auxiliary"), X),
    "jumprelu": (skae.SparseAutoencoderTransformer(8, penalty="jumprelu"), X),
    "gated": (skae.SparseAutoencoderTransformer(8, penalty="gated"), X),
    "l1": (skae.SparseAutoencoderTransformer(8, penalty="l1", sparse_output=True), X),
    "l2": (skae.SparseAutoencoderTransformer(8, penalty="l2"), X),
    "kl": (skae.SparseAutoencoderTransformer(8, penalty="kl"), X),
    "variational": (skae.VariationalAutoencoderTransformer(2, variance="per_feature"), FRAME),
    "importance": (skae.VariationalAutoencoderTransformer(2, objective="iwae", variance=0.5), X),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, prior="mixture"), X),
    "binary": (skae.BinaryAutoencoderTransformer(8, packed=True), X),
    "imputer": (AutoencoderImputer(skae.AutoencoderTransformer(2), add_indicator=True), GAPS),
    "imputed frame": (AutoencoderImputer(skae.VariationalAutoencoderTransformer(2)), FRAME),
    "detector": (AutoencoderOutlierDetector(n_estimators=2, n_refits=0), FRAME),
}


def small(model):
    model = clone(model)
    names = [name for name in model.get_params() if name.split("__")[-1] == "max_iter"]
    return model.set_params(random_state=0, **dict.fromkeys(names, 2))


@pytest.fixture(scope="module")
def fits():
    """Return fitted estimators by name, each fitted once."""
    found = {}

    def fit(name):
        if name not in found:
            model, rows = ESTIMATORS[name]
            found[name] = small(model).fit(rows)
        return found[name], ESTIMATORS[name][1]

    return fit


def outputs(model, rows):
    """Return what an estimator says of rows."""
    if not hasattr(model, "transform"):
        return [model.score_samples(rows)]
    codes = model.transform(rows)
    if not hasattr(model, "inverse_transform"):
        return [codes]
    return [codes, model.inverse_transform(codes), model.score(rows)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        else:
            a, b = (part.toarray() if scipy.sparse.issparse(part) else part for part in (a, b))
            np.testing.assert_array_equal(a, b)


def objects_within(value):
    """List everything that state is made of, by walking through what pickle would walk through."""
    if isinstance(value, dict):
        return [value, *(part for pair in value.items() for item in pair for part in objects_within(item))]
    if isinstance(value, (list, tuple, set)):
        return [value, *(part for item in value for part in objects_within(item))]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [value, *objects_within(value.ravel().tolist())]
    if isinstance(value, _state.PlainState):
        return [value, *objects_within(value.__getstate__())]
    return [value]


PLAIN = (dict, list, tuple, str, int, float, bool, type(None), np.ndarray, np.generic)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_state_is_parameters_and_arrays_alone(name, fits):
    model, _ = fits(name)
    found = {type(part) for part in objects_within(model.__getstate__())}
    # Functions of the user's own, estimators within a task, and what scikit-learn itself adds.
    allowed = {type(weighted), *(type(ESTIMATORS[key][0]) for key in ESTIMATORS)}
    others = {one for one in found - allowed if not issubclass(one, PLAIN)}
    assert {one for one in others if not one.__module__.startswith("sklearn.")} == set()
    assert not [one for one in found if one.__module__.startswith(("torch", "pandas", "skae.networks"))]


@pytest.mark.parametrize("again", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_outputs_are_the_same_to_the_last_bit(name, again, fits):
    model, rows = fits(name)
    assert_same(outputs(again(model), rows), outputs(model, rows))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_pickles_are_no_larger_than_those_of_modules(name, fits):
    model, _ = fits(name)
    if isinstance(model, skae.estimators.BaseAutoencoder):
        assert len(pickle.dumps(model)) <= len(pickle.dumps(vars(model)))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if hasattr(ESTIMATORS[name][0], "partial_fit")])
def test_partial_fit_goes_on_bit_for_bit(name):
    model, rows = ESTIMATORS[name]
    if name == "share" or isinstance(rows, scipy.sparse.csr_matrix):
        pytest.skip("partial_fit keeps all components")
    model = small(model).partial_fit(rows)
    again = pickle.loads(pickle.dumps(model))
    assert_same(outputs(again.partial_fit(rows), rows), outputs(model.partial_fit(rows), rows))


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop", "lbfgs", "recirculation"])
@pytest.mark.parametrize("learning_rate", ["one_cycle", "reduce_on_plateau"])
def test_the_state_of_every_solver_is_plain_and_goes_on(solver, learning_rate):
    sizes = () if solver == "recirculation" else (5,)
    model = skae.AutoencoderTransformer(
        2, hidden_layer_sizes=sizes, solver=solver, learning_rate=learning_rate, random_state=0
    )
    model.partial_fit(X).partial_fit(X[:30])
    again = pickle.loads(pickle.dumps(model))
    assert not [part for part in objects_within(model.__getstate__()) if isinstance(part, torch.Tensor)]
    assert_same(outputs(again.partial_fit(X), X), outputs(model.partial_fit(X), X))


def test_what_was_shared_is_shared_again(fits):
    model = pickle.loads(pickle.dumps(fits("tied")[0]))
    network = model.network_
    assert model.encoder_.network is network
    assert model.decoder_.network is network
    assert model._codec.network is network
    assert model.decoder_.reconstruction is model.objective_.reconstruction
    assert network.decoder[0].linear is network.encoder[-1]
    assert network.linear_decoder.linear is network.linear_encoder
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("name", ["ordered", "share"])
def test_truncated_and_warm_start_go_on_after_a_pickle(name, fits):
    model, rows = fits(name)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.truncated(1).transform(rows), model.transform(rows)[:, :1])
    shorter = pickle.loads(pickle.dumps(again.truncated(1)))
    np.testing.assert_array_equal(shorter.transform(rows), model.transform(rows)[:, :1])
    if name == "ordered":
        twin = copy.deepcopy(model)
        for one in (again, twin):
            one.set_params(warm_start=True, max_iter=1).fit(rows)
        np.testing.assert_array_equal(again.transform(rows), twin.transform(rows))


def test_a_copy_is_independent(fits):
    model, rows = fits("plain")
    before = model.transform(rows)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.network_.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(model.transform(rows), before)


@pytest.mark.parametrize("name", ["plain", "mixed", "swap", "variational"])
def test_read_only_arrays_of_a_memory_map_are_taken(name, fits, tmp_path):
    model, rows = fits(name)
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same(outputs(again.partial_fit(rows), rows), outputs(copy.deepcopy(model).partial_fit(rows), rows))


def test_an_unfitted_estimator_is_its_parameters():
    model = skae.AutoencoderTransformer(3, network=Dense((7,)), hidden_layer_sizes=(2,))
    again = pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    assert again.network.hidden_layer_sizes == (7,)
    assert vars(again).keys() == vars(model).keys()


# ------------------------------------------------------------------------------- what is refused


def damaged(model, change):
    state = copy.deepcopy(model.__getstate__())
    change(state)
    return type(model).__new__(type(model)).__setstate__(state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("_skae_state"), "names no version"),
        (lambda state: state["_skae_state"].update(version=99), "of version 99"),
        (lambda state: state.pop("tol"), r"lacks \['tol'\]"),
        (lambda state: state.pop("network_"), r"lacks \['network_'\]"),
        (lambda state: state.pop("_columns"), r"lacks \['_columns'\]"),
        (lambda state: state["_skae_state"].update(objects="none"), "of version 1"),
        (lambda state: state["_skae_state"]["objects"].pop(), "damaged"),
        (lambda state: state["_skae_state"]["objects"][0].update({"class": "os.system"}), "'os.system'"),
        (lambda state: state["_skae_state"]["objects"][0].pop("state"), "damaged"),
        (lambda state: state.update(network_={"skae.object": -1}), "damaged"),
    ],
)
def test_a_state_that_is_not_whole_is_refused_by_a_sentence(change, words, fits):
    with pytest.raises(ValueError, match=words):
        damaged(fits("plain")[0], change)


def classes_of_ours(base):
    found = {base} if base.__module__.startswith("skae.") else set()
    return found.union(*(classes_of_ours(cls) for cls in base.__subclasses__()))


def test_every_module_and_specification_can_be_made_again():
    # Those that nothing is made of, and what lives in training alone.
    left_out = {
        "Specification",
        "Architecture",
        "Coder",
        "Chain",
        "SequenceSpecification",
        "ByColumn",
        "Corruption",
        "ByCell",
        "_OnRows",
        "_Leading",
        "_Empty",
        "Pair",
        "_Judging",
    }
    ours = classes_of_ours(nn.Module) | classes_of_ours(skae._parameters.Specification)
    # Modules that are recorded for ONNX are in no estimator.
    ours = {cls for cls in ours if not cls.__module__.startswith("skae.onnx.")}
    known = set(_state.CATALOGUE.classes.values())
    assert {cls.__name__ for cls in ours - known} <= left_out


def test_a_catalogue_makes_nothing_but_what_it_lists():
    empty = Catalogue({}, {})
    with pytest.raises(ValueError, match="does not know"):
        empty.make({"x": {"skae.object": 0}}, [{"class": "builtins.eval", "items": ["1"]}])
    with pytest.raises(ValueError, match="does not know"):
        empty.make({"x": {"skae.object": 0}}, [{"constant": "os.system"}])


def test_dicts_of_any_keys_and_tensors_of_any_type_come_back():
    shared = torch.arange(3.0)
    values = {
        "keys": {1: "a", (2, 3): "b", None: {"skae.object": "mine"}},
        "tensors": [shared, shared, torch.ones(2, dtype=torch.bfloat16), torch.tensor(float("inf"))],
        "types": (torch.float16, torch.device("cpu"), {3, 1, 2}, np.float32(1.5)),
        "flipped": torch.arange(6).reshape(2, 3).T,
    }
    catalogue = Catalogue({}, {})
    plain, objects = catalogue.describe(values)
    made = catalogue.make(pickle.loads(pickle.dumps(plain)), pickle.loads(pickle.dumps(objects)))
    assert made["keys"] == values["keys"]
    assert made["types"] == values["types"]
    assert made["tensors"][0] is made["tensors"][1]
    assert all(
        a.equal(b) and a.dtype == b.dtype for a, b in zip(made["tensors"], values["tensors"], strict=True)
    )
    assert made["flipped"].equal(values["flipped"])


# ------------------------------------------------------------------------ modules of the user's own


class Tied(nn.Module):
    """An encoder whose layer another module uses as well."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 2)
        self.scale = torch.tensor(2.0)

    def forward(self, x):
        return self.scale * self.layer(x).tanh()


def pair():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 4), nn.GELU(), nn.Linear(4, 2)), nn.Sequential(nn.Linear(2, 12))


@pytest.mark.parametrize("network", [pair, lambda: Custom(*pair()), lambda: (Tied(), nn.Linear(2, 12))])
def test_modules_of_the_users_own_go_with_the_estimator(network):
    model = skae.AutoencoderTransformer(2, network=network(), max_iter=2, random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert_same(outputs(again, X), outputs(model, X))
    assert not [part for part in objects_within(model.__getstate__()) if isinstance(part, torch.Tensor)]
    assert_same(outputs(again.fit(X), X), outputs(model.fit(X), X))


def test_equal_modules_have_equal_hashes():
    models = [
        skae.AutoencoderTransformer(2, network=network) for network in (pair(), pair(), Custom(*pair()))
    ]
    models.append(skae.AutoencoderTransformer(2, network=(Tied(), nn.GRU(2, 12))))
    for model in models:
        assert joblib.hash(clone(model)) == joblib.hash(model)
    assert joblib.hash(models[0]) == joblib.hash(models[1])
    other = clone(models[0])
    with torch.no_grad():
        other.network[0][0].weight[0, 0] += 1
    assert joblib.hash(other) != joblib.hash(models[0])


def test_a_pipeline_with_memory_fits_modules_of_the_users_own_once(tmp_path):
    y = X[:, 0] > 0
    made = [
        make_pipeline(
            PCA(12, random_state=0),
            skae.AutoencoderTransformer(2, network=pair(), max_iter=1, random_state=0),
            LogisticRegression(),
            memory=str(tmp_path),
        ).fit(X, y)
        for _ in range(2)
    ]
    # The time of a fit is part of what is kept: of a second fit it would be another one.
    assert made[0][1].fit_time_ == made[1][1].fit_time_
    np.testing.assert_array_equal(made[0].predict_proba(X), made[1].predict_proba(X))
