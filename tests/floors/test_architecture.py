"""The plan of the house, held: imports run downwards, functions fit on a screen, files stay small."""

import ast

import pytest
from counting import FILES, FLOORS, ROOT, circles, code_lines, imported_rooms, room


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    above = [
        name
        for name in imported_rooms(ast.parse(path.read_text()))
        if name != room(path) and FLOORS[name] >= FLOORS[room(path)]
    ]
    assert not above


def test_imports_run_in_no_circle():
    assert not circles()


def test_networks_objectives_and_training_do_not_know_scikit_learn():
    """Training lets it split rows, and knows none of its estimators."""
    for path in FILES:
        if room(path) in ("networks", "objectives", "training"):
            names = [
                name.name if isinstance(node, ast.Import) else node.module
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for name in node.names
            ]
            allowed = {"sklearn.model_selection"} if room(path) == "training" else set()
            assert {name for name in names if name and name.startswith("sklearn")} <= allowed, path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_fit_on_a_screen(path):
    text = path.read_text()
    source = text.splitlines()
    long = {
        node.name: code_lines(node, source)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and code_lines(node, source) > 45
    }
    assert not long


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path):
    text = path.read_text()
    assert code_lines(ast.parse(text), text.splitlines()) <= 300


@pytest.mark.parametrize(
    "path", [p for p in FILES if room(p) in ("networks", "objectives")], ids=lambda p: p.name
)
def test_tensor_code_has_no_asserts_and_no_item(path):
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "item"]


def test_fits_leave_the_warning_filters_of_the_process_alone():
    """Filters that two threads set and restore in turn are left behind; `_quiet` lets one in at a time."""
    changing = {str(p.relative_to(ROOT)) for p in FILES if "catch_warnings" in p.read_text()}
    # Comparisons catch what reducers of others warn of, in the thread that the user calls them in.
    assert changing == {"_quiet.py", "compare/_fold.py", "compare/comparison.py"}
