"""xgboost: boosted trees behind the codes, with OpenMP threads of their own in the same process."""

import numpy as np
import pytest
import torch
import xgboost
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer
from skae.metrics import variance_explained

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 4, "max_iter": 3, "random_state": 0, **settings})


def trees(**settings):
    return xgboost.XGBClassifier(**{"n_estimators": 10, "max_depth": 3, "n_jobs": 2, **settings})


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_of_both_in_one_process(cancer, two_threads):
    X, y = cancer
    pipe = make_pipeline(StandardScaler(), codes(), trees())
    for _ in range(2):
        pipe.fit(X, y)
    assert pipe.score(X, y) > 0.9
    assert np.array_equal(pipe.predict(X[:1]), pipe.predict(X)[:1])
    assert torch.get_num_threads() == 2


def test_a_search_in_two_processes_after_a_fit_in_this_one(cancer, two_threads):
    X, y = cancer
    pipe = make_pipeline(StandardScaler(), codes(), trees()).fit(X, y)
    grid = {"autoencodertransformer__n_components": [2, 4], "xgbclassifier__max_depth": [2, 3]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8


def test_codes_as_named_columns_beside_the_others(cancer):
    X, y = cancer
    pipe = make_pipeline(codes(), trees()).set_output(transform="pandas").fit(X, y)
    assert pipe[-1].get_booster().feature_names == [f"autoencodertransformer{i}" for i in range(4)]


def test_gaps_and_text_reach_the_trees_as_codes(mixed):
    X, y = mixed
    pipe = make_pipeline(codes(), trees()).fit(X, y)
    assert pipe.score(X, y) > 0.8
    assert np.isfinite(pipe.predict_proba(X)).all()


def test_codes_in_float32_go_into_a_dmatrix(cancer):
    X, y = cancer
    Z = codes().fit_transform(X.astype(np.float32))
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 2}, xgboost.DMatrix(Z, y), 5)
    assert booster.predict(xgboost.DMatrix(Z)).shape == (300,)


def test_hidden_layers_as_features(cancer):
    X, y = cancer
    model = DenoisingAutoencoderTransformer(4, features="all", scaling="standard", max_iter=3, random_state=0)
    pipe = make_pipeline(model, trees()).fit(X, y)
    assert pipe.score(X, y) > 0.9
    assert pipe[-1].n_features_in_ == len(model.get_feature_names_out())


def test_early_stopping_of_the_trees_on_codes(cancer):
    X, y = cancer
    before = make_pipeline(StandardScaler(), codes()).fit(X[:200])
    model = trees(n_estimators=50, early_stopping_rounds=5)
    model.fit(
        before.transform(X[:200]), y[:200], eval_set=[(before.transform(X[200:]), y[200:])], verbose=False
    )
    assert model.best_iteration < 50


def test_variance_explained_refuses_what_predicts(cancer):
    X, y = cancer
    pipe = make_pipeline(codes(), trees()).fit(X, y)
    with pytest.raises(TypeError, match="XGBClassifier has no inverse_transform"):
        variance_explained(pipe, X)
