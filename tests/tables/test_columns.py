"""Columns as values: what reading gives of training rows, and what it makes of further ones."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.utils.validation import check_array

from skae.tables import Columns, Directions, MixedColumns, Options, read, read_target, read_training
from skae.tables.columns import row_means
from skae.tables.reading import read_table


class Plainly:
    """Validates rows by scikit-learn's `check_array`, without any estimator."""

    owner = "Owner"

    def __init__(self, names=None, weight=None):
        self._names, self._weight = names, weight

    def __call__(self, X, skip_check_array=False, **checks):
        return X if skip_check_array else check_array(X, **checks)

    def names(self):
        return self._names

    def weights(self, n_rows):
        return self._weight


class Images:
    """Takes images of two by two."""

    def to_rows(self, X):
        return X.reshape(len(X), -1)

    def from_rows(self, rows, shape):
        return rows.reshape(len(rows), *shape)


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "height": [1.6, 1.8, 1.7, np.nan],
            "city": ["York", "Bath", "York", "Hull"],
            "smokes": ["yes", "no", "no", "yes"],
            "visits": [0, 3, 1, 7],
        }
    )


PLAIN = Options()
KINDS = Options({"visits": "count"}, "none")


def learnt(X, options=PLAIN, **validation):
    return read_training(X, options, Plainly(**validation))


def test_plain_numbers_lie_inside_as_they_are():
    X = np.arange(6.0).reshape(3, 2)
    columns, rows = learnt(X)
    assert type(columns) is Columns
    assert columns.is_plain
    assert not columns.is_mixed
    assert not columns.is_scaled
    assert columns.scaling is None
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(columns.decode(rows), X)
    np.testing.assert_array_equal(columns.unscale(rows), X)
    np.testing.assert_array_equal(columns.owners, [0, 1])
    assert columns.kinds == ["numeric", "numeric"]
    assert columns.is_numeric.all()
    np.testing.assert_array_equal(columns.loss_weights, [1, 1])
    np.testing.assert_array_equal(columns.mean(np.array([2.0, 3.0])), [2, 3])
    assert not columns.unknown(X).any()
    assert not columns.holds_categories(1)


def test_columns_are_called_by_their_names_or_numbers():
    assert learnt(np.eye(3))[0].names_of(np.array([2, 0])) == [2, 0]
    assert learnt(np.eye(3), names=["a", "b", "c"])[0].names_of(np.array([2, 0])) == ["c", "a"]


@pytest.mark.parametrize(
    ("X", "is_ready"),
    [
        (np.ones((2, 3)), True),
        (np.ones((2, 3), dtype=np.float32), True),
        (np.ones((2, 3), dtype=np.float16), False),
        (np.ones((2, 3), dtype=">f8"), False),
        (np.ones((2, 3), dtype=int), False),
        (np.ones((2, 4)), False),
        (np.ones((0, 3)), False),
        (np.ones(3), False),
        (np.full((2, 3), np.nan), False),
        (np.full((2, 3), np.inf), False),
        ([[1.0, 1.0, 1.0]], False),
    ],
)
def test_only_what_validation_would_give_back_is_ready(X, is_ready):
    assert Columns(3).is_ready(X) == is_ready
    # Names have to be compared.
    assert not Columns(3, ["a", "b", "c"]).is_ready(X)


