"""imbalanced-learn: samplers change the number of rows in training, and are skipped in use."""

import numpy as np
import pytest
from imblearn import FunctionSampler
from imblearn.ensemble import BalancedBaggingClassifier
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer
from skae.metrics import variance_explained
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module")
def rare(cancer):
    """30 columns and a class that has a fifth of the rows."""
    X, y = cancer
    kept = np.r_[np.flatnonzero(y == 1)[:120], np.flatnonzero(y == 0)[:30]]
    return X[kept], y[kept]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 3, "max_iter": 3, "random_state": 0, **settings})


@pytest.mark.parametrize("sampler", [SMOTE(random_state=0), RandomUnderSampler(random_state=0)])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_samplers_before_and_after_the_codes(rare, sampler, before):
    X, y = rare
    steps = [sampler, codes()] if before else [codes(), sampler]
    pipe = make_pipeline(StandardScaler(), *steps, LogisticRegression()).fit(X, y)
    assert pipe.predict_proba(X).shape == (150, 2)
    assert pipe.score(X, y) > 0.7
    # In use, rows are neither added nor left out.
    assert pipe.decision_function(X).shape == (150,)
    if before:
        assert pipe[:-1].transform(X).shape == (150, 3)


def test_a_sampler_sees_codes_as_names(rare):
    pipe = make_pipeline(codes(), RandomOverSampler(random_state=0), LogisticRegression())
    pipe.set_output(transform="pandas").fit(*rare)
    assert list(pipe[-1].feature_names_in_) == [f"autoencodertransformer{i}" for i in range(3)]


def test_a_search_over_the_sampler_and_the_codes(rare):
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("more", SMOTE(k_neighbors=3, random_state=0)),
            ("codes", codes()),
            ("kind", LogisticRegression()),
        ]
    )
    grid = {"more": [SMOTE(k_neighbors=3, random_state=0), "passthrough"], "codes__n_components": [2, 4]}
    search = GridSearchCV(
        pipe, grid, cv=StratifiedKFold(2), scoring="balanced_accuracy", n_jobs=2, error_score="raise"
    ).fit(*rare)
    assert np.all(search.cv_results_["mean_test_score"] > 0.5)
    assert search.best_estimator_.named_steps["codes"].n_components_ in (2, 4)


@pytest.mark.parametrize("sampler", [SMOTE(random_state=0), RandomUnderSampler(random_state=0)])
def test_variance_explained_takes_the_steps_that_score_takes(rare, sampler):
    X, y = rare
    pipe = make_pipeline(StandardScaler(), sampler, codes()).fit(X, y)
    explained = variance_explained(pipe, X)
    # The sampler is skipped: the same as without it in the way of the rows.
    assert explained == pytest.approx(variance_explained(pipe[-1], pipe[0].transform(X)))
    assert explained == pytest.approx(pipe.score(X))


def test_variance_explained_as_the_score_of_a_search(rare):
    X, y = rare
    pipe = make_pipeline(StandardScaler(), RandomUnderSampler(random_state=0), codes())
    grid = {"autoencodertransformer__n_components": [1, 8]}
    # What ends in a reducer is no classifier: folds with both classes have to be asked for.
    folds = StratifiedKFold(2)
    search = GridSearchCV(pipe, grid, cv=folds, scoring=variance_explained, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert 0 < scores[0] < scores[1] <= 1


def test_oversampling_of_filled_rows(rare):
    X, y = rare
    X = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.05, np.nan, X)
    filler = DenoisingAutoencoderTransformer(
        4, corruption="missing", scaling="standard", max_iter=3, random_state=0
    )
    pipe = make_pipeline(
        AutoencoderImputer(filler, random_state=0),
        StandardScaler(),
        SMOTE(random_state=0),
        LogisticRegression(),
    )
    assert pipe.fit(X, y).score(X, y) > 0.8


def without_outliers(X, y):
    """Return the rows that a detector takes for usual ones, as their guide does by IsolationForest."""
    model = AutoencoderTransformer(3, scaling="standard", max_iter=3)
    kept = (
        AutoencoderOutlierDetector(model, n_estimators=1, contamination=0.1, random_state=0).fit_predict(X)
        == 1
    )
    return X[kept], y[kept]


def test_outliers_left_out_of_training(rare):
    X, y = rare
    pipe = make_pipeline(FunctionSampler(func=without_outliers), StandardScaler(), LogisticRegression())
    assert pipe.fit(X, y).score(X, y) > 0.8
    assert 100 < len(pipe[0].fit_resample(X, y)[0]) < 150


def test_a_balanced_ensemble_of_codes(rare):
    pipe = make_pipeline(StandardScaler(), codes(), LogisticRegression())
    model = BalancedBaggingClassifier(pipe, n_estimators=2, random_state=0).fit(*rare)
    assert model.score(*rare) > 0.6
