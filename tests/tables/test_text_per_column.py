"""One text for all columns, one for each, or a dict by column."""

import pytest

from skae.tables.positions import text_per_column

COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("green", ["green"] * 3),
        (["blue", "red", "green"], ["blue", "red", "green"]),
        ({"c": "blue"}, ["red", "red", "blue"]),
        ({1: "green"}, ["red", "green", "red"]),
        ({}, ["red"] * 3),
    ],
)
def test_texts_are_spread_over_columns(value, found):
    assert text_per_column(value, ["a", "b", "c"], 3, "colour", COLOURS, "red") == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("grey", "colour must be one of .*'blue'.*; got 'grey'"),
        ({"a": "grey"}, "got 'grey'"),
        (["red"] * 2, "colour has 2 entries; give one for all columns, one for each of the 3"),
        ({"d": "red"}, "colour names column 'd'"),
    ],
)
def test_what_cannot_be_spread_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        text_per_column(value, ["a", "b", "c"], 3, "colour", COLOURS, "red")
