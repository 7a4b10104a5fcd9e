"""scikit-learn's own meta-estimators: unions, routing, calibration, successive halving and importance."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, SequentialFeatureSelector, f_classif
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from skae import (
    AutoencoderTransformer,
    BinaryAutoencoderTransformer,
    DenoisingAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.metrics import variance_explained
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def codes(cls=AutoencoderTransformer, n_components=2, **settings):
    return cls(n_components, **{"max_iter": 3, "random_state": 0, **settings})


def classifier(**settings):
    return make_pipeline(StandardScaler(), codes(**settings), LogisticRegression())


def test_a_union_of_codes_of_several_kinds(iris):
    X, y = iris
    union = FeatureUnion(
        [
            ("pca", PCA(2)),
            ("codes", codes()),
            ("bits", codes(BinaryAutoencoderTransformer, 8)),
            ("atoms", codes(SparseAutoencoderTransformer, 6)),
        ]
    )
    pipe = make_pipeline(StandardScaler(), union, LogisticRegression(max_iter=1000))
    assert pipe.fit(X, y).score(X, y) > 0.8
    assert pipe[:-1].transform(X).shape == (150, 18)
    assert len(pipe[:-1].get_feature_names_out()) == 18
    named = pipe.set_output(transform="pandas").fit(X, y)[:-1].transform(X)
    assert named.index.equals(X.index)
    assert list(named.columns) == list(pipe[:-1].get_feature_names_out())


def test_a_union_in_two_processes(iris):
    X = iris[0].to_numpy()
    union = make_union(codes(), codes(DenoisingAutoencoderTransformer))
    here = union.fit_transform(X)
    np.testing.assert_allclose(union.set_params(n_jobs=2).fit_transform(X), here, rtol=1e-6, atol=1e-8)


def test_columns_by_kind(mixed):
    X, y = mixed
    columns = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(), StandardScaler(), codes()),
                make_column_selector(dtype_include="number"),
            ),
            ("words", make_pipeline(OneHotEncoder(sparse_output=True), codes()), ["colour", "town"]),
        ]
    )
    pipe = make_pipeline(columns, LogisticRegression()).fit(X, y)
    assert pipe.score(X, y) > 0.7
    assert columns.fit(X).get_feature_names_out()[0] == "numbers__autoencodertransformer0"


def test_columns_beside_others_in_frames(mixed):
    X, _ = mixed
    columns = ColumnTransformer(
        [("all", codes(scaling="standard"), ["height", "width", "colour"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    out = columns.fit_transform(X)
    assert list(out.columns) == ["autoencodertransformer0", "autoencodertransformer1", "rooms", "town"]
    assert out.index.equals(X.index)


def test_a_target_of_its_own_scale(iris):
    X, _ = iris
    model = TransformedTargetRegressor(
        make_pipeline(codes(), Ridge()), func=np.log1p, inverse_func=np.expm1
    ).fit(X.iloc[:, :3], X.iloc[:, 3])
    assert model.predict(X.iloc[:, :3]).min() > -1


def test_a_target_of_several_columns_in_codes(cancer):
    """An autoencoder as the transformer of y: predictions are decoded."""
    X, _ = cancer
    X, Y = X[:, :10], X[:, 10:]
    model = TransformedTargetRegressor(
        Ridge(), transformer=make_pipeline(StandardScaler(), codes(n_components=5)), check_inverse=False
    ).fit(X, Y)
    assert model.predict(X).shape == Y.shape


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_probabilities(cancer, method):
    model = CalibratedClassifierCV(classifier(), method=method, cv=2).fit(*cancer)
    probabilities = model.predict_proba(cancer[0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.score(*cancer) > 0.8


@pytest.mark.parametrize("search", [HalvingGridSearchCV, HalvingRandomSearchCV])
@pytest.mark.parametrize("resource", ["n_samples", "autoencodertransformer__max_iter"])
def test_successive_halving(cancer, search, resource):
    space = {"autoencodertransformer__n_components": [1, 2, 3, 4]}
    sizes = {"min_resources": 40} if resource == "n_samples" else {"min_resources": 1, "max_resources": 4}
    if search is HalvingRandomSearchCV:
        sizes["n_candidates"] = 4
    found = search(
        classifier(), space, resource=resource, factor=2, cv=2, random_state=0, error_score="raise", **sizes
    ).fit(*cancer)
    assert found.n_iterations_ >= 2
    assert found.score(*cancer) > 0.8


def test_importance_of_columns_by_permutation(iris):
    X, y = iris
    pipe = classifier().fit(X, y)
    found = permutation_importance(pipe, X, y, n_repeats=2, random_state=0, n_jobs=2)
    assert found.importances.shape == (4, 2)
    reducer = codes().fit(X)
    # The score of a reducer, as well as that of what predicts.
    assert permutation_importance(reducer, X, None, n_repeats=2, random_state=0).importances_mean.max() > 0
    found = permutation_importance(reducer, X, None, scoring=variance_explained, n_repeats=2, random_state=0)
    assert found.importances_mean.max() > 0


def test_importance_of_columns_with_text(mixed):
    X, y = mixed
    pipe = make_pipeline(codes(scaling="standard"), LogisticRegression()).fit(X, y)
    assert permutation_importance(pipe, X, y, n_repeats=2, random_state=0).importances.shape == (5, 2)


def test_partial_dependence(iris):
    X, y = iris
    found = partial_dependence(classifier().fit(X, y == 0), X, [2], grid_resolution=5)
    assert found["average"].shape == (1, 5)


@pytest.mark.parametrize(
    "selector",
    [
        SelectKBest(f_classif, k=2),
        SelectFromModel(RandomForestClassifier(5, random_state=0), max_features=2, threshold=-np.inf),
        RFE(LogisticRegression(), n_features_to_select=2),
        SequentialFeatureSelector(LogisticRegression(), n_features_to_select=2, cv=2),
    ],
    ids=lambda selector: type(selector).__name__,
)
def test_selection_of_codes(cancer, selector):
    X, y = cancer
    pipe = make_pipeline(StandardScaler(), codes(n_components=4), selector, LogisticRegression())
    pipe.set_output(transform="pandas").fit(X, y)
    chosen = pipe[:-1].get_feature_names_out()
    assert len(chosen) == 2
    assert all(name.startswith("autoencodertransformer") for name in chosen)
    assert pipe.score(X, y) > 0.7


def test_selection_of_columns_by_what_comes_of_their_codes(iris):
    X, y = iris
    selector = SequentialFeatureSelector(
        make_pipeline(codes(n_components=1, max_iter=1), LogisticRegression()), n_features_to_select=2, cv=2
    ).fit(X, y)
    assert selector.get_support().sum() == 2


# ------------------------------------------------------------------- metadata


def test_weights_reach_the_codes_and_the_classifier(cancer):
    X, y = cancer
    weight = np.where(np.arange(len(X)) < 150, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = codes(n_components=3).set_fit_request(sample_weight=True)
        last = LogisticRegression(max_iter=2000)
        last.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = make_pipeline(model, last).fit(X, y, sample_weight=weight)
        search = GridSearchCV(
            pipe, {"autoencodertransformer__n_components": [2, 3]}, cv=2, error_score="raise"
        )
        search.fit(X, y, sample_weight=weight + 0.1)
    # Rows of no weight are not there.
    half = codes(n_components=3).fit(X[:150])
    np.testing.assert_allclose(pipe[0].mean_, half.mean_)


def test_weights_reach_only_what_asked(cancer):
    X, y = cancer
    with config_context(enable_metadata_routing=True):
        model = codes().set_fit_request(sample_weight=False)
        pipe = make_pipeline(model, LogisticRegression(max_iter=2000).set_fit_request(sample_weight=True))
        pipe.fit(X, y, sample_weight=np.arange(len(X), dtype=float))
        np.testing.assert_array_equal(pipe[0].mean_, codes().fit(X).mean_)


def test_weights_reach_scores_of_reducers(cancer):
    X, _ = cancer
    weight = np.linspace(0.1, 1, len(X))
    with config_context(enable_metadata_routing=True):
        model = codes().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(model, X, cv=2, params={"sample_weight": weight}, error_score="raise")
    plain = cross_validate(codes(), X, cv=2)
    assert np.all(found["test_score"] != plain["test_score"])


def test_clean_rows_reach_the_denoising_codes(iris):
    X = iris[0].to_numpy()
    noisy = X + 0.1 * np.random.RandomState(0).standard_normal(X.shape)
    with config_context(enable_metadata_routing=True):
        model = codes(DenoisingAutoencoderTransformer).set_fit_request(clean=True)
        pipe = make_pipeline(FunctionTransformer(), model).fit(noisy, clean=X)
    wanted = codes(DenoisingAutoencoderTransformer).fit(noisy, clean=X)
    np.testing.assert_array_equal(pipe.transform(noisy), wanted.transform(noisy))


@pytest.mark.parametrize(
    "task",
    [
        AutoencoderImputer(codes(DenoisingAutoencoderTransformer, corruption="missing"), random_state=0),
        AutoencoderOutlierDetector(codes(), n_estimators=1, random_state=0),
    ],
    ids=lambda task: type(task).__name__,
)
def test_weights_reach_tasks(iris, task):
    X = iris[0].to_numpy()
    with config_context(enable_metadata_routing=True):
        # They read the weights themselves, and pass them on to an estimator that asks for them.
        task.estimator.set_fit_request(sample_weight=True)
        task.set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        make_pipeline(scaler, task).fit(X, sample_weight=np.linspace(0.1, 1, 150))


# ---------------------------------------------------------------- ensembles, curves


def test_ensembles_of_pipelines(cancer):
    X, y = cancer
    members = [
        ("few", classifier()),
        ("many", classifier(n_components=6)),
        ("bits", classifier(cls=BinaryAutoencoderTransformer, n_components=8)),
    ]
    assert VotingClassifier(members, voting="soft").fit(X, y).score(X, y) > 0.8
    assert StackingClassifier(members, cv=2, n_jobs=2).fit(X, y).score(X, y) > 0.8
    assert (
        BaggingClassifier(classifier(), 3, max_samples=0.5, random_state=0, n_jobs=2).fit(X, y).score(X, y)
        > 0.8
    )


def test_one_against_the_others(iris):
    X, y = iris
    assert OneVsRestClassifier(classifier()).fit(X, y).score(X, y) > 0.6


def test_predictions_of_held_out_rows(iris):
    X, y = iris
    assert cross_val_predict(classifier(), X, y, cv=3, method="predict_proba").shape == (150, 3)


def test_curves(cancer):
    X, y = cancer
    sizes, _, held_out = learning_curve(classifier(), X, y, train_sizes=[40, 150], cv=2, error_score="raise")
    assert held_out.shape == (2, 2)
    assert np.all(sizes == [40, 150])
    _, held_out = validation_curve(
        codes(), X, None, param_name="n_components", param_range=[1, 4], cv=2, error_score="raise"
    )
    assert np.all(held_out[0] < held_out[1])


def test_neighbours_and_kernels_on_codes(iris):
    X, y = iris
    for last in (KNeighborsClassifier(), SVC()):
        pipe = make_pipeline(codes(VariationalAutoencoderTransformer, scaling="standard"), last).fit(X, y)
        assert pipe.score(X, y) > 0.6


def test_a_search_between_reducers(cancer):
    pipe = make_pipeline(StandardScaler(), codes(), LogisticRegression(max_iter=1000))
    grid = {
        "autoencodertransformer": [PCA(2), codes(), codes(SparseAutoencoderTransformer, 6), "passthrough"]
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(*cancer)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_score_ > 0.8
