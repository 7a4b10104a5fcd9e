import re
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib._pylab_helpers import Gcf
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.manifold import Isomap, trustworthiness
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer
from skae.compare import ComparisonDisplay, compare_reducers
from skae.metrics import variance_explained_score

MEASURES = [
    "variance_explained",
    "trustworthiness",
    "continuity",
    "downstream",
    "downstream_neighbors",
    "downstream_boosting",
    "fit_seconds",
    "transform_seconds",
    "size",
]


@pytest.fixture(autouse=True)
def no_pyplot():
    """No display leaves a figure open in pyplot."""
    yield
    assert not Gcf.figs


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def table(iris):
    reducers = [PCA(1), PCA(2), KernelPCA(2)]
    return compare_reducers(reducers, *iris, random_state=0)


class Bare:
    """A reducer without any base class, which takes no y and gives nothing back from its fit."""

    def __init__(self, n_components):
        self.n_components = n_components

    def fit(self, X):
        self.mean_ = np.mean(X, axis=0)

    def transform(self, X):
        return (X - self.mean_)[:, : self.n_components]


class Fails(TransformerMixin, BaseEstimator):
    """Fails in one of its methods."""

    def __init__(self, where="fit"):
        self.where = where

    def fit(self, X, y=None):
        self.width_ = X.shape[1]
        if self.where == "fit":
            raise ArithmeticError("no way")
        return self

    def transform(self, X):
        if self.where == "nan":
            return np.full((len(X), 2), np.nan)
        return X[:-1] if self.where == "transform" else X

    def inverse_transform(self, Z):
        return Z[:, :1] if self.where == "inverse" else Z


# ---------------------------------------------------------------------- figures


def test_columns_and_rows(table):
    assert list(table.columns) == ["n_components", *MEASURES, *(f"{name}_std" for name in MEASURES)]
    assert list(table.index) == ["PCA(1)", "PCA(2)", "KernelPCA(2)"]
    assert table.index.name == "reducer"
    assert list(table["n_components"]) == [1, 2, 2]
    assert table["n_components"].dtype.kind == "i"
    models = ["linear", "neighbors", "boosting"]
    assert table.attrs == {"scoring": "accuracy", "downstream": models, "n_splits": 5}


def test_figures_are_those_computed_by_hand(iris, table):
    X, y = iris
    found = []
    for training, held_out in StratifiedKFold(5, shuffle=True, random_state=np.random.RandomState(0)).split(
        X, y
    ):
        pca = PCA(2).fit(X[training])
        codes = pca.transform(X[held_out])
        judges = [
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            KNeighborsClassifier(10),
            HistGradientBoostingClassifier(random_state=0),
        ]
        for judge in judges:
            judge.fit(pca.transform(X[training]), y[training])
        mean = X[training].mean(axis=0)
        found.append(
            [
                variance_explained_score(X[held_out], pca.inverse_transform(codes), mean=mean),
                trustworthiness(X[held_out], codes, n_neighbors=10),
                trustworthiness(codes, X[held_out], n_neighbors=10),
                *(judge.score(codes, y[held_out]) for judge in judges),
            ]
        )
    row = table.loc["PCA(2)"]
    # Rows that are equal are neighbours in any order, so that neighbourhoods agree to a few ranks.
    near = [1e-9, 1e-3, 1e-3, 1e-9, 1e-9, 1e-9]
    means, spreads = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    for name, mean, spread, atol in zip(MEASURES[:6], means, spreads, near, strict=True):
        assert row[name] == pytest.approx(mean, abs=atol)
        assert row[f"{name}_std"] == pytest.approx(spread, abs=atol)


def test_costs_are_measured(table):
    assert (table[["fit_seconds", "transform_seconds", "size"]] > 0).all(axis=None)
    # KernelPCA keeps its training rows.
    assert table.loc["KernelPCA(2)", "size"] > table.loc["PCA(2)", "size"]


