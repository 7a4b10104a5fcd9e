"""Plain numbers, and how well rows come back."""

import numpy as np
import pandas as pd
import pytest

from skae.tables import Arrangement, Columns
from skae.tables.columns import row_means

X = np.array([[1.0, 2.0, 4.0], [3.0, 2.0, 0.0]])
LARGEST = np.finfo(float).max


def test_plain_numbers_lie_inside_as_they_are():
    columns = Columns(3, ["a", "b", "c"])
    assert (columns.n_features, columns.n_inside, columns.kinds) == (3, 3, ["numeric"] * 3)
    assert columns.owners.tolist() == [0, 1, 2]
    assert columns.is_numeric.tolist() == [True] * 3
    assert columns.loss_weights.tolist() == [1.0] * 3
    assert (columns.is_mixed, columns.is_scaled, columns.reads_sparse) == (False, False, False)
    assert columns.is_plain
    assert columns.is_by_column
    for way in (columns.encode, columns.decode, columns.unscale, columns.as_read, columns.as_given):
        assert way(X) is X
    assert columns.unknown(X).shape == X.shape
    assert not columns.unknown(X).any()
    assert not columns.holds_categories(1)
    assert columns.mean(X[0]).tolist() == X[0].tolist()


@pytest.mark.parametrize(("names", "expected"), [(["a", "b", "c"], ["c", "a"]), (None, [2, 0])])
def test_columns_are_called_by_their_names_or_positions(names, expected):
    assert Columns(3, names).names_of(np.array([2, 0])) == expected


@pytest.mark.parametrize(
    ("rows", "is_ready"),
    [
        (X, True),
        (X.astype(np.float32), True),
        (X.astype(int), False),
        (X.astype(np.float16), False),
        (X.astype(">f8"), False),
        (X[:, :2], False),
        (X[:0], False),
        (X[0], False),
        (np.where(X == 0, np.nan, X), False),
        (np.where(X == 0, np.inf, X), False),
        (X.tolist(), False),
        (pd.DataFrame(X), False),
    ],
)
def test_rows_that_need_no_validation(rows, is_ready):
    assert Columns(3).is_ready(rows) is is_ready
    assert not Columns(3, ["a", "b", "c"]).is_ready(rows)


class Square:
    def to_rows(self, X):
        return X.reshape(len(X), -1)

    def from_rows(self, rows, shape):
        return rows.reshape(-1, *shape)


def test_images_are_flat_inside_and_come_back_as_they_were():
    images = np.arange(8.0).reshape(2, 2, 2)
    rows, shape = Arrangement(Square(), None).flat(images)
    assert rows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert shape == (2, 2)
    columns = Columns(4, arrangement=Arrangement(Square(), shape))
    np.testing.assert_array_equal(columns.as_read(rows), images)
    np.testing.assert_array_equal(columns.arranged(rows), images)
    for flat in (rows, rows.tolist()):
        same, shape = Arrangement(Square(), None).flat(flat)
        assert same is flat or isinstance(flat, list)
        assert shape is None
    assert Arrangement(Square(), None).arranged(rows) is rows
    np.testing.assert_array_equal(Arrangement(Square(), None).flat(images.tolist())[0], rows)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="rows of different lengths"):
        Arrangement(Square(), None).flat([[[1, 2]], [[1, 2, 3]]])


def test_dataframes_of_other_libraries_come_back_in_them():
    class Layout:
        def put(self, rows):
            return ("put", rows)

    columns = Columns(3)
    columns.layout = Layout()
    assert columns.as_given(X) == ("put", X)
    assert columns.as_read(X) is X


BACK = np.array([[1.0, 1.0, 4.0], [3.0, 2.0, 3.0]])
CENTRE = np.array([2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("weight", "expected"), [(None, 1 - 10 / 10), (np.array([3.0, 1.0]), 1 - (3 + 9) / (15 + 5))]
)
def test_the_share_of_the_variance_that_came_back(weight, expected):
    columns = Columns(3)
    for measured in (columns.explained, columns.explained_in_own_units):
        assert measured(X, X, BACK, CENTRE, weight) == pytest.approx(expected)


def test_errors_by_cell_and_by_row():
    columns = Columns(3)
    assert columns.errors_by_cell(X, X, BACK).tolist() == [[0, 1, 0], [0, 0, 9]]
    assert columns.errors_by_row(X, X, BACK).tolist() == [1 / 3, 3.0]
    assert columns.deviations_by_cell(X, X, CENTRE).tolist() == [[1, 0, 4], [1, 0, 4]]


def test_errors_of_rows_are_means_over_cells_that_are_there():
    errors = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [1.0, 1.0, 4.0]])
    assert row_means(errors).tolist() == [2.0, 0.0, 2.0]
    assert row_means(errors[2:]).tolist() == [2.0]
    assert row_means(np.array([[LARGEST, LARGEST, 1.0]])).tolist() == [LARGEST]
    assert row_means(np.array([[LARGEST, LARGEST, np.nan]])).tolist() == [LARGEST]
