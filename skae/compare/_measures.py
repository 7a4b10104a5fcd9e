"""The measures of a reducer, in the order of the table."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Measure(NamedTuple):
    """Label and unit of a measure, and which direction is better."""

    label: str
    unit: str = ""
    is_cost: bool = False


_BEFORE = {
    "variance_explained": Measure("variance explained"),
    "trustworthiness": Measure("trustworthiness"),
    "continuity": Measure("continuity"),
}
_AFTER = {
    "fit_seconds": Measure("fit", "seconds", is_cost=True),
    "transform_seconds": Measure("transform", "seconds", is_cost=True),
    "size": Measure("size", "bytes", is_cost=True),
}
_DOWNSTREAM = "downstream"
_CALLED = {"linear": "linear model"}


def downstream_columns(models: Sequence[str]) -> list[str]:
    """Return the columns of the scores of models: the first one has the bare name."""
    return [_DOWNSTREAM, *(f"{_DOWNSTREAM}_{name}" for name in models[1:])]


def columns(models: Sequence[str]) -> list[str]:
    """Return the names of all measures, with the scores of these models."""
    return [*_BEFORE, *downstream_columns(models), *_AFTER]


def measures_among(names: Iterable[object], models: Sequence[str] = ()) -> dict[str, Measure]:
    """Return the measures among columns of a table, in their order.

    Parameters
    ----------
    names : iterable
        Columns of a table.
    models : sequence of str, default=()
        Names of the models on the codes, of which the first is not in the name of its column.

    Returns
    -------
    measures : dict of Measure
        By column; spreads and other columns are left out.
    """
    first = next(iter(models), _DOWNSTREAM)
    known = {**_BEFORE, _DOWNSTREAM: Measure(_CALLED.get(first, first)), **_AFTER}
    found = {}
    for name in map(str, names):
        if name in known:
            found[name] = known[name]
        elif is_downstream(name) and not name.endswith("_std"):
            found[name] = Measure(name.removeprefix(f"{_DOWNSTREAM}_"))
    return found


def is_downstream(name: str) -> bool:
    """Whether a column is the score of a model on the codes."""
    return name == _DOWNSTREAM or name.startswith(f"{_DOWNSTREAM}_")
