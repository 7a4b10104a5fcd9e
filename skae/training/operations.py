"""Operations of torch: written down as a function calls them, and called again in memory of their own."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch._ops import OpOverload
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

# Numbers between operations, beyond which these are noted no further: 128 MiB of float64.
_MOST_BETWEEN = 2**24
# Operations whose results depend on values in more than their values.
_DYNAMIC = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
# Operations that write nothing to their results, and those that write the same whatever they are given.
_EMPTY = {
    f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
}
_FILLED = {
    f"aten::{name}" for name in ("ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full")
}
# Operations that leave a tensor as it is where their second argument is one.
_UNCHANGED = {f"aten::{name}" for name in ("mul", "div", "pow")}
# Forms of operations that torch has under other names.
_WRITING: Mapping[OpOverload, Callable[..., object]] = {
    torch.ops.aten.relu.default: lambda x, out: torch.clamp_min(x, 0, out=out),
    torch.ops.aten.clone.default: lambda x, out, **_: out.copy_(x),
    torch.ops.aten._to_copy.default: lambda x, out, **_: out.copy_(x),
}

Given = TypeVar("Given")
Returned = TypeVar("Returned")


class Operation(NamedTuple):
    """One call of an operation, below autograd and vectorised maps.

    Attributes
    ----------
    function : OpOverload
    arguments, keywords, returned : tuple, dict, object
        What it took and gave.
    taken, made : set of int
        The storages of the tensors in these.
    """

    function: OpOverload
    arguments: tuple
    keywords: dict
    returned: object
    taken: Set[int]
    made: Set[int]

    @property
    def name(self) -> str:
        """Name of the operation, whatever it takes."""
        return self.function._schema.name

    @property
    def is_mutable(self) -> bool:
        """Whether it changes what it takes."""
        return self.function._schema.is_mutable

    @property
    def written(self) -> Set[int]:
        """The storages that it changes."""
        if not self.is_mutable:
            return set()
        schema = self.function._schema
        by_place = zip(schema.arguments, self.arguments, strict=False)
        given = {each.name: value for each, value in by_place} | self.keywords
        changed = [each.name for each in schema.arguments if each.alias_info and each.alias_info.is_write]
        return storages([given.get(name) for name in changed])

    @property
    def read(self) -> Set[int]:
        """The storages whose values decide on the result."""
        return set() if self.name in _FILLED else self.taken

    @property
    def is_there(self) -> bool:
        """Whether its results need no call: parts of memory that is filled, or empty memory."""
        return not self.is_mutable and (self.name in _EMPTY or self.made <= self.taken)

    @property
    def is_without_effect(self) -> bool:
        """Whether it leaves the values of a tensor as they are."""
        return self.name in _UNCHANGED and self.arguments[1:] in ((1,), (1.0,))

    @property
    def draws(self) -> bool:
        """Whether it draws numbers."""
        return torch.Tag.nondeterministic_seeded in self.function.tags

    @property
    def is_dynamic(self) -> bool:
        """Whether values decide on a shape or on what Python does next, or numbers are drawn anew."""
        if self.draws:
            return self.keywords.get("generator") is None
        if self.function is torch.ops.aten.index.Tensor:
            return any(each.dtype in (torch.bool, torch.uint8) for each in tensors_in(self.arguments[1]))
        return any(tag in self.function.tags for tag in _DYNAMIC)


class _Recorder(TorchDispatchMode):
    """Notes the operations that torch calls."""

    def __init__(self) -> None:
        super().__init__()
        # All tensors live as long as this list, so that none of them takes over the storage of another.
        self.operations: list[Operation] = []
        self.n_numbers = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return whether torch's compiler is kept out, to which end it would be imported: a second."""
        return False  # pragma: no mutate

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Call an operation, and note it."""
        keywords = kwargs or {}
        returned = func(*args, **keywords)
        self.n_numbers += sum(map(torch.numel, tensors_in(returned)))
        if self.is_small:
            taken, made = storages((args, keywords)), storages(returned)
            self.operations.append(Operation(func, args, keywords, returned, taken, made))
        else:
            self.operations.clear()
        return returned

    @property
    def is_small(self) -> bool:
        """Whether all that operations return may lie in memory at once."""
        return self.n_numbers <= _MOST_BETWEEN


def noted(function: Callable[[Given], Returned], given: Given) -> tuple[Returned, Sequence[Operation] | None]:
    """Return what a function returns, and its operations; None where torch cannot say them."""
    recorder = _Recorder()
    try:
        with recorder:
            returned = function(given)
        return returned, recorder.operations if recorder.is_small else None
    except NotImplementedError:
        # Operations made of functions have no rule for modes.
        return function(given), None


@torch.no_grad()
def repeatable(
    operations: Sequence[Operation],
    given: Sequence[torch.Tensor],
    lasting: Sequence[torch.Tensor],
    returned: Returned,
) -> tuple[Sequence[Callable[[], object]], Returned] | None:
    """Return what computes the results of operations again; None where that is not what they did.

    Parameters
    ----------
    operations : sequence of Operation
    given : sequence
        What they began with, tensors whose values change between calls.
    lasting : sequence of tensor
        What keeps its memory between calls, but not its values.
    returned : dict, tuple and the like
        The results.

    Returns
    -------
    calls : sequence of callable
    returned : dict, tuple and the like
        Where their results are.
    """
    own = _union(each.made - each.taken for each in operations)
    written = _union(each.written for each in operations)
    if not written <= own or any(each.is_dynamic for each in operations):
        return None
    results = storages(returned)
    repeated = _needed(_varying(operations, storages((given, lasting)) | written), results)
    # The same numbers are drawn again by a new generator alone.
    if any(each.draws for each in repeated):
        return None
    same = _same(repeated, written)
    repeated = [operation for operation in repeated if not operation.made & same.keys()]
    results = {same.get(key, key) for key in results}
    move = _rooms(repeated, (_union(each.made for each in repeated) & own) - results, same)
    found = [_call(operation, move) for operation in repeated]
    return found, trees.tree_map_only(torch.Tensor, move, returned)


def _union(sets: Iterable[Set[int]]) -> Set[int]:
    return set[int]().union(*sets)


def _varying(operations: Sequence[Operation], varying: Set[int]) -> Sequence[Operation]:
    """Return the operations whose results are not the same in each call, but for those that need no call.

    Parameters
    ----------
    operations : sequence of Operation
    varying : set of int
        The storages whose values change between calls, or by operations.
    """
    found = []
    for operation in operations:
        if varying & (operation.read | operation.made):
            varying = varying | operation.made
            found.append(operation)
    return [operation for operation in found if not operation.is_there]


def _needed(operations: Sequence[Operation], needed: Set[int]) -> Sequence[Operation]:
    """Return the operations that lead to what is in some storages."""
    found = []
    for operation in reversed(operations):
        if needed & (operation.made | operation.written):
            needed = needed | operation.taken
            found.append(operation)
    return found[::-1]


def _same(operations: Sequence[Operation], written: Set[int]) -> Mapping[int, torch.UntypedStorage]:
    """Return storages whose values lie in another one as well, in the same order, and that other one.

    They are those of operations that were called before, with the same arguments, and of products with one,
    which torch's vectorised map makes of biases.

    Parameters
    ----------
    operations : sequence of Operation
    written : set of int
        The storages that operations change.
    """
    same: dict[int, torch.UntypedStorage] = {}
    found: dict[Hashable, torch.Tensor] = {}
    for operation in operations:
        results = tensors_in(operation.returned)
        if len(results) != 1 or written & (operation.taken | operation.made):
            continue
        tensors: list[torch.Tensor] = []
        kinds: list[object] = [operation.function]
        flatten((operation.arguments, operation.keywords), tensors, kinds)
        places = [(_storage(value, same)._cdata, value.storage_offset()) for value in tensors]
        first = found.setdefault((*kinds, *places), results[0])
        if first is results[0] and len(tensors) == 1 and operation.is_without_effect:
            first = tensors[0]
        if first is not results[0] and _lies_as(first, results[0]):
            same[results[0].untyped_storage()._cdata] = _storage(first, same)
    return same


def _storage(value: torch.Tensor, same: Mapping[int, torch.UntypedStorage]) -> torch.UntypedStorage:
    """Return the storage of a tensor, or the one that has the same values."""
    storage = value.untyped_storage()
    return same.get(storage._cdata, storage)


def _lies_as(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors lie alike in their storages."""
    places = [(each.shape, each.stride(), each.storage_offset(), each.dtype) for each in (one, other)]
    return places[0] == places[1]


