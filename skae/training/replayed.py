"""Functions of tensors whose operations are repeated, without what leads to them.

Much of a step of a small network is neither arithmetic nor the calls of torch's operations, but the way to
them: modules, autograd, vectorised maps. All of this leads to the same operations for each batch of one
shape. They are written down once, and from then on called one after the other, each into memory that is its
own, with the same numbers to the last bit.
"""

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch._ops import OpOverload
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

# Shapes of which operations are kept: batches of an epoch differ by one row, and end in a shorter one.
_MOST_SHAPES = 4
# Calls of a shape before its operations are written down, which takes as long as about twenty of them.
_CALLS_BEFORE = 4
# Numbers that are given and that last, up to which operations are written down: beyond, arithmetic is what
# takes time, and all that lies between operations would lie in memory at once.
_MOST_NUMBERS = 2**20
# Numbers between operations, beyond which these are noted no further: 128 MiB of float64.
_MOST_BETWEEN = 2**24
# Forms of operations that torch has under other names.
_WRITING: Mapping[OpOverload, Callable[..., object]] = {
    torch.ops.aten.relu.default: lambda x, out: torch.clamp_min(x, 0, out=out),
    torch.ops.aten.clone.default: lambda x, out, **_: out.copy_(x),
    torch.ops.aten._to_copy.default: lambda x, out, **_: out.copy_(x),
}
# How often operations are written down for one function.
_MOST_WRITTEN = 8
# torch counts the modes of all threads together.
_RECORDING = threading.Lock()
# Operations that write nothing to their results, and those that write the same whatever they are given.
_EMPTY = {
    f"aten::{name}" for name in ("empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty")
}
_FILLED = {
    f"aten::{name}" for name in ("ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full")
}
# Operations whose results depend on values in more than their values.
_DYNAMIC = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


Given = TypeVar("Given")
Returned = TypeVar("Returned")


class Replayed(Generic[Given, Returned]):
    """A function of tensors that is computed as it stands some times a shape, and repeated from then on.

    In between, its operations are written down, and what these give is compared once with what the function
    gives. Where that is not the same to the last bit, or where operations depend on values or change tensors
    that were there before, the function is called as ever. Numbers that are drawn have to be the same in each
    call, of a generator that the function makes and seeds.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, in dicts, tuples and the like. It may read others besides, as long as these
        are in `lasting` or never change; nothing else that it reads changes.
    lasting : sequence of tensor
        What the function reads, too: their values may change between calls, their memory may not.
    repeats : bool, default=True
        Whether anything is repeated: not where code of others may read what changes.
    """

    def __init__(
        self,
        function: Callable[[Given], Returned],
        lasting: Sequence[torch.Tensor],
        repeats: bool = True,
    ) -> None:
        self.function = function
        self.lasting = lasting
        self.repeats = repeats
        self.n_written = 0
        self.found: dict[Hashable, _Shape[Returned]] = {}

    def forget(self) -> None:
        """Give memory back."""
        self.found.clear()

    def __call__(self, given: Given) -> Returned:
        """Return what the function returns, without a graph of autograd."""
        leaves: list[object] = []
        kinds: list[object] = []
        _flatten(given, leaves, kinds)
        key = *kinds, *_alike(leaves)
        shape = self.found.pop(key, None)
        if shape is None:
            self.found = dict([*self.found.items()][-(_MOST_SHAPES - 1) :])
            is_small = sum(map(torch.numel, _tensors_in((leaves, self.lasting)))) <= _MOST_NUMBERS
            shape = _Shape(waits=is_small and self.repeats)
        # Last of all: what has not come for longest is forgotten.
        self.found[key] = shape
        if shape.is_trusted and shape.replay is not None:
            return shape.replay(leaves)
        return self._compared(shape, given, leaves)

    def _compared(self, shape: "_Shape[Returned]", given: Given, leaves: Sequence[object]) -> Returned:
        """Call the function itself, and write down what it does, or compare."""
        shape.n_calls += 1
        if shape.waits and shape.n_calls > _CALLS_BEFORE and _RECORDING.acquire(blocking=False):
            shape.waits = False
            self.n_written += 1
            # Sizes that never come back, as of parts of a stream, are not worth it.
            self.repeats = self.n_written < _MOST_WRITTEN
            try:
                returned, shape.replay = self._written(given, leaves)
            finally:
                _RECORDING.release()
            # What operations gave is where they write to from now on.
            return trees.tree_map_only(torch.Tensor, torch.clone, returned)
        returned = self.function(given)
        if shape.replay is not None:
            found, repeated = trees.tree_flatten(returned), trees.tree_flatten(shape.replay(leaves))
            same = found[1] == repeated[1] and all(map(_are_same, found[0], repeated[0]))
            shape.is_trusted, shape.replay = same, shape.replay if same else None
        return trees.tree_map_only(torch.Tensor, torch.Tensor.detach, returned)

    def _written(self, given: Given, leaves: Sequence[object]) -> "tuple[Returned, _Replay[Returned] | None]":
        """Return what the function returns of copies of what is given, and its operations."""
        own = _copies(leaves)
        returned, operations = _noted(self.function, trees.tree_unflatten(own, trees.tree_structure(given)))
        returned = trees.tree_map_only(torch.Tensor, torch.Tensor.detach, returned)
        for value, copy in zip(leaves, own, strict=True):
            # A function may change what it is given.
            if isinstance(value, torch.Tensor) and isinstance(copy, torch.Tensor):
                if not _are_same(value, copy):
                    value.copy_(copy)
        return returned, _replay(operations, own, self.lasting, returned)


