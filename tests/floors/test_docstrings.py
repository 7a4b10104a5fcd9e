"""Every public name has a complete docstring with an example; methods describe their parameters."""

import ast
import inspect
import math
from pathlib import Path

import pytest

import skae
import skae.dask
import skae.tasks
from skae._docstrings import _entries, _sections

MODULES = (
    *(skae, skae.compare, skae.dask, skae.data, skae.datasets, skae.inspection, skae.metrics),
    *(skae.networks, skae.selection, skae.tasks),
)


def public():
    return list(_public())


def _public():
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.ismodule(thing):
                yield pytest.param(thing, id=name)


def methods_of(thing):
    """Return the public methods of a class, those of the class itself among them."""
    return {
        name: method
        for name, method in inspect.getmembers(
            thing, lambda member: inspect.isfunction(member) or inspect.ismethod(member)
        )
        if not name.startswith("_") and method.__module__.startswith("skae")
    }


def described(thing):
    section = _sections(inspect.cleandoc(thing.__doc__)).get("Parameters", "")
    return [name.strip(" *") for names in _entries(section) for name in names.split(",")]


def in_signature(thing):
    return [name for name in inspect.signature(thing).parameters if name != "self"]


REFERENCE = Path(__file__).parents[2] / "docs" / "api" / "index.rst"


@pytest.mark.parametrize("thing", public())
def test_public_names_are_in_the_api_reference(thing):
    listed = {line.strip().rpartition(".")[2] for line in REFERENCE.read_text().splitlines()}
    assert thing.__name__ in listed


@pytest.mark.parametrize("thing", public())
def test_public_names_are_documented(thing):
    assert thing.__doc__
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert ">>>" in thing.__doc__
        assert described(thing) == in_signature(thing)


@pytest.mark.parametrize("thing", [p for p in public() if inspect.isclass(p.values[0])])
def test_public_methods_are_documented(thing):
    for name, method in methods_of(thing).items():
        assert described(method) == in_signature(method), name
        assert "Returns\n" in method.__doc__, name


VARIANTS = [getattr(skae, name) for name in skae.__all__ if name.endswith("Transformer")]


def parameters_of(text):
    return _entries(_sections(inspect.cleandoc(text)).get("Parameters", ""))


@pytest.mark.parametrize("cls", VARIANTS)
def test_a_variant_shows_what_its_bases_say_of_parameters_that_it_does_not_describe(cls):
    shown, plain = parameters_of(cls.__doc__), parameters_of(skae.AutoencoderTransformer.__doc__)
    # As it stands in the file: what is shown was completed when the class was made.
    own = parameters_of(ast.get_docstring(ast.parse(inspect.getsource(cls)).body[0]))
    shared = plain.keys() - own
    assert len(shared) > 10
    assert {name: shown[name] for name in shared & shown.keys()} == {
        name: plain[name] for name in shared & shown.keys()
    }
    assert own.items() <= shown.items()


def wrong_defaults(thing):
    """List the parameters whose default is not the one that the text names."""
    signature = inspect.signature(thing).parameters
    wrong = []
    for names, text in parameters_of(thing.__doc__).items():
        first = text.split("\n")[0]
        told = first.partition("default=")[2]
        for name in (name.strip(" *") for name in names.split(",")):
            default = signature[name].default
            if default is inspect.Parameter.empty or first.endswith(": Ignored"):
                is_right = not told
            elif isinstance(default, float) and math.isnan(default):
                is_right = told == "nan"
            else:
                # A number that is written as an int where it is a float is another default.
                is_right = bool(told) and repr(ast.literal_eval(told)) == repr(default)
            if not is_right:
                wrong.append((name, default, first))
    return wrong


@pytest.mark.parametrize("thing", public())
def test_defaults_in_texts_are_the_defaults(thing):
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    assert not wrong_defaults(thing)
    if inspect.isclass(thing):
        assert not {
            name: wrong for name, method in methods_of(thing).items() if (wrong := wrong_defaults(method))
        }


@pytest.mark.parametrize(
    ("told", "is_right"),
    [("int, default=2", True), ("int, default=3", False), ("int, default=2.0", False), ("int", False)],
)
def test_wrong_defaults_are_found(told, is_right):
    def function(count=2):
        pass

    function.__doc__ = f"""Count.

    Parameters
    ----------
    count : {told}
        How many.
    """
    assert bool(wrong_defaults(function)) != is_right
