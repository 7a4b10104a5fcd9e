"""Arrays that are read in blocks: which they are, what is read, and what is refused."""

import numpy as np
import pytest
import scipy.sparse

from skae.data import ArrayRows, RowSource
from skae.data import sources as module
from skae.data.sources import as_source

X = np.random.default_rng(0).standard_normal((1000, 3))


def joined(source):
    return np.concatenate(
        [piece for block in range(len(source.lengths)) for piece in source.pieces(block, 7)]
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_is_read_from_the_first_row_to_the_last(tmp_path, order):
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", X.dtype, X.shape, fortran_order=order == "F")
    file[:] = X
    file.flush()
    source = ArrayRows(np.load(tmp_path / "x.npy", mmap_mode="r"), max_bytes=2**16)
    assert len(source.lengths) > 5
    assert source.shape == X.shape
    np.testing.assert_array_equal(joined(source), X)
    np.testing.assert_array_equal(source.load(), X)


def test_changes_that_were_made_to_a_private_map_are_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[5] = 7.0
    source = ArrayRows(private, max_bytes=2**16)
    joined(source)
    assert (joined(source)[5] == 7.0).all()


def test_a_part_of_a_memory_map_is_read_as_it_is(tmp_path):
    np.save(tmp_path / "x.npy", X)
    part = np.load(tmp_path / "x.npy", mmap_mode="r")[100:900:2, :2]
    np.testing.assert_array_equal(joined(ArrayRows(part, max_bytes=2**16)), X[100:900:2, :2])


def test_a_map_whose_file_has_become_shorter_is_refused_by_its_name(tmp_path):
    np.save(tmp_path / "x.npy", X)
    source = ArrayRows(np.load(tmp_path / "x.npy", mmap_mode="r"), max_bytes=2**16)
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ValueError, match=r"Block 0 of ArrayRows .*x\.npy has 5000 bytes"):
        list(source.read())


def test_sparse_rows_come_dense():
    sparse = scipy.sparse.random_array((1000, 4), density=0.3, format="coo", random_state=0)
    source = ArrayRows(sparse, max_bytes=2**16)
    np.testing.assert_array_equal(joined(source), sparse.toarray())


class Chunked:
    """An array like those of HDF5, with chunks."""

    shape, dtype, chunks = (1000, 3), X.dtype, (128, 3)

    def __getitem__(self, rows):
        assert rows.start % 128 == 0
        return X[rows]


def test_blocks_consist_of_whole_chunks():
    source = ArrayRows(Chunked(), max_bytes=2**16)
    assert set(source.lengths[:-1]) == {128}
    assert [len(piece) for piece in source.pieces(0, 1000)] == [128]


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (X.astype(complex), TypeError, "real numbers"),
        (X.astype(object), TypeError, "object"),
        (X[0], ValueError, "shape"),
        (X[:0], ValueError, "at least one"),
        ([[1.0, 2.0]], TypeError, "list"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(wrong, error, match):
    with pytest.raises(error, match=match):
        ArrayRows(wrong)


@pytest.mark.parametrize("wrong", [0, 100, 2.5, True, "much"])
def test_max_bytes_is_a_number_of_bytes(wrong):
    with pytest.raises(ValueError, match="max_bytes"):
        ArrayRows(X, max_bytes=wrong)


def test_large_arrays_elsewhere_are_read_in_blocks_by_themselves(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    sparse, wide = scipy.sparse.csr_array(X), scipy.sparse.csr_array((1000, 300))
    assert as_source(mapped) is None
    monkeypatch.setattr(module, "LARGE", 4 * X.size)
    assert isinstance(as_source(mapped), ArrayRows)
    assert isinstance(as_source(sparse), ArrayRows)
    # Wide sparse tables are read through their directions, and arrays in memory lie there already.
    assert as_source(wide) is None
    assert as_source(X) is None
    assert as_source(X.tolist()) is None


class Failing(RowSource):
    """Three blocks of which the second one is not as it should be."""

    def __init__(self, second):
        super().__init__(3, [10, 10, 10])
        self.second = second

    def pieces(self, block, n_rows):
        if block == 1:
            yield from self.second()
        else:
            yield np.zeros((10, 3))


def raising():
    raise OSError("the disk is gone")
    yield


@pytest.mark.parametrize(
    ("second", "match"),
    [
        (lambda: iter([np.zeros((9, 3))]), "ends early: 9 of 10"),
        (lambda: iter([np.zeros((6, 3)), np.zeros((6, 3))]), "12 rows of shape"),
        (lambda: iter([np.zeros((10, 2))]), r"shape \(2,\)"),
        (raising, "the disk is gone"),
    ],
)
def test_a_block_that_is_not_what_was_announced_is_named(second, match):
    with pytest.raises(ValueError, match=rf"Block 1 of Failing \(rows 10 to 19\).*{match}"):
        list(Failing(second).read())


def test_a_source_is_no_array():
    with pytest.raises(TypeError, match=r"load\(\)"):
        np.asarray(ArrayRows(X))


def test_a_source_without_names_has_no_column_of_weights():
    with pytest.raises(ValueError, match="no names"):
        ArrayRows(X).weights("w")
