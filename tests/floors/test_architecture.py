"""The plan of the house, held: imports run downwards, functions fit on a screen, files stay small."""

import ast
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Lower rooms may be imported by higher ones, never the other way round.
FLOORS = {
    "_counts": 0,
    "_docstrings": 0,
    "_extras": 0,
    "_plain": 0,
    "_computing": 0,
    "_quiet": 0,
    "_random": 0,
    "_containers": 1,
    "_parameters": 1,
    "networks": 2,
    "objectives": 2,
    "training": 3,
    "metrics": 3,
    "datasets": 3,
    "estimators": 4,
    "tasks": 5,
    "inspection": 5,
    "compare": 6,
    "__init__": 9,
}


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "skae":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


def code_lines(node, source):
    """Count the lines that hold code: neither blank, nor comment, nor docstring."""
    strings = {
        line
        for inner in ast.walk(node)
        if isinstance(inner, ast.Expr)
        and isinstance(inner.value, ast.Constant)
        and isinstance(inner.value.value, str)
        for line in range(inner.lineno, inner.end_lineno + 1)
    }
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or len(source)
    return sum(
        1
        for number in range(first, last + 1)
        if number not in strings
        and source[number - 1].strip()
        and not source[number - 1].strip().startswith("#")
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    above = [
        name
        for name in imported(ast.parse(path.read_text()))
        if name != room(path) and FLOORS[name] >= FLOORS[room(path)]
    ]
    assert not above


def test_networks_and_objectives_do_not_know_scikit_learn():
    for path in FILES:
        if room(path) in ("networks", "objectives", "training"):
            names = [
                name.name if isinstance(node, ast.Import) else node.module
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for name in node.names
            ]
            assert not [name for name in names if name and name.startswith("sklearn")], path


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
