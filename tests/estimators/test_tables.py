"""Tables as they are read from a file: text, categories, counts, truth values, numbers with gaps."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

import skae
from skae.datasets import fetch_weather_aus
from skae.tables import MixedColumns

BRIEF = {"max_iter": 20, "validation_fraction": 0.2, "random_state": 0}
LONGER = {**BRIEF, "max_iter": 100}
VARIANTS = {
    "plain": skae.AutoencoderTransformer(4, **BRIEF),
    "huber": skae.AutoencoderTransformer(4, loss="huber", scaling="robust", **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(4, **BRIEF),
    "missing": skae.DenoisingAutoencoderTransformer(4, corruption="missing", emphasis=0.9, **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(4, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(4, variance="per_feature", **BRIEF),
    "importance": skae.VariationalAutoencoderTransformer(4, objective="iwae", **BRIEF),
    "adversarial": skae.AdversarialAutoencoderTransformer(4, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(8, **BRIEF),
    "topk": skae.SparseAutoencoderTransformer(16, n_active=4, **BRIEF),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def people():
    """600 rows of seven columns of all kinds that hang together, with gaps in each."""
    random = np.random.RandomState(0)
    age = random.uniform(18, 80, 600)
    town = np.where(age < 40, "Leeds", np.where(random.uniform(size=600) < 0.5, "York", "Hull")).astype(
        object
    )
    frame = pd.DataFrame(
        {
            "age": age,
            "town": town,
            "owner": np.where(age + random.normal(0, 5, 600) > 45, "yes", "no"),
            "visits": random.poisson(age / 20),
            "size": pd.Categorical(
                np.where(age < 30, "small", "large"), categories=["small", "medium", "large"], ordered=True
            ),
            "member": age > 50,
            "income": 1000 * age + random.normal(0, 3000, 600),
        }
    )
    frame["town"] = frame["town"].astype("str")
    for column in ("age", "town", "owner", "size", "income"):
        frame.loc[random.uniform(size=600) < 0.1, column] = None
    return frame


TYPES = {"visits": "count"}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_tables_of_all_kinds(name, people):
    model = clone(VARIANTS[name]).set_params(column_types=TYPES).fit(people)
    codes = model.transform(people)
    assert np.isfinite(codes).all()
    back = model.inverse_transform(codes)
    assert list(back.columns) == list(people.columns)
    assert back.dtypes.equals(people.dtypes)
    assert set(back["town"]) <= {"Leeds", "York", "Hull"}
    assert set(back["owner"]) <= {"yes", "no"}
    assert (back["visits"] >= 0).all()
    assert np.isfinite(model.score(people))
    assert model.reconstruction_error(people, per_feature=True).shape == people.shape
    assert list(model.feature_names_in_) == list(people.columns)
    assert model.n_features_in_ == 7
    np.testing.assert_allclose(model.transform(people.iloc[7:8]), codes[7:8], atol=1e-9)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(people), codes)


def test_what_hangs_together_is_learnt(people):
    train, test = people.iloc[:450], people.iloc[450:]
    model = skae.AutoencoderTransformer(3, column_types=TYPES, **LONGER).fit(train)
    back = model.reconstruct(test)
    for column in ("town", "owner", "size", "member"):
        there = test[column].notna()
        usual = train[column].mode()[0]
        right = (back[column] == test[column])[there].mean()
        assert right > max(0.9, (test[column] == usual)[there].mean())
    there = test["income"].notna() & test["age"].notna()
    missed = (back["income"] - test["income"])[there].std()
    assert missed < 0.25 * test["income"].std()


@pytest.mark.slow
def test_no_kind_drowns_the_others(people):
    """In other units, and beside a category of many values, every column is still learnt."""
    random = np.random.RandomState(0)
    frame = people.assign(income=people["income"] * 1e6, noise=random.randint(0, 40, 600).astype(str))
    back = skae.AutoencoderTransformer(3, **LONGER).fit(frame).reconstruct(frame)
    there = frame["owner"].notna()
    assert (back["owner"] == frame["owner"])[there].mean() > 0.85
    assert np.corrcoef(back["income"], frame["income"].fillna(frame["income"].mean()))[0, 1] > 0.9


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_scaling_inside_is_undone(scaling, curve):
    X = curve * [1, 10, 100, 1e3, 1e-3, 1] + [0, 5, 0, 1e4, 0, -3]
    settings = {"validation_fraction": 0.2, "batch_size": 50, "max_iter": 60, "random_state": 0}
    model = skae.AutoencoderTransformer(4, scaling=scaling, **settings).fit(X)
    back = model.reconstruct(X)
    assert back.dtype == np.float64
    missed = np.square(back - X).mean(axis=0) / X.var(axis=0)
    assert (missed < 0.1).all()
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert model.reconstruct(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(("scaling", "scaler"), [("standard", StandardScaler), ("robust", RobustScaler)])
def test_scaling_inside_is_a_scaler_in_front(scaling, scaler, curve):
    inside = skae.AutoencoderTransformer(2, scaling=scaling, **BRIEF).fit(curve)
    front = make_pipeline(scaler(), skae.AutoencoderTransformer(2, **BRIEF)).fit(curve)
    np.testing.assert_allclose(inside.transform(curve), front.transform(curve), rtol=1e-9)
    np.testing.assert_allclose(inside.reconstruct(curve), front.inverse_transform(front.transform(curve)))
    assert inside.score(curve) == pytest.approx(front.score(curve))


@pytest.mark.filterwarnings("ignore:No row has a value")
@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_columns_without_values_come_back_as_zero(scaling, curve):
    X = curve[:40].copy()
    X[:, 3] = np.nan
    model = skae.AutoencoderTransformer(2, scaling=scaling, max_iter=1, random_state=0).fit(X)
    assert not model.reconstruct(X)[:, 3].any()


def test_numbers_in_a_frame_are_an_array(curve):
    """Truth values among numbers stay numbers, as scikit-learn takes them."""
    frame = pd.DataFrame(curve, columns=list("abcdef")).assign(f=curve[:, 5] > 0)
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(frame)
    assert isinstance(model.reconstruct(frame), np.ndarray)
    np.testing.assert_array_equal(model.transform(frame), model.transform(frame.astype(float)))


def test_types_may_be_named_for_arrays(curve):
    X = np.column_stack([curve, curve[:, 0] > 0, np.random.RandomState(0).poisson(2, len(curve))])
    model = skae.AutoencoderTransformer(4, column_types={6: "binary", 7: "count"}, **BRIEF).fit(X)
    back = model.reconstruct(X)
    assert back.dtype == np.float64
    assert set(back[:, 6]) <= {0.0, 1.0}
    assert (back[:, 7] >= 0).all()


def test_object_arrays_and_lists_hold_text_too(people):
    for rows in (people.to_numpy(dtype=object), people.to_numpy(dtype=object).tolist()):
        model = skae.AutoencoderTransformer(3, **BRIEF).fit(rows)
        back = model.reconstruct(rows)
        assert back.dtype == object
        assert set(back[:, 1]) <= {"Leeds", "York", "Hull"}


def test_unknown_categories_are_missing_or_refused(people):
    new = people.assign(town="Bath")
    model = skae.AutoencoderTransformer(3, **BRIEF).fit(people)
    np.testing.assert_array_equal(model.transform(new), model.transform(people.assign(town=None)))
    strict = skae.AutoencoderTransformer(3, handle_unknown="error", **BRIEF).fit(people)
    with pytest.raises(ValueError, match="Column 'town' holds 'Bath', which training has not seen"):
        strict.transform(new)


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        (lambda f: f.assign(day=pd.Timestamp("2020-01-01")), {}, TypeError, "Column 'day' holds dates"),
        (
            lambda f: f.assign(name=[f"n{i}" for i in range(600)]),
            {},
            ValueError,
            "'name' holds 600 different",
        ),
        (lambda f: f, {"column_types": {"town": "binary"}}, ValueError, "'town' is binary, but it holds 3"),
        (lambda f: f, {"column_types": {"age": "count"}}, ValueError, "'age' holds counts, but"),
        (lambda f: f, {"column_types": {"aeg": "count"}}, ValueError, "column_types names column 'aeg'"),
        (lambda f: f, {"column_types": {"age": "integer"}}, ValueError, "column_types must be among"),
        (lambda f: f, {"column_types": {"town": "numeric"}}, ValueError, "Column 'town' holds numbers"),
        (lambda f: f, {"column_types": "all"}, ValueError, "'column_types' parameter"),
        (lambda f: f, {"scaling": "minmax"}, ValueError, "'scaling' parameter"),
        (lambda f: f, {"loss": "poisson"}, ValueError, "columns of several kinds have losses of their own"),
        (lambda f: f.assign(age=np.inf), {}, ValueError, "infinity"),
        (lambda f: f.assign(town=[["a"]] * 600), {}, TypeError, "must be a string or a number"),
        (lambda f: f.iloc[:1], {}, ValueError, "1 sample"),
    ],
)
def test_what_cannot_be_used_is_told_before_training(people, change, settings, error, message):
    model = skae.AutoencoderTransformer(2, **settings)
    with pytest.raises(error, match=message):
        model.fit(change(people))
    assert not hasattr(model, "n_features_in_")


def test_other_columns_are_refused(people):
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(people)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(people.drop(columns="age"))
    numbers = skae.AutoencoderTransformer(2, **BRIEF).fit(people[["age", "income"]])
    with pytest.raises(ValueError, match="fitted on numbers alone"):
        numbers.transform(people[["age", "income"]].assign(age="old"))


@pytest.mark.slow
def test_searches_and_pipelines_take_tables(people):
    y = (people["income"].fillna(0) > 50_000).astype(int)
    model = skae.AutoencoderTransformer(2, **BRIEF)
    search = GridSearchCV(model, {"n_components": [1, 3]}, cv=2).fit(people)
    assert search.best_params_ == {"n_components": 3}
    pipeline = make_pipeline(model.set_params(n_components=4), LogisticRegression())
    assert cross_val_score(pipeline, people, y, cv=3, scoring="roc_auc").mean() > 0.9


@pytest.mark.slow
def test_rows_drawn_are_tables_too(people):
    """Of a table with gaps, the variational estimator draws rows without any, of its types and categories."""
    model = skae.VariationalAutoencoderTransformer(
        4, variance="per_feature", column_types=TYPES, **LONGER
    ).fit(people)
    drawn = model.sample(2000, random_state=0)
    assert drawn.dtypes.equals(people.dtypes)
    assert not drawn.isna().any().any()
    for name in ("town", "owner", "size"):
        shares, expected = (frame[name].value_counts(normalize=True) for frame in (drawn, people))
        assert shares.index.isin(expected.index).all()
        assert (shares - expected).abs().max() < 0.1
    # What hangs together still does: the young live in Leeds, and visit less.
    assert drawn.loc[drawn["town"] == "Leeds", "age"].mean() < 40 < drawn["age"].mean()
    assert drawn["visits"].corr(drawn["age"]) > 0.2


@pytest.mark.slow
def test_what_is_missing_is_drawn_given_the_rest(people):
    model = skae.VariationalAutoencoderTransformer(
        4, variance="per_feature", column_types=TYPES, **LONGER
    ).fit(people)
    asked = people.assign(town=None, income=np.nan)
    first, second = model.sample_missing(asked, 2, random_state=0)
    assert not first.isna().any().any()
    assert (first["income"] != second["income"]).all()
    for name in ("age", "owner", "visits", "member"):
        there = people[name].notna()
        assert (first[name] == people[name])[there].all()
    young = people["age"] < 35
    assert (first["town"] == "Leeds")[young].mean() > 0.7
    pd.testing.assert_frame_equal(model.sample_missing(asked, 1, random_state=0)[0], first)
    numbers = people[["age", "visits", "income"]].to_numpy(dtype=float)
    arrays = skae.VariationalAutoencoderTransformer(1, scaling="standard", **BRIEF).fit(numbers)
    filled = arrays.sample_missing(numbers)[0]
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[np.isfinite(numbers)], numbers[np.isfinite(numbers)])


def test_frames_of_polars_hold_text_too(people):
    frame = pl.DataFrame(
        {
            name: people[name].astype(object).where(people[name].notna(), None).tolist()
            for name in ("age", "town", "member")
        },
        strict=False,
    )
    model = skae.AutoencoderTransformer(2, **BRIEF).fit(frame)
    assert list(model.feature_names_in_) == ["age", "town", "member"]
    assert set(model.reconstruct(frame)["town"]) <= {"Leeds", "York", "Hull"}


def test_partial_fit_takes_tables(people):
    model = skae.AutoencoderTransformer(2, random_state=0)
    for start in range(0, 600, 200):
        model.partial_fit(people.iloc[start : start + 200])
    assert model.reconstruct(people).dtypes.equals(people.dtypes)


@pytest.mark.parametrize("part", [slice(None, None, 60), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_the_weather_goes_in_as_it_is_read(part):
    try:
        X = fetch_weather_aus(
            as_frame=True, complete_rows=False, columns="all", download_if_missing=False
        ).data.drop(columns="Date")
    except OSError as error:
        pytest.skip(str(error))
    X = X.iloc[part]
    model = skae.AutoencoderTransformer(8, max_iter=1, random_state=0).fit(X)
    back = model.inverse_transform(model.transform(X.iloc[:100]))
    assert back.dtypes.equals(X.dtypes)
    assert set(back["Location"]) <= set(X["Location"])


columns = st.lists(
    st.sampled_from(["number", "text", "truth", "count", "category", "text with gaps", "nullable"]),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=40)
@given(kinds=columns, seed=st.integers(0, 1000), scaling=st.sampled_from(["none", "standard", "robust"]))
def test_tables_come_back_as_they_were(kinds, seed, scaling):
    random = np.random.RandomState(seed)
    makers = {
        "number": lambda: random.standard_normal(20),
        "text": lambda: random.choice(["a", "b", "c"], 20),
        "truth": lambda: random.uniform(size=20) < 0.5,
        "count": lambda: random.poisson(3, 20),
        "category": lambda: pd.Categorical(random.choice(["x", "y"], 20), categories=["x", "y", "z"]),
        "text with gaps": lambda: pd.Series(random.choice(["a", "b", "c"], 20)).mask(
            random.uniform(size=20) < 0.3
        ),
        "nullable": lambda: pd.array(random.randint(0, 9, 20), dtype="Int64"),
    }
    frame = pd.DataFrame({f"c{j}": makers[kind]() for j, kind in enumerate(kinds)})
    types = {f"c{j}": "count" for j, kind in enumerate(kinds) if kind == "count"}
    table, inside = MixedColumns.of(frame, types, scaling, "error")
    np.testing.assert_array_equal(table.encode(frame), inside)
    back = table.decode(np.nan_to_num(table.encode(frame)))
    if not table.is_mixed:
        np.testing.assert_allclose(back, frame.to_numpy(dtype=float), atol=1e-9)
        return
    assert back.dtypes.equals(frame.dtypes)
    for name in frame:
        there = frame[name].notna()
        if frame[name].dtype.kind == "f":
            np.testing.assert_allclose(back[name], frame[name], atol=1e-9)
        else:
            assert (back[name] == frame[name])[there].all()
