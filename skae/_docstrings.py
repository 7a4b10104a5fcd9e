"""Inherit the described parameters and attributes of a base class's numpydoc docstring.

So that the source of a variant documents only what it adds, while ``help()``, the
API reference and scikit-learn's HTML representation show everything.
"""

import inspect
import re
from collections.abc import Iterable

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
_INHERITED = ("Parameters", "Attributes")


def _sections(doc: str) -> dict[str, str]:
    """Split a docstring into its sections; the text before the first has the title ""."""
    parts = {"": doc}
    matches = list(_SECTION.finditer(doc))
    if matches:
        parts = {"": doc[: matches[0].start()]}
    for match, following in zip(matches, [*matches[1:], None], strict=False):
        # One more than there are matches: the last section ends with the text.
        end = following.start() if following else len(doc)
        parts[match["title"]] = doc[match.end() : end].strip("\n")
    return parts


def _entries(section: str) -> dict[str, str]:
    """Split the text of a section into its entries, by the name each one starts with."""
    entries: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line and not line[0].isspace():
            name = line.split(":")[0].strip()
            entries[name] = line
        elif name:
            entries[name] += "\n" + line
    return {name: text.rstrip() for name, text in entries.items()}


def inherit_sections(cls: type, parameters: Iterable[str]) -> None:
    """Complete the docstring of a class with the entries of its bases.

    Parameters
    ----------
    cls : type
        The class whose ``__doc__`` is completed in place.
    parameters : iterable of str
        The names of its parameters, in the order in which they are listed.
    """
    # A class without a docstring of its own has None, and so has every class under -OO.
    own_doc = cls.__dict__.get("__doc__")
    if not own_doc or own_doc.startswith(f"{cls.__name__}("):
        return
    own = _sections(inspect.cleandoc(own_doc))
    for title in _INHERITED:
        merged: dict[str, str] = {}
        for base in reversed(cls.__mro__[1:]):
            base_doc = base.__dict__.get("__doc__") if base is not object else None
            if base_doc and hasattr(base, "__dataclass_fields__"):
                merged |= _entries(_sections(inspect.cleandoc(base_doc)).get(title, ""))
        merged |= _entries(own.get(title, ""))
        if title == "Parameters":
            merged = {name: merged[name] for name in parameters if name in merged}
        if merged:
            own[title] = "\n".join(merged.values()) + "\n"
    order = ["", *_INHERITED, *(title for title in own if title not in ("", *_INHERITED))]
    cls.__doc__ = "\n".join(
        f"{title}\n{'-' * len(title)}\n{own[title].rstrip()}\n" if title else own[title].rstrip() + "\n"
        for title in order
        if title in own
    )
