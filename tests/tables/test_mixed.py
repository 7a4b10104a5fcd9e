"""Tables of several kinds of columns, and scaled numbers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from skae.metrics import variance_explained_score
from skae.tables import MixedColumns
from skae.tables import mixed as module

NAN = np.nan
FRAME = pd.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, 6.0],
        "colour": ["red", "blue", "green", "blue"],
        "good": ["no", "yes", "yes", None],
        "count": [0, 1, 3, 0],
    },
    index=["p", "q", "r", "s"],
)
NAMES = list(FRAME.columns)


def learnt(X=FRAME, column_types=None, scaling="none", handle_unknown="missing", names=NAMES, weight=None):
    types = {"count": "count"} if column_types is None else column_types
    return MixedColumns.of(X, types, scaling, handle_unknown, names, weight)


def test_columns_inside_belong_to_columns_of_the_user():
    columns, rows = learnt()
    assert columns.kinds == ["numeric", *["categorical"] * 3, "binary", "count"]
    assert columns.owners.tolist() == [0, 1, 1, 1, 2, 3]
    assert (columns.n_features, columns.n_inside) == (4, 6)
    assert columns.is_numeric.tolist() == [True, *[False] * 5]
    assert (columns.is_mixed, columns.is_scaled, columns.is_plain) == (True, False, False)
    assert [columns.holds_categories(j) for j in range(4)] == [False, True, True, False]
    expected = [
        [1, 0, 0, 1, 0, 0],
        [2, 1, 0, 0, 1, np.log(2)],
        [3, 0, 1, 0, 1, np.log(4)],
        [6, 1, 0, 0, NAN, 0],
    ]
    np.testing.assert_allclose(rows, expected)
    np.testing.assert_allclose(columns.encode(FRAME), expected)


def test_tables_come_back_as_they_were():
    columns, rows = learnt(scaling="standard")
    back = columns.decode(np.nan_to_num(rows, nan=0.2))
    expected = FRAME.assign(good=["no", "yes", "yes", "no"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(back, expected)
    assert columns.as_read(np.nan_to_num(rows, nan=0.2)).equals(back)


def test_arrays_come_back_as_arrays():
    table = np.array([["a", 1], ["b", 2], ["c", 2]], dtype=object)
    columns, rows = learnt(table, "auto", names=None)
    assert columns.kinds == ["categorical"] * 3 + ["numeric"]
    back = columns.decode(rows)
    assert back.dtype == object
    assert back.tolist() == table.tolist()
    numbers = np.array([[1.0, 5.0], [0.0, 6.0], [0.0, 7.0]], np.float32)
    columns, rows = learnt(numbers, {0: "binary"}, names=None)
    back = columns.decode(rows)
    assert back.dtype == rows.dtype == np.float32
    assert back.tolist() == numbers.tolist()


def test_labels_of_several_levels_come_back():
    frame = FRAME.set_axis(
        pd.MultiIndex.from_tuples([("x", name) for name in NAMES], names=["one", "two"]), axis=1
    )
    columns, rows = learnt(frame, {("x", "count"): "count"}, names=None)
    back = columns.decode(np.nan_to_num(rows))
    pd.testing.assert_index_equal(back.columns, frame.columns)


def test_categories_that_training_has_not_seen():
    columns, _ = learnt()
    other = FRAME.assign(colour=["red", "pink", None, "blue"])
    assert columns.unknown(other).tolist() == [[False] * 4, [False, True, False, False], *[[False] * 4] * 2]
    assert np.isnan(columns.encode(other)[1:3, 1:4]).all()
    with pytest.raises(ValueError, match="Column 'colour' holds 'pink'"):
        learnt(handle_unknown="error")[0].encode(other)


@pytest.mark.parametrize(
    ("scaling", "scaler"),
    [
        ("standard", StandardScaler()),
        ("robust", RobustScaler()),
        ("quantile", QuantileTransformer(n_quantiles=4, output_distribution="normal", random_state=0)),
    ],
)
def test_numbers_are_scaled_and_nothing_else(scaling, scaler):
    columns, rows = learnt(scaling=scaling)
    plain, unscaled = learnt()
    expected = scaler.fit_transform(FRAME[["size"]].to_numpy())
    np.testing.assert_allclose(rows[:, :1], expected)
    np.testing.assert_array_equal(rows[:, 1:], unscaled[:, 1:])
    assert columns.is_scaled
    np.testing.assert_allclose(columns.unscale(rows), unscaled)
    assert plain.unscale(unscaled) is unscaled
    np.testing.assert_allclose(columns.encode(FRAME), rows)


def test_a_column_without_any_value_comes_back_as_zero():
    X = np.array([[1.0, NAN], [3.0, NAN], [5.0, NAN]])
    columns, rows = learnt(X, {}, "standard", names=None)
    np.testing.assert_allclose(rows[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)])
    assert np.isnan(rows[:, 1]).all()
    np.testing.assert_allclose(columns.decode(np.nan_to_num(rows, nan=7.0)), [[1, 0], [3, 0], [5, 0]])


def test_numbers_alone_keep_their_means_and_what_they_explain_in_their_own_units():
    X = np.array([[1.0, 10.0], [2.0, 20.0], [6.0, 40.0]])
    weight = np.array([1.0, 1.0, 2.0])
    columns, rows = learnt(X, {}, "standard", names=None, weight=weight)
    expected = [3.75, 27.5]
    np.testing.assert_allclose(columns.means, expected)
    np.testing.assert_allclose(columns.mean(np.zeros(2)), expected)
    assert not columns.is_mixed
    back = rows + np.array([0.1, 0.3])
    found = columns.explained_in_own_units(X, rows, back, None, weight)
    own = variance_explained_score(X, columns.unscale(back), mean=columns.means, sample_weight=weight)
    assert found == pytest.approx(own)
    assert found != pytest.approx(columns.explained(X, rows, back, np.zeros(2), weight))
    mixed, inside = learnt(scaling="standard")
    assert mixed.means is None
    assert mixed.mean(rows[0]) is not None
    centre = np.nanmean(inside, axis=0)
    arguments = (FRAME, inside, np.nan_to_num(inside) + 0.1, centre, None)
    assert mixed.explained_in_own_units(*arguments) == mixed.explained(*arguments)


def test_weights_turn_standard_scaling_alone():
    weight = np.array([1.0, 1.0, 1.0, 3.0])
    _, rows = learnt(scaling="standard", weight=weight)
    sizes = FRAME["size"].to_numpy()
    mean = np.average(sizes, weights=weight)
    expected = (sizes - mean) / np.sqrt(np.average((sizes - mean) ** 2, weights=weight))
    np.testing.assert_allclose(rows[:, 0], expected)
    np.testing.assert_array_equal(learnt(scaling="robust", weight=weight)[1], learnt(scaling="robust")[1])


def test_errors_of_a_category_s_columns_are_added_up():
    columns, rows = learnt()
    errors = columns.errors_by_cell(FRAME, rows, rows + np.arange(6.0))
    np.testing.assert_allclose(errors[0], [0, 1 + 4 + 9, 16, 25])
    assert np.isnan(errors[3, 2])
    deviations = columns.deviations_by_cell(FRAME, rows, np.ones(6))
    np.testing.assert_allclose(deviations[0], [0, 1 + 1 + 0, 1, 1])


def test_losses_of_kinds_are_divided_by_what_the_best_constant_leaves():
    weight = np.array([2.0, 1.0, 1.0, 1.0])
    for weights in (None, weight):
        columns, _ = learnt(weight=weights)
        used = np.ones(4) if weights is None else weights
        sizes = FRAME["size"].to_numpy()
        mean = np.average(sizes, weights=used)
        unit = np.average((sizes - mean) ** 2, weights=used)
        shares = np.array([used[[1, 3]].sum(), used[2], used[0]]) / used.sum()
        entropy = -(shares * np.log(shares)).sum()
        yes = used[1:3].sum() / used[:3].sum()
        binary = -(yes * np.log(yes) + (1 - yes) * np.log(1 - yes))
        counts = FRAME["count"].to_numpy()
        usual = np.average(counts, weights=used)
        terms = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / usual), 0) - (counts - usual)
        deviance = np.average(2 * terms, weights=used)
        expected = [1.0, *[unit / entropy] * 3, unit / binary, unit / deviance]
        np.testing.assert_allclose(columns.loss_weights, expected)


def test_columns_that_hardly_vary_do_not_count_without_limit():
    frame = pd.DataFrame({"a": ["x"] * 4, "b": ["y", "z", "y", "z"]})
    columns, _ = learnt(frame, "auto", names=["a", "b"])
    # Without numbers, the unit is one.
    np.testing.assert_allclose(columns.loss_weights, [1 / 0.05, 1 / np.log(2)])


@pytest.mark.parametrize("n_rows", [1, 2, 8192])
def test_means_are_over_the_cells_that_are_there(monkeypatch, n_rows):
    monkeypatch.setattr(module, "_MEAN_ROWS", n_rows)
    rows = np.array([[1.0, NAN, NAN], [3.0, 4.0, NAN], [5.0, 8.0, NAN]], np.float32)
    assert module.means(rows, None).tolist() == [3.0, 6.0, 0.0]
    assert module.means(rows, np.array([2.0, 3.0, 1.0])).tolist() == [16 / 6, 5.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "inside", "means", "expected"),
    [
        ("binary", [[0.0], [1.0]], [0.5], np.log(2)),
        ("binary", [[1.0]], [1.0], 0.0),
        ("categorical", [[1.0, 0.0]], [0.25, 0.75], -0.25 * np.log(0.25) - 0.75 * np.log(0.75)),
        ("count", [[0.0], [NAN]], [0.0], 0.0),
        ("count", [[NAN]], [0.0], 0.0),
    ],
)
def test_the_best_constant_leaves_entropy_or_deviance(kind, inside, means, expected):
    inside = np.array(inside)
    assert module.baseline(kind, inside, np.array(means), np.ones(len(inside))) == pytest.approx(expected)


def test_kinds_that_are_named():
    assert module.declared("auto", NAMES, 4) == {}
    assert module.declared({"good": "categorical", 0: "count"}, NAMES, 4) == {2: "categorical", 0: "count"}
    with pytest.raises(ValueError, match="column_types must be among .*; got 'text'"):
        module.declared({"good": "text"}, NAMES, 4)
    with pytest.raises(ValueError, match="column_types names column 'bad'"):
        module.declared({"bad": "count"}, NAMES, 4)
    assert module.new_scaler("none", 3) is None
    assert module.new_scaler("quantile", 3).n_quantiles == 3
    assert module.new_scaler("quantile", 5000).n_quantiles == 1000
