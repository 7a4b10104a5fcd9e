"""Every estimator with what users hold rows in: tensors, lists, DataFrames of any library, sparse columns."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

BRIEF = {"max_iter": 2, "validation_fraction": 0.3, "random_state": 0}
PLAIN = skae.AutoencoderTransformer(2, **BRIEF)
ESTIMATORS = {
    "plain": PLAIN,
    "scaled": clone(PLAIN).set_params(scaling="standard"),
    "adversarial": skae.AdversarialAutoencoderTransformer(2, **BRIEF),
    "binary": skae.BinaryAutoencoderTransformer(2, **BRIEF),
    "contractive": skae.ContractiveAutoencoderTransformer(2, **BRIEF),
    "denoising": skae.DenoisingAutoencoderTransformer(2, **BRIEF),
    "sparse": skae.SparseAutoencoderTransformer(4, **BRIEF),
    "variational": skae.VariationalAutoencoderTransformer(2, **BRIEF),
    "imputer": AutoencoderImputer(PLAIN, random_state=0),
    "drawing imputer": AutoencoderImputer(skae.VariationalAutoencoderTransformer(2, **BRIEF), random_state=0),
    "detector": AutoencoderOutlierDetector(PLAIN, n_estimators=1, n_refits=0, random_state=0),
}
METHODS = (
    "transform",
    "reconstruct",
    "denoise",
    "score",
    "score_samples",
    "reconstruction_error",
    "sample_posterior",
    "decision_function",
    "predict",
    "p_values",
)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def table():
    """60 rows of 4 columns, in halves, which every kind of tensor holds exactly."""
    return np.round(2 * np.random.RandomState(0).standard_normal((60, 4))) / 2


@pytest.fixture(scope="module")
def people():
    """A DataFrame of polars that holds more than numbers."""
    random = np.random.RandomState(0)
    return pl.DataFrame(
        {
            "age": random.uniform(18, 80, 60),
            "visits": random.poisson(3, 60),
            "town": random.choice(["York", "Hull"], 60),
            "size": random.choice(["small", "large"], 60),
            "rank": [None, 1, 2] * 20,
        },
        schema_overrides={"visits": pl.Int8, "size": pl.Enum(["small", "large"]), "rank": pl.UInt16},
    )


def answers(model, X):
    """Give what each method says of rows, by its name."""
    keywords = {"sample_posterior": {"random_state": 0}}
    found = {
        name: getattr(model, name)(X, **keywords.get(name, {})) for name in METHODS if hasattr(model, name)
    }
    if hasattr(model, "inverse_transform"):
        found["inverse_transform"] = model.inverse_transform(found["transform"])
    if hasattr(model, "sample_imputations"):
        found["sample_imputations"] = model.sample_imputations(X, 1, random_state=0)[0]
    return found


def assert_same(found, wanted, kind=np.ndarray):
    assert set(found) == set(wanted)
    for name, values in found.items():
        assert isinstance(values, float if name == "score" else kind), name
        np.testing.assert_array_equal(np.asarray(values), np.asarray(wanted[name]), err_msg=name)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_tensors_give_the_arrays_that_arrays_give(name, table):
    wanted = answers(clone(ESTIMATORS[name]).fit(table), table)
    for tensor in (torch.from_numpy(table).requires_grad_(), torch.from_numpy(table).bfloat16()):
        assert_same(answers(clone(ESTIMATORS[name]).fit(tensor), tensor), wanted)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_tensors_give_tensors_where_scikit_learn_keeps_to_them(name, table, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    wanted = answers(clone(ESTIMATORS[name]).fit(table), table)
    tensor = torch.from_numpy(table)
    with config_context(array_api_dispatch=True):
        model = clone(ESTIMATORS[name]).fit(tensor)
        assert_same(answers(model, tensor), wanted, torch.Tensor)
        # A fit is no matter of where its rows came from.
        assert_same(answers(model, table), wanted)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.int32, torch.bool])
def test_single_precision_stays_and_all_else_is_double(kind, table):
    codes = clone(PLAIN).fit_transform(torch.from_numpy(table > 0).to(kind))
    assert codes.dtype == (np.float32 if kind == torch.float32 else np.float64)


def test_weights_clean_rows_and_codes_may_be_tensors(table):
    random = np.random.RandomState(0)
    weight, clean = random.uniform(size=60), table + 0.1
    wanted = clone(ESTIMATORS["denoising"]).fit(table, sample_weight=weight, clean=clean)
    model = clone(ESTIMATORS["denoising"]).fit(
        torch.from_numpy(table),
        sample_weight=torch.from_numpy(weight).requires_grad_(),
        clean=torch.from_numpy(clean).requires_grad_(),
    )
    codes = torch.from_numpy(wanted.transform(table)).requires_grad_()
    np.testing.assert_array_equal(
        model.inverse_transform(codes), wanted.inverse_transform(codes.detach().numpy())
    )
    assert model.score(table, sample_weight=torch.from_numpy(weight)) == wanted.score(
        table, sample_weight=weight
    )


def test_a_pipeline_keeps_to_tensors(table, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    tensor = torch.from_numpy(table).float()
    with config_context(array_api_dispatch=True):
        for last in (PLAIN, PCA(2)):
            pipe = make_pipeline(StandardScaler(), clone(last)).fit(tensor)
            codes = pipe.transform(tensor)
            assert (type(codes), codes.dtype, codes.shape) == (torch.Tensor, torch.float32, (60, 2))
            assert isinstance(pipe.inverse_transform(codes), torch.Tensor)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_lists_give_what_arrays_give(name, table):
    assert_same(
        answers(clone(ESTIMATORS[name]).fit(table.tolist()), table.tolist()),
        answers(clone(ESTIMATORS[name]).fit(table), table),
    )


def test_contributions_of_lists(table):
    detector = clone(ESTIMATORS["detector"]).fit(table)
    pd.testing.assert_frame_equal(
        detector.feature_contributions(table[:3].tolist()), detector.feature_contributions(table[:3])
    )


def test_lists_of_text_come_back_too(people):
    rows = [list(row) for row in people.select("age", "town").rows()]
    back = clone(PLAIN).fit(rows).reconstruct(rows)
    assert back.shape == (60, 2)
    assert set(back[:, 1]) <= {"York", "Hull"}


@pytest.mark.parametrize("name", ["plain", "imputer", "detector"])
@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1.0, 2]),
        pd.Series(["a", "b"]),
        pl.Series(["a", "b"]),
        np.array(["a", "b"]),
        ["a", "b"],
        [1.0, 2],
        torch.ones(2),
        np.ones(2),
    ],
)
def test_a_column_by_itself_is_refused_in_the_words_of_scikit_learn(name, column, table):
    sentence = r"Expected (2D array|a 2-dimensional container)"
    with pytest.raises(ValueError, match=sentence):
        clone(ESTIMATORS[name]).fit(column)
    model = clone(ESTIMATORS[name]).fit(table)
    with pytest.raises(ValueError, match=sentence):
        (model.predict if name == "detector" else model.transform)(column)
    if name == "plain":
        with pytest.raises(ValueError, match=sentence):
            model.inverse_transform(column)


def test_a_column_of_a_column_transformer_is_refused_in_the_words_of_scikit_learn(people):
    frame = pd.DataFrame({"town": people["town"].to_list()})
    with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
        make_column_transformer((clone(PLAIN), "town")).fit(frame)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_come_back_in_their_library_with_their_types(library, people):
    if library == "pyarrow":
        pytest.importorskip("pyarrow")
        people = people.to_arrow()
    model = clone(ESTIMATORS["variational"]).fit(people)
    codes = model.transform(people)
    assert isinstance(codes, np.ndarray)
    for back in (
        model.inverse_transform(codes),
        model.reconstruct(people),
        model.sample(3, random_state=0),
        model.sample_missing(people, random_state=0)[0],
    ):
        assert type(back) is type(people)
        assert back.schema == people.schema
    assert np.isfinite(model.score(people))
    assert list(model.feature_names_in_) == ["age", "visits", "town", "size", "rank"]


def test_rows_and_codes_of_another_library_come_back_in_that_of_the_fit(people):
    people = people.drop("rank", "size")
    frame = pd.DataFrame(people.to_dict(as_series=False))
    model = clone(PLAIN).fit(frame)
    wanted, codes = model.reconstruct(frame), model.transform(frame)
    assert_frame_equal(model.reconstruct(people), wanted)
    # A column of codes lends nothing to the column of rows that has its name.
    of_polars = pl.DataFrame(codes.astype(np.float32), schema=["age", "other"])
    of_pandas = pd.DataFrame(codes.astype(np.float32), columns=["age", "other"], index=frame.index + 7)
    assert_frame_equal(
        model.inverse_transform(of_polars), model.inverse_transform(of_pandas).set_axis(frame.index)
    )
    assert list(model.inverse_transform(of_pandas).index) == list(frame.index + 7)
    other = clone(PLAIN).fit(people)
    for back in (other.reconstruct(frame), other.inverse_transform(of_pandas)):
        assert isinstance(back, pl.DataFrame)
        assert back.schema == people.schema


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_numbers_of_any_library_give_arrays(library, table):
    frame = pl.DataFrame(table, schema=list("abcd"))
    if library == "pyarrow":
        pytest.importorskip("pyarrow")
        frame = frame.to_arrow()
    model = clone(PLAIN).fit(frame)
    assert list(model.feature_names_in_) == list("abcd")
    # Sums over columns that lie otherwise in memory end in other last digits.
    np.testing.assert_allclose(model.transform(frame), clone(PLAIN).fit_transform(table), atol=1e-9)
    assert isinstance(model.reconstruct(frame), np.ndarray)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_imputers_fill_tables_of_any_library(library, people):
    filled_in, wanted = people, {**people.schema, "missingindicator_rank": pl.Boolean}
    if library == "pyarrow":
        pytest.importorskip("pyarrow")
        filled_in = people.to_arrow()
    imputer = AutoencoderImputer(PLAIN, add_indicator=True, random_state=0).fit(filled_in)
    for found in (imputer.transform(filled_in), imputer.sample_imputations(filled_in, 1)[0]):
        assert type(found) is type(filled_in)
        found = pl.from_arrow(found) if library == "pyarrow" else found
        assert found.schema.names() == list(wanted)
        assert library == "pyarrow" or found.schema == wanted
        assert found["rank"].null_count() == 0
        assert found["rank"].gather_every(3, 1).to_list() == [1] * 20
        assert found["town"].to_list() == people["town"].to_list()


def test_imputers_give_the_container_that_is_set(people):
    imputer = AutoencoderImputer(PLAIN, random_state=0).fit(people)
    frame = imputer.set_output(transform="pandas").transform(people)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["size"].cat.categories) == ["small", "large"]
    imputer.set_output(transform="polars")
    assert imputer.transform(people).schema == people.schema
    # Text of pandas, which scikit-learn gives to polars only where pyarrow is installed.
    assert imputer.fit(frame).transform(frame)["town"].dtype == pl.String


def test_declared_kinds_of_polars_come_back_as_polars(table):
    frame = pl.DataFrame({"a": table[:, 0], "n": (2 * table[:, 1]).astype(np.int8)})
    model = clone(PLAIN).set_params(column_types={"n": "categorical"}).fit(frame)
    assert model.reconstruct(frame).schema == frame.schema


def test_sparse_columns_of_pandas_are_read(table):
    wide = pd.DataFrame(np.where(np.random.RandomState(0).uniform(size=(60, 300)) > 0.95, 1.0, 0.0))
    wide.columns = [f"word {j}" for j in range(300)]
    for frame in (pd.DataFrame(np.where(table > 0, table, 0), columns=list("abcd")), wide):
        sparse = frame.astype(pd.SparseDtype(float, 0.0))
        model = clone(PLAIN).fit(sparse)
        assert list(model.feature_names_in_) == list(frame.columns)
        codes = model.transform(sparse)
        np.testing.assert_allclose(model.transform(frame), codes, atol=1e-6)
        np.testing.assert_allclose(model.score(frame), model.score(sparse), atol=1e-6)
        np.testing.assert_allclose(
            model.reconstruction_error(pl.DataFrame(frame)),
            model.reconstruction_error(sparse),
            atol=1e-6,
        )
        assert model.inverse_transform(codes).shape == frame.shape


@pytest.mark.parametrize("name", ["imputer", "detector"])
def test_sparse_columns_of_pandas_are_read_by_tasks(name, table):
    frame = pd.DataFrame(np.where(table > 0, table, 0), columns=list("abcd"))
    sparse = frame.astype(pd.SparseDtype(float, 0.0))
    assert_same(
        answers(clone(ESTIMATORS[name]).fit(sparse), sparse),
        answers(clone(ESTIMATORS[name]).fit(frame), frame),
    )


def test_sparse_rows_are_read_like_the_dense_ones_of_the_fit(table):
    model = clone(ESTIMATORS["scaled"]).fit(table)
    np.testing.assert_allclose(model.transform(csr_matrix(table)), model.transform(table), atol=1e-9)


def test_what_a_library_looks_like_is_copied_and_forgotten_by_the_next_fit(people, table):
    model = clone(PLAIN).fit(people)
    codes = model.transform(people)
    again = pickle.loads(pickle.dumps(model))
    assert again.inverse_transform(codes).equals(model.inverse_transform(codes))
    assert isinstance(model.fit(table).reconstruct(table), np.ndarray)
    wide = csr_matrix(np.random.RandomState(0).uniform(size=(60, 300)) > 0.95, dtype=float)
    assert isinstance(again.fit(wide).reconstruct(wide), np.ndarray)
