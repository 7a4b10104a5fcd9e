"""Searches, cross-validation, caching and processes: what scikit-learn does around an estimator."""

import json
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    BinaryAutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.networks import Dense

KIN = [
    AutoencoderTransformer,
    AdversarialAutoencoderTransformer,
    BinaryAutoencoderTransformer,
    ContractiveAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
]
# Two epochs may end below PCA and say so; that is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def table():
    random = np.random.RandomState(0)
    X = random.standard_normal((300, 4)) @ random.standard_normal((4, 8))
    return X, X[:, 0] > 0


def pipeline(cls, **settings):
    codes = cls(**{"n_components": 3, "max_iter": 2, "random_state": 0, **settings})
    return Pipeline([("scale", StandardScaler()), ("codes", codes), ("rain", LogisticRegression())])


# Processes take seconds to start; what is special about the others is not how they are sent to them.
@pytest.mark.slow
@pytest.mark.parametrize(
    "cls", [AutoencoderTransformer, SparseAutoencoderTransformer, VariationalAutoencoderTransformer]
)
def test_a_grid_gives_the_same_in_one_process_and_in_two(cls, table):
    grid = {"codes__n_components": [2, 4], "codes__weight_decay": [0.0, 0.1]}
    searches = [
        GridSearchCV(pipeline(cls), grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(*table)
        for n_jobs in (1, 2)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    # Workers compute with one thread, whose sums round otherwise than those of two.
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)
    # Candidates are not the same model four times.
    assert len(set(scores[0])) > 1


@pytest.mark.slow
def test_a_grid_over_penalties_and_their_weight(table):
    grid = {
        "codes__n_components": [4, 12],
        "codes__penalty": ["l1", "kl", "topk", "batch_topk", "jumprelu", "gated", "l2"],
        "codes__alpha": [1e-3, 1e-2],
    }
    search = GridSearchCV(
        pipeline(SparseAutoencoderTransformer), grid, cv=2, scoring="roc_auc", error_score="raise"
    ).fit(*table)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    # Each penalty and each size is another model; a weight is one where the penalty has any.
    assert len(set(scores)) >= 14


def test_a_grid_reaches_into_the_network(table):
    model = AutoencoderTransformer(2, network=Dense((4,)), max_iter=2, random_state=0)
    grid = {"network__hidden_layer_sizes": [(4,), (6, 5)], "network__activation": ["relu", "tanh"]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(table[0])
    assert len(search.cv_results_["params"]) == 4
    sizes, activations = (
        search.best_params_[f"network__{name}"] for name in ("hidden_layer_sizes", "activation")
    )
    assert search.best_estimator_.network.activation == activations
    assert tuple(
        layer.out_features for layer in search.best_estimator_.network_.encoder.linear_layers()[:-1]
    ) == tuple(sizes)
    # The network given by the user is no candidate's.
    assert model.network.hidden_layer_sizes == (4,)


@pytest.mark.slow
def test_scores_of_unlike_candidates_are_shares_of_the_same_variance(table):
    X = StandardScaler().fit_transform(table[0])
    scores = [
        cross_val_score(cls(4, random_state=0, max_iter=10, **settings), X, cv=2)
        for cls in KIN
        for settings in ({}, {"loss": "huber"})
        # Its likelihood says what the loss is.
        if not (settings and cls is VariationalAutoencoderTransformer)
    ]
    assert np.all(np.asarray(scores) <= 1)
    # Rank four: with as many components the plain one loses nothing, whatever the loss.
    assert np.min(scores[:2]) > 0.99


def test_inside_a_column_transformer(table):
    X, y = table
    columns = ColumnTransformer(
        [("some", DenoisingAutoencoderTransformer(2, max_iter=2, random_state=0), [0, 1, 2, 3, 4])],
        remainder="passthrough",
    )
    pipe = Pipeline([("columns", columns), ("rain", LogisticRegression())])
    search = GridSearchCV(pipe, {"columns__some__n_components": [1, 3]}, cv=2, error_score="raise").fit(X, y)
    # The columns that are passed on beside the codes.
    n_others = X.shape[1] - 5
    width = search.best_params_["columns__some__n_components"] + n_others
    assert search.best_estimator_["columns"].transform(X).shape[1] == width
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.slow
@pytest.mark.parametrize("cls", KIN)
def test_halving_over_epochs(cls, table):
    search = HalvingGridSearchCV(
        pipeline(cls),
        {"codes__n_components": [1, 2, 4]},
        resource="codes__max_iter",
        min_resources=1,
        max_resources=9,
        cv=2,
        error_score="raise",
    ).fit(*table)
    assert list(search.n_resources_) == [1, 3]
    assert search.best_estimator_["codes"].max_iter == 3


def test_random_search_and_curves(table):
    X, y = table
    pipe = pipeline(AutoencoderTransformer)
    search = RandomizedSearchCV(
        pipe, {"codes__n_components": [1, 2, 3]}, n_iter=2, cv=2, random_state=0, error_score="raise"
    ).fit(X, y)
    assert np.isfinite(search.best_score_)
    results = cross_validate(pipe, X, y, cv=2, return_estimator=True, error_score="raise")
    assert [e["codes"].n_components_ for e in results["estimator"]] == [3, 3]
    sizes, _, scores = learning_curve(pipe, X, y, cv=2, train_sizes=[0.5, 1.0], error_score="raise")
    assert list(sizes) == [75, 150]
    assert np.isfinite(scores).all()


@pytest.mark.filterwarnings("ignore:.*optuna.terminator:FutureWarning")
def test_optuna_searches(table):
    import optuna
    from optuna_integration import OptunaSearchCV

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with pytest.warns(Warning, match="experimental"):
        search = OptunaSearchCV(
            pipeline(SparseAutoencoderTransformer, penalty="l1"),
            {"codes__alpha": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)},
            cv=2,
            n_trials=3,
            random_state=0,
            error_score="raise",
        )
    search.fit(*table)
    assert 1e-4 <= search.best_params_["codes__alpha"] <= 1e-1


def test_a_cached_pipeline_fits_once(table, tmp_path):
    X, y = table
    pipe = pipeline(AutoencoderTransformer).set_params(memory=str(tmp_path))
    first = pipe.fit(X, y).predict_proba(X)
    stamp = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("output.pkl")}
    assert len(stamp) == 2  # the scaler and the autoencoder
    np.testing.assert_array_equal(pipe.fit(X, y).predict_proba(X), first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("output.pkl")} == stamp


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_failed_candidate_does_not_take_the_search_down(table):
    with pytest.warns(FitFailedWarning, match="n_components"):
        search = GridSearchCV(
            pipeline(AutoencoderTransformer), {"codes__n_components": [2, -1]}, cv=2, error_score=np.nan
        ).fit(*table)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"codes__n_components": 2}


