"""The measures of a reducer, in the order of the table."""

from typing import NamedTuple


class Measure(NamedTuple):
    """Label and unit of a measure, and which direction is better."""

    label: str
    unit: str = ""
    is_cost: bool = False


MEASURES = {
    "variance_explained": Measure("variance explained"),
    "trustworthiness": Measure("trustworthiness"),
    "continuity": Measure("continuity"),
    "downstream": Measure("downstream"),
    "fit_seconds": Measure("fit", "seconds", is_cost=True),
    "transform_seconds": Measure("transform", "seconds", is_cost=True),
    "size": Measure("size", "bytes", is_cost=True),
}
