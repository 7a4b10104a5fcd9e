"""Columns of every dtype come back in it, within its range, with names and index, or are refused by name."""

import datetime
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skae
from skae.tables.cells import fill, missing_cells, with_gaps
from skae.tables.dtypes import cast_back, within

try:
    import pyarrow as pa
except ImportError:
    pa = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N_ROWS = 12
# As many rows as make a fit of one epoch.
BRIEF = {"max_iter": 1, "early_stopping": False, "random_state": 0}


def model(**settings):
    return skae.AutoencoderTransformer(2, **BRIEF, **settings)


def text(random):
    return [f"v{code}" for code in random.randint(0, 3, N_ROWS)]


def whole(dtype):
    """Draw whole numbers from both ends of a dtype."""
    limits = np.iinfo(dtype)
    ends = [limits.min, limits.min + 1, limits.max - 1, limits.max]
    return lambda random: np.array([ends[code] for code in random.randint(0, 4, N_ROWS)], dtype)


def nullable(dtype, make, arrow=False):
    """Draw values, about a quarter of them missing."""

    def draw(random):
        missing = random.uniform(size=N_ROWS) < 0.25
        values = [
            None if gone else value
            for gone, value in zip(missing, np.asarray(make(random)).tolist(), strict=True)
        ]
        return pd.array(values, dtype=pd.ArrowDtype(dtype) if arrow else dtype)

    return draw


def categories(levels, **settings):
    return lambda random: pd.Categorical.from_codes(random.randint(-1, 2, N_ROWS), levels, **settings)


def objects(make):
    def draw(random):
        column = np.empty(N_ROWS, dtype=object)
        column[:] = make(random)
        column[random.uniform(size=N_ROWS) < 0.25] = None
        return pd.Series(column, dtype=object)

    return draw


WHOLE = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
COLUMNS = {
    **{name: whole(name) for name in WHOLE},
    **{
        name.replace("int", "Int").replace("u", "U"): nullable(
            name.replace("int", "Int").replace("u", "U"), whole(name)
        )
        for name in WHOLE
    },
    "float16": lambda random: (30_000 * random.uniform(-1, 1, N_ROWS)).astype(np.float16),
    "float32": lambda random: random.standard_normal(N_ROWS).astype(np.float32),
    "float64": lambda random: random.standard_normal(N_ROWS),
    "Float32": nullable("Float32", lambda random: random.standard_normal(N_ROWS)),
    "bool": lambda random: random.uniform(size=N_ROWS) < 0.5,
    "boolean": nullable("boolean", lambda random: random.uniform(size=N_ROWS) < 0.5),
    "str": nullable("str", text),
    "string": nullable("string", text),
    "objects of text": objects(text),
    "objects of whole numbers": objects(lambda random: random.randint(-9, 9, N_ROWS).tolist()),
    "objects of decimals": objects(
        lambda random: [Decimal(int(code)) / 4 for code in random.randint(9, size=12)]
    ),
    "objects of truth values": objects(lambda random: (random.uniform(size=N_ROWS) < 0.5).tolist()),
    "broken text": objects(lambda random: [["\ud800", "b"][code] for code in random.randint(0, 2, N_ROWS)]),
    "nothing": lambda random: pd.array([None] * N_ROWS, dtype="str"),
    "ordered": categories(["z", "b", "a", "unused"], ordered=True),
    "categories of numbers": categories([7, 1, 3]),
    "categories of dates": categories(pd.to_datetime(["2021-01-01", "2020-01-01", "1999-01-01"])),
    "intervals": categories(pd.IntervalIndex.from_breaks([0, 1, 2, 3])),
    "sparse": lambda random: pd.arrays.SparseArray(random.randint(0, 3, N_ROWS).astype(np.int8)),
}
if pa is not None:
    COLUMNS |= {
        f"arrow {kind}": nullable(dtype, make, arrow=True)
        for kind, dtype, make in [
            ("int8", pa.int8(), whole("int8")),
            ("uint64", pa.uint64(), whole("uint64")),
            ("halffloat", pa.float16(), lambda random: random.standard_normal(N_ROWS).astype(np.float16)),
            ("double", pa.float64(), lambda random: random.standard_normal(N_ROWS)),
            ("bool", pa.bool_(), lambda random: random.uniform(size=N_ROWS) < 0.5),
            ("text", pa.string(), text),
            ("dictionary", pa.dictionary(pa.int32(), pa.string()), text),
            (
                "decimal",
                pa.decimal128(4, 1),
                lambda random: [Decimal(int(c)) for c in random.randint(9, size=12)],
            ),
            ("null", pa.null(), lambda random: [None] * N_ROWS),
        ]
    }