# A script of its own: a hang would take the whole test run along, and threads of other tests do not count.
_IN_A_CHILD = """
import multiprocessing, warnings
import numpy as np
from skae import AutoencoderTransformer

X = np.random.RandomState(0).standard_normal((3000, 200))

def fitted(seed):
    return AutoencoderTransformer(8, max_iter=2, random_state=seed).fit(X).score(X)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    in_parent = fitted(0)  # starts the threads that a forked child would wait for
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        in_children = pool.map_async(fitted, [0, 1]).get(timeout=100)
    print(abs(in_children[0] - in_parent) < 1e-3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_do_not_hang_after_the_parent_has_computed(method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{method} is not there")
    script = tmp_path / "script.py"
    script.write_text(_IN_A_CHILD.format(method=method))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout.strip() == "True", done.stderr


_MANY_FITS = """
import json, resource, warnings
import numpy as np
from skae import AutoencoderTransformer, SparseAutoencoderTransformer

warnings.simplefilter("ignore")
X = np.random.RandomState(0).standard_normal((2000, 50))
peaks = []
for seed in range(100):
    for cls in (AutoencoderTransformer, SparseAutoencoderTransformer):
        cls(4, max_iter=1, random_state=seed).fit(X).transform(X)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(json.dumps(peaks))
"""


@pytest.mark.slow
def test_memory_does_not_grow_over_two_hundred_fits():
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", _MANY_FITS], capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    # In MB. The rows that a model trains on are 0.4 MB: kept by each of the last 150 fits, they would be 60.
    assert peaks[-1] - peaks[24] < 30


def test_workers_share_the_cores(table):
    """As many threads in all as there are cores: one for each of two workers on two cores."""
    from joblib import Parallel, cpu_count, delayed

    limits = Parallel(n_jobs=2, backend="loky")(delayed(_fit_and_count_threads)(table[0]) for _ in range(2))
    assert max(limits) <= max(1, cpu_count() // 2)


def _fit_and_count_threads(X):
    import torch

    AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    return torch.get_num_threads()
