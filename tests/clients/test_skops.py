"""skops: files of fitted models that say which types have to be trusted before anything is made."""

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skae import AutoencoderTransformer
from skae.networks import Dense
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def there_and_back(model):
    """Return the model as it comes back from a file whose types were looked at."""
    data = skops.io.dumps(model)
    # A person reads this list: the class of the estimator, and nothing of what is inside of it.
    assert skops.io.get_untrusted_types(data=data) == ["skae.estimators.autoencoder.AutoencoderTransformer"]
    return skops.io.loads(data, trusted=[AutoencoderTransformer])


def test_a_model_of_a_mixed_table_comes_back(mixed):
    X, _ = mixed
    model = AutoencoderTransformer(3, scaling="standard", **BRIEF).fit(X)
    back = there_and_back(model)
    np.testing.assert_array_equal(back.transform(X), model.transform(X))
    assert back.reconstruct(X).equals(model.reconstruct(X))
    assert list(back.feature_names_in_) == list(X.columns)


def test_sparse_rows_and_rows_with_gaps_come_back():
    random = np.random.RandomState(0)
    wide = scipy.sparse.random(60, 300, 0.05, format="csr", random_state=random)
    gaps = np.where(random.uniform(size=(60, 5)) < 0.1, np.nan, random.standard_normal((60, 5)))
    for X in (wide, gaps):
        model = AutoencoderTransformer(2, max_iter=3, random_state=np.random.RandomState(0)).fit(X)
        np.testing.assert_array_equal(there_and_back(model).transform(X), model.transform(X))


def test_modules_of_the_users_own_come_back(iris):
    X = iris[0].to_numpy()
    encoder = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    model = AutoencoderTransformer(2, network=(encoder, nn.Linear(2, 4)), **BRIEF).fit(X)
    np.testing.assert_array_equal(there_and_back(model).transform(X), model.transform(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_state_of_a_solver_comes_back(iris, solver):
    X = iris[0].to_numpy()
    model = AutoencoderTransformer(2, solver=solver, random_state=0).partial_fit(X)
    back = there_and_back(model).partial_fit(X)
    np.testing.assert_array_equal(back.transform(X), model.partial_fit(X).transform(X))


def test_a_task_names_its_own_class_and_that_of_the_estimator_inside(iris):
    """As the guide lists them, for what is inside by default."""
    X = iris[0].to_numpy()
    brief = {"estimator__max_iter": 1, "estimator__early_stopping": False}
    tasks = {
        "skae.tasks.imputation.AutoencoderImputer": AutoencoderImputer().set_params(**brief),
        "skae.tasks.outliers.AutoencoderOutlierDetector": AutoencoderOutlierDetector(n_estimators=1),
    }
    inside = [
        "skae.tasks.imputation.ImputingAutoencoder",
        "skae.estimators.autoencoder.AutoencoderTransformer",
    ]
    for (own, task), expected in zip(tasks.items(), inside, strict=True):
        named = skops.io.get_untrusted_types(data=skops.io.dumps(task.fit(X)))
        assert sorted(named) == sorted([own, expected])


def test_an_unfitted_model_comes_back():
    model = AutoencoderTransformer(3, network=Dense((5,)), scaling="standard")
    back = there_and_back(model)
    assert repr(back) == repr(model)


def test_a_search_comes_back(iris):
    X, y = iris
    pipe = make_pipeline(AutoencoderTransformer(2, **BRIEF), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipe, {"autoencodertransformer__n_components": [1, 2]}, cv=2).fit(X, y)
    data = skops.io.dumps(search)
    back = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    np.testing.assert_array_equal(back.predict_proba(X), search.predict_proba(X))


def test_a_model_learns_on_after_it_came_back(iris):
    X = iris[0].to_numpy()
    model = AutoencoderTransformer(2, **BRIEF).partial_fit(X)
    back = there_and_back(model)
    np.testing.assert_allclose(back.transform(X), model.transform(X))
    assert back.partial_fit(X).n_iter_ == 2


def test_nothing_is_made_of_types_that_are_not_trusted(iris):
    data = skops.io.dumps(AutoencoderTransformer(2, **BRIEF).fit(iris[0]))
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        skops.io.loads(data)
