"""What users say column by column."""

import numpy as np
import pytest

from skae.tables.positions import group_numbers, per_column, positions

NAMES = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        (["c", "a"], NAMES, [2, 0]),
        ([2, 0], NAMES, [2, 0]),
        ([np.int64(1)], None, [1]),
        ([], NAMES, []),
        ([("x", 1)], [("x", 0), ("x", 1), ("y", 0)], [1]),
        # A name that is a number, and no position of another column.
        ([7], [5, 6, 7], [2]),
        ([1], [0, 1, 2], [1]),
    ],
)
def test_columns_are_named_or_numbered(columns, names, expected):
    assert positions(columns, names, 3, "what") == expected


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        (["d"], NAMES, r"what names column 'd', but X has the columns \['a', 'b', 'c'\]"),
        ([3], NAMES, "what names column 3, but X has"),
        ([-1], None, "what names column -1, but X has columns 0 to 2, unnamed"),
        ([True], None, "what names column True"),
        ([1.0], None, "what names column 1.0"),
        ([["a"]], NAMES, "what names column"),
        (["a", 0], NAMES, "what has a column in two places: 0"),
        (["b", "a", "b"], NAMES, "what has a column in two places: 'b'"),
        ([1], [1, 2, 3], "which is the position of one column and the name of that at position 0"),
    ],
)
def test_columns_that_are_not_there_or_may_be_two_are_refused(columns, names, message):
    with pytest.raises(ValueError, match=message):
        positions(columns, names, 3, "what")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, [0.5, 0.5, 0.5]),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
        ({"b": 0.7}, [0, 0.7, 0]),
        ({2: 0.1, "a": 1}, [1, 0, 0.1]),
        ({}, [0, 0, 0]),
        (0, [0, 0, 0]),
        (1, [1, 1, 1]),
    ],
)
def test_levels_are_spread_over_columns(value, expected):
    found = per_column(value, NAMES, 3, "level", 1.0)
    assert found.tolist() == expected
    found[0] = 9


@pytest.mark.parametrize(
    ("value", "highest", "message"),
    [
        ([0.1, 0.2], 1.0, r"level has shape \(2,\); give one number, one for each of the 3 columns"),
        (1.1, 1.0, r"level must be in \[0, 1\]; got 1.1"),
        ([0.1, -0.1, 0.2], 1.0, r"level must be in \[0, 1\]"),
        (np.nan, 1.0, "level must be in"),
        (np.inf, np.inf, "level must be at least 0"),
        ("much", 1.0, "level must be a number, one for each column, or a dict"),
        ({"a": "much"}, 1.0, "level must be a number"),
        ({"d": 0.1}, 1.0, "level names column 'd'"),
    ],
)
def test_levels_that_cannot_be_are_refused(value, highest, message):
    with pytest.raises(ValueError, match=message):
        per_column(value, NAMES, 3, "level", highest)
    assert per_column(7.0, NAMES, 3, "level", np.inf).tolist() == [7.0] * 3


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (None, [0, 1, 2]),
        ([], [0, 1, 2]),
        ([["a", "c"]], [0, 1, 0]),
        ([["c", "b"]], [0, 1, 1]),
        ([[0], [2, "b"]], [0, 1, 1]),
        ((("a", "b", "c"),), [0, 0, 0]),
        ([[], ["a", "b"]], [0, 0, 1]),
    ],
)
def test_groups_are_numbered_from_zero_on(groups, expected):
    found = group_numbers(groups, NAMES, 3, "groups")
    assert found.dtype == np.int64
    # Which number a group has does not matter, but that its columns share it.
    numbers = {}
    assert [numbers.setdefault(one, len(numbers)) for one in found.tolist()] == expected
    assert sorted(set(found.tolist())) == list(range(len(set(expected))))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("ab", "groups must be a list of lists of columns; got 'ab'"),
        (["ab"], "groups must be a list of lists"),
        ([1, 2], "groups must be a list of lists"),
        ({"a": ["b"]}, "groups must be a list of lists"),
        ([{"a": 1}], "groups must be a list of lists"),
        ([b"ab"], "groups must be a list of lists"),
        ([["a"], ["a"]], "groups has a column in two places: 'a'"),
        ([["d"]], "groups names column 'd'"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        group_numbers(groups, NAMES, 3, "groups")