class _Shape(Generic[Returned]):
    """What is known of calls with tensors of one shape.

    Parameters
    ----------
    waits : bool
        Whether operations are to be written down.
    """

    def __init__(self, waits: bool) -> None:
        self.waits = waits
        self.n_calls = 0
        self.is_trusted = False
        self.replay: _Replay[Returned] | None = None


class _Replay(Generic[Returned]):
    """Operations that compute what is returned from what is given, all of it in memory of their own.

    Parameters
    ----------
    given : sequence
        Where the values of tensors that are given go, in their order.
    calls : sequence of callable
        The operations.
    returned : dict, tuple and the like
        Where the results are.
    """

    def __init__(
        self, given: Sequence[object], calls: Sequence[Callable[[], object]], returned: Returned
    ) -> None:
        tensors = [(place, value) for place, value in enumerate(given) if isinstance(value, torch.Tensor)]
        # Each of them once.
        self.given = [*{id(value): (place, value) for place, value in tensors}.values()]
        self.calls = calls
        self.returned = returned

    @torch.no_grad()
    def __call__(self, given: Sequence[Any]) -> Returned:
        """Return copies of the results: the next call writes over them."""
        for place, own in self.given:
            own.copy_(given[place])
        for call in self.calls:
            call()
        return _cloned(self.returned)


def _flatten(value: object, leaves: list[object], kinds: list[object]) -> None:
    """Add the parts of a value to a list, and to another one what decides on the operations.

    That is how tensors lie in memory, and what else there is. torch's function for this takes five times as
    long, a tenth of a small step.
    """
    if isinstance(value, torch.Tensor):
        leaves.append(value)
        kinds += (value.shape, value.stride(), value.dtype)
    elif isinstance(value, dict):
        kinds.append(tuple(value))
        for part in value.values():
            _flatten(part, leaves, kinds)
    elif isinstance(value, (tuple, list)):
        kinds += (type(value), len(value))
        for part in value:
            _flatten(part, leaves, kinds)
    else:
        leaves.append(value)
        kinds.append(value)


