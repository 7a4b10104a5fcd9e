"""Every public name has a complete docstring with an example; methods describe their parameters."""

import inspect
from pathlib import Path

import pytest

import skae
from skae._docstrings import _entries, _sections


def public():
    return list(_public())


def _public():
    for module in (skae, skae.compare, skae.datasets, skae.inspection, skae.metrics, skae.networks):
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.ismodule(thing):
                yield pytest.param(thing, id=name)


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
    for name, method in inspect.getmembers(thing, inspect.isfunction):
        if not name.startswith("_") and method.__module__.startswith("skae"):
            assert described(method) == in_signature(method), name
            assert "Returns\n" in method.__doc__, name


def test_a_variant_shows_the_parameters_of_its_base():
    shown = described(skae.AutoencoderTransformer)
    assert shown == list(skae.AutoencoderTransformer().get_params(deep=False)) or set(shown) == set(
        skae.AutoencoderTransformer().get_params(deep=False)
    )
    assert shown[0] == "n_components"


def test_defaults_in_texts_are_the_defaults():
    sections = _sections(inspect.cleandoc(skae.AutoencoderTransformer.__doc__))
    for name, text in _entries(sections["Parameters"]).items():
        default = inspect.signature(skae.AutoencoderTransformer).parameters[name].default
        written = text.split("default=")[1].split("\n")[0]
        assert written.replace('"', "'") == repr(default).replace("0.0001", "1e-4"), name
