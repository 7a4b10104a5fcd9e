"""pandas, polars and pyarrow: tables go in as they are, and come back as their own kind."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoderTransformer
from skae.metrics import variance_explained
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 3, "random_state": 0}
pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def codes(**settings):
    return AutoencoderTransformer(**{"n_components": 2, **BRIEF, **settings})


def imputer():
    filler = DenoisingAutoencoderTransformer(2, corruption="missing", scaling="standard", **BRIEF)
    return AutoencoderImputer(filler, random_state=0)


def as_pandas(X):
    return X


def as_nullable(X):
    return X.convert_dtypes(dtype_backend="numpy_nullable")


def as_arrow_backed(X):
    return X.convert_dtypes(dtype_backend="pyarrow")


def as_polars(X):
    return pl.DataFrame({name: [None if pd.isna(cell) else cell for cell in X[name].tolist()] for name in X})


def as_arrow(X):
    return pa.Table.from_pandas(X, preserve_index=False)


KINDS = [as_pandas, as_nullable, as_arrow_backed, as_polars, as_arrow]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_the_same_codes(mixed, kind):
    X, _ = mixed
    wanted = codes(scaling="standard").fit(X).transform(X)
    found = codes(scaling="standard").fit(kind(X)).transform(kind(X))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [as_pandas, as_nullable, as_arrow_backed, as_polars])
def test_reconstructions_are_of_the_kind_and_types_that_went_in(mixed, kind):
    X = kind(mixed[0])
    model = codes(scaling="standard").fit(X)
    back = model.reconstruct(X)
    assert type(back) is type(X)
    assert list(back.columns) == list(X.columns)
    assert list(back.dtypes) == list(X.dtypes)
    assert type(model.inverse_transform(model.transform(X))) is type(X)


@pytest.mark.parametrize("kind", [as_pandas, as_nullable, as_arrow_backed, as_polars])
def test_filled_frames_are_of_the_kind_that_went_in(mixed, kind):
    X = kind(mixed[0])
    filled = imputer().fit(X).transform(X)
    assert type(filled) is type(X)
    assert list(filled.dtypes) == list(X.dtypes)
    missing = filled.null_count().to_numpy().sum() if kind is as_polars else filled.isna().to_numpy().sum()
    assert missing == 0


def test_an_arrow_table_can_be_filled_and_judged(mixed):
    X = as_arrow(mixed[0])
    assert len(imputer().fit(X).transform(X)) == 200
    detector = AutoencoderOutlierDetector(codes(scaling="standard"), n_estimators=2, random_state=0)
    assert set(detector.fit(X).predict(X)) <= {-1, 1}


@pytest.mark.parametrize("kind", KINDS)
def test_variance_explained_of_numbers(iris, kind):
    X = iris[0]
    model = codes(scaling="standard").fit(kind(X))
    assert variance_explained(model, kind(X)) == pytest.approx(
        variance_explained(codes(scaling="standard").fit(X), X)
    )


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_output_that_is_asked_for_everywhere(mixed, output):
    X, _ = mixed
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[output]
    numbers = X[["height", "width", "rooms"]]
    with config_context(transform_output=output):
        assert isinstance(codes(scaling="standard").fit_transform(X), frame)
        assert isinstance(imputer().fit_transform(numbers), frame)
        assert isinstance(make_pipeline(StandardScaler(), codes()).fit_transform(numbers), frame)
        detector = AutoencoderOutlierDetector(codes(scaling="standard"), n_estimators=2, random_state=0)
        assert detector.fit(X).score_samples(X).shape == (200,)


def test_the_index_stays_with_its_rows(mixed):
    X = mixed[0].set_index(pd.Index([f"row {i}" for i in range(200)]))
    model = codes(scaling="standard").set_output(transform="pandas").fit(X)
    Z = model.transform(X)
    assert Z.index.equals(X.index)
    assert model.inverse_transform(Z).index.equals(X.index)
    assert imputer().fit(X).transform(X).index.equals(X.index)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "UInt8", "Int8", "uint8[pyarrow]", "int16[pyarrow]"])
def test_small_integers_come_back_within_their_range(iris, dtype):
    random = np.random.RandomState(0)
    X = iris[0].copy()
    top = 255 if dtype.lower().startswith("uint") else 127
    grade = random.choice([0, 1, top - 1, top], 150)
    X["grade"] = pd.Series(grade).astype(dtype)
    X["kind"] = pd.Categorical(np.where(grade > 1, "high", "low"))
    back = codes(scaling="standard").fit(X).reconstruct(X)
    assert back["grade"].dtype == X["grade"].dtype
    # What would lie beyond the range is put at its end, not at the other one.
    assert np.corrcoef(back["grade"].astype(float), grade)[0, 1] > 0.5


@pytest.mark.parametrize("kind", KINDS[:4])
def test_columns_chosen_by_name(mixed, kind):
    X = kind(mixed[0])
    model = ColumnTransformer(
        [
            ("numbers", codes(), ["height", "width", "rooms"]),
            ("words", codes(n_components=1), ["colour", "town"]),
        ]
    )
    Z = model.fit_transform(X)
    assert Z.shape == (200, 3)
    assert np.isfinite(Z).all()


def test_a_series_is_refused_by_scikit_learns_sentence(mixed):
    model = ColumnTransformer([("one", codes(n_components=1), "width")])
    with pytest.raises(ValueError, match="Expected a 2-dimensional container but got"):
        model.fit(mixed[0])


def test_sparse_columns_of_pandas(iris):
    X, _ = iris
    sparse = X.where(X > 3, 0.0).astype(pd.SparseDtype("float64", 0.0))
    dense = sparse.sparse.to_dense()
    np.testing.assert_allclose(
        codes().fit(sparse).transform(sparse), codes().fit(dense).transform(dense), rtol=1e-5, atol=1e-6
    )
