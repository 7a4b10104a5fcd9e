"""Functions and torch modules of the user's own: what files say of them, and how they are asked for.

A function is no data, and a class is code. Files hold the names of functions, and the weights of modules.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import TypedDict

import torch
from torch import nn

from skae._plain import Value
from skae.estimators import BaseAutoencoder
from skae.estimators._state import CATALOGUE
from skae.networks.architecture import Architecture
from skae.networks.custom import as_architecture

__all__ = ["FUNCTIONS", "OwnParts", "parts_within"]

# Parameters that may hold functions.
FUNCTIONS = ("corruption", "prior")
_ROLES = ("encoder", "decoder")

Network = Architecture | Sequence[nn.Module]
Function = Callable[..., object]


class _ToldFunction(TypedDict):
    parameter: str
    was: str


class _ToldModule(TypedDict):
    role: str
    was: str
    weights: dict[str, torch.Tensor]
    training: bool
    frozen: bool


class OwnParts:
    """What is the user's own in an estimator.

    Parameters
    ----------
    network : Architecture or pair of torch.nn.Module, optional
        What the modules of an estimator that is loaded are copied from.
    functions : mapping of str to callable, optional
        Its functions, by the names of the parameters that hold them; None for those that are not passed.

    Attributes
    ----------
    used : set of str
        Parameters that were asked for.
    """

    def __init__(
        self, network: Network | None = None, functions: Mapping[str, Function | None] | None = None
    ) -> None:
        self.network = network
        self.functions = dict(functions or {})
        self.used: set[str] = set()
        # With the object itself, since identities are given again.
        self._found_functions: dict[int, tuple[str, object]] = {}
        self._found_modules: dict[int, tuple[str, nn.Module]] = {}

    def find(self, estimator: object) -> None:
        """Find what is the user's own in an estimator and in those within."""
        for model in parts_within(estimator):
            for name in self.functions:
                value = vars(model).get(name)
                if callable(value):
                    self._found_functions[id(value)] = name, value
            for role, module in _modules_of(model):
                # Modules of torch alone are saved as a whole.
                if any(not isinstance(CATALOGUE.name_of(part), str) for part in module.modules()):
                    self._found_modules[id(module)] = role, module

    def values(self) -> dict[str, Value]:
        """Return how such parts are told and made."""
        return {
            "own function": Value(lambda value: id(value) in self._found_functions, self._tell, self._make),
            "own module": Value(
                lambda value: id(value) in self._found_modules, self._tell_module, self._make_module
            ),
        }

    def unused(self) -> list[str]:
        """Return the names of what was passed and not asked for."""
        passed = {"network": self.network, **self.functions}
        return [name for name, value in passed.items() if value is not None and name not in self.used]

    def _tell(self, function: object) -> _ToldFunction:
        name, _ = self._found_functions[id(function)]
        return {"parameter": name, "was": _name_of(function)}

    def _make(self, told: _ToldFunction) -> Function:
        name = told["parameter"]
        function = self.functions[name]
        if function is None:
            raise ValueError(_wanted(name, f"a function of your own ({told['was'][:100]})"))
        if not callable(function):
            raise ValueError(f"{name}= must be a function; got {function!r}")
        self.used.add(name)
        return function

    def _tell_module(self, module: nn.Module) -> _ToldModule:
        role, _ = self._found_modules[id(module)]
        return {
            "role": role,
            "was": _name_of(type(module)),
            "weights": dict(module.state_dict()),
            "training": module.training,
            "frozen": not any(parameter.requires_grad for parameter in module.parameters()),
        }

    def _make_module(self, told: _ToldModule) -> nn.Module:
        if self.network is None:
            raise ValueError(_wanted("network", f"torch modules of your own ({told['was'][:100]})"))
        given = as_architecture(self.network)._given_modules()
        if given is None:
            raise ValueError(f"network= must be the pair (encoder, decoder); got {self.network!r}")
        self.used.add("network")
        module = copy.deepcopy(given[_ROLES.index(told["role"])])
        try:
            module.load_state_dict(told["weights"], assign=True)
        except RuntimeError as error:
            raise ValueError(
                f"the {told['role']} of network= is not the one that was saved: {error}"
            ) from error
        if told["frozen"]:
            module.requires_grad_(False)
        return module.train(told["training"])


def _wanted(name: str, what: str) -> str:
    return f"it was saved with {what}, which files without code do not hold: pass skae.load(path, {name}=...)"


def parts_within(estimator: object) -> Iterator[object]:
    """Yield an estimator, and those that it holds."""
    yield estimator
    if not isinstance(estimator, BaseAutoencoder):
        held = vars(estimator)
        inside = [held.get("estimator"), held.get("estimator_"), *held.get("estimators_", ())]
        yield from (model for model in inside if model is not None)


def _modules_of(model: object) -> Iterator[tuple[str, nn.Module]]:
    """Yield the user's encoder and decoder, as they were passed and as they were fitted, with their roles."""
    if not isinstance(model, BaseAutoencoder):
        return
    network = vars(model)["network"]
    pair = None if network is None else as_architecture(network)._given_modules()
    fitted = vars(model).get("network_")
    coders = () if fitted is None else (fitted.encoder, fitted.decoder)
    for modules in (pair or (), [coder.given_module for coder in coders]):
        for role, module in zip(_ROLES, modules, strict=False):
            if isinstance(module, nn.Module):
                yield role, module


def _name_of(value: object) -> str:
    if isinstance(value, (type, FunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    return f"a {type(value).__qualname__}"