def test_text_becomes_a_column_a_category_and_comes_back(people):
    columns, rows = learnt(people, KINDS)
    assert isinstance(columns, MixedColumns)
    assert columns.is_mixed
    assert not columns.is_plain
    np.testing.assert_array_equal(columns.owners, [0, 1, 1, 1, 2, 3])
    assert columns.kinds == ["numeric", *["categorical"] * 3, "binary", "count"]
    np.testing.assert_array_equal(columns.is_numeric, [True, False, False, False, False, False])
    np.testing.assert_array_equal(rows[:, 0], people["height"])
    np.testing.assert_array_equal(rows[:, 1:4], [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(rows[:, 4], [1, 0, 0, 1])
    np.testing.assert_allclose(rows[:, 5], np.log1p([0, 3, 1, 7]))
    assert [columns.holds_categories(j) for j in range(4)] == [False, True, True, False]
    back = columns.decode(np.nan_to_num(rows, nan=1.75))
    pd.testing.assert_frame_equal(back, people.fillna(1.75))


def test_further_rows_are_read_by_what_training_had(people):
    columns, _ = learnt(people, KINDS)
    new = pd.DataFrame({"height": [2.0], "city": ["Leeds"], "smokes": [None], "visits": [1]})
    rows = read(columns, new, Plainly())
    np.testing.assert_allclose(rows, [[2.0, *[np.nan] * 3, np.nan, np.log(2)]])
    np.testing.assert_array_equal(columns.unknown(new), [[False, True, False, False]])


def test_reading_changes_nothing(people):
    columns, _ = learnt(people, KINDS)
    before = {name: np.copy(value) for name, value in vars(columns).items() if isinstance(value, np.ndarray)}
    read(columns, people.iloc[:1], Plainly())
    after = {name: value for name, value in vars(columns).items() if isinstance(value, np.ndarray)}
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_losses_are_weighed_by_what_the_best_constant_leaves():
    frame = pd.DataFrame({"a": [0.0, 2.0] * 50, "b": ["x", "y"] * 50, "c": ["x"] * 99 + ["y"]})
    weights = learnt(frame, Options("auto", "none"))[0].loss_weights
    # The variance of the numbers is one, the entropy of an even bit log(2).
    rare = -(0.99 * np.log(0.99) + 0.01 * np.log(0.01))
    np.testing.assert_allclose(weights, [1, 1 / np.log(2), 1 / max(0.05, rare)])


def test_losses_of_counts_are_weighed_by_their_deviance():
    counts = np.array([0, 1, 2, 5] * 5)
    frame = pd.DataFrame({"n": counts, "text": ["x", "y"] * 10})
    weights = learnt(frame, Options({"n": "count"}, "none"))[0].loss_weights
    mean = counts.mean()
    logs = np.log(np.where(counts > 0, counts, 1) / mean)
    np.testing.assert_allclose(weights[0], 1 / np.mean(2 * (counts * logs - (counts - mean))))


def test_weights_of_rows_count_like_repetitions(people):
    weight = np.array([1.0, 3.0, 2.0, 1.0])
    repeated = people.loc[people.index.repeat(weight.astype(int))].reset_index(drop=True)
    for scaling in ("none", "standard"):
        options = Options({"visits": "count"}, scaling)
        weighted, _ = learnt(people, options, weight=weight)
        plain, _ = learnt(repeated, options)
        np.testing.assert_allclose(weighted.loss_weights, plain.loss_weights)
        np.testing.assert_allclose(read(weighted, people, Plainly()), read(plain, people, Plainly()))


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_numbers_are_scaled_and_come_back(scaling):
    X = np.random.RandomState(0).gamma(2, 3, (50, 3)) + 10
    columns, rows = learnt(X, Options("auto", scaling))
    assert columns.is_scaled
    assert not columns.is_mixed
    assert np.abs(np.median(rows, axis=0)).max() < 1
    np.testing.assert_allclose(columns.decode(rows), X)
    np.testing.assert_allclose(columns.mean(rows.mean(axis=0)), X.mean(axis=0))
    np.testing.assert_array_equal(read(columns, X, Plainly()), rows)


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_what_scaling_does_is_told_as_arrays(scaling):
    X = np.random.RandomState(0).gamma(2, 3, (50, 3)) + 10
    columns, rows = learnt(X, Options("auto", scaling))
    np.testing.assert_allclose((X - columns.scaling.shift) / columns.scaling.factor, rows)


def test_scaling_leaves_what_is_no_number(people):
    columns, rows = learnt(people, Options("auto", "standard"))
    np.testing.assert_array_equal(columns.scaling.shift[1:5], 0)
    np.testing.assert_array_equal(columns.scaling.factor[1:5], 1)
    np.testing.assert_allclose(np.nanmean(rows[:, 0]), 0, atol=1e-12)
    np.testing.assert_allclose(columns.unscale(rows)[:, 0], people["height"])


def test_a_column_without_any_value_comes_back_as_zero():
    X = np.column_stack([np.arange(4.0), np.full(4, np.nan)])
    columns, rows = learnt(X, Options("auto", "standard"))
    assert np.isnan(rows[:, 1]).all()
    np.testing.assert_allclose(columns.decode(np.ones((2, 2)))[:, 1], 0)
    np.testing.assert_allclose(columns.mean(np.zeros(2)), [1.5, 0])


def test_variance_is_explained_inside_and_in_own_units():
    X = np.random.RandomState(0).standard_normal((30, 2)) * [1, 10] + 5
    columns, rows = learnt(X, Options("auto", "standard"))
    back = rows.copy()
    back[:, 1] = 0  # the second column is not explained at all
    centre = rows.mean(axis=0)
    assert columns.explained(X, rows, back, centre, None) == pytest.approx(0.5)
    shares = X.var(axis=0) / X.var(axis=0).sum()
    assert columns.explained_in_own_units(X, rows, back, centre, None) == pytest.approx(shares[0])
    plain = Columns(2)
    assert plain.explained_in_own_units(X, X, X, X.mean(axis=0), None) == 1


def test_errors_of_a_category_are_added_up(people):
    columns, rows = learnt(people, KINDS)
    back = np.nan_to_num(rows, nan=9.0) + np.array([2, 1, 1, 1, 3, 0])
    errors = columns.errors_by_cell(people, rows, back)
    np.testing.assert_allclose(errors[:3], [[4, 3, 9, 0]] * 3)
    assert np.isnan(errors[3, 0])
    np.testing.assert_allclose(columns.errors_by_row(people, rows, back), [4, 4, 4, 4])
    deviations = columns.deviations_by_cell(people, rows, np.zeros(6))
    np.testing.assert_allclose(deviations[:, 1], 1)


def test_means_of_rows_leave_out_what_is_missing():
    cells = np.array([[1.0, 3.0], [np.nan, 5.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(row_means(cells), [2, 5, 0])
    largest = np.finfo(float).max
    assert row_means(np.full((1, 2), largest))[0] == largest


# ------------------------------------------------------------------ sparse rows


def test_narrow_sparse_rows_are_dense_and_wide_ones_directions():
    narrow = scipy.sparse.random(20, 256, 0.1, "csr", random_state=0)
    columns, rows = learnt(narrow)
    assert columns.is_plain
    np.testing.assert_array_equal(rows, narrow.toarray())
    wide = scipy.sparse.random(20, 257, 0.1, "csr", random_state=0)
    columns, rows = learnt(wide)
    assert isinstance(columns, Directions)
    assert columns.reads_sparse
    assert not columns.is_by_column
    assert rows.shape == (20, 20)
    assert columns.n_inside == 20
    assert columns.n_features == 257
    # Twenty directions hold all of twenty rows.
    np.testing.assert_allclose(columns.decode(rows), wide.toarray(), atol=1e-5)
    np.testing.assert_allclose(read(columns, wide, Plainly()), rows)
    np.testing.assert_allclose(columns.mean(np.zeros(20)), np.asarray(wide.mean(axis=0)).ravel())


def test_errors_along_directions_count_what_lies_outside():
    X = scipy.sparse.random(60, 300, 0.1, "csr", random_state=0)
    columns = Directions(X, 1, None)
    columns.basis = columns.basis[:, :3]
    rows = columns.encode(X)
    cells = columns.errors_by_cell(X, rows, rows)
    np.testing.assert_allclose(columns.errors_by_row(X, rows, rows), cells.mean(axis=1), rtol=1e-5)
    total = np.square(X.toarray() - X.toarray().mean(axis=0)).sum()
    weight = np.ones(60)
    expected = pytest.approx(1 - cells.sum() / total, rel=1e-6)
    assert columns.explained(X, rows, rows, np.zeros(3), None) == expected
    assert columns.explained(X, rows, rows, np.zeros(3), 2 * weight) == expected
    np.testing.assert_allclose(columns.deviations_by_cell(X, rows, np.zeros(3)).sum(), total)


def test_rows_that_are_all_alike_have_no_variance_to_explain():
    X = scipy.sparse.csr_matrix(np.zeros((5, 300)))
    columns, rows = learnt(X)
    assert columns.explained(X, rows, rows, np.zeros(rows.shape[1]), None) == 1
    assert columns.explained(X, rows, rows + 1, np.zeros(rows.shape[1]), None) == 0


def test_wide_sparse_rows_have_no_columns_to_speak_of():
    X = scipy.sparse.random(20, 300, 0.1, "csr", random_state=0)
    for options in (Options("auto", "standard"), Options({0: "numeric"})):
        with pytest.raises(ValueError, match="no columns inside that scaling or column_types"):
            learnt(X, options)


def test_text_is_refused_where_training_had_none():
    text = pd.DataFrame({"a": ["x"], "b": ["y"]})
    with pytest.raises(ValueError, match="Owner was fitted on numbers alone"):
        read(Columns(2), text, Plainly())


# ------------------------------------------------------------------ images


@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_images_lie_flat_inside_and_come_back_as_images(scaling):
    X = np.random.RandomState(0).standard_normal((6, 2, 2))
    columns, rows = learnt(X, Options("auto", scaling, architecture=Images()))
    assert rows.shape == (6, 4)
    np.testing.assert_allclose(columns.as_read(rows), X)
    np.testing.assert_allclose(columns.as_given(rows), X)
    np.testing.assert_allclose(read(columns, X, Plainly()), rows)
    np.testing.assert_allclose(read(columns, X.reshape(6, 4), Plainly()), rows)


def test_rows_that_were_flat_come_back_flat():
    columns, rows = learnt(np.eye(4), Options(architecture=Images()))
    assert columns.as_read(rows).shape == (4, 4)
    np.testing.assert_array_equal(read(columns, np.ones((1, 2, 2)), Plainly()), np.ones((1, 4)))


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.full((3, 2), np.nan), ValueError, "holds no value at all"),
        ([[1.0, np.inf], [0.0, 1.0]], ValueError, r"Infinite values by column: 1 \(1\)"),
        (
            pd.DataFrame({"a": [1.0, np.inf, -np.inf], "b": ["x", "y", "x"]}),
            ValueError,
            "X contains infinity",
        ),
        ([[10**400, 1], [1, 1]], ValueError, "too large for float64"),
        (np.ones(3), ValueError, "Expected 2D array"),
        (np.array([["2020-01-01"]] * 3, dtype="datetime64[D]"), TypeError, "X holds dates or times"),
        (pd.DataFrame({"a": ["x"]}), ValueError, "a minimum of 2 and one column is required by Owner"),
    ],
)
def test_what_cannot_be_read_is_refused_by_a_sentence(X, error, message):
    with pytest.raises(error, match=message):
        learnt(X)


def test_targets_are_read_like_the_rows(people):
    columns, rows = learnt(people, KINDS)
    np.testing.assert_array_equal(read_target(columns, people, rows), rows)
    with pytest.raises(ValueError, match=r"clean has shape \(2, 6\), X has \(4, 6\)"):
        read_target(columns, people.iloc[:2], rows)
    single = np.eye(3, dtype=np.float32)
    assert read_target(Columns(3), np.eye(3), single).dtype == np.float32


def test_tables_that_are_passed_on_keep_their_text(people):
    assert read_table(people, Plainly()) is people
    assert read_table([[1, 2]], Plainly()).dtype == np.float64
    assert read_table(scipy.sparse.eye(3, format="coo"), Plainly()).format == "csr"
    with pytest.raises(ValueError, match="minimum of 5"):
        read_table(people, Plainly(), 5)
