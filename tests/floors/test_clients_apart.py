"""Runs that do not ask for tests of other software do not import it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

HOOKS = Path(__file__).parents[1] / "clients" / "conftest.py"


@pytest.mark.parametrize(
    ("marks", "is_ignored"),
    [
        ("not slow and not clients", True),
        ("slow", True),
        ("not slow", True),
        ("slow and not clients", True),
        ("clients", None),
        ("slow or clients", None),
        ("clients and not slow", None),
        ("", None),
    ],
)
def test_clients_are_collected_only_where_marks_ask_for_them(marks, is_ignored):
    ignores = runpy.run_path(str(HOOKS))["pytest_ignore_collect"]
    assert ignores(SimpleNamespace(option=SimpleNamespace(markexpr=marks))) is is_ignored
