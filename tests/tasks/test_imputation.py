"""Imputation: cells that are there stay, those that are not are told by the others, draws cover the truth."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
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
    train, new = surface
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
