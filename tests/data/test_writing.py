"""Codes that are written to files as a whole or not at all."""

import numpy as np
import pytest

from skae import AutoencoderTransformer
from skae.data import ArrayRows, transform_to

X = np.random.default_rng(0).standard_normal((1500, 4), dtype=np.float32)


@pytest.fixture(scope="module")
def model():
    return AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)


@pytest.mark.parametrize("rows", [X, ArrayRows(X, max_bytes=2**16)], ids=["array", "source"])
def test_codes_are_written_as_an_array(model, tmp_path, rows):
    found = np.load(transform_to(model, rows, tmp_path / "codes.npy"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.transform(X), atol=1e-5)


def test_codes_are_written_as_parquet_with_names(model, tmp_path):
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    found = pandas.read_parquet(transform_to(model, X, tmp_path / "codes.parquet"))
    assert list(found) == list(model.get_feature_names_out())
    np.testing.assert_allclose(found, model.transform(X), atol=1e-5)


def test_what_was_there_stays_if_rows_cannot_be_read(model, tmp_path):
    (tmp_path / "codes.npy").write_bytes(b"before")
    wrong = X.copy()
    wrong[-1, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        transform_to(model, wrong, tmp_path / "codes.npy")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


def test_other_files_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r"\.npy or \.parquet"):
        transform_to(model, X, tmp_path / "codes.csv")
