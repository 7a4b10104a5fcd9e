"""Tests of other software, run with our classes in place of theirs.

A test module takes over all tests of a module at once, under their own names and with their own
parametrisation, and lists those that are left out::

    LEFT_OUT = {"test_x": "compares solvers of PCA", "test_y[*-arpack]": "one sentence of reason"}
    globals().update(borrow("package.tests.test_z", {"package.Theirs": Ours}, LEFT_OUT))

What is left out is skipped with its reason, see ``pytest -rs``; `conftest.py` does it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest

REASONS = "LEFT_OUT"


def borrow(
    module: str, replacements: Mapping[str, Any], left_out: Mapping[str, str], **helpers: Any
) -> dict[str, Any]:
    """Return the tests of a module, made anew with our classes in place of theirs.

    Parameters
    ----------
    module : str
        Name of a test module that can be imported.
    replacements : mapping of str to class
        Where a name is imported from, ``"sklearn.decomposition.PCA"``, and what takes its place. The module
        is executed while it does, so that parametrisations of the tests see it too.
    left_out : mapping of str to str
        Names of tests, with a pattern in brackets where only some of their parameters are meant, and why
        they are left out.
    **helpers : object
        What takes the place of functions and constants of the module that its tests use.

    Returns
    -------
    tests : dict of str to callable
        By their names, for the namespace of a test module that also has `left_out` as ``LEFT_OUT``.

    Raises
    ------
    ValueError
        If a test that is left out or a helper does not exist, or a test is left out without a reason.
    """
    spec: Any = importlib.util.find_spec(module)
    copied = importlib.util.module_from_spec(spec)
    with ExitStack() as stack:
        for name, ours in replacements.items():
            importlib.import_module(name.rpartition(".")[0])
            stack.enter_context(mock.patch(name, ours))
        # Classes that tests define are pickled by the name of their module.
        sys.modules[module] = copied
        spec.loader.exec_module(copied)
    tests = {name: value for name, value in vars(copied).items() if name.startswith("test_")}
    unknown = [name for name in left_out if name.partition("[")[0] not in tests]
    unknown += [name for name in helpers if not hasattr(copied, name)]
    if unknown or not all(left_out.values()):
        raise ValueError(
            f"Each helper and each test that is left out must exist in {module}, the latter with a reason; "
            f"got {unknown}."
        )
    vars(copied).update(helpers)
    for test in tests.values():
        test.pytestmark = [_listed(mark) for mark in getattr(test, "pytestmark", [])]
    return tests


def _listed(mark: Any) -> Any:
    """Return a mark whose parameters are a list: pytest warns of generators, which theirs may be."""
    if mark.name != "parametrize":
        return mark
    names, values, *others = mark.args
    return pytest.mark.parametrize(names, list(values), *others, **mark.kwargs).mark
