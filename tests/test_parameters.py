import inspect

import pytest
from sklearn.base import clone

from skae._extras import import_extra
from skae._parameters import Declared, Specification


class Base(Declared):
    """Base.

    Parameters
    ----------
    size : int, default=1
        How large.
    """

    size: int = 1


class Variant(Base):
    """Variant.

    Parameters
    ----------
    alpha : float, default=0.5
        How much,
        in two lines.
    """

    alpha: float = 0.5


class Spec(Specification):
    """A specification."""

    width: int = 3
    name: str = "a"


def test_fields_are_inherited_without_a_decorator():
    assert list(inspect.signature(Variant).parameters) == ["size", "alpha"]
    variant = Variant(alpha=2.0)
    assert (variant.size, variant.alpha) == (1, 2.0)


def test_fields_are_keyword_only():
    with pytest.raises(TypeError):
        Variant(1)


def test_docstrings_are_completed_in_the_order_of_the_signature():
    lines = inspect.cleandoc(Variant.__doc__).splitlines()
    assert lines.index("size : int, default=1") < lines.index("alpha : float, default=0.5")
    assert "    in two lines." in lines


def test_a_missing_docstring_stays_missing():
    # As under python -OO.
    Bare = type(Base)("Bare", (Base,), {"__doc__": None})
    assert not (Bare.__doc__ or "").startswith("Parameters")


def test_specifications_clone_print_and_compare_parameters():
    spec = clone(Spec(width=4))
    assert spec.get_params() == {"width": 4, "name": "a"}
    assert repr(spec) == "Spec(width=4)"
    assert spec.set_params(name="b").name == "b"


def test_a_wrong_name_changes_nothing():
    spec = Spec()
    with pytest.raises(ValueError, match=r"Invalid parameter 'breadth' for Spec.*'name', 'width'"):
        spec.set_params(width=9, breadth=1)
    assert spec.width == 3


def test_a_missing_extra_says_what_to_install():
    with pytest.raises(ImportError, match=r'Drawing needs surely_not_there.*pip install "skae\[plot\]"'):
        import_extra("surely_not_there", "plot", "Drawing")
    assert import_extra("json", "plot", "Drawing").dumps(1) == "1"


def test_versions_that_run_code_of_files_are_refused(monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    assert import_extra("pyarrow", "parquet", "Reading") is pyarrow
    monkeypatch.setattr(pyarrow, "__version__", "14.0.0")
    with pytest.raises(ImportError, match=r"Reading needs pyarrow 15 or later, and 14\.0\.0 .* --upgrade"):
        import_extra("pyarrow.ipc", "parquet", "Reading")
