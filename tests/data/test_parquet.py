"""Row groups of Parquet files as blocks of rows, and files that are refused."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the extra parquet")
pd = pytest.importorskip("pandas")

from skae.data import ParquetRows  # noqa: E402


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": random.standard_normal(1000).astype(np.float32),
            "b": random.integers(0, 9, 1000),
            "c": random.choice(["x", "y", "z"], 1000),
            "w": random.uniform(size=1000),
        }
    )


def test_files_are_read_by_row_groups_in_the_order_of_their_names(tmp_path, table):
    table[400:].to_parquet(tmp_path / "2.parquet", row_group_size=250)
    table[:400].to_parquet(tmp_path / "1.parquet", row_group_size=150)
    source = ParquetRows(tmp_path)
    assert source.lengths == [150, 150, 100, 250, 250, 100]
    assert source.place(3) == f"Row group 0 of {tmp_path / '2.parquet'}"
    pd.testing.assert_frame_equal(source.load(), table)
    assert max(len(piece) for piece in source.pieces(0, 40)) == 40


def test_fewer_row_groups_are_read_side_by_side_the_more_memory_each_takes(tmp_path):
    wide = pd.DataFrame(np.random.default_rng(0).standard_normal((20_000, 40), dtype=np.float32))
    wide.columns = wide.columns.astype(str)
    wide.to_parquet(tmp_path / "x.parquet", row_group_size=10_000)
    # Dictionaries of 40 KB a column are held three times, and 64 KiB of the file as it was written.
    assert 40 * (3 * 40_000 + 2**16) < ParquetRows(tmp_path).group_bytes < 1.7 * 40 * (3 * 40_000 + 2**16)
    assert ParquetRows(tmp_path, columns=["0"]).group_bytes < 0.03 * ParquetRows(tmp_path).group_bytes
    numbers = [ParquetRows(tmp_path, max_bytes=max_bytes).n_open for max_bytes in (2**16, 2**26, 2**30)]
    assert numbers == [1, 3, 16]
    wide.to_parquet(tmp_path / "x.parquet", row_group_size=10_000, use_dictionary=False)
    assert ParquetRows(tmp_path, max_bytes=2**26).n_open > 3


def test_files_that_have_changed_are_read_anew(tmp_path, table):
    table[["a", "b"]].to_parquet(tmp_path / "x.parquet", row_group_size=250)
    source = ParquetRows(tmp_path)
    list(source.read())
    table[["a", "b"]][::-1].to_parquet(tmp_path / "x.parquet", row_group_size=250)
    pd.testing.assert_frame_equal(source.load(), table[["a", "b"]][::-1].reset_index(drop=True))


def test_columns_are_chosen_in_any_order_and_others_can_be_weights(tmp_path, table):
    table.to_parquet(tmp_path / "x.parquet", row_group_size=300)
    source = ParquetRows(tmp_path / "x.parquet", columns=["b", "a"])
    assert source.shape == (1000, 2)
    pd.testing.assert_frame_equal(source.load(), table[["b", "a"]])
    np.testing.assert_array_equal(source.weights("w"), table["w"])


@pytest.mark.parametrize(
    ("columns", "name", "match"),
    [(["a", "w"], "w", "one of the features"), (["a"], "nothing", "no column 'nothing'")],
)
def test_weights_are_a_column_that_is_no_feature(tmp_path, table, columns, name, match):
    table.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=match):
        ParquetRows(tmp_path / "x.parquet", columns=columns).column(name)


def test_files_with_other_columns_are_refused_by_name(tmp_path, table):
    table.to_parquet(tmp_path / "1.parquet")
    table.astype({"b": float}).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(ValueError, match=r"2\.parquet has the columns .*b \(double\).*1\.parquet"):
        ParquetRows(tmp_path)
    # The column that differs is not asked for.
    assert ParquetRows(tmp_path, columns=["a"]).shape == (2000, 1)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("nothing.parquet", "no file"),
        ("empty", "holds no files"),
        ([], "empty list"),
        ("text.parquet", "read as"),
    ],
)
def test_what_is_no_parquet_file_is_refused(tmp_path, path, match):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(ValueError, match=match):
        ParquetRows([] if path == [] else tmp_path / path)


@pytest.mark.parametrize(
    ("columns", "match"), [(["a", "a"], "twice"), (["q"], "no column 'q'"), ([], "empty")]
)
def test_wrong_columns_are_refused(tmp_path, table, columns, match):
    table.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=match):
        ParquetRows(tmp_path / "x.parquet", columns=columns)


def test_a_damaged_row_group_is_named(tmp_path, table):
    file = tmp_path / "x.parquet"
    table[["a", "b"]].to_parquet(file, row_group_size=250, compression="snappy")
    source = ParquetRows(file)
    damage(file, group=2)
    with pytest.raises(ValueError, match=r"Row group 2 of .*x\.parquet"):
        source.load()


def damage(file, group):
    """Overwrite the first column of a row group."""
    import pyarrow.parquet

    chunk = pyarrow.parquet.ParquetFile(file).metadata.row_group(group).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(file.read_bytes())
    data[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    file.write_bytes(data)