@settings(max_examples=15, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
    seed=st.integers(0, 1000),
    n_components=st.integers(1, 3),
)
def test_units_of_the_whole_table_do_not_matter(scale, shift, seed, n_components):
    X = np.random.RandomState(seed).standard_normal((40, 4)) * [3, 2, 1, 0.5]
    cv = [(np.arange(25), np.arange(25, 40))]
    quick = {"cv": cv, "n_neighbors": 3, "random_state": 0}
    names = MEASURES[:3]
    one = compare_reducers([PCA(n_components)], X, **quick)[names]
    other = compare_reducers([PCA(n_components)], X * scale + shift, **quick)[names]
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    assert one.to_numpy().max() <= 1


def test_all_components_lose_nothing(iris):
    row = compare_reducers([PCA(4)], iris[0], random_state=0).iloc[0]
    np.testing.assert_allclose(row[MEASURES[:3]].astype(float), 1.0, atol=1e-3)


def test_trustworthiness_and_continuity_are_told_apart():
    # A code of one column tears nothing apart, but lays much on top of each other.
    X = np.random.RandomState(0).standard_normal((300, 3)) * [1.0, 0.9, 0.8]
    row = compare_reducers([Bare(1)], X, random_state=0).iloc[0]
    assert row["continuity"] > row["trustworthiness"] + 0.02


def test_the_same_seed_gives_the_same_figures(iris):
    def run(**kwargs):
        return compare_reducers([PCA(2)], *iris, max_rows=25, downstream="neighbors", **kwargs)[MEASURES[:4]]

    pd.testing.assert_frame_equal(run(random_state=3), run(random_state=3))
    assert not run(random_state=3).equals(run(random_state=4))
    with joblib.parallel_config("threading"):
        pd.testing.assert_frame_equal(run(random_state=3), run(random_state=3, n_jobs=2))


def test_samples_are_drawn_from_many_rows(iris):
    X = iris[0]
    cv = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    few = compare_reducers([PCA(1), ("same", PCA(1))], X, cv=cv, max_rows=40, random_state=0)
    all_rows = compare_reducers([PCA(1)], X, cv=cv, random_state=0)
    assert few["trustworthiness"].iloc[0] == few["trustworthiness"].iloc[1]
    assert few["trustworthiness"].iloc[0] != all_rows["trustworthiness"].iloc[0]
    assert few["variance_explained"].iloc[0] == all_rows["variance_explained"].iloc[0]


# ---------------------------------------------------------------------- reducers


@pytest.mark.filterwarnings("ignore:The number of connected components")
@pytest.mark.filterwarnings("ignore:Changing the sparsity structure")
def test_reducers_without_a_way_back_have_no_variance(iris):
    reducers = [KernelPCA(2), make_pipeline(StandardScaler(), KernelPCA(2)), Isomap(n_components=2), Bare(2)]
    table = compare_reducers(reducers, *iris, downstream="linear", random_state=0)
    assert table["variance_explained"].isna().all()
    assert table["variance_explained_std"].isna().all()
    assert table[["trustworthiness", "continuity", "downstream"]].notna().all(axis=None)
    assert list(table.index) == ["KernelPCA(2)", "StandardScaler + KernelPCA(2)", "Isomap(2)", "Bare(2)"]


def test_a_pipeline_is_measured_in_the_units_that_go_into_it(iris):
    X = iris[0] * [1, 10, 1, 1]
    training, held_out = np.arange(0, 150, 2), np.arange(1, 150, 2)
    pipeline = make_pipeline(StandardScaler(), PCA(2))
    found = compare_reducers([pipeline], X, cv=[(training, held_out)]).iloc[0]["variance_explained"]
    fitted = clone(pipeline).fit(X[training])
    back = fitted.inverse_transform(fitted.transform(X[held_out]))
    assert found == pytest.approx(variance_explained_score(X[held_out], back, mean=X[training].mean(axis=0)))
    assert found != pytest.approx(fitted.named_steps["pca"].explained_variance_ratio_.sum(), abs=0.01)


