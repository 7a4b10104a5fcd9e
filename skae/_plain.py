"""Objects as plain data, and made again of it: numbers, text, lists, dicts and arrays, nothing of torch.

Which classes may be made is said by our code, never by the data. Knows no estimator and no network.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

# The one key of a dict that stands for an object: its place among the descriptions.
REFERENCE = "skae.object"

_CONTAINERS: dict[str, type] = {"dict": dict, "OrderedDict": OrderedDict, "set": set}
_TENSORS: dict[type, str] = {torch.Tensor: "tensor", nn.Parameter: "parameter"}
# What numpy has no type for lies in an array of whole numbers as wide.
_STAND_INS = {1: torch.uint8, 2: torch.int16}
_DTYPES = {
    str(one).removeprefix("torch."): one for one in vars(torch).values() if isinstance(one, torch.dtype)
}


class Value(NamedTuple):
    """A kind of object that can be written as a few plain values, and made from them again."""

    owns: Callable[[object], bool]
    tell: Callable[[Any], object]
    make: Callable[[Any], object]


_VALUES = {
    "torch.dtype": Value(
        lambda value: isinstance(value, torch.dtype),
        lambda value: str(value).removeprefix("torch."),
        lambda name: _dtype(name),
    ),
    "torch.device": Value(lambda value: isinstance(value, torch.device), str, torch.device),
}


class Catalogue:
    """What may be made of plain data.

    Parameters
    ----------
    classes : dict of str to type
        By the names that stand in the data: named tuples, torch modules, and classes whose attributes (or
        what `__getstate__` gives) are all there is to them.
    constants : dict of str to object
        Functions and other objects that are the same in every process, by name.
    values : dict of str to Value
        Further kinds of objects.
    """

    def __init__(
        self,
        classes: Mapping[str, type],
        constants: Mapping[str, object],
        values: Mapping[str, Value] | None = None,
    ) -> None:
        self.classes = dict(classes)
        self.constants = dict(constants)
        self.values = _VALUES | dict(values or {})
        self._names = {cls: name for name, cls in self.classes.items()}
        self._constant_names = {id(constant): name for name, constant in self.constants.items()}

    def extended(self, classes: Mapping[str, type], values: Mapping[str, Value] | None = None) -> "Catalogue":
        """Return a catalogue that holds some more classes, and kinds of objects that come before others."""
        if not classes and not values:
            return self
        return Catalogue(self.classes | dict(classes), self.constants, dict(values or {}) | self.values)

    def describe(self, attributes: Mapping[str, object]) -> tuple[dict[str, object], list[dict[str, object]]]:
        """Return attributes as plain data.

        Parameters
        ----------
        attributes : dict of str to object
            What is in no catalogue stays as it is. Torch modules of the user's own are described by their
            class itself, in place of a name.

        Returns
        -------
        plain : dict of str to object
            The same, with references in the place of objects.
        objects : list of dict
            What they refer to; each object once, so that what was shared will be shared again. Arrays are
            those of the tensors, not copies.
        """
        writer = _Writer(self)
        return {name: writer.plain(value) for name, value in attributes.items()}, writer.objects

    def make(self, plain: Mapping[str, object], objects: list[dict[str, object]]) -> dict[str, Any]:
        """Return the attributes that `describe` was given, on the CPU.

        Parameters
        ----------
        plain : dict of str to object
        objects : list of dict

        Returns
        -------
        attributes : dict of str to object

        Raises
        ------
        ValueError
            If they cannot be made of it.
        """
        maker = _Maker(self, objects)
        try:
            return {name: maker.value(value) for name, value in plain.items()}
        except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError) as error:
            raise ValueError(f"The state is damaged, and cannot be read: {error!r}.") from error

    def name_of(self, value: object) -> str | type | None:
        """Return what stands for the class of an object: a name, or that of a user's own module itself."""
        name = self._names.get(type(value))
        return type(value) if name is None and _is_own_module(value) else name

    def constant_name(self, value: object) -> str | None:
        """Return the name of a constant, None for other objects."""
        return self._constant_names.get(id(value))


