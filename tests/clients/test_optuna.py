"""optuna: studies that choose the size of the code, and its search with scikit-learn's face."""

import numpy as np
import optuna
import pytest
from optuna_integration import OptunaSearchCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, SparseAutoencoderTransformer
from skae.metrics import variance_explained
from skae.networks import Dense

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Its search says of itself that it is experimental, and uses what is to go.
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:`optuna.terminator` module:FutureWarning"),
]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 2, "max_iter": 3, "random_state": 0, **settings})


def study(**settings):
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), **settings)


def test_a_study_of_the_size_of_the_code(iris):
    X, _ = iris

    def objective(trial):
        model = codes(
            n_components=trial.suggest_int("n_components", 1, 3),
            weight_decay=trial.suggest_float("weight_decay", 1e-3, 1.0, log=True),
            network=Dense(trial.suggest_categorical("sizes", [(4,), (8, 4)])),
        )
        return cross_val_score(model, X, cv=2).mean()

    found = study()
    # Of tuples: its storage might not hold them.
    with pytest.warns(UserWarning, match="Choices for a categorical distribution"):
        found.optimize(objective, n_trials=4)
    assert len(found.trials) == 4
    assert all(trial.state.is_finished() and trial.value <= 1 for trial in found.trials)


def test_a_study_in_threads_gives_what_one_thread_gives(iris):
    X, _ = iris

    def objective(trial):
        model = codes(n_components=trial.suggest_int("n_components", 1, 3)).fit(X)
        return variance_explained(model, X)

    values = {}
    for n_jobs in (1, 2):
        found = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.GridSampler({"n_components": [1, 2, 3]}, seed=0)
        )
        found.optimize(objective, n_trials=3, n_jobs=n_jobs)
        values[n_jobs] = {trial.params["n_components"]: trial.value for trial in found.trials}
    assert values[1] == values[2]


def test_trials_are_pruned_by_what_partial_fit_reaches(cancer):
    X = StandardScaler().fit_transform(cancer[0])

    def objective(trial):
        model = codes(n_components=trial.suggest_int("n_components", 1, 6))
        for step in range(3):
            model.partial_fit(X)
            trial.report(model.score(X), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return model.score(X)

    found = study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    found.optimize(objective, n_trials=6)
    assert found.best_params["n_components"] > 1
    assert np.isfinite(found.best_value)


def test_two_aims_at_once(iris):
    X, _ = iris

    def objective(trial):
        n_components = trial.suggest_int("n_components", 1, 3)
        return codes(n_components=n_components).fit(X).score(X), n_components

    found = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0)
    )
    found.optimize(objective, n_trials=4)
    assert found.best_trials


def test_its_search_of_a_pipeline(iris):
    X, y = iris
    pipe = make_pipeline(
        StandardScaler(), SparseAutoencoderTransformer(4, max_iter=3, random_state=0), LogisticRegression()
    )
    space = {
        "sparseautoencodertransformer__n_components": optuna.distributions.IntDistribution(2, 6),
        "sparseautoencodertransformer__alpha": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    }
    search = OptunaSearchCV(pipe, space, cv=2, n_trials=3, random_state=0, error_score="raise").fit(X, y)
    assert 2 <= search.best_params_["sparseautoencodertransformer__n_components"] <= 6
    assert search.predict(X).shape == (150,)


def test_its_search_by_variance_explained(iris):
    X, _ = iris
    space = {"n_components": optuna.distributions.IntDistribution(1, 3)}
    search = OptunaSearchCV(
        codes(), space, cv=2, n_trials=3, random_state=0, scoring=variance_explained, error_score="raise"
    ).fit(X)
    assert search.transform(X).shape == (150, search.best_params_["n_components"])
    assert 0 < search.best_score_ <= 1