def test_preprocessing_is_shared_and_fitted_on_training_rows(iris):
    X = iris[0] * [1, 10, 1, 1]
    training, held_out = np.arange(0, 150, 2), np.arange(1, 150, 2)
    scaler = StandardScaler()
    found = compare_reducers([PCA(2)], X, preprocessing=scaler, cv=[(training, held_out)]).iloc[0]
    by_hand = clone(scaler).fit(X[training])
    pca = PCA(2).fit(by_hand.transform(X[training]))
    rows = by_hand.transform(X[held_out])
    back = pca.inverse_transform(pca.transform(rows))
    assert found["variance_explained"] == pytest.approx(
        variance_explained_score(rows, back, mean=np.zeros(4))
    )
    assert not hasattr(scaler, "mean_")


def test_names_are_made_and_differ():
    X = np.random.RandomState(0).standard_normal((60, 4))
    reducers = [PCA(3), PCA(3), ("PCA(3) 2", PCA(1)), PCA(), make_pipeline("passthrough", PCA(2))]
    table = compare_reducers(reducers, X, cv=2, random_state=0)
    assert list(table.index) == ["PCA(3)", "PCA(3) 3", "PCA(3) 2", "PCA", "PCA(2)"]


def test_dicts_lists_and_tuples_give_the_same(iris):
    X = iris[0]
    named = {"one": PCA(1), "two": PCA(2)}
    tables = [
        compare_reducers(given, X, random_state=0)[MEASURES[:4]]
        for given in (named, list(named.items()), tuple(named.items()), iter(named.items()))
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


def test_reducers_stay_as_they_are(iris):
    fitted = PCA(2).fit(iris[0][:50])
    before = fitted.components_.copy()
    bare = Bare(1)
    compare_reducers([fitted, bare], *iris, downstream="linear", random_state=0)
    np.testing.assert_array_equal(fitted.components_, before)
    assert not hasattr(bare, "mean_")


def test_widths_may_differ_by_split():
    X = np.random.RandomState(0).standard_normal((40, 4)) * [2.0, 1.9, 1.8, 1.7]
    X[:20, 3] *= 1e-3
    cv = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    table = compare_reducers([PCA(0.98)], X, cv=cv, n_neighbors=3)
    assert table["n_components"].iloc[0] == 3.5


def test_an_autoencoder_beside_pca(iris):
    autoencoder = AutoencoderTransformer(2, max_iter=5, random_state=0)
    table = compare_reducers([PCA(2), autoencoder], *iris, cv=2, random_state=0)
    explained = table["variance_explained"]
    assert explained["AutoencoderTransformer(2)"] > explained["PCA(2)"] - 0.01


# ---------------------------------------------------------------------- X and y


def test_without_y_there_is_no_downstream_score(iris):
    table = compare_reducers([PCA(2)], iris[0], random_state=0)
    assert np.isnan(table["downstream"].iloc[0])
    assert table.attrs["scoring"] is None


def test_numbers_are_predicted_by_a_ridge():
    X, y = load_diabetes(return_X_y=True)
    training, held_out = np.arange(300), np.arange(300, 442)
    pca = PCA(4).fit(X[training])
    judge = make_pipeline(StandardScaler(), Ridge()).fit(pca.transform(X[training]), y[training])
    table = compare_reducers([PCA(4)], X, y, cv=[(training, held_out)])
    assert table["downstream"].iloc[0] == pytest.approx(judge.score(pca.transform(X[held_out]), y[held_out]))
    assert (table[["downstream_neighbors", "downstream_boosting"]] > 0.2).all(axis=None)
    assert (table.attrs["scoring"], table.attrs["n_splits"]) == ("R2", 1)
    assert table.filter(like="_std").isna().all(axis=None)


@pytest.mark.parametrize(
    "kind",
    [
        lambda y: np.array(["no", "yes"])[y],
        lambda y: pd.Series(np.array(["no", "yes"])[y]).astype("category"),
        lambda y: (y == 1).tolist(),
        lambda y: y.astype(float),
        lambda y: y.astype(object),
        lambda y: y[:, None],
    ],
)
def test_classes_of_any_kind(iris, kind):
    X, y = iris[0][:100], iris[1][:100]
    table = compare_reducers([PCA(1)], X, kind(y), random_state=0, n_neighbors=5, cv=2)
    assert (table[["downstream", "downstream_neighbors", "downstream_boosting"]] == 1.0).all(axis=None)
    assert table.attrs["scoring"] == "ROC AUC"


def test_other_models_and_scorers(iris):
    model = KNeighborsClassifier()

    def is_what_was_passed(fitted, Z, y):
        return float(isinstance(fitted, KNeighborsClassifier))

    table = compare_reducers([PCA(1)], *iris, downstream=model, scoring=is_what_was_passed, random_state=0)
    assert table["downstream"].iloc[0] == 1.0
    assert table.attrs["scoring"] == "is_what_was_passed"
    assert not hasattr(model, "classes_")
    lowest = compare_reducers([PCA(1)], *iris, downstream=DummyClassifier(), random_state=0)
    assert lowest["downstream"].iloc[0] == pytest.approx(1 / 3)
    as_numbers = compare_reducers([PCA(1)], *iris, downstream=Ridge(), random_state=0)
    assert as_numbers.attrs["scoring"] == "R2"


@pytest.mark.parametrize(
    ("downstream", "names", "columns"),
    [
        ("neighbors", ["neighbors"], ["downstream"]),
        (["boosting", "linear"], ["boosting", "linear"], ["downstream", "downstream_linear"]),
        (
            {"near": "neighbors", "ridge": RidgeClassifier()},
            ["near", "ridge"],
            ["downstream", "downstream_ridge"],
        ),
    ],
)
def test_models_on_codes_are_chosen(iris, downstream, names, columns):
    split = {"cv": [(np.arange(0, 150, 2), np.arange(1, 150, 2))], "random_state": 0}
    table = compare_reducers([PCA(2)], *iris, downstream=downstream, **split)
    assert table.attrs["downstream"] == names
    assert [name for name in table if name.startswith("downstream") and not name.endswith("_std")] == columns
    assert (table[columns] > 0.7).all(axis=None)


def test_two_classes_are_ranked_unless_a_model_cannot(iris):
    class Deaf(DummyClassifier):
        predict_proba = property()

    X, y = iris[0][:100], iris[1][:100]
    scores = {}
    for model in (DummyClassifier(), Deaf()):
        table = compare_reducers([PCA(1)], X, np.r_[y[:90], [0] * 10], downstream=model, cv=2)
        scores[table.attrs["scoring"]] = table["downstream"].iloc[0]
    assert scores == {"ROC AUC": 0.5, "accuracy": pytest.approx(0.6)}


def test_a_model_that_fails_on_codes_spoils_no_other_measure(iris):
    class Picky(KNeighborsClassifier):
        def fit(self, X, y):
            if X.shape[1] > 1:
                raise ArithmeticError("too wide")
            return super().fit(X, y)

    models = {"picky": Picky(), "linear": "linear"}
    with pytest.warns(FitFailedWarning, match="'PCA\\(2\\)' failed on split . of 2, picky"):
        table = compare_reducers([PCA(2), PCA(1)], *iris, downstream=models, cv=2, random_state=0)
    assert list(np.isnan(table["downstream"])) == [True, False]
    assert table.loc["PCA(2)", "error"] == "split 1 of 2, picky: ArithmeticError: too wide"
    measured = table.drop(columns=["downstream", "downstream_std", "error"])
    assert measured.notna().all(axis=None)
    with pytest.raises(RuntimeError, match="picky: ArithmeticError: too wide"):
        compare_reducers([PCA(2)], *iris, downstream=models, cv=2, error_score="raise")


def test_supervised_reducers_are_given_y(iris):
    reducers = [LinearDiscriminantAnalysis(n_components=1), PCA(1)]
    table = compare_reducers(reducers, *iris, downstream="linear", random_state=0)
    assert table["downstream"].iloc[0] > table["downstream"].iloc[1]


def test_partial_least_squares_gets_classes_as_columns(iris):
    X, y = iris[0], np.array(["b", "c", "a"])[iris[1]]
    training, held_out = np.arange(0, 150, 2), np.arange(1, 150, 2)
    split = {"cv": [(training, held_out)], "downstream": "linear"}
    reducers = {"alone": PLSRegression(1), "last": make_pipeline(StandardScaler(), PLSRegression(1))}
    table = compare_reducers(reducers, X, y, **split)
    pls = PLSRegression(1).fit(X[training], LabelBinarizer().fit_transform(y[training]))
    judge = make_pipeline(StandardScaler(), LogisticRegression()).fit(pls.transform(X[training]), y[training])
    by_hand = judge.score(pls.transform(X[held_out]), y[held_out])
    assert table["downstream"].to_list() == pytest.approx([by_hand, by_hand])
    assert table["variance_explained"].notna().all()
    # Numbers stay numbers.
    numbers = compare_reducers([PLSRegression(1)], X[:, :3], X[:, 3], **split)
    assert numbers["downstream"].iloc[0] > 0.85


def test_too_many_discriminants_are_said_to_be_too_many(iris):
    reducers = {"two": LinearDiscriminantAnalysis(), "three": LinearDiscriminantAnalysis(n_components=3)}
    with pytest.warns(FitFailedWarning, match="'three' failed"):
        table = compare_reducers(reducers, *iris, downstream="linear", cv=2, random_state=0)
    assert table.loc["two", "n_components"] == 2
    assert np.isnan(table.loc["two", "variance_explained"])
    assert "n_components cannot be larger than min(n_features, n_classes - 1)" in table.loc["three", "error"]


def test_data_frames_lists_and_sparse_tables(iris):
    X = iris[0]
    expected = compare_reducers([TruncatedSVD(2, random_state=0)], X, random_state=0)[MEASURES[:3]]
    for given_X in (pd.DataFrame(X), X.tolist(), csr_array(X)):
        found = compare_reducers([TruncatedSVD(2, random_state=0)], given_X, random_state=0)
        np.testing.assert_allclose(found[MEASURES[:3]], expected, rtol=1e-6)


def test_codes_may_be_data_frames(iris):
    X = pd.DataFrame(iris[0])
    framed = PCA(2).set_output(transform="pandas")
    reducers = {"arrays": PCA(2), "frames": framed}
    found = compare_reducers(reducers, X, iris[1], downstream="linear", random_state=0)
    np.testing.assert_allclose(found[MEASURES[:4]].iloc[0], found[MEASURES[:4]].iloc[1])


def test_text_is_not_measured_unless_it_is_turned_into_numbers():
    random = np.random.RandomState(0)
    X = pd.DataFrame({"number": random.standard_normal(60), "other": random.standard_normal(60)})
    X["text"] = np.where(X["number"] > 0, "high", "low")
    y = (X["number"] > 0).to_numpy()
    reducer = AutoencoderTransformer(2, max_iter=2, random_state=0)
    row = compare_reducers([reducer], X, y, cv=2, random_state=0).iloc[0]
    assert row[["variance_explained", "trustworthiness", "continuity"]].isna().all()
    assert row["downstream"] > 0.7
    encoder = make_column_transformer((OneHotEncoder(), ["text"]), remainder="passthrough")
    encoded = compare_reducers([PCA(2)], X, y, cv=2, preprocessing=encoder, random_state=0).iloc[0]
    assert encoded[["variance_explained", "trustworthiness", "continuity"]].notna().all()


def test_gaps_leave_neighbourhoods_out(iris):
    X = iris[0].copy()
    X[::7, 1] = np.nan
    reducer = AutoencoderTransformer(2, max_iter=2, random_state=0)
    row = compare_reducers([reducer], X, cv=2, random_state=0).iloc[0]
    assert np.isfinite(row["variance_explained"])
    assert row[["trustworthiness", "continuity"]].isna().all()


def test_neighbourhoods_may_be_left_out(iris):
    table = compare_reducers([PCA(2)], iris[0][:8], n_neighbors=None, cv=2)
    assert table[["trustworthiness", "continuity"]].isna().all(axis=None)
    assert table["variance_explained"].notna().all()


# ---------------------------------------------------------------------- splits


def test_splits_of_every_kind_are_the_same(iris):
    X = iris[0]
    folds = KFold(3, shuffle=True, random_state=1)
    pairs = list(folds.split(X))
    masks = [tuple(np.isin(np.arange(150), part) for part in pair) for pair in pairs]
    tables = [
        compare_reducers([PCA(2)], X, cv=cv, random_state=0)[MEASURES[:4]]
        for cv in (folds, pairs, iter(pairs), masks)
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


def test_a_single_split(iris):
    X, y = iris
    training, held_out = train_test_split(np.arange(150), stratify=y, random_state=0)
    table = compare_reducers([PCA(2)], X, y, cv=[(training, held_out)])
    pca = PCA(2).fit(X[training])
    back = pca.inverse_transform(pca.transform(X[held_out]))
    by_hand = variance_explained_score(X[held_out], back, mean=pca.mean_)
    assert table["variance_explained"].iloc[0] == pytest.approx(by_hand)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("fit", "ArithmeticError: no way"),
        ("transform", "transform must give a code for each of 30 rows"),
        ("inverse", r"inverse_transform must give rows of shape \(30, 4\); got \(30, 1\)"),
        ("nan", "codes that are NaN or infinite"),
    ],
)
def test_an_error_names_the_reducer(iris, where, says):
    reducers = {"fine": PCA(2), "broken": Fails(where)}
    with pytest.raises(RuntimeError, match=rf"'broken' failed on split 1 of 5: .*{says}"):
        compare_reducers(reducers, iris[0], random_state=0, error_score="raise")
    with pytest.warns(FitFailedWarning, match="'broken' failed"):
        table = compare_reducers(reducers, *iris, downstream="linear", random_state=0)
    assert table.loc["broken"].drop("error").isna().all()
    assert re.match(rf"split 1 of 5: .*{says}", table.loc["broken", "error"])
    assert table.loc["fine"].drop(["n_components", "error"]).notna().all()
    assert table.loc["fine", "error"] is None