def test_arrow_is_there():
    """Tests of Arrow's dtypes need it; without, they are not run, and this says so."""
    pytest.importorskip("pyarrow")
    assert "arrow int8" in COLUMNS


def made(kinds, random, names=None, index=None):
    columns = [pd.Series(COLUMNS[kind](random)) for kind in kinds]
    frame = pd.DataFrame(dict(enumerate(columns)))
    frame.columns = [f"c{j}" for j in range(len(kinds))] if names is None else names
    return frame.set_axis(pd.RangeIndex(50, 50 + N_ROWS, name="row") if index is None else index)


@pytest.mark.filterwarnings("ignore:No row has a value")
@settings(deadline=None, max_examples=25)
@given(
    kinds=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    names=st.sampled_from(["plain", "levels", "numbers"]),
    factor=st.sampled_from([1, 100]),
)
def test_frames_come_back_with_names_index_and_dtypes(kinds, seed, names, factor):
    """Also from codes far out: casting to the dtype of the column clips, and warns of nothing."""
    random = np.random.RandomState(seed)
    kinds = ["str", *kinds]
    labels = {
        "plain": None,
        "levels": pd.MultiIndex.from_tuples([("x", j) for j in range(len(kinds))], names=["one", "two"]),
        "numbers": pd.Index(range(10, 10 + len(kinds)), name="n"),
    }[names]
    frame = made(kinds, random, labels)
    before = frame.copy(deep=True)
    fitted = model().set_output(transform="pandas").fit(frame)
    back = fitted.inverse_transform(factor * fitted.transform(frame))
    pd.testing.assert_index_equal(back.columns, frame.columns, exact="equiv")
    pd.testing.assert_index_equal(back.index, frame.index, exact="equiv")
    assert back.dtypes.tolist() == frame.dtypes.tolist()
    pd.testing.assert_frame_equal(frame, before)
    for j in range(frame.shape[1]):
        check_values(frame.iloc[:, j], back.iloc[:, j])


def check_values(column, back):
    known = column.dropna()
    if not len(known):
        return
    assert not back.isna().any()
    if not pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(known.iloc[0], (int, Decimal)):
        assert set(back) <= set(known)
    if column.dtype == object and isinstance(known.iloc[0], int):
        assert all(isinstance(value, int) for value in back)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_rounded_and_clipped(dtype):
    limits = np.iinfo(dtype)
    values = np.array([-1e30, -0.4, 0.6, 2.5, 1e30, np.inf])
    found = within(values, np.dtype(dtype))
    assert found.tolist() == [limits.min, 0, 1, 2, limits.max, limits.max]
    assert found.dtype == dtype
    as_nullable = dtype.replace("int", "Int").replace("u", "U")
    assert cast_back(values, pd.api.types.pandas_dtype(as_nullable)).tolist() == found.tolist()


def test_floats_are_clipped_and_truth_begins_at_a_half():
    assert np.isfinite(within(np.array([1e300, -1e300]), np.dtype(np.float16))).all()
    assert within(np.array([0.49, 0.5, 7.0, -7.0]), np.dtype(bool)).tolist() == [False, True, True, False]


def test_numbers_in_categories_become_the_nearest():
    dtype = pd.CategoricalDtype([30, 10, 20])
    assert cast_back(np.array([-5.0, 14.0, 16.0, 99.0]), dtype).tolist() == [10, 10, 20, 30]


def test_small_integers_do_not_wrap():
    """What was said to be numeric of the dtype int8, 125 or so, came back as -106."""
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"t": text(random), "n": np.full(N_ROWS, 125, np.int8), "x": random.randn(N_ROWS)})
    frame.loc[:5, "n"] = 120
    fitted = skae.VariationalAutoencoderTransformer(2, **BRIEF).fit(frame)
    drawn = fitted.sample(200, random_state=0)
    assert drawn["n"].dtype == np.int8
    assert drawn["n"].min() > 90
    back = fitted.inverse_transform(100 * fitted.transform(frame))
    assert set(np.sign(back["n"])) <= {-1, 0, 1}
    assert back["n"].dtype == np.int8


