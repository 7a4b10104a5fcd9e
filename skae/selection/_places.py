"""Where an estimator holds autoencoders, and which parameters of a candidate tell its steps apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from numbers import Number
from typing import NamedTuple, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from joblib import Memory
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from skae.estimators.base import BaseAutoencoder

Path: TypeAlias = tuple[str, ...]
# Subclasses may fit their steps in ways of their own, such as samplers that change the rows.
_CONTAINERS = (Pipeline, ColumnTransformer, FeatureUnion)


Anything = TypeVar("Anything")


@runtime_checkable
class Step(Protocol):
    """An estimator of scikit-learn's kind, of any library."""

    @property
    def fit(self) -> Callable[..., object]:
        """Learn from rows."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the parameters."""
        ...

    def set_params(self, **params: object) -> Self:
        """Change parameters."""
        ...


def unfitted(estimator: Anything) -> Anything:
    """Return a copy of an estimator that is not fitted."""
    copied = clone(estimator)
    if not isinstance(copied, type(estimator)):
        raise TypeError(
            f"The clone of a {type(estimator).__name__} is a {type(copied).__name__}. Return an estimator of "
            "the same class from its `__sklearn_clone__`."
        )
    return copied


class Place(NamedTuple):
    """A step that is fitted before, beside or as an autoencoder.

    Parameters
    ----------
    path : tuple of str
        Names that lead to it, as in ``set_params``; empty for the estimator itself.
    estimator : object
        What stands there.
    is_coder : bool
        Whether it is an autoencoder.
    memory : str, Memory or None
        The `memory` of the `Pipeline` that it is a step of.
    """

    path: Path
    estimator: Step
    is_coder: bool
    memory: str | Memory | None


def is_container(estimator: object) -> bool:
    """Return whether scikit-learn fits the steps of an estimator one after the other."""
    return type(estimator) in _CONTAINERS


def steps_of(container: object) -> list[tuple[str, object]]:
    """Return the names and estimators of a container, what only passes rows on among them."""
    if isinstance(container, Pipeline):
        return list(container.steps)
    if isinstance(container, ColumnTransformer):
        return [(name, step) for name, step, _ in container.transformers] + [
            ("remainder", container.remainder)
        ]
    return list(container.transformer_list) if isinstance(container, FeatureUnion) else []


def holds_coder(estimator: object) -> bool:
    """Return whether an estimator is an autoencoder, or holds one in a place that is understood."""
    if isinstance(estimator, BaseAutoencoder):
        return True
    return is_container(estimator) and any(holds_coder(step) for _, step in steps_of(estimator))


def places(root: Step) -> list[Place]:
    """List the autoencoders of an estimator, and the steps that are fitted before the last of them.

    Parameters
    ----------
    root : estimator
        Not fitted.

    Returns
    -------
    places : list of Place
        In the order of their fits. A step that holds no autoencoder is one place, whatever is inside. Empty
        if there is no autoencoder.
    """
    return list(_below(root, (), None)) if holds_coder(root) else []


def _below(estimator: Step, path: Path, memory: str | Memory | None) -> Iterator[Place]:
    if isinstance(estimator, BaseAutoencoder) or not holds_coder(estimator):
        yield Place(path, estimator, isinstance(estimator, BaseAutoencoder), memory)
        return
    steps = steps_of(estimator)
    if isinstance(estimator, Pipeline):
        memory = estimator.memory
        last = max(number for number, (_, step) in enumerate(steps) if holds_coder(step))
        steps = steps[: last + 1]
    for name, step in steps:
        # Others are None, "passthrough" and "drop".
        if isinstance(step, Step):
            yield from _below(step, (*path, name), memory)


# ---------------------------------------------------------------------- what tells steps apart


def signatures(root: Step, found: list[Place], parameters: Mapping[str, object]) -> dict[Path, Hashable]:
    """Return what tells the fit of each place from that of other candidates.

    Parameters
    ----------
    root : estimator
        The candidate, with its parameters.
    found : list of Place
        Its places.
    parameters : dict
        The parameters that the search has chosen.

    Returns
    -------
    signatures : dict of tuple of str to object
        By path; equal where all that a place depends on is the same: its own parameters, and those of what
        its rows pass through before.
    """
    addresses = {name: _address(root, name) for name in sorted(parameters)}
    return {
        place.path: tuple(
            (name, _identity(parameters[name]))
            for name, address in addresses.items()
            if _is_before(root, address, place.path)
        )
        for place in found
    }


def _address(root: object, name: str) -> Path:
    """Return the path of what a parameter belongs to; a container's own belongs to the container."""
    path: list[str] = []
    for part in name.split("__"):
        steps = dict(steps_of(root)) if is_container(root) and holds_coder(root) else {}
        if part not in steps:
            break
        path.append(part)
        root = steps[part]
    return tuple(path)


def _is_before(root: object, address: Path, path: Path) -> bool:
    """Return whether what stands at an address has a say in what is fitted at a path."""
    for here, there in zip(path, address, strict=False):
        names = [name for name, _ in steps_of(root)]
        if here != there:
            return isinstance(root, Pipeline) and names.index(there) < names.index(here)
        root = dict(steps_of(root))[here]
    return len(address) <= len(path)


def _identity(value: object) -> Hashable:
    """Return what is equal for equal plain values, and for other objects only if they are the same one."""
    if isinstance(value, (tuple, list)):
        return (type(value), *map(_identity, value))
    if value is None or isinstance(value, (str, Number, np.bool_)):
        # 1, 1.0 and True are equal, and different parameters.
        return type(value), value
    return id(value)