def test_a_table_with_an_error_can_be_drawn(iris):
    with pytest.warns(FitFailedWarning, match="'broken' failed"):
        table = compare_reducers({"broken": Fails("fit"), "fine": PCA(2)}, iris[0], random_state=0)
    assert ComparisonDisplay.from_comparison(table).best_["variance_explained"] == ["fine"]


def test_names_with_dollars_are_text(iris):
    table = compare_reducers({"$a_b^$": PCA(1), "$": PCA(2)}, iris[0], random_state=0)
    display = ComparisonDisplay.from_comparison(table)
    display.figure_.draw_without_rendering()
    assert not any(is_math_text(label.get_text()) for label in display.ax_.get_yticklabels())


@pytest.mark.parametrize(
    ("reducers", "error", "says"),
    [
        (PCA(2), TypeError, "got PCA. Put a single reducer into a list"),
        (PCA, TypeError, "reducers must be a dict"),
        ("PCA", TypeError, "reducers must be a dict"),
        (3, TypeError, "reducers must be a dict"),
        ([], ValueError, "got none"),
        ([PCA], TypeError, "got the class PCA. Pass an instance"),
        ([("a", PCA(1)), ("a", PCA(2))], ValueError, "got 'a' more than once"),
        ([(1, PCA(1))], TypeError, "name a str"),
        ([("a", PCA(1), 2)], TypeError, r"tuple \(name, estimator\)"),
        ({"ridge": Ridge()}, TypeError, "'ridge' has no transform"),
        ([object()], TypeError, "object has no fit and no transform"),
    ],
)
def test_what_is_no_reducer_is_refused(iris, reducers, error, says):
    with pytest.raises(error, match=says):
        compare_reducers(reducers, iris[0])


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"X": np.arange(9.0)}, ValueError, r"rows and columns; got shape \(9,\)"),
        ({"X": np.ones((3, 2)), "y": None}, ValueError, "at least 4 rows"),
        ({"y": [1, 2]}, ValueError, "each of the 150 rows of X; got 2"),
        ({"y": np.ones((150, 2))}, ValueError, "one value for each row"),
        ({"y": [None] + ["a"] * 149}, ValueError, "no missing values; got 1"),
        ({"y": [np.nan] * 150}, ValueError, "no missing values; got 150"),
        ({"y": np.arange(150)}, ValueError, "at least 5 rows, one for each fold; 0 has 1. If y are numbers"),
        ({"cv": 1}, ValueError, "cv must be from 2 to 150"),
        ({"cv": "five"}, TypeError, "cv must be a number of folds"),
        ({"cv": 0.2}, TypeError, "cv must be a number of folds"),
        ({"cv": True}, TypeError, "cv must be a number of folds"),
        ({"cv": []}, ValueError, "at least one split"),
        ({"cv": (np.arange(100), np.arange(100, 150))}, ValueError, "A single split is passed as"),
        ({"cv": [(np.arange(100), np.arange(100, 151))]}, ValueError, "from 0 to 149; got 100 to 150"),
        ({"cv": [(np.arange(100), [])]}, ValueError, "held-out rows of a split must be at least two"),
        ({"cv": [([0.5, 1.5], np.arange(50))]}, ValueError, "training rows of a split must be"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be a whole number"),
        ({"max_rows": None}, ValueError, "max_rows must be a whole number"),
        ({"n_neighbors": 15}, ValueError, "more than 30 held-out rows .* Lower n_neighbors to 14"),
        ({"max_rows": 20}, ValueError, "got 30 and 20. Lower n_neighbors to 9"),
        ({"error_score": 0}, ValueError, 'error_score must be "raise" or nan; got 0'),
        ({"preprocessing": "scale"}, TypeError, "preprocessing must be a transformer"),
        ({"preprocessing": StandardScaler}, TypeError, "preprocessing must be a transformer"),
        ({"downstream": PCA(2)}, TypeError, "downstream must be an estimator with fit and predict"),
        ({"downstream": "trees"}, TypeError, "one or several of .*'boosting'.*; got 'trees'"),
        ({"downstream": ["linear", Ridge]}, TypeError, "an estimator with fit and predict"),
        ({"downstream": ["linear", "linear"]}, ValueError, "all different.*got 'linear'"),
        ({"downstream": {"a_std": Ridge()}}, ValueError, "must not end in '_std'"),
        ({"downstream": {}}, ValueError, "at least one model"),
        (
            {"downstream": {"a": Ridge(), "b": "linear"}},
            ValueError,
            "'a' predicts numbers, 'b' predicts classes",
        ),
        ({"scoring": 3}, TypeError, "scoring must be the name of one scorer"),
        ({"scoring": "exactness"}, ValueError, "scoring"),
        ({"y": None, "scoring": "r2"}, ValueError, "scoring needs y"),
        ({"y": None, "downstream": Ridge()}, ValueError, "downstream needs y"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(iris, changed, error, says):
    given_all = {"X": iris[0], "y": iris[1], **changed}
    with pytest.raises(error, match=says):
        compare_reducers({"never fitted": Fails("fit")}, **given_all)


def test_a_missing_pandas_is_said_in_a_sentence(iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'compare_reducers needs pandas.*pip install "skae\[pandas\]"'):
        compare_reducers([PCA(2)], iris[0])


# ---------------------------------------------------------------------- the picture


def test_a_picture_has_a_panel_for_each_measure(table):
    display = ComparisonDisplay.from_comparison(table)
    titles = [axis.get_title() for axis in display.axes_.flat if axis.get_visible()]
    assert titles == [
        "variance explained",
        "trustworthiness",
        "continuity",
        "linear model, accuracy",
        "neighbors, accuracy",
        "boosting, accuracy",
        "fit",
        "transform",
        "size",
    ]
    # Shares, models and costs stand in lines of their own.
    assert display.axes_.shape == (3, 3)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == list(table.index)
    scales = [axis.get_xscale() for axis in display.axes_.flat if axis.get_visible()]
    assert scales == ["linear"] * 6 + ["log"] * 3
    assert display.best_["variance_explained"] == ["PCA(2)"]
    assert display.best_["size"] == ["PCA(1)"]
    assert "none" in [text.get_text() for text in display.ax_.texts]
    assert display._repr_png_().startswith(b"\x89PNG")


def test_dots_and_whiskers_are_those_of_the_table(table):
    display = ComparisonDisplay.from_comparison(table, "trustworthiness")
    drawn = {}
    for dots, caps, _ in display.ax_.containers:
        for at, row, low in zip(dots.get_xdata(), dots.get_ydata(), caps[0].get_xdata(), strict=True):
            drawn[int(row)] = (at, at - low)
    for row, name in enumerate(table.index):
        expected = table.loc[name, ["trustworthiness", "trustworthiness_std"]].astype(float)
        np.testing.assert_allclose(drawn[row], expected)


def test_all_that_are_best_are_marked(table):
    twice = pd.concat([table, table.rename(lambda name: f"{name} again")])
    display = ComparisonDisplay.from_comparison(twice, ["downstream"])
    best = list(table.index[table["downstream"] == table["downstream"].max()])
    assert display.best_["downstream"] == best + [f"{name} again" for name in best]


def test_axes_that_are_passed_are_used(table):
    figure = Figure(layout="constrained")
    axes = figure.subplots(1, 2)
    display = ComparisonDisplay.from_comparison(table, ["downstream", "size"], ax=axes)
    assert display.ax_ is axes[0]
    assert display.figure_ is figure
    # One is parted.
    ax = Figure(layout="constrained").subplots()
    display = ComparisonDisplay.from_comparison(table, ax=ax)
    assert display.figure_ is ax.figure
    assert not ax.axison
    assert display.axes_.shape == (3, 3)
    with pytest.raises(ValueError, match="draws 2 panels here, but ax holds 3"):
        ComparisonDisplay.from_comparison(table, ["downstream", "size"], ax=list(ax.figure.axes[:3]))


def test_shares_far_below_zero_are_marked_at_the_edge(table):
    changed = table.copy()
    changed.loc["PCA(1)", "variance_explained"] = -7.25
    display = ComparisonDisplay.from_comparison(changed, ["variance_explained"])
    assert "-7.25" in [text.get_text() for text in display.ax_.texts]
    assert display.ax_.get_xlim()[0] > 0


def test_a_single_split_has_no_whiskers(iris):
    X = iris[0]
    table = compare_reducers([PCA(1)], X, cv=[(np.arange(100), np.arange(100, 150))])
    display = ComparisonDisplay.from_comparison(table)
    assert all(not caps for axis in display.axes_.flat for _, caps, _ in axis.containers)
    assert "one split" in display.figure_.legends[0].get_texts()[0].get_text()


def test_long_names_are_cut_and_many_rows_make_a_high_figure(table):
    many = pd.concat([table] * 7)
    many.index = [f"{number}: {'a name that never ends ' * 4}" for number in range(len(many))]
    display = ComparisonDisplay.from_comparison(many, ["downstream"])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert len(set(labels)) == 21
    assert max(map(len, labels)) <= 32
    assert display.figure_.get_size_inches()[1] > 5


@pytest.mark.parametrize(
    ("given_table", "measures", "error", "says"),
    [
        (lambda t: 3, None, TypeError, "a DataFrame that compare_reducers gave; got int"),
        (lambda t: pd.DataFrame({"a": [1]}), None, TypeError, "without any of its measures"),
        (lambda t: t.iloc[:0], None, ValueError, "at least one measured value"),
        (lambda t: t, ["accuracy"], ValueError, "got 'accuracy'"),
        (lambda t: t, [], ValueError, "measures must be names"),
    ],
)
def test_what_is_no_comparison_is_refused(table, given_table, measures, error, says):
    with pytest.raises(error, match=says):
        ComparisonDisplay.from_comparison(given_table(table), measures)


def test_a_measure_that_nobody_has_is_an_empty_panel(table):
    display = ComparisonDisplay.from_comparison(table.iloc[2:], ["variance_explained"])
    assert display.best_ == {"variance_explained": []}
    assert [text.get_text() for text in display.ax_.texts] == ["none"]