def _rooms(
    operations: Sequence[Operation], own: Set[int], same: Mapping[int, torch.UntypedStorage]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what moves tensors to memory that is used again when nothing needs what is in it any more.

    All that the operations of six adversarial autoencoders make, of 32 rows, is 15 MB: too much for the cache
    of a core. In 5 MB, they take 2.5 ms instead of 3.5.

    Parameters
    ----------
    operations : sequence of Operation
    own : set of int
        The storages that can be moved.
    same : mapping of int to storage
        From `_same`.
    """
    touched = [
        {
            storage._cdata: storage
            for value in _tensors_of(each)
            if (storage := _storage(value, same))._cdata in own
        }
        for each in operations
    ]
    last = {key: place for place, keys in enumerate(touched) for key in keys}
    rooms: dict[int, torch.UntypedStorage] = {}
    free: list[torch.UntypedStorage] = []
    for place, storages_here in enumerate(touched):
        for key in storages_here.keys() - rooms.keys():
            storage = storages_here[key]
            large = [room for room in free if room.nbytes() >= storage.nbytes()]
            rooms[key] = min(large, key=torch.UntypedStorage.nbytes) if large else storage.clone()
            free = [each for each in free if each is not rooms[key]]
        free += [rooms[key] for key in storages_here if last[key] == place]

    def move(value: torch.Tensor) -> torch.Tensor:
        storage = _storage(value, same)
        room = rooms.get(storage._cdata, storage)
        return value.new_empty(0).set_(room, value.storage_offset(), value.shape, value.stride())

    return move


def _tensors_of(operation: Operation) -> list[torch.Tensor]:
    return tensors_in((operation.arguments, operation.keywords, operation.returned))


def _call(operation: Operation, move: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
    """Return what computes the results of an operation where `move` puts them."""
    function = operation.function
    arguments, keywords, results = trees.tree_map_only(
        torch.Tensor, move, (operation.arguments, operation.keywords, tensors_in(operation.returned))
    )
    if operation.is_mutable:
        return partial(function, *arguments, **keywords)
    if len(results) == 1 and (form := _form(operation, results[0])) is not None:
        return partial(form.function, *arguments, **keywords, **{form.result: results[0]})

    def call() -> None:
        for own, value in zip(results, tensors_in(function(*arguments, **keywords)), strict=True):
            own.copy_(value)

    return call


class _Form(NamedTuple):
    """A form of an operation that writes its result to a tensor, and the name of that argument."""

    function: Callable[..., object]
    result: str


# What was found before: to try forms takes as long as some steps.
_FOUND: dict[OpOverload, _Form] = {}


def _form(operation: Operation, result: torch.Tensor) -> _Form | None:
    """Return the fastest form of an operation; None where torch has none."""
    function, arguments, keywords, *_ = operation
    known = _FOUND.get(function)
    if known is not None and _written_by(known, operation, result) is not None:
        return known
    wanted = function(*arguments, **keywords)
    for form in _forms(function):
        if are_same(_written_by(form, operation, result), wanted):
            _FOUND[function] = form
            return form
    return None


def _written_by(form: _Form, operation: Operation, result: torch.Tensor) -> torch.Tensor | None:
    """Return what a form writes to a tensor like a result; None if it does not take the arguments."""
    room = torch.empty_like(result)
    try:
        form.function(*operation.arguments, **operation.keywords, **{form.result: room})
    except (TypeError, RuntimeError):
        return None
    return room if room.stride() == result.stride() else None


def _forms(function: OpOverload) -> Iterator[_Form]:
    """Go over the forms of an operation, fastest first."""
    if function in _WRITING:
        yield _Form(_WRITING[function], "out")
    # These parse their arguments in half the time of operations of `torch.ops`.
    if (binding := getattr(torch, function._schema.name.partition("::")[2], None)) is not None:
        yield _Form(binding, "out")
    packet = function.overloadpacket
    for overload in map(partial(getattr, packet), packet.overloads()):
        names = [argument.name for argument in overload._schema.arguments if argument.is_out]
        if len(names) == 1:
            yield _Form(overload, names[0])


def are_same(one: object, other: object) -> bool:
    """Return whether two values are the same, to the last bit."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return bool(one == other)
    return one.shape == other.shape and torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def storages(values: object) -> set[int]:
    """Return the storages of the tensors in a value."""
    return {value.untyped_storage()._cdata for value in tensors_in(values)}


def tensors_in(values: object) -> list[torch.Tensor]:
    """Return the tensors in a value."""
    tensors: list[torch.Tensor] = []
    flatten(values, tensors, [])
    return tensors


def flatten(value: object, tensors: list[torch.Tensor], kinds: list[object]) -> None:
    """Add the tensors in a value to a list, and to another one all else that decides on operations.

    That is how tensors lie in memory, and what else there is. torch's function for this takes five times as
    long, a tenth of a small step.
    """
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        kinds += (value.shape, value.stride(), value.dtype)
    elif isinstance(value, dict):
        kinds.append(tuple(value))
        for part in value.values():
            flatten(part, tensors, kinds)
    elif isinstance(value, (tuple, list)):
        kinds += (type(value), len(value))
        for part in value:
            flatten(part, tensors, kinds)
    else:
        kinds.append(value)
