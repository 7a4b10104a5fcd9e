"""Encoders in numpy alone: what `transform` gives, of every dense variant, without torch in the process."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import skae
import skae.numpy
from skae.estimators import _state
from skae.files import FileError
from skae.networks import Convolutional, Dense, Dictionary
from skae.numpy import _reading
from skae.tasks import AutoencoderImputer

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = np.random.RandomState(0)
X = np.sin(RANDOM.uniform(0, 6, (120, 1)) + np.linspace(0, 6, 10)) + 0.1 * RANDOM.standard_normal((120, 10))
HOLES = RANDOM.uniform(size=X.shape) < 0.1
GAPS = np.where(HOLES, np.nan, X)
SHARES, COUNTS = (X - X.min()) / np.ptp(X), np.abs(X * 3).round()
Plain, Sparse = skae.AutoencoderTransformer, skae.SparseAutoencoderTransformer
MODELS = {
    "complete": (Plain(2), X),
    "large offset": (Plain(2), 100 * X + 1e6),
    "gaps": (Plain(2), GAPS),
    "ordered": (Plain(4, ordered=True), X),
    "share": (Plain(0.9), GAPS),
    "no path": (Plain(2, linear_path=False), X),
    "no layers": (Plain(2, hidden_layer_sizes=()), X),
    "linear encoder": (Plain(2, encoder="linear"), GAPS),
    "linear encoder and decoder": (Plain(2, encoder="linear", hidden_layer_sizes=()), X),
    "target": (Plain(2, target_weight=0.5), X),
    "tied": (Plain(2, network=Dense((6,), tied_weights=True)), GAPS),
    "batch norm": (Plain(2, batch_norm=True, dropout=0.2), X),
    "dictionary": (Plain(2, network=Dictionary((5,), activation="tanh")), X),
    "cross-entropy": (Plain(2, loss="binary_crossentropy"), SHARES),
    "poisson": (Plain(2, loss="poisson"), COUNTS),
    "denoising": (skae.DenoisingAutoencoderTransformer(2), X),
    "contractive": (skae.ContractiveAutoencoderTransformer(2), X),
    "variational": (skae.VariationalAutoencoderTransformer(2), GAPS),
    "variational ordered": (skae.VariationalAutoencoderTransformer(3, ordered=True), X),
    "variational bits": (skae.VariationalAutoencoderTransformer(2, likelihood="bernoulli"), SHARES.round()),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2), X),
    "binary": (skae.BinaryAutoencoderTransformer(8), X),
    "packed": (skae.BinaryAutoencoderTransformer(12, packed=True), X),
    **{
        f"activation {name}": (Plain(2, activation=name, hidden_layer_sizes=(8,)), X)
        for name in ("identity", "logistic", "tanh", "gelu", "silu", "elu", "leaky_relu")
    },
    **{f"link {name}": (Plain(2, output_activation=name), np.abs(X)) for name in ("relu", "softplus", "exp")},
    **{f"scaling {name}": (Plain(2, scaling=name), GAPS) for name in ("standard", "robust", "quantile")},
    **{
        f"sparse {name}": (Sparse(8, penalty=name), X)
        for name in ("topk", "batch_topk", "jumprelu", "gated", "l1", "l2", "kl")
    },
}


def fitted(name):
    model, rows = MODELS[name]
    settings = {"max_iter": 3, "early_stopping": False, "random_state": 0}
    return copy.deepcopy(model).set_params(**settings).fit(rows, X[:, 0] > 0), rows


def assert_close(found, wanted, dtype):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    relative = 1e-12 if dtype == np.float64 else 3e-6
    np.testing.assert_allclose(found, wanted, rtol=0, atol=relative * max(np.abs(wanted).max(), 1e-6))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_gives_what_the_estimator_gives(name, dtype):
    model, rows = fitted(name)
    encoder = pickle.loads(pickle.dumps(skae.numpy.encoder(model)))
    for table in (rows.astype(dtype), np.where(HOLES, np.nan, rows).astype(dtype)):
        for n_rows in (1, 1, 7, len(table)):
            codes = model.transform(table[:n_rows])
            assert_close(encoder.transform(table[:n_rows]), codes, dtype)
        back = model.inverse_transform(codes)
        assert_close(encoder.inverse_transform(codes), back, back.dtype)
    assert encoder.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()


def test_fewer_components_of_an_ordered_estimator():
    model, _ = fitted("ordered")
    codes = model.transform(X)[:, :2]
    assert_close(
        skae.numpy.encoder(model).inverse_transform(codes), model.inverse_transform(codes), np.float64
    )
    cut = skae.numpy.encoder(model.truncated(2))
    assert_close(cut.transform(X), model.truncated(2).transform(X), np.float64)
    assert cut.n_components_ == 2


def test_a_linear_encoder_is_one_matrix():
    model, rows = fitted("linear encoder and decoder")
    encoder = skae.numpy.encoder(model)
    for layers in (encoder._parts.encoder, encoder._parts.decoder):
        assert layers.path is None
        assert [weight.shape for weight in layers.weights] in ([(10, 2)], [(2, 10)])
    # All codes are off by the same constant.
    off = encoder.transform(rows) - (rows - model.mean_) @ model.components_.T
    np.testing.assert_allclose(off, np.tile(off[0], (len(rows), 1)), rtol=0, atol=1e-12)


def test_many_rows_are_those_one_by_one():
    model, _ = fitted("complete")
    encoder = skae.numpy.encoder(model)
    rows = np.tile(X, (40, 1))
    codes = encoder.transform(rows)
    np.testing.assert_allclose(codes, np.concatenate([encoder.transform(X)] * 40), atol=1e-12)
    np.testing.assert_allclose(encoder.inverse_transform(codes), model.inverse_transform(codes), atol=1e-12)


def test_whole_numbers_lists_and_tables():
    model, rows = fitted("poisson")
    encoder = skae.numpy.encoder(model)
    wanted = model.transform(rows)
    for same in (
        rows.astype(int),
        rows.tolist(),
        rows.astype(">f8"),
        np.asfortranarray(rows),
        pd.DataFrame(rows),
    ):
        np.testing.assert_allclose(encoder.transform(same), wanted, atol=1e-12)


def test_names_of_columns_are_checked():
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    encoder = skae.numpy.encoder(Plain(2, max_iter=1, random_state=0).fit(frame))
    assert encoder.feature_names_in_.tolist() == list("abcdefghij")
    assert encoder.transform(frame).shape == (120, 2)
    with pytest.raises(ValueError, match="columns of X are"):
        encoder.transform(frame[list("bacdefghij")])


def test_threads_share_nothing_that_is_written_to():
    model, _ = fitted("complete")
    encoder = skae.numpy.encoder(model)
    wanted = [encoder.transform(X[[row]]) for row in range(8)]
    wrong = []

    def work(row):
        for _ in range(300):
            if not np.array_equal(encoder.transform(X[[row]]), wanted[row]):
                wrong.append(row)

    threads = [threading.Thread(target=work, args=(row,)) for row in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_rows_of_a_user_are_left_as_they_are():
    for name in ("complete", "gaps", "scaling standard"):
        model, rows = fitted(name)
        encoder, before = skae.numpy.encoder(model), rows.copy()
        for _ in range(2):
            codes = encoder.transform(rows)
            kept = codes.copy()
            encoder.inverse_transform(codes)
        np.testing.assert_array_equal(rows, before)
        np.testing.assert_array_equal(codes, kept)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[:, :4], "takes rows of 10 numbers"),
        (X[0], "takes rows of 10 numbers"),
        (X[:0], "takes rows of 10 numbers"),
        (np.where(HOLES, np.inf, X), "infinity"),
        (scipy.sparse.csr_array(X), r"takes dense arrays: pass X\.toarray\(\)"),
        (scipy.sparse.coo_matrix(X), r"takes dense arrays: pass X\.toarray\(\)"),
        (np.array([["a"] * 10]), "text has to be encoded"),
        (np.full((1, 10), 1.7e308), "overflowed float64"),
    ],
)
def test_other_rows_are_refused(rows, message):
    encoder = skae.numpy.encoder(fitted("complete")[0])
    for _ in range(2):
        encoder.transform(X)
        with pytest.raises(ValueError, match=message):
            encoder.transform(rows)


def test_other_codes_are_refused():
    encoder = skae.numpy.encoder(fitted("complete")[0])
    for codes, message in (
        (np.zeros((2, 3)), "gives 2 columns"),
        (np.full((1, 2), np.nan), "NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.inverse_transform(codes)
    with pytest.raises(ValueError, match="bytes"):
        skae.numpy.encoder(fitted("packed")[0]).inverse_transform(np.full((1, 2), 0.5))


@pytest.mark.parametrize(
    ("model", "rows", "message"),
    [
        (Plain(2, network=Convolutional((2, 5))), X, "no network of dense layers"),
        (Plain(2), pd.DataFrame({"a": X[:, 0], "b": ["x", "y", "z"] * 40}), "text, categories or counts"),
        (Sparse(8, inference="omp"), X, "inference='omp'"),
        (Sparse(8, debias=True), X, "debias=True"),
        (skae.DenoisingAutoencoderTransformer(2, features="all"), X, "features='all'"),
    ],
)
def test_what_is_not_read_is_refused(model, rows, message):
    model = copy.deepcopy(model).set_params(max_iter=1, random_state=0).fit(rows)
    with pytest.raises(ValueError, match=message):
        skae.numpy.encoder(model)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match="not fitted yet"):
        skae.numpy.encoder(Plain(2))


def test_runs_where_neither_torch_nor_scikit_learn_is_installed(tmp_path):
    model, _ = fitted("complete")
    path = tmp_path / "encoder.pickle"
    path.write_bytes(pickle.dumps((skae.numpy.encoder(model), X, model.transform(X))))
    code = (
        "import sys, pickle\n"
        "for name in ('torch', 'sklearn', 'scipy', 'pandas'):\n    sys.modules[name] = None\n"
        f"encoder, X, Z = pickle.load(open({str(path)!r}, 'rb'))\n"
        "assert abs(encoder.transform(X) - Z).max() < 1e-12\n"
        "assert encoder.inverse_transform(Z).shape == X.shape\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_reads_the_file_of_an_estimator_without_torch(tmp_path):
    model, rows = fitted("scaling quantile")
    path = tmp_path / "model.skae"
    skae.save(model, path)
    (tmp_path / "wanted").write_bytes(pickle.dumps((rows, model.transform(rows))))
    code = (
        "import sys, pickle\n"
        "for name in ('torch', 'sklearn', 'scipy', 'pandas'):\n    sys.modules[name] = None\n"
        "import skae.numpy\n"
        f"encoder = skae.numpy.encoder({str(path)!r})\n"
        f"X, Z = pickle.load(open({str(tmp_path / 'wanted')!r}, 'rb'))\n"
        "assert abs(encoder.transform(X) - Z).max() < 1e-11\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("name", ["ordered", "packed", "sparse gated", "tied"])
def test_files_hold_what_estimators_hold(name, tmp_path):
    model, rows = fitted(name)
    skae.save(model, tmp_path / "model.skae")
    found = skae.numpy.encoder(tmp_path / "model.skae").transform(rows)
    np.testing.assert_array_equal(found, skae.numpy.encoder(model).transform(rows))


def test_files_of_other_things_are_refused(tmp_path):
    path = tmp_path / "model.skae"
    skae.save(AutoencoderImputer(Plain(2, max_iter=1)).fit(GAPS), path)
    with pytest.raises(FileError, match="cannot be read by skae.numpy"):
        skae.numpy.encoder(path)
    skae.save(Plain(2), path)
    with pytest.raises(FileError, match="not fitted"):
        skae.numpy.encoder(path)
    path.write_bytes(b"nothing")
    with pytest.raises(FileError):
        skae.numpy.encoder(path)
    with pytest.raises(TypeError, match="path of a file"):
        skae.numpy.encoder(3)


def test_reads_the_states_that_estimators_write():
    assert _reading.VERSION == _state.VERSION


def test_importing_it_imports_neither_torch_nor_scikit_learn():
    code = "import sys, skae, skae.numpy; print(sorted({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_names_of_the_package_are_found_when_they_are_asked_for():
    assert {"AutoencoderTransformer", "numpy", "tasks", "__version__"} <= set(dir(skae))
    assert skae.__version__
    for name in skae.__all__:
        assert getattr(skae, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        skae.nothing  # noqa: B018
