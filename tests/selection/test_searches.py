"""Stacked searches beside scikit-learn's: the same results, from fewer fits."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, TargetEncoder
from sklearn.utils.estimator_checks import check_estimator

from skae import AutoencoderTransformer, SparseAutoencoderTransformer, metrics
from skae.selection import StackedGridSearchCV, StackedRandomizedSearchCV, _waves
from skae.tasks import AutoencoderImputer

# Few rows and epochs may end below PCA and say so; that is not what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # What the engine makes of jobs is tested elsewhere.
    pytest.mark.usefixtures("handed_over"),
]
KINDS = {StackedGridSearchCV: GridSearchCV, StackedRandomizedSearchCV: RandomizedSearchCV}
NAMES = ["a", "b", "c", "d", "e"]


def table(n=60):
    random = np.random.RandomState(0)
    X = random.standard_normal((n, 3)) @ random.standard_normal((3, 5)) + 1
    return X, (X[:, 0] > 1).astype(int)


def coder(n_components=2, **settings):
    # Without held-out rows, five folds are four fewer.
    quick = {"max_iter": 1, "early_stopping": False, "hidden_layer_sizes": (4,), "random_state": 0}
    return AutoencoderTransformer(n_components, **(quick | settings))


def pipeline(**settings):
    return Pipeline(
        [("scale", StandardScaler()), ("codes", coder()), ("rain", LogisticRegression())], **settings
    )


GRID = {"codes__n_components": [1, 3], "codes__weight_decay": [0.0, 0.1]}


def assert_same(stacked, plain, atol=1e-8):
    """Assert that two searches have found the same, whatever time it took."""
    assert stacked.cv_results_.keys() == plain.cv_results_.keys()
    for name, values in plain.cv_results_.items():
        if name == "params":
            assert [str(one) for one in stacked.cv_results_[name]] == [str(one) for one in values]
        elif name.startswith("param_"):
            assert str(stacked.cv_results_[name]) == str(values)
        # Ranks of scores that are equal within rounding may differ.
        elif not name.endswith("_time") and not name.startswith("rank_"):
            np.testing.assert_allclose(stacked.cv_results_[name], values, rtol=0, atol=atol, err_msg=name)
    fitted = [name for name in vars(plain) if name.endswith("_")]
    assert fitted == [name for name in vars(stacked) if name.endswith("_")]


def both(estimator, grid, X, y=None, kind=StackedGridSearchCV, fit_params=None, atol=1e-8, **settings):
    """Run both searches, compare them, and return the stacked one."""
    settings = {"cv": 2, "error_score": "raise", **settings}
    plain = KINDS[kind](estimator, grid, **settings).fit(X, y, **(fit_params or {}))
    stacked = kind(estimator, grid, **settings).fit(X, y, **(fit_params or {}))
    assert_same(stacked, plain, atol)
    return stacked


class Counting(TransformerMixin, BaseEstimator):
    """Counts its fits, and multiplies."""

    fits = 0

    def __init__(self, by=1.0):
        self.by = by

    def fit(self, X, y=None):
        type(self).fits += 1
        self.is_fitted_ = True
        return self

    def transform(self, X):
        return X * self.by


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setattr(Counting, "fits", 0)
    return Counting


# ---------------------------------------------------------------------- the same as scikit-learn


def test_a_pipeline_has_the_results_of_scikit_learn(handed_over):
    search = both(pipeline(), GRID, *table(), return_train_score=True)
    assert handed_over == [8]
    assert np.isfinite(search.cv_results_["std_train_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    np.testing.assert_array_equal(search.predict(table()[0]), search.best_estimator_.predict(table()[0]))


def test_an_autoencoder_alone_is_scored_by_itself(handed_over):
    X, _ = table()
    search = both(coder(), {"n_components": [1, 2, 3]}, X)
    assert handed_over == [6]
    assert search.best_params_ == {"n_components": 3}
    assert search.transform(X).shape == (len(X), 3)


def test_random_search_draws_the_same_candidates(handed_over):
    both(
        pipeline(),
        {"codes__weight_decay": loguniform(1e-3, 1.0), "rain__C": [0.1, 1.0]},
        *table(),
        kind=StackedRandomizedSearchCV,
        n_iter=3,
        random_state=0,
    )
    assert handed_over == [6]


def test_several_metrics_with_one_to_refit_by():
    search = both(
        pipeline(), GRID, *table(), scoring=["accuracy", "roc_auc"], refit="roc_auc", return_train_score=True
    )
    assert "split1_train_roc_auc" in search.cv_results_
    assert search.multimetric_


def test_a_scorer_may_return_several_metrics():
    def scores(estimator, X, y):
        return {"accuracy": estimator.score(X, y), "size": -estimator["codes"].n_components_}

    search = both(pipeline(), GRID, *table(), scoring=scores, refit="size")
    assert search.best_params_["codes__n_components"] == 1


def test_refit_may_be_a_function_or_left_out():
    assert both(pipeline(), GRID, *table(), refit=lambda results: 1).best_index_ == 1
    search = both(pipeline(), GRID, *table(), refit=False)
    assert not hasattr(search, "best_estimator_")
    assert set(search.best_params_) == set(GRID)


def test_groups_and_splitters_that_draw_once():
    X, y = table()
    groups = np.arange(len(X)) % 4
    both(pipeline(), GRID, X, y, cv=GroupKFold(3), fit_params={"groups": groups})
    both(coder(), {"n_components": [1, 2]}, X, cv=ShuffleSplit(2, random_state=0))


def test_scorers_see_ordinary_estimators():
    def score(estimator, X, y=None):
        assert type(estimator) is Pipeline
        assert type(estimator["codes"]) is AutoencoderTransformer
        assert "fit" not in vars(estimator)
        assert "fit" not in vars(estimator["codes"])
        return metrics.variance_explained(estimator["codes"], estimator["scale"].transform(X))

    both(make_named(coder()), GRID, *table(), scoring=score)


def make_named(model):
    return Pipeline([("scale", StandardScaler()), ("codes", model)])


@pytest.mark.parametrize("y", [None, table()[1]])
def test_an_autoencoder_may_stand_at_the_end(y, handed_over):
    both(make_named(coder()), GRID, table()[0], y)
    assert handed_over == [8]


def test_networks_are_told_apart_too(handed_over):
    grid = [
        {"codes": [coder(), SparseAutoencoderTransformer(4, max_iter=1, random_state=0)]},
        {"codes": [PCA(2)]},
        {"codes": ["passthrough"]},
        {"codes__hidden_layer_sizes": [(3,), (3, 2)], "scale": [MinMaxScaler(), None]},
    ]
    both(pipeline(), grid, *table())
    assert sum(handed_over) == 2 * (2 + 4)


# ---------------------------------------------------------------------- each step once


def test_steps_in_front_are_fitted_once_a_fold_and_setting(counting):
    pipe = Pipeline([("scale", StandardScaler()), ("count", counting()), *pipeline().steps[1:]])
    grid = {**GRID, "count__by": [1.0, 2.0], "rain__C": [0.1, 1.0]}
    StackedGridSearchCV(pipe, grid, cv=3, refit=False).fit(*table())
    assert counting.fits == 2 * 3


def test_steps_before_the_one_that_differs_are_shared(counting):
    pipe = Pipeline([("count", counting()), *pipeline().steps])
    StackedGridSearchCV(pipe, {**GRID, "scale__with_mean": [True, False]}, cv=3, refit=False).fit(*table())
    assert counting.fits == 3


def test_one_and_true_are_two_settings(counting):
    pipe = Pipeline([("count", counting()), *pipeline().steps])
    StackedGridSearchCV(pipe, {"count__by": [1, True]}, cv=2, refit=False).fit(*table())
    assert counting.fits == 4


def test_what_differs_behind_shares_one_network(handed_over):
    both(pipeline(), {**GRID, "rain__C": [0.1, 1.0, 10.0]}, *table())
    assert handed_over == [8]


def test_results_do_not_depend_on_the_size_of_chunks(monkeypatch, handed_over, counting):
    X, y = table()
    monkeypatch.setattr(_waves, "_MOST_NUMBERS", 3 * _waves._n_numbers(X))
    pipe = Pipeline([("count", counting()), *pipeline().steps])
    both(pipe, {**GRID, "rain__C": [0.1, 1.0], "count__by": [1.0, 2.0]}, X, y, refit=False)
    assert max(handed_over) == 3
    assert sum(handed_over) == 16
    # Those of scikit-learn, and one a fold and setting.
    assert counting.fits == 2 * 16 + 4


@pytest.mark.parametrize(
    ("shape", "fewest", "most"), [((100, 4), 500, 2000), ((500, 784), 50, 150), ((200_000, 100), 6, 6)]
)
def test_large_tables_are_handed_over_in_smaller_portions(shape, fewest, most):
    X = np.broadcast_to(0.0, shape)
    assert fewest <= _waves._MOST_NUMBERS // _waves._n_numbers(X) <= most
    assert _waves._n_numbers(sparse.csr_matrix(shape)) < _waves._n_numbers(X)


def test_nothing_is_kept_that_is_not_needed_any_more(monkeypatch):
    X, y = table()
    monkeypatch.setattr(_waves, "_MOST_NUMBERS", 1)
    kept = []

    class Watching(_waves.StackedRuns):
        def _train(self, chunk):
            super()._train(chunk)
            kept.append(len(self._fits))

    monkeypatch.setattr("skae.selection.search.StackedRuns", Watching)
    grid = {"scale": [StandardScaler(), MinMaxScaler()], "codes__n_components": [1, 2, 3]}
    StackedGridSearchCV(pipeline(), grid, cv=3, refit=False).fit(X, y)
    # A scaler and a network at a time.
    assert kept == [2] * 18


def test_steps_that_change_rows_in_place_harm_nobody():
    pipe = Pipeline(
        [
            ("first", StandardScaler(copy=False)),
            ("second", MinMaxScaler(copy=False)),
            ("codes", coder()),
            ("third", StandardScaler(copy=False)),
            ("rain", LinearRegression(copy_X=False)),
        ]
    )
    grid = {**GRID, "second__feature_range": [(0, 1), (0, 2)], "rain__fit_intercept": [True, False]}
    both(pipe, grid, *table())


def test_the_outputs_of_fit_transform_are_those_of_scikit_learn(handed_over):
    """Where they are not those of `fit` and `transform`."""
    X, y = table()
    frame = pd.DataFrame({"word": np.where(X[:, 1] > 1, "wet", "dry"), "day": np.arange(len(X)) % 7 // 2})
    pipe = Pipeline([("encode", TargetEncoder(cv=KFold(2))), ("codes", coder(1)), ("y", LinearRegression())])
    both(pipe, {"codes__n_components": [1, 2]}, frame, y)
    assert handed_over == [4]


# ---------------------------------------------------------------------- containers


@pytest.mark.parametrize("outer", ["pipeline", "bare"])
def test_inside_a_column_transformer(outer, handed_over, counting):
    X, y = table()
    frame = pd.DataFrame(X, columns=NAMES)
    columns = ColumnTransformer(
        [
            ("coded", make_named(coder(1)), ["a", "b", "c"]),
            ("scaled", counting(), ["d"]),
            ("none", PCA(1), []),
            ("left_out", "drop", ["a"]),
        ],
        remainder="passthrough",
        transformer_weights={"coded": 2.0},
    )
    if outer == "pipeline":
        estimator, prefix, scoring = make_pipeline(columns, LogisticRegression()), "columntransformer__", None
    else:
        estimator, prefix, scoring = columns, "", lambda model, X, y: -np.abs(model.transform(X)).mean()
    grid = {f"{prefix}coded__codes__n_components": [1, 2], f"{prefix}coded__scale__with_mean": [True, False]}
    both(estimator, grid, frame, y, scoring=scoring, refit=False)
    assert handed_over == [8]
    # In the other branch, nothing differs.
    assert counting.fits == 8 + 2


def test_several_autoencoders_side_by_side_and_in_a_row(handed_over):
    union = FeatureUnion([("one", coder(1)), ("two", make_named(coder(2))), ("plain", PCA(1))])
    pipe = Pipeline([("union", union), ("again", coder(1)), ("rain", LogisticRegression())])
    grid = {"union__one__n_components": [1, 2], "again__weight_decay": [0.0, 0.2]}
    both(pipe, grid, *table())
    # Two sizes; one that is the same for all candidates; and each of four.
    assert handed_over == [2 * 2, 2, 2 * 4]


def test_a_remainder_may_be_an_autoencoder(handed_over):
    columns = ColumnTransformer([("plain", "passthrough", [0])], remainder=coder(1))
    both(
        make_pipeline(columns, LogisticRegression()),
        {"columntransformer__remainder__n_components": [1, 2]},
        *table(),
    )
    assert handed_over == [4]


def test_frames_keep_their_names(handed_over):
    X, y = table()
    frame = pd.DataFrame(X, columns=NAMES)
    seen = []

    def score(model, X, y):
        seen.append(list(model["codes"].feature_names_in_))
        return model.score(X, y)

    pipe = pipeline().set_output(transform="pandas")
    search = both(pipe, GRID, frame, y, scoring=score)
    assert list(search.feature_names_in_) == NAMES
    assert set(map(tuple, seen)) == {tuple(NAMES)}
    assert handed_over == [8]


def test_sparse_rows(handed_over):
    X, y = table()
    rows = sparse.csr_matrix(np.where(X > 1, X, 0))
    pipe = pipeline().set_params(scale__with_mean=False)
    both(pipe, GRID, rows, y)
    assert handed_over == [8]


def test_cached_pipelines(tmp_path, counting, handed_over):
    pipe = Pipeline([("count", counting()), *pipeline().steps], memory=str(tmp_path))
    X, y = table()
    plain = GridSearchCV(clone(pipe).set_params(memory=None), GRID, cv=2).fit(X, y)
    counting.fits = 0
    for _ in range(2):
        search = StackedGridSearchCV(pipe, GRID, cv=2).fit(X, y)
        assert_same(search, plain)
    # Once a fold and once for all rows; the second search found them.
    assert counting.fits == 3
    assert search.best_estimator_.memory == str(tmp_path)


@pytest.mark.slow
def test_containers_keep_their_settings(handed_over):
    columns = ColumnTransformer([("coded", coder(1), [0, 1, 2])], n_jobs=2, remainder="passthrough")

    def score(model, X, y):
        assert model["columntransformer"].n_jobs == 2
        return model.score(X, y)

    pipe = make_pipeline(columns, LogisticRegression())
    grid = {"columntransformer__coded__n_components": [1, 2]}
    StackedGridSearchCV(pipe, grid, cv=2, refit=False, scoring=score, error_score="raise").fit(*table())
    assert handed_over == [4]


# ---------------------------------------------------------------------- errors


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("error_score", [np.nan, -1.0])
def test_a_candidate_that_fails_leaves_the_others(error_score, handed_over):
    grid = {"codes__n_components": [1, -1, 3]}
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 6") as caught:
        search = both(pipeline(), grid, *table(), error_score=error_score)
    assert sum("n_components" in str(one.message) for one in caught) == 2
    assert handed_over == [6]
    assert search.best_params_ != {"codes__n_components": -1}


class Failing(Counting):
    """Fails where it is told to."""

    def fit(self, X, y=None):
        super().fit(X)
        if self.by < 0:
            raise RuntimeError("no such luck")
        return self


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("position", [0, 2])
def test_steps_that_fail_around_it_are_reported_as_by_scikit_learn(position, handed_over, monkeypatch):
    monkeypatch.setattr(Failing, "fits", 0)
    steps = pipeline().steps
    pipe = Pipeline([*steps[:position], ("fails", Failing()), *steps[position:]])
    grid = {**GRID, "fails__by": [1.0, -1.0]}
    with pytest.warns(FitFailedWarning, match="8 fits failed(.|\n)*RuntimeError: no such luck"):
        both(pipe, grid, *table(), error_score=np.nan)


def test_errors_are_raised_if_so_asked():
    settings = {"cv": 2, "error_score": "raise"}
    with pytest.raises(ValueError, match="n_components"):
        StackedGridSearchCV(pipeline(), {"codes__n_components": [1, -1]}, **settings).fit(*table())
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        StackedGridSearchCV(pipeline(), {"codes__nothing": [1]}, cv=2).fit(*table())
    pipe = Pipeline([("fails", Failing(-1.0)), *pipeline().steps])
    with pytest.raises(RuntimeError, match="no such luck") as caught:
        StackedGridSearchCV(pipe, GRID, **settings).fit(*table())
    # Where it was raised first.
    assert "raise RuntimeError" in str(caught.traceback[-1].statement)


def test_all_fits_that_fail_are_an_error():
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        StackedGridSearchCV(pipeline(), {"codes__n_components": [-1, -2]}, cv=2).fit(*table())


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_scorers_that_fail():
    def score(model, X, y):
        raise RuntimeError("no such luck")

    with pytest.warns(UserWarning, match="Scoring failed"):
        both(pipeline(), GRID, *table(), scoring=score, error_score=np.nan)


def test_an_interruption_ends_the_search():
    class Interrupted(AutoencoderTransformer):
        def fit(self, X, y=None, sample_weight=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StackedGridSearchCV(Interrupted(), {"n_components": [1]}, cv=2).fit(table()[0])


# ---------------------------------------------------------------------- what is left to scikit-learn


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}),
        (
            TransformedTargetRegressor(make_pipeline(coder(), LinearRegression())),
            {"regressor__autoencodertransformer__n_components": [1, 2]},
        ),
        (
            make_pipeline(AutoencoderImputer(coder(), random_state=0), LogisticRegression()),
            {"autoencoderimputer__estimator__n_components": [1, 2]},
        ),
    ],
    ids=["without", "nested", "imputer"],
)
def test_estimators_that_are_not_understood_are_fitted_by_scikit_learn(estimator, grid, handed_over):
    both(estimator, grid, *table())
    assert handed_over == []


def test_subclasses_of_containers_are_left_alone(handed_over):
    class Own(Pipeline):
        pass

    both(Own(pipeline().steps), GRID, *table())
    assert handed_over == []


def test_without_the_door_scikit_learn_searches_as_ever(handed_over, monkeypatch):
    monkeypatch.setattr(_waves, "are_understood", lambda calls: False)
    both(pipeline(), GRID, *table())
    assert handed_over == []


# ---------------------------------------------------------------------- weights, routing, lines, processes


def test_weights_of_rows_reach_the_autoencoder():
    X, y = table()
    weight = np.linspace(0, 1, len(X))
    grid = {"codes__n_components": [1, 2]}
    weights = {f"{step}__sample_weight": weight for step in ("scale", "codes", "rain")}
    both(pipeline(), grid, X, y, fit_params=weights)
    weighted = both(coder(), {"n_components": [1, 2]}, X, fit_params={"sample_weight": weight})
    unweighted = both(coder(), {"n_components": [1, 2]}, X)
    assert (weighted.cv_results_["mean_test_score"] != unweighted.cv_results_["mean_test_score"]).all()


def test_metadata_is_routed():
    X, y = table()
    weight, groups = np.linspace(0.1, 1, len(X)), np.arange(len(X)) % 4
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = Pipeline(
            [
                ("scale", StandardScaler().set_fit_request(sample_weight=False)),
                (
                    "codes",
                    coder()
                    .set_fit_request(sample_weight="importance")
                    .set_score_request(sample_weight=False),
                ),
                (
                    "rain",
                    LogisticRegression()
                    .set_fit_request(sample_weight=True)
                    .set_score_request(sample_weight=True),
                ),
            ]
        )
        both(
            pipe,
            GRID,
            X,
            y,
            cv=GroupKFold(2),
            fit_params={"sample_weight": weight, "importance": weight**2, "groups": groups},
        )


def test_inputs_that_a_pipeline_transforms():
    class Watching(LogisticRegression):
        def fit(self, X, y, other=None):
            self.mean_ = other.mean()
            return super().fit(X, y)

    X, y = table()
    with sklearn.config_context(enable_metadata_routing=True):
        steps = [*pipeline().steps[:2], ("rain", Watching().set_fit_request(other=True))]
        pipe = Pipeline(steps, transform_input=["other"])
        both(
            pipe,
            GRID,
            X,
            y,
            fit_params={"other": X * 2},
            scoring=lambda model, X, y: model["rain"].mean_,
        )


def test_what_is_printed(capsys):
    X, y = table()
    printed = []
    for cls in (GridSearchCV, StackedGridSearchCV):
        cls(pipeline(), GRID, cv=2, verbose=10, refit=False).fit(X, y)
        printed.append(capsys.readouterr().out.splitlines())
    starts = [sorted(line.split("total time")[0].rstrip(".") for line in lines) for lines in printed]
    assert starts[0] == starts[1]
    StackedGridSearchCV(pipeline(verbose=True), GRID, cv=2, refit=False).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    # A line for each step of each evaluation.
    assert len(lines) == 3 * 8


def test_two_processes_give_what_one_gives():
    X, y = table()
    grid = {"codes__n_components": [1, 2, -1], "rain__C": [0.1, 1.0]}
    with pytest.warns(FitFailedWarning, match="n_components"):
        searches = [
            StackedGridSearchCV(pipeline(), grid, cv=2, n_jobs=n_jobs, error_score=-1).fit(X, y)
            for n_jobs in (1, 2)
        ]
    # Workers train with one thread, and together.
    assert_same(*searches, atol=0.05)
    with sklearn.config_context(assume_finite=True):
        both(coder(), {"n_components": [1, 2]}, X, n_jobs=2, atol=0.01)


def test_times_of_fits_are_shared():
    class Slow(Counting):
        def fit(self, X, y=None):
            import time

            time.sleep(0.05)
            return super().fit(X)

    pipe = Pipeline([("slow", Slow()), ("codes", coder()), ("rain", LogisticRegression())])
    search = StackedGridSearchCV(pipe, {**GRID, "rain__C": [0.1, 1.0]}, cv=2, refit=False).fit(*table())
    times = search.cv_results_["mean_fit_time"]
    # Each candidate has an eighth of the time of the step in front.
    assert (times > 0.05 / 8).all()
    assert times.max() < 8 * times.min()


# ---------------------------------------------------------------------- conventions of estimators


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_those_of_scikit_learn(kind):
    search = kind(pipeline(), GRID, cv=3, scoring="accuracy")
    plain = KINDS[kind](pipeline(), GRID, cv=3, scoring="accuracy")
    assert search.get_params().keys() == plain.get_params().keys()
    assert isinstance(search, KINDS[kind])
    assert repr(search) == repr(plain).replace(KINDS[kind].__name__, kind.__name__).replace(
        "\n             ", "\n                    "
    ) or repr(search).startswith(f"{kind.__name__}(cv=3")
    copied = clone(search)
    assert copied.get_params()["estimator__codes__n_components"] == 2
    assert copied.set_params(estimator__codes__n_components=4, cv=2).cv == 2
    assert sklearn.base.is_classifier(search)


def test_fitted_searches_can_be_pickled():
    X, y = table()
    search = StackedGridSearchCV(pipeline(), GRID, cv=2).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.score(X, y) == search.score(X, y)


def test_a_search_in_a_cross_validation():
    X, y = table()
    scores = [
        cross_val_score(cls(pipeline(), GRID, cv=2), X, y, cv=2)
        for cls in (GridSearchCV, StackedGridSearchCV)
    ]
    np.testing.assert_allclose(*scores)


def test_the_search_leaves_what_it_is_given(handed_over):
    pipe = pipeline()
    before = {name: id(value) for name, value in pipe.get_params().items()}
    both(pipe, GRID, *table())
    assert {name: id(value) for name, value in pipe.get_params().items()} == before
    assert not any("fit" in vars(step) for _, step in pipe.steps)


def test_a_second_fit_forgets_the_first(handed_over):
    X, y = table()
    search = StackedGridSearchCV(pipeline(), GRID, cv=2).fit(X, y)
    first = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(search.fit(X, y).cv_results_["mean_test_score"], first)
    assert handed_over == [8, 8]


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_backend_of_joblib_is_asked_for_jobs(backend, handed_over):
    with joblib.parallel_config(backend, n_jobs=2):
        both(coder(), {"n_components": [1, 2]}, table()[0], refit=False, atol=0.01)
    # In processes, nothing can be counted here.
    assert sorted(handed_over) == ([2, 2] if backend == "threading" else [])


@pytest.mark.slow
def test_conventions_of_estimators():
    pipe = make_pipeline(coder(1, hidden_layer_sizes=(2,)), LogisticRegression())
    settings = {"param_grid": {"logisticregression__C": [0.1, 1.0]}, "cv": 2, "error_score": "raise"}
    failed = [
        {
            check["check_name"]
            for check in check_estimator(cls(pipe, **settings), on_fail=None, on_skip=None)
            if check["status"] == "failed"
        }
        for cls in (GridSearchCV, StackedGridSearchCV)
    ]
    assert failed[1] == failed[0]
