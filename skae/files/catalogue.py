"""Which classes files may be made of: those of every state, estimators, and what is the user's own."""

import inspect
from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from sklearn.impute import MissingIndicator
from sklearn.utils.metadata_routing import MetadataRequest

from skae import estimators, tasks
from skae._plain import Catalogue, Value
from skae.estimators._state import CATALOGUE, PlainState, check_attributes
from skae.tasks.imputation import ImputingAutoencoder

__all__ = ["ESTIMATORS", "KIND", "made_of"]

KIND = "estimator"

ESTIMATORS: dict[str, type[PlainState]] = {
    cls.__name__: cls
    for cls in (
        estimators.AdversarialAutoencoderTransformer,
        estimators.AutoencoderTransformer,
        estimators.BinaryAutoencoderTransformer,
        estimators.ContractiveAutoencoderTransformer,
        estimators.DenoisingAutoencoderTransformer,
        estimators.SparseAutoencoderTransformer,
        estimators.VariationalAutoencoderTransformer,
        ImputingAutoencoder,
        tasks.AutoencoderImputer,
        tasks.AutoencoderOutlierDetector,
    )
}
_REQUEST = "_metadata_request"
_CALLBACKS = "_skl_callbacks"

Requests = Mapping[str, Mapping[str, str | bool | None]]


class _Told(TypedDict):
    name: str
    attributes: dict[str, object]
    requests: Requests | None


def made_of(own: Mapping[str, Value]) -> Catalogue:
    """Return what files may be made of.

    Parameters
    ----------
    own : dict of str to Value
        How functions and modules of the user's own are told and made.
    """
    classes: dict[str, type] = {"sklearn.MissingIndicator": MissingIndicator}
    for cls in ESTIMATORS.values():
        classes |= cls._further_classes
    values = {
        "estimator": Value(lambda value: isinstance(value, PlainState) and _is_ours(value), _tell, _make),
        "random state": Value(
            lambda value: type(value) is np.random.RandomState, _tell_random_state, _make_random_state
        ),
    }
    return CATALOGUE.extended(classes, dict(own) | values)


def _is_ours(value: object) -> bool:
    return type(value) in ESTIMATORS.values()


def _tell(estimator: PlainState) -> _Told:
    attributes: dict[str, object] = estimator._lasting(vars(estimator))
    if attributes.pop(_CALLBACKS, None):
        raise TypeError("its callbacks cannot be saved. Call set_callbacks() on it to take them away")
    request = attributes.pop(_REQUEST, None)
    requests = (
        {name: dict(getattr(request, name).requests) for name in _methods(request)}
        if isinstance(request, MetadataRequest)
        else None
    )
    return {"name": type(estimator).__name__, "attributes": attributes, "requests": requests}


def _methods(request: MetadataRequest) -> list[str]:
    """Return the names of the methods whose metadata are routed."""
    return [name for name, value in vars(request).items() if name != "owner"]


def _make(told: _Told) -> PlainState:
    name, attributes, requests = told["name"], told["attributes"], told["requests"]
    if name not in ESTIMATORS:
        raise ValueError(
            f"it holds a {name!r}, which this version of skae does not know: load it with the version that "
            "wrote it"
        )
    cls = ESTIMATORS[name]
    # A parameter that is younger than the file has its default, which is what there was before.
    for parameter in inspect.signature(cls).parameters.values():
        attributes.setdefault(parameter.name, parameter.default)
    check_attributes(cls, attributes)
    hidden = [key for key in attributes if callable(getattr(cls, key, None))]
    if hidden or _CALLBACKS in attributes or _REQUEST in attributes:
        raise ValueError(f"it holds attributes that no {name} has")
    estimator = cls.__new__(cls)
    vars(estimator).update(attributes)
    if requests is not None:
        vars(estimator)[_REQUEST] = _made_request(estimator, requests)
    return estimator


def _made_request(estimator: PlainState, requests: Requests) -> MetadataRequest:
    request = MetadataRequest(owner=estimator)
    known = _methods(request)
    for name, wanted in requests.items():
        if name not in known:
            raise ValueError(f"it requests metadata for {name!r}, which is no method")
        for parameter, alias in wanted.items():
            getattr(request, name).add_request(param=parameter, alias=alias)
    return request


def _tell_random_state(random: np.random.RandomState) -> dict[str, object] | None:
    state = random.get_state(legacy=False)
    return dict(state) if state["bit_generator"] == "MT19937" else None


def _make_random_state(state: dict[str, object]) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state)
    return random