def _cloned(value: Any) -> Any:
    """Return a value with copies of the tensors in it."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: _cloned(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = map(_cloned, value)
        return type(value)(*parts) if trees.is_namedtuple(value) else type(value)(parts)
    return value


def _copies(given: Sequence[object]) -> list[object]:
    """Return values with copies of the tensors among them, one of each."""
    copies = {id(value): value.clone() for value in given if isinstance(value, torch.Tensor)}
    return [copies.get(id(value), value) for value in given]


def _alike(given: Sequence[object]) -> tuple[int, ...]:
    """Return for each value where it comes for the first time."""
    first: dict[int, int] = {}
    return tuple(first.setdefault(id(value), place) for place, value in enumerate(given))


def _are_same(one: object, other: object) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return bool(one == other)
    return one.shape == other.shape and torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


class _Operation(NamedTuple):
    """One call of an operation."""

    function: OpOverload
    arguments: tuple
    keywords: dict
    returned: object


class _Recorder(TorchDispatchMode):
    """Notes the operations that torch calls, below autograd and vectorised maps."""

    def __init__(self) -> None:
        super().__init__()
        # All tensors live as long as this list, so that none of them takes over the identity of another.
        self.operations: list[_Operation] = []
        self.n_numbers = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return whether torch's compiler is kept out, to which end it would be imported: a second."""
        return False  # pragma: no mutate

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Call an operation, and note it."""
        returned = func(*args, **(kwargs or {}))
        self.n_numbers += sum(map(torch.numel, _tensors_in(returned)))
        if self.is_small:
            self.operations.append(_Operation(func, args, kwargs or {}, returned))
        else:
            self.operations.clear()
        return returned

    @property
    def is_small(self) -> bool:
        """Whether all that operations return may lie in memory at once."""
        return self.n_numbers <= _MOST_BETWEEN


def _noted(
    function: Callable[[Given], Returned], given: Given
) -> tuple[Returned, Sequence[_Operation] | None]:
    """Return what a function returns, and its operations; None where torch cannot say them."""
    recorder = _Recorder()
    try:
        with recorder:
            returned = function(given)
        return returned, recorder.operations if recorder.is_small else None
    except NotImplementedError:
        # Operations made of functions have no rule for modes.
        return function(given), None


def _tensors_in(values: object) -> list[torch.Tensor]:
    leaves: list[object] = []
    _flatten(values, leaves, [])
    return [value for value in leaves if isinstance(value, torch.Tensor)]


def _memory(values: object) -> set[int]:
    """Return where the storages of tensors are."""
    return {value.untyped_storage()._cdata for value in _tensors_in(values)}


def _written(operation: _Operation) -> set[int]:
    """Return the storages that an operation writes to."""
    schema = operation.function._schema
    if not schema.is_mutable:
        return set()
    by_place = zip(schema.arguments, operation.arguments, strict=False)
    given = {each.name: value for each, value in by_place} | operation.keywords
    changed = [each.name for each in schema.arguments if each.alias_info and each.alias_info.is_write]
    return _memory([given.get(name) for name in changed])


def _others(operations: Sequence[_Operation]) -> list[torch.Tensor]:
    """Return the tensors that operations take and that none of them has made."""
    made, found = set[int](), []
    for operation in operations:
        own = _tensors_in((operation.arguments, operation.keywords))
        found += [value for value in own if id(value) not in made]
        made.update(map(id, _tensors_in(operation.returned)))
    return found


@torch.no_grad()
def _replay(
    operations: Sequence[_Operation] | None,
    given: Sequence[object],
    lasting: Sequence[torch.Tensor],
    returned: Returned,
) -> _Replay[Returned] | None:
    """Return operations as a function; None where repeating them is not what the function does.

    Parameters
    ----------
    operations : sequence of _Operation, optional
        As they were called with what is given; they keep the tensors that they took and made.
    given : sequence
        What they were called with: tensors that nothing else holds.
    lasting : sequence of tensor
        What keeps its memory between calls, but not its values.
    returned : dict, tuple and the like
        What came of them.
    """
    if operations is None:
        return None
    written = set[int]().union(*map(_written, operations))
    if written & _memory([given, lasting, _others(operations)]) or any(map(_is_dynamic, operations)):
        return None
    # What is not the same in each call: what is given, what depends on it or on values that change, and
    # what operations change.
    fixed = _memory((given, lasting, returned))
    varying = _memory((given, lasting)) | written
    repeated = []
    for operation in operations:
        if varying & _memory((_values_of(operation), operation.returned)):
            varying |= _memory(operation.returned)
            repeated.append(operation)
    # The same numbers are drawn again by a new generator alone.
    if any(torch.Tag.nondeterministic_seeded in operation.function.tags for operation in repeated):
        return None
    # What is there before it is read, or does not matter, needs no call.
    repeated = [operation for operation in repeated if not _is_there(operation)]
    move = _rooms(repeated, varying - fixed)
    return _Replay(given, [_call(operation, move) for operation in repeated], returned)


def _rooms(operations: Sequence[_Operation], own: Set[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what moves tensors to memory that is used again when nothing needs what is in it any more.

    All that the operations of six adversarial autoencoders make, of 32 rows, is 15 MB: too much for the cache
    of a core. In 5 MB, they take 2.5 ms instead of 3.5.

    Parameters
    ----------
    operations : sequence of _Operation
    own : set of int
        The storages that can be moved.
    """
    touched = [_memory((each.arguments, each.keywords, each.returned)) & own for each in operations]
    last = {key: place for place, keys in enumerate(touched) for key in keys}
    rooms: dict[int, torch.UntypedStorage] = {}
    free: list[torch.UntypedStorage] = []
    for place, (operation, keys) in enumerate(zip(operations, touched, strict=True)):
        for value in _tensors_in((operation.arguments, operation.keywords, operation.returned)):
            storage = value.untyped_storage()
            if storage._cdata in keys - rooms.keys():
                large = [room for room in free if room.nbytes() >= storage.nbytes()]
                room = min(large, key=torch.UntypedStorage.nbytes) if large else storage.clone()
                free = [each for each in free if each is not room]
                rooms[storage._cdata] = room
        free += [rooms[key] for key in keys if last[key] == place]

    def move(value: torch.Tensor) -> torch.Tensor:
        room = rooms.get(value.untyped_storage()._cdata)
        if room is None:
            return value.detach()
        moved = value.new_empty(0)
        return moved.set_(room, value.storage_offset(), value.shape, value.stride())

    return move