def test_codes_that_are_a_frame_lend_their_index():
    random = np.random.RandomState(0)
    frame = made(["str", "float64"], random)
    fitted = model().fit(frame)
    codes = pd.DataFrame(fitted.transform(frame), index=frame.index)
    missed = frame["c1"] - fitted.inverse_transform(codes)["c1"]
    assert missed.notna().all()
    assert len(missed) == N_ROWS
    pd.testing.assert_index_equal(
        fitted.inverse_transform(codes.to_numpy()).index, pd.RangeIndex(N_ROWS), exact="equiv"
    )


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (pd.to_datetime(["2020-01-01"] * 12), TypeError, "Column 'c' holds dates or times"),
        ([np.datetime64("2020-01-01"), 1.0] * 6, TypeError, "Column 'c' holds values of type"),
        ([np.timedelta64(3, "s"), None] * 6, TypeError, "Column 'c' holds"),
        ([datetime.date(2020, 1, 1)] * 12, TypeError, "Column 'c' holds values of type date"),
        ([1j, 2.0] * 6, TypeError, "Column 'c' holds values of type complex"),
        ([b"a", b"b"] * 6, TypeError, "Column 'c' holds values of type bytes"),
        ([10**400, 1] * 6, ValueError, "Column 'c' holds numbers.*too large"),
        ([["a"], ["b"]] * 6, TypeError, "Column 'c' holds values of type list"),
    ],
)
def test_what_is_no_number_and_no_text_is_refused_by_name(column, error, message):
    frame = pd.DataFrame({"x": np.arange(12.0), "t": ["a", "b"] * 6})
    frame["c"] = pd.Series(column, dtype=None if isinstance(column, pd.DatetimeIndex) else object)
    with pytest.raises(error, match=message):
        model().fit(frame)
    array = frame.to_numpy(dtype=object)
    with pytest.raises(
        error, match=re.sub("'c' holds dates or times", "2 holds values of", message).replace("'c'", "2")
    ):
        model().fit(array)


def test_lists_are_no_categories_even_if_that_is_said():
    frame = pd.DataFrame({"x": np.arange(12.0), "c": [["a"]] * 12})
    with pytest.raises(TypeError, match=r"Column 'c' holds values that cannot be categories"):
        model(column_types={"c": "categorical"}).fit(frame)
    fitted = model().fit(frame.assign(c="a"))
    with pytest.raises(TypeError, match=r"Column 'c' holds values that cannot be categories"):
        fitted.transform(frame)


def test_dates_in_arrays_are_no_numbers():
    dates = np.array([["2020-01-01", "NaT"]] * 12, dtype="datetime64[s]")
    with pytest.raises(TypeError, match="X holds dates or times"):
        model().fit(dates)
    mixed = np.array([[1.0, np.datetime64("2020-01-01")]] * 12, dtype=object)
    for rows in (mixed, mixed.tolist()):
        with pytest.raises(TypeError, match="Column 1 holds"):
            model().fit(rows)


def test_whole_numbers_beyond_floats_are_refused_in_arrays():
    with pytest.raises(ValueError, match="whole numbers that are too large for float64"):
        model().fit(np.array([[10**400, 1], [2, 3]] * 6, dtype=object))


def test_a_moment_that_is_none_is_missing():
    """NaT of numpy was read as -9e18."""
    cells = np.arange(24.0).reshape(12, 2).astype(object)
    cells[3, 1] = np.datetime64("NaT")
    gaps = cells.copy()
    gaps[3, 1] = np.nan
    first, second = model().fit(cells), model().fit(gaps)
    assert np.abs(first.reconstruct(cells).astype(float)).max() < 1e3
    assert np.abs(first.reconstruct(cells.tolist()).astype(float)).max() < 1e3
    assert np.abs(second.reconstruct(gaps)).max() < 1e3


