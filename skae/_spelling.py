"""Refuse names of subclasses that are almost, but not quite, names that their base class asks for."""

import difflib

# As `judges_`, `judge` and `warmup` are to `judges` and `warm_up`, but not `activation` to `has_activations`.
_CLOSE = 0.85


def refuse_misspelt(cls: type, base: type) -> None:
    """Refuse a subclass with a public name that its base does not know, but almost does.

    What a part can do is said by attributes and methods that its base class declares. A misspelt one would
    mean the default without a word. Names that are like none of them are the subclass's own and stay free:
    parts have attributes and helpers of their own.

    Parameters
    ----------
    cls : type
        The subclass, as by ``__init_subclass__``.
    base : type
        The class that declares what is asked for.

    Raises
    ------
    TypeError
        If a name is misspelt.
    """
    asked = [name for name in vars(base) if _is_written(name)]
    for name in vars(cls):
        if not _is_written(name) or hasattr(base, name):
            continue
        for meant in difflib.get_close_matches(name, asked, n=1, cutoff=_CLOSE):
            raise TypeError(
                f"{cls.__name__}.{name} is nothing that {base.__name__} asks for; {meant!r} is. Rename it: "
                f"to {meant!r} if that is meant, else to something less like it."
            )


def _is_written(name: str) -> bool:
    """Whether a name is one that people write: tools keep copies of methods under names in other letters."""
    return not name.startswith("_") and name.isascii()