def _is_there(operation: _Operation) -> bool:
    """Whether results of an operation need no call: views of memory that is filled, or empty memory."""
    function, arguments, keywords, returned = operation
    if function._schema.is_mutable:
        return False
    return function._schema.name in _EMPTY or _memory(returned) <= _memory((arguments, keywords))


def _values_of(operation: _Operation) -> Sequence[object]:
    """Return the arguments whose values decide on the result."""
    is_filled = operation.function._schema.name in _FILLED
    return () if is_filled else (operation.arguments, operation.keywords)


def _call(operation: _Operation, move: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
    """Return what computes the results of an operation where `move` puts them."""
    function, *_ = operation
    arguments, keywords, results = trees.tree_map_only(
        torch.Tensor, move, (operation.arguments, operation.keywords, _tensors_in(operation.returned))
    )
    if function._schema.is_mutable:
        return partial(function, *arguments, **keywords)
    form = _form(operation, results[0]) if len(results) == 1 else None
    if form is not None:
        return partial(form[0], *arguments, **keywords, **{form[1]: results[0]})

    def call() -> None:
        for own, value in zip(results, _tensors_in(function(*arguments, **keywords)), strict=True):
            own.copy_(value)

    return call


def _form(operation: _Operation, result: torch.Tensor) -> tuple[Callable[..., object], str] | None:
    """Return a form of an operation that writes its result to a tensor, and its name; None without."""
    function, arguments, keywords, _ = operation
    wanted = function(*arguments, **keywords)
    for form, name in _forms(function):
        room = torch.empty_like(result)
        try:
            form(*arguments, **keywords, **{name: room})
        except (TypeError, RuntimeError):
            continue
        if room.stride() == result.stride() and _are_same(room, wanted):
            return form, name
    return None


def _forms(function: OpOverload) -> Iterator[tuple[Callable[..., object], str]]:
    """Yield forms of an operation that write to a tensor, and the name of that, fastest first."""
    if function in _WRITING:
        yield _WRITING[function], "out"
    # These parse their arguments in half the time of operations of `torch.ops`.
    if (binding := getattr(torch, function._schema.name.partition("::")[2], None)) is not None:
        yield binding, "out"
    packet = function.overloadpacket
    for overload in map(partial(getattr, packet), packet.overloads()):
        places = [argument.name for argument in overload._schema.arguments if argument.is_out]
        if len(places) == 1:
            yield overload, places[0]


def _is_dynamic(operation: _Operation) -> bool:
    """Whether an operation depends on values in its shape or in what Python reads of it, or draws anew."""
    tags = operation.function.tags
    if torch.Tag.nondeterministic_seeded in tags:
        return operation.keywords.get("generator") is None
    if operation.function is torch.ops.aten.index.Tensor:
        return any(
            places.dtype in (torch.bool, torch.uint8) for places in _tensors_in(operation.arguments[1])
        )
    return any(tag in tags for tag in _DYNAMIC)