class _Writer:
    """One description: the objects met so far, by their identity."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.objects: list[dict[str, object]] = []
        # With the object itself: an identity may be given again to what is made after it is gone.
        self.places: dict[int, tuple[int, object]] = {}

    def plain(self, value: Any) -> object:
        kind = type(value)
        if value is None or kind in (bool, int, float, str, np.ndarray):
            return value
        if kind is list:
            return [self.plain(item) for item in value]
        if kind in (tuple, torch.Size):
            return tuple(self.plain(item) for item in value)
        if kind is dict and REFERENCE not in value and all(type(key) is str for key in value):
            return {key: self.plain(item) for key, item in value.items()}
        if id(value) not in self.places:
            place = len(self.objects)
            self.objects.append({})
            self.places[id(value)] = place, value
            description = self._described(value)
            if description is None:
                # As it is; its place stays empty.
                self.places[id(value)] = -1, value
            else:
                self.objects[place] = description
        place = self.places[id(value)][0]
        return value if place < 0 else {REFERENCE: place}

    def _described(self, value: Any) -> dict[str, object] | None:
        """Return what an object is made again of, None where it is to stay as it is."""
        constant = self.catalogue.constant_name(value)
        if constant is not None:
            return {"constant": constant}
        if isinstance(value, torch.Tensor):
            return _described_tensor(value)
        for name, known in self.catalogue.values.items():
            if known.owns(value):
                told = known.tell(value)
                return None if told is None else {"value": name, "told": self.plain(told)}
        for name, cls in _CONTAINERS.items():
            if type(value) is cls:
                items = sorted(value, key=repr) if cls is set else map(list, value.items())
                return {"class": name, "items": [self.plain(item) for item in items]}
        name = self.catalogue.name_of(value)
        if name is not None and isinstance(value, tuple):
            return {"class": name, "items": [self.plain(item) for item in value]}
        state = None if name is None else value.__getstate__()
        if name is not None and isinstance(state, (dict, type(None))):
            if _is_usual(type(value), name):
                state = _without_usual(state or {})
            return {"class": name, "state": {key: self.plain(item) for key, item in (state or {}).items()}}
        return None


class _Maker:
    """One making: the objects made so far, by their place."""

    def __init__(self, catalogue: Catalogue, objects: list[dict[str, object]]) -> None:
        self.catalogue = catalogue
        self.objects = objects
        self.made: dict[int, object] = {}

    def value(self, plain: object) -> Any:
        if type(plain) is list:
            return [self.value(item) for item in plain]
        if type(plain) is tuple:
            return tuple(self.value(item) for item in plain)
        if type(plain) is not dict:
            return plain
        if REFERENCE not in plain:
            return {key: self.value(item) for key, item in plain.items()}
        place = int(plain[REFERENCE])
        if place not in self.made:
            if place < 0:
                raise IndexError(f"no object has the number {place}")
            self._make(place, self.objects[place])
        return self.made[place]

    def _make(self, place: int, description: dict[str, Any]) -> None:
        if "constant" in description:
            self.made[place] = self._known(self.catalogue.constants, description["constant"])
        elif "tensor" in description:
            self.made[place] = _made_tensor(description)
        elif "value" in description:
            known = self._known(self.catalogue.values, description["value"])
            self.made[place] = known.make(self.value(description["told"]))
        elif "items" in description:
            self.made[place] = self._collection(description)
        else:
            name = description["class"]
            cls = name if isinstance(name, type) else self._known(self.catalogue.classes, name)
            # Known before its attributes are made: they may refer to it.
            made = self.made[place] = cast(Any, cls).__new__(cls)
            state = self.value(description["state"])
            hidden = [key for key in state if callable(getattr(cls, key, None))]
            if hidden and isinstance(name, str):
                raise ValueError(f"The state of a {name} would hide its method {hidden[0]!r}.")
            if _is_usual(cls, name):
                state = {**nn.Module().__dict__, **state}
            if hasattr(cls, "__setstate__"):
                made.__setstate__(state)
            else:
                vars(made).update(state)

    def _collection(self, description: dict[str, Any]) -> object:
        name, items = description["class"], [self.value(item) for item in description["items"]]
        if name in _CONTAINERS:
            return _CONTAINERS[name](items)
        cls = self._known(self.catalogue.classes, name)
        # Any other class would be called with numbers that nobody has checked.
        if not issubclass(cls, tuple):
            raise ValueError(f"The state holds a {name} as if it were a tuple.")
        return cls(*items)

    @staticmethod
    def _known(table: Mapping[str, object], name: object) -> Any:
        if not isinstance(name, str) or name not in table:
            raise ValueError(
                f"The state holds {name!r}, which this version of skae does not know. Load it with the "
                "version that wrote it, or fit anew."
            )
        return table[name]


def _is_own_module(value: object) -> bool:
    """Whether an object is a torch module that pickle would make again from its attributes."""
    cls = type(value)
    return (
        isinstance(value, nn.Module)
        and cls.__reduce__ is object.__reduce__
        and cls.__reduce_ex__ is object.__reduce_ex__
    )


def _is_usual(cls: type, name: str | type) -> bool:
    """Whether the state of a class holds what every torch module has."""
    if not issubclass(cls, nn.Module):
        return False
    # A module of the user's own may give anything for its state, and wants it back as it was.
    return isinstance(name, str) or cls.__getstate__ is object.__getstate__


def _without_usual(state: dict[str, object]) -> dict[str, object]:
    """Leave out the dozen attributes of a module that are as in one that was just made."""
    usual = nn.Module().__dict__
    return {
        key: value
        for key, value in state.items()
        if not (key in usual and type(value) is type(usual[key]) and value == usual[key])
    }


def _described_tensor(tensor: torch.Tensor) -> dict[str, object] | None:
    kind = _TENSORS.get(type(tensor))
    if kind is None or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return None
    values, description = tensor.detach().cpu().resolve_conj().resolve_neg(), {}
    try:
        array = values.numpy()
    except TypeError:
        array = values.view(_STAND_INS[values.dtype.itemsize]).numpy()
        description["dtype"] = str(values.dtype).removeprefix("torch.")
    if tensor.requires_grad:
        description["requires_grad"] = True
    return {"tensor": array, "type": kind, **description}


def _made_tensor(description: dict[str, Any]) -> torch.Tensor:
    array = np.asarray(description["tensor"])
    # Memory maps are read-only, and files of another machine may have its byte order.
    if not array.flags.writeable or not array.dtype.isnative or not array.flags.aligned:
        array = array.astype(array.dtype.newbyteorder("="), copy=True)
    tensor = torch.from_numpy(array)
    if "dtype" in description:
        tensor = tensor.view(_dtype(description["dtype"]))
    requires_grad = bool(description.get("requires_grad", False))
    if description["type"] == "parameter":
        return nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


def _dtype(name: str) -> torch.dtype:
    # Not any attribute of torch, some of which are modules that are imported when asked for.
    if name not in _DTYPES:
        raise TypeError(f"{name!r} is no dtype of torch")
    return _DTYPES[name]
