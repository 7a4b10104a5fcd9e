"""Imputation: cells that are there stay, those that are not are told by the others, draws cover the truth."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

import skae
from skae.tasks import AutoencoderImputer

BRIEF = {"max_iter": 40, "validation_fraction": 0.2, "random_state": 0}
ESTIMATORS = {
    "plain": skae.AutoencoderTransformer(3, **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(8, corruption="missing", dropout=0.1, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(3, variance="per_feature", **BRIEF),
    "sparse": skae.SparseAutoencoderTransformer(16, n_active=3, **BRIEF),
}


def put_gaps(X, share=0.2, seed=0):
    return np.where(np.random.RandomState(seed).uniform(size=X.shape) < share, np.nan, X)


@pytest.fixture(scope="module")
def surface():
    """1,300 rows of 6 columns on a curved surface, of which the last 300 are new."""
    random = np.random.RandomState(0)
    angle, height = random.uniform(0, 3, 1300), random.uniform(-1, 1, 1300)
    columns = [np.cos(angle), np.sin(angle), height, height**2, np.cos(angle) * height, angle * height]
    X = np.column_stack(columns) + 0.02 * random.standard_normal((1300, 6))
    return X[:1000], X[1000:]


@pytest.fixture(scope="module")
def fitted(surface):
    return AutoencoderImputer(random_state=0).fit(put_gaps(surface[0]))


def test_new_rows_are_filled_from_their_other_cells(fitted, surface):
    _, new = surface
    gaps = put_gaps(new, seed=1)
    filled = fitted.transform(gaps)
    missing = np.isnan(gaps)
    np.testing.assert_array_equal(filled[~missing], new[~missing])
    means = SimpleImputer().fit(surface[0]).transform(gaps)
    assert np.square(filled - new)[missing].sum() < 0.4 * np.square(means - new)[missing].sum()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_autoencoder_may_stand_inside(name, surface):
    train, new = surface
    imputer = AutoencoderImputer(ESTIMATORS[name], random_state=0).fit(put_gaps(train))
    gaps = put_gaps(new, seed=1)
    missing = np.isnan(gaps)
    filled = imputer.transform(gaps)
    means = SimpleImputer().fit(train).transform(gaps)
    assert np.square(filled - new)[missing].sum() < 0.8 * np.square(means - new)[missing].sum()
    first, second, again = *imputer.sample_imputations(gaps, 2, 0), imputer.sample_imputations(gaps, 1, 0)[0]
    np.testing.assert_array_equal(first, again)
    assert (first[missing] != second[missing]).mean() > 0.9
    np.testing.assert_array_equal(first[~missing], new[~missing])
    assert not hasattr(ESTIMATORS[name], "network_")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "least"), [(None, 0.8), ("denoising", 0.8), ("variational", 0.75)])
def test_draws_cover_what_was_hidden(name, least, surface, fitted):
    """Intervals of nine in ten draws hold about nine in ten of what was hidden; variational ones fewer."""
    train, new = surface
    imputer = fitted
    if name is not None:
        imputer = AutoencoderImputer(ESTIMATORS[name], random_state=0).fit(put_gaps(train))
    gaps = put_gaps(new, seed=1)
    missing = np.isnan(gaps)
    draws = np.stack(imputer.sample_imputations(gaps, 60, random_state=0))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    assert least < ((low <= new) & (new <= high))[missing].mean() < 0.98


def test_numbers_stay_within_what_was_seen(surface):
    train, new = surface
    gaps = put_gaps(np.vstack([new, 100 * new]), seed=1)
    filled = AutoencoderImputer(ESTIMATORS["plain"]).fit(train).transform(gaps)
    missing = np.isnan(gaps)
    lowest, highest = (np.broadcast_to(edge, gaps.shape)[missing] for edge in (train.min(0), train.max(0)))
    assert (filled[missing] >= lowest - 1e-6).all()
    assert (filled[missing] <= highest + 1e-6).all()


@pytest.mark.parametrize("value", [-999, -999.0])
def test_other_values_may_stand_for_missing(surface, value):
    train, new = surface[0][:200], surface[1]
    gaps, marked = put_gaps(new), np.nan_to_num(put_gaps(new), nan=value)
    first = AutoencoderImputer(ESTIMATORS["plain"], random_state=0).fit(put_gaps(train)).transform(gaps)
    imputer = AutoencoderImputer(ESTIMATORS["plain"], missing_values=value, random_state=0)
    second = imputer.fit(np.nan_to_num(put_gaps(train), nan=value)).transform(marked)
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("indicator", [False, True])
def test_empty_columns_and_indicators_follow_scikit_learn(surface, keep, indicator):
    frame = pd.DataFrame(put_gaps(surface[0][:200]), columns=list("abcdef"))
    frame["c"], frame["d"] = np.nan, 1.0
    settings = {"keep_empty_features": keep, "add_indicator": indicator}
    ours = AutoencoderImputer(ESTIMATORS["plain"], **settings).set_output(transform="pandas").fit(frame)
    theirs = SimpleImputer(**settings).set_output(transform="pandas").fit(frame)
    assert list(ours.transform(frame).columns) == list(theirs.transform(frame).columns)
    np.testing.assert_array_equal(ours.get_feature_names_out(), theirs.get_feature_names_out())
    filled = ours.transform(frame)
    assert not filled.isna().any().any()
    if indicator:
        np.testing.assert_array_equal(filled["missingindicator_a"], frame["a"].isna())
    if keep:
        assert (filled["c"] == 0).all()


def test_text_is_filled_too():
    random = np.random.RandomState(0)
    warm = random.uniform(size=600) < 0.5
    frame = pd.DataFrame(
        {
            "town": np.where(warm, "Rome", "Oslo"),
            "degrees": np.where(warm, 25.0, 5.0) + random.normal(0, 2, 600),
            "rain": random.uniform(size=600),
        }
    )
    gaps = frame.mask(random.uniform(size=frame.shape) < 0.2)
    inside = skae.DenoisingAutoencoderTransformer(8, corruption="missing", emphasis=1.0, **BRIEF)
    imputer = AutoencoderImputer(inside, random_state=0).fit(gaps)
    filled = imputer.transform(gaps)
    assert isinstance(filled, pd.DataFrame)
    assert filled.dtypes.equals(gaps.dtypes)
    told = gaps["town"].isna() & gaps["degrees"].notna()
    assert (filled["town"] == frame["town"])[told].mean() > 0.95
    draws = imputer.sample_imputations(gaps, 3, random_state=0)
    assert all(set(draw["town"]) == {"Rome", "Oslo"} for draw in draws)
    assert not any(draw.isna().any().any() for draw in draws)
    there = gaps["town"].notna()
    assert all((draw["town"] == frame["town"])[there].all() for draw in draws)


def test_text_with_empty_columns_and_indicators():
    random = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "town": random.choice(["Rome", "Oslo", "?"], 100),
            "nothing": [None] * 100,
            "degrees": random.normal(size=100),
        }
    )
    settings = {"missing_values": "?", "add_indicator": True, "keep_empty_features": True}
    inside = skae.AutoencoderTransformer(1, max_iter=3)
    imputer = AutoencoderImputer(inside, **settings).fit(frame)
    filled = imputer.transform(frame)
    assert list(filled.columns[:3]) == ["town", "nothing", "degrees"]
    assert set(filled["town"]) == {"Rome", "Oslo"}
    assert (filled["nothing"] == 0).all()
    np.testing.assert_array_equal(filled["missingindicator_town"] == 1, frame["town"] == "?")
    assert list(imputer.get_feature_names_out(list(frame.columns))) == list(filled.columns)


@pytest.mark.parametrize("value", ["?", 10**30, 10**400, "\ud800"])
def test_what_stands_for_missing_may_be_of_another_type(value):
    """A question mark became the letter n in text of one letter."""
    cells = np.array([["a", "b"], ["c", "?"], ["?", "?"], ["a", "b"]] * 5)
    filled = AutoencoderImputer(ESTIMATORS["plain"], missing_values=value).fit(cells).transform(cells)
    assert set(filled.ravel()) == ({"a", "b", "c"} if value == "?" else {"a", "b", "c", "?"})
    frame = pd.DataFrame({"t": cells[:, 1], "n": np.arange(20, dtype=np.int8), "x": np.arange(20.0)})
    filled = AutoencoderImputer(ESTIMATORS["plain"], missing_values=value).fit(frame).transform(frame)
    assert filled.dtypes.equals(frame.dtypes)
    assert set(filled["t"]) == ({"b"} if value == "?" else {"b", "?"})


def test_whole_numbers_that_stand_for_missing_are_filled_with_whole_numbers():
    frame = pd.DataFrame({"t": ["a", "b"] * 10, "n": np.array([-1, 127, 127, 126] * 5, np.int8)})
    imputer = AutoencoderImputer(ESTIMATORS["plain"], missing_values=-1).fit(frame)
    for filled in [imputer.transform(frame), *imputer.sample_imputations(frame, 2)]:
        assert filled["n"].dtype == "Int8"
        assert filled["n"].between(126, 127).all()


def test_many_indicators_are_put_in_at_once():
    """pandas warns of tables to which a hundred columns are added one by one."""
    frame = pd.DataFrame({f"c{j}": ["a", None, "b", "a"] * 5 for j in range(102)})
    brief = skae.AutoencoderTransformer(2, max_iter=1, early_stopping=False)
    filled = AutoencoderImputer(brief, add_indicator=True).fit(frame).transform(frame)
    assert filled.shape == (20, 204)
    assert list(filled.columns[101:103]) == ["c101", "missingindicator_c0"]
    assert filled["missingindicator_c0"].sum() == 5


def test_names_of_arrays(surface):
    imputer = AutoencoderImputer(ESTIMATORS["plain"]).fit(put_gaps(surface[0][:200]))
    assert list(imputer.get_feature_names_out()) == [f"x{j}" for j in range(6)]
    assert list(imputer.get_feature_names_out(list("abcdef"))) == list("abcdef")
    with pytest.raises(ValueError, match="input_features should have length"):
        imputer.get_feature_names_out(["a"])
    named = AutoencoderImputer(ESTIMATORS["plain"]).fit(
        pd.DataFrame(put_gaps(surface[0][:200]), columns=list("abcdef"))
    )
    with pytest.raises(ValueError, match="input_features is not equal"):
        named.get_feature_names_out(list("fedcba"))


def test_it_stands_in_a_pipeline(surface):
    train, _ = surface
    y = train[:, 0] > 0
    imputer = AutoencoderImputer(ESTIMATORS["plain"], random_state=0)
    scores = cross_val_score(make_pipeline(imputer, LogisticRegression()), put_gaps(train), y, cv=3)
    assert scores.mean() > 0.8


def test_text_in_plain_arrays_has_draws_too():
    rows = np.array([["a", "x"], ["b", "y"], ["a", "x"]] * 10)
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(1, max_iter=3)).fit(rows)
    np.testing.assert_array_equal(imputer.transform(rows), rows)
    np.testing.assert_array_equal(imputer.sample_imputations(rows, 1)[0], rows)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_named_by_column(surface, value):
    rows = surface[0][:50].copy()
    rows[3, 2] = value
    with pytest.raises(ValueError, match=r"Infinite values by column: 2 \(1\)\. Drop these rows"):
        AutoencoderImputer().fit(rows)


def test_a_table_without_any_value_is_refused():
    with pytest.raises(ValueError, match="X holds no value at all"):
        AutoencoderImputer().fit(np.full((5, 2), np.nan))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Early stopping criterion not reached")
def test_it_fills_weather_better_than_regressions(weather):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    X, _ = weather
    train, test = (part[:15_000] for part in train_test_split(X, random_state=0))
    gaps, seen = put_gaps(train), put_gaps(test, 0.1, seed=1)
    missing = np.isnan(seen)
    missed = [
        np.square(imputer.fit(gaps).transform(seen) - test)[missing].sum()
        for imputer in (AutoencoderImputer(random_state=0), IterativeImputer(random_state=0))
    ]
    assert missed[0] < missed[1]


STARTED = {"max_iter": 2, "validation_fraction": 0.2}


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_rows_come_back_sparse(form, surface):
    gaps = put_gaps(np.where(surface[0][:100] > 0, surface[0][:100], 0.0))
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(2, **STARTED), random_state=0)
    dense = imputer.fit(gaps).transform(gaps)
    sparse = getattr(scipy.sparse, form)(gaps)
    filled = imputer.fit(sparse).transform(sparse)
    assert filled.format == "csr"
    assert isinstance(filled, scipy.sparse.sparray) == ("array" in form)
    np.testing.assert_array_equal(filled.toarray(), dense)
    draw = imputer.sample_imputations(sparse, 1, 0)[0]
    np.testing.assert_array_equal(draw.toarray(), imputer.sample_imputations(gaps, 1, 0)[0])
    framed = imputer.set_output(transform="pandas").fit_transform(sparse)
    np.testing.assert_array_equal(framed.to_numpy(), dense)
    with pytest.raises(ValueError, match="missing_values == 0"):
        imputer.set_params(missing_values=0).fit(sparse)


def test_weights_count_like_repeated_rows(surface):
    """On a handful of rows nothing is drawn or held out, and both fits agree."""
    gaps, weight = put_gaps(surface[0][:18]), np.random.RandomState(0).randint(0, 2, 18)
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(2), random_state=0)
    weighted = imputer.fit(gaps, sample_weight=weight).transform(gaps)
    repeated = imputer.fit(np.repeat(gaps, weight, axis=0)).transform(gaps)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_weights_reach_the_residuals(surface):
    X, weight = surface[0][:200].copy(), np.repeat([1.0, 0.0], 100)
    X[100:] *= 50
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(2, **STARTED), random_state=0)
    residuals = imputer.fit(X, sample_weight=weight).residuals_
    assert max(np.abs(column).max() for column in residuals) < 20


def test_metadata_is_routed(surface):
    gaps, clean = put_gaps(surface[0][:60]), surface[0][:60]
    inside = skae.DenoisingAutoencoderTransformer(2, **STARTED)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        AutoencoderImputer(inside).fit(gaps, clean=clean)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(inside).set_fit_request(clean=True, sample_weight=True)
        imputer = AutoencoderImputer(asking).set_fit_request(sample_weight=True)
        imputer.fit(gaps, clean=clean, sample_weight=np.repeat([0.0, 1.0], 30))
        AutoencoderImputer().set_params(estimator__max_iter=2).get_metadata_routing()
    assert imputer.estimator_.objective_.corruption is None


@pytest.mark.slow
def test_the_default_model_can_be_tuned(surface):
    gaps = put_gaps(surface[0][:60])
    imputer = AutoencoderImputer(random_state=0)
    assert imputer.get_params()["estimator"] is None
    tuned = clone(imputer).set_params(estimator__n_components=4, estimator__max_iter=2)
    assert "n_components=4" in repr(tuned)
    assert clone(tuned).get_params()["estimator__n_components"] == 4
    assert tuned.fit(gaps).estimator_.n_components_ == 4
    assert tuned.set_params(estimator=None).estimator is None
    # What is not set is as by default.
    same = clone(imputer).set_params(estimator__n_components=32, estimator__max_iter=2)
    twin = clone(imputer).set_params(estimator__max_iter=2)
    np.testing.assert_array_equal(same.fit(gaps).transform(gaps), twin.fit(gaps).transform(gaps))
    y = surface[0][:60, 0] > 0
    pipe = make_pipeline(clone(imputer).set_params(estimator__max_iter=2), LogisticRegression())
    grid = {"autoencoderimputer__estimator__n_components": [2, 3]}
    search = GridSearchCV(make_pipeline(AutoencoderImputer(random_state=0), LogisticRegression()), grid, cv=2)
    assert search.set_params(estimator=pipe).fit(gaps, y).best_params_


@pytest.mark.slow
def test_small_tables_take_few_steps():
    """Five folds choose the epoch there: 150 steps of each, two an epoch."""
    gaps = put_gaps(load_iris().data)
    assert AutoencoderImputer(random_state=0).fit(gaps).estimator_.n_iter_ == 75


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_seed_reaches_the_estimator(surface):
    gaps = put_gaps(surface[0][:60])
    inside = skae.AutoencoderTransformer(2, init="random", linear_path=False, **STARTED)
    first, second = (AutoencoderImputer(inside, random_state=0).fit(gaps).transform(gaps) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    own = AutoencoderImputer(clone(inside).set_params(random_state=3)).fit(gaps)
    assert own.estimator_.random_state == 3


@pytest.mark.parametrize("as_frame", [False, True])
def test_text_that_stands_for_missing_is_filled(as_frame):
    rows = np.array([["a", "?"], ["b", "x"], ["a", "x"]] * 10)
    rows = pd.DataFrame(rows, columns=["first", "second"]) if as_frame else rows
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(1, max_iter=2), missing_values="?")
    assert (np.asarray(imputer.fit(rows).transform(rows)) == [["a", "x"], ["b", "x"], ["a", "x"]] * 10).all()
    assert (np.asarray(rows)[::3, 1] == "?").all()


@pytest.mark.parametrize("kind", ["object", "mixed", "frame"])
def test_rows_of_text_that_miss_everything_are_filled(kind):
    random = np.random.RandomState(0)
    rows = random.choice(["a", "bb"], (60, 2)).astype(object)
    if kind == "mixed":
        rows[:, 1] = random.normal(size=60)
    rows[::5] = None
    rows = pd.DataFrame(rows, columns=["first", "second"]) if kind == "frame" else rows
    imputer = AutoencoderImputer(skae.AutoencoderTransformer(1, max_iter=2), random_state=0).fit(rows)
    empty = rows[::5]
    for filled in (imputer.transform(empty), *imputer.sample_imputations(empty, 2, 0)):
        assert not pd.isna(np.asarray(filled)).any()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_whole_numbers_may_stand_for_missing(dtype):
    rows = np.array([[9, 1, 5], [2, 9, 1], [6, 3, 9], [1, 2, 4]] * 5, dtype=dtype)
    before, inside = rows.copy(), skae.AutoencoderTransformer(1, max_iter=5)
    filled = AutoencoderImputer(inside, missing_values=9).fit(rows).transform(rows)
    np.testing.assert_array_equal(rows, before)
    assert np.isfinite(filled).all()
    assert filled.max() <= 6 + 1e-4
    np.testing.assert_array_equal(filled[rows != 9], rows[rows != 9])


def test_callbacks_hear_of_the_estimator(surface):
    class Listener:
        max_propagation_depth = None

        def __init__(self):
            self.tasks = []

        def setup(self, estimator, context):
            self.tasks.append("setup")

        def on_fit_task_begin(self, estimator, context, **data):
            pass

        def on_fit_task_end(self, estimator, context, **data):
            self.tasks.append(context.task_name)

        def teardown(self, estimator, context):
            self.tasks.append("teardown")

    listener = Listener()
    inside = skae.AutoencoderTransformer(2, **STARTED)
    AutoencoderImputer(inside).set_callbacks(listener).fit(put_gaps(surface[0][:60]))
    assert listener.tasks == ["setup", "epoch", "epoch", "fit", "fit", "teardown"]


def test_names_that_are_no_list_are_refused():
    model = skae.AutoencoderTransformer(1, max_iter=1, random_state=0)
    imputer = AutoencoderImputer(model).fit(np.eye(20, 3))
    with pytest.raises(ValueError, match="input_features must be a list of names"):
        imputer.get_feature_names_out("abc")


def test_indicators_keep_the_levels_and_names_of_columns():
    frame = pd.DataFrame({"t": ["a", None, "b", "a"] * 5, "n": [1.0, 2.0, 3.0, 4.0] * 5})
    levels = pd.MultiIndex.from_tuples([("town", "name", 0), ("town", "size", 1)], names=["what", None, "no"])
    imputer = AutoencoderImputer(ESTIMATORS["plain"], add_indicator=True)
    filled = imputer.fit(frame.set_axis(levels, axis=1)).transform(frame.set_axis(levels, axis=1))
    assert filled.columns.tolist() == [*levels, ("missingindicator_x0", "", "")]
    assert filled.columns.names == levels.names
    assert filled["town"].shape == (20, 2)
    one = frame.rename_axis(columns="what")
    assert imputer.fit(one).transform(one).columns.name == "what"


@pytest.mark.parametrize("inside", ["plain", "variational"])
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_draws_come_in_the_container_that_was_asked_for(container, inside):
    gaps = put_gaps(np.random.RandomState(0).normal(size=(40, 3)))
    brief = {
        "plain": ESTIMATORS["plain"],
        "variational": skae.VariationalAutoencoderTransformer(1, max_iter=1, early_stopping=False),
    }
    imputer = AutoencoderImputer(brief[inside], add_indicator=True).fit(gaps).set_output(transform=container)
    filled, (draw,) = imputer.transform(gaps), imputer.sample_imputations(gaps, 1, 0)
    assert type(draw) is type(filled)
    assert draw.shape == filled.shape
    if container != "default":
        assert list(draw.columns) == list(filled.columns)