@pytest.mark.parametrize(
    ("types", "names", "message"),
    [
        ({0.5: "count"}, None, "names column 0.5, but X has"),
        ({True: "count"}, None, "names column True, but X has"),
        ({(0,): "count"}, None, "names column"),
        ({5: "count"}, None, "names column 5, but X has"),
        ({"c0": "count", 0: "numeric"}, None, "a column in two places"),
        ({1: "count"}, [2, 1, 0], None),
        ({2: "count"}, [2, 1, 0], "position of one column and the name of that at position 0"),
        ({2024: "count"}, [2023, 2024, 2025], None),
        ({-1: "count"}, [-2, -1, 0], None),
        ({True: "count"}, [0, 1, 2], "names column True, but X has"),
        ({np.True_: "count"}, [0, 1, 2], "names column .*True.*, but X has"),
        ({0.5: "count"}, [0, 1, 2], "names column 0.5, but X has"),
        ({("x", "b"): "count"}, [("x", "a"), ("x", "b"), ("y", "a")], None),
    ],
)
def test_columns_are_named_without_doubt(types, names, message):
    frame = pd.DataFrame(np.random.RandomState(0).poisson(3, (12, 3)))
    frame.columns = ["c0", "c1", "c2"] if names is None else names
    if message is None:
        assert model(column_types=types).fit(frame)._columns.kinds[1] == "count"
        return
    with pytest.raises(ValueError, match=message):
        model(column_types=types).fit(frame)


def test_gaps_are_filled_in_the_dtype_that_the_rows_have():
    decoded = pd.DataFrame(
        {"n": [300.4, 2.0], "t": ["a", "b"], "k": ["x", "y"], "e": ["p", "q"], "s": [1.0, 2.0]}
    )
    rows = pd.DataFrame(
        {
            "n": pd.array([None, 7], dtype="UInt8"),
            "t": pd.array(["c", None], dtype="string"),
            "k": pd.Categorical([None, "z"]),
            "e": [np.nan, np.nan],
            "s": pd.arrays.SparseArray([np.nan, 5.0]),
        },
        index=[8, 9],
    )
    filled = fill(rows, decoded)
    assert filled.dtypes.drop(["k", "e"]).equals(rows.dtypes.drop(["k", "e"]))
    assert filled["n"].tolist() == [255, 7]
    assert filled["t"].tolist() == ["c", "b"]
    assert filled["k"].tolist() == ["x", "z"]
    assert filled["e"].tolist() == ["p", "q"]
    assert filled["s"].tolist() == [1.0, 5.0]
    assert filled.index.tolist() == [8, 9]
    assert rows["n"].isna().sum() == 1


def test_filling_goes_by_position():
    rows = pd.DataFrame([[None, "b"], ["a", None]], columns=["x", "x"])
    filled = fill(rows, pd.DataFrame([["p", "q"], ["r", "s"]], columns=["x", "x"]))
    assert filled.to_numpy().tolist() == [["p", "b"], ["a", "s"]]
    assert list(filled.columns) == ["x", "x"]


@pytest.mark.parametrize("rows", [np.full((2, 2), np.nan), np.full((2, 2), None), [["", ""]] * 2])
def test_rows_that_miss_everything_are_filled_with_text(rows):
    rows = with_gaps(np.asarray(rows), "")
    filled = fill(rows, np.array([["a", "b"], ["c", 1]], dtype=object))
    assert filled.tolist() == [["a", "b"], ["c", 1]]


@pytest.mark.parametrize("value", ["?", 10**30, 10**400, -1, "\ud800", None, np.nan])
def test_anything_may_stand_for_a_gap(value):
    """Text of a fixed length has no room for a gap: a question mark became the letter n."""
    array = np.array([["?", "a"], ["b", "?"]])
    assert missing_cells(with_gaps(array, value)).sum() == (2 if value == "?" else 0)
    assert array.tolist() == [["?", "a"], ["b", "?"]]
    numbers = np.array([[-1.0, 2.0], [1e30, np.nan]])
    assert missing_cells(with_gaps(numbers, value)).sum() == 1 + (value in (10**30, -1))
    frame = pd.DataFrame(
        {"n": np.array([-1, 3], np.int8), "t": ["?", "x"], "o": pd.Series([pd.NA, 5], dtype=object)}
    )
    marked = with_gaps(frame, value)
    assert marked.isna().to_numpy().sum() == 1 + (value == "?" or value == -1)
    assert marked["n"].dtype == ("Int8" if isinstance(value, int) and value == -1 else "int8")
    assert frame["n"].tolist() == [-1, 3]
