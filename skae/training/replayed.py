"""Functions of tensors whose operations are repeated, without what leads to them.

Much of a step of a small network is neither arithmetic nor the calls of torch's operations, but the way to
them: modules, autograd, vectorised maps. All of this leads to the same operations for each batch of one
shape. They are written down once, and then called one after the other, with the same numbers to the last bit.
Of six variational autoencoders of 32 rows and 5 columns, terms and gradients take 6.3 ms by autograd, 3.8 so.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from operator import getitem
from typing import Generic, NamedTuple, TypeVar

import torch
from torch._ops import OpOverload
from torch.fx import Graph, Node
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

# Shapes of which operations are kept: batches of an epoch differ by one row, and end in a shorter one.
_MOST_SHAPES = 4
# Calls of a shape before its operations are written down, which takes as long as about twenty of them.
_CALLS_BEFORE = 16
# Numbers that are given and that last, up to which operations are written down: beyond, arithmetic is what
# takes time, and all that lies between operations would lie in memory at once.
_MOST_NUMBERS = 2**20
# Numbers between operations, beyond which these are noted no further: 128 MiB of float64.
_MOST_BETWEEN = 2**24
# How often operations are written down for one function.
_MOST_WRITTEN = 8
# torch counts the modes of all threads together.
_RECORDING = threading.Lock()
# What these return are their arguments.
_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
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

    def __call__(self, given: Given) -> Returned:
        """Return what the function returns, without a graph of autograd."""
        leaves, structure = trees.tree_flatten(given)
        key = structure, tuple(map(_shape_of, leaves)), _alike(leaves)
        shape = self.found.pop(key, None)
        if shape is None:
            self.found = dict([*self.found.items()][-(_MOST_SHAPES - 1) :])
            is_small = sum(map(torch.numel, _tensors_in((leaves, self.lasting)))) <= _MOST_NUMBERS
            shape = _Shape(waits=is_small and self.repeats)
        # Last of all: what has not come for longest is forgotten.
        self.found[key] = shape
        if shape.is_trusted:
            return shape.repeat(leaves)
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
                returned, operations = _noted(self.function, given)
            finally:
                _RECORDING.release()
            shape.returned = trees.tree_structure(returned)
            shape.replay = _replay(operations, leaves, self.lasting, trees.tree_leaves(returned))
        else:
            returned = self.function(given)
            if shape.replay is not None:
                found, repeated = trees.tree_flatten(returned), trees.tree_flatten(shape.repeat(leaves))
                same = found[1] == repeated[1] and all(map(_are_same, found[0], repeated[0]))
                shape.is_trusted, shape.replay = same, shape.replay if same else None
        return trees.tree_map_only(torch.Tensor, torch.Tensor.detach, returned)


class _Shape(Generic[Returned]):
    """What is known of calls with tensors of one shape.

    Parameters
    ----------
    waits : bool
        Whether operations are to be written down.
    """

    returned: trees.TreeSpec

    def __init__(self, waits: bool) -> None:
        self.waits = waits
        self.n_calls = 0
        self.is_trusted = False
        self.replay: _Replay | None = None

    @torch.no_grad()
    def repeat(self, given: Sequence[object]) -> Returned:
        """Repeat the operations."""
        assert self.replay is not None
        return trees.tree_unflatten(self.replay.forward(*given, *self.replay.fixed), self.returned)


class _Replay(NamedTuple):
    """Operations as a function of what is given and of what is the same, or lies in the same memory."""

    forward: Callable[..., tuple]
    fixed: tuple[torch.Tensor, ...]


def _shape_of(value: object) -> object:
    """Return what decides on the operations: of a tensor how it lies in memory, else the value."""
    return (value.shape, value.stride(), value.dtype) if isinstance(value, torch.Tensor) else value


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
    return [value for value in trees.tree_leaves(values) if isinstance(value, torch.Tensor)]


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


def _replay(
    operations: Sequence[_Operation] | None,
    given: Sequence[object],
    lasting: Sequence[torch.Tensor],
    returned: Sequence[object],
) -> _Replay | None:
    """Return operations as a function; None where repeating them is not what the function does."""
    if operations is None:
        return None
    written = set[int]().union(*map(_written, operations))
    if written & _memory([given, lasting, _others(operations)]):
        return None
    if any(map(_is_dynamic, operations)):
        return None
    writer = _Writer(given, lasting, written)
    for operation in operations:
        writer.add(operation)
    return writer.finish(returned)


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


class _Writer:
    """Writes operations down, but for those whose outcome is there before.

    Parameters
    ----------
    given, lasting : sequence of tensor
        What varies from call to call, and what lies in the same memory.
    written : set of int
        Storages that operations write to.
    """

    def __init__(self, given: Sequence[object], lasting: Sequence[torch.Tensor], written: set[int]) -> None:
        self.graph = Graph()
        self.written = written
        self.nodes: dict[int, Node] = {}
        self.last: Node | None = None
        for place, value in enumerate(given):
            self.last = self.graph.placeholder(f"given_{place}")
            if isinstance(value, torch.Tensor):
                self.nodes.setdefault(id(value), self.last)
        # What is given, and what depends on it or on values of what lies in the same memory.
        self.varying = set(self.nodes)
        # What lies in the same memory, and views of it.
        self.placed = {id(value) for value in lasting}
        self.fixed: list[torch.Tensor] = []
        self.draws = False

    def add(self, operation: _Operation) -> None:
        """Write an operation down."""
        function, arguments, keywords, returned = operation
        own = [id(value) for value in _tensors_in((arguments, keywords))]
        results = _tensors_in(returned)
        if function in _SAME and own[0] in self.varying:
            self._note(results[0], self.nodes[own[0]])
            return
        if self._is_there(operation, own):
            self.placed.update(id(value) for value in results if any(each in self.placed for each in own))
            return
        # The same numbers are drawn again by a new generator alone.
        self.draws |= torch.Tag.nondeterministic_seeded in function.tags
        if self.draws:
            return
        found = self.graph.call_function(
            function, trees.tree_map(self._node, arguments), trees.tree_map(self._node, keywords)
        )
        if isinstance(returned, torch.Tensor):
            self._note(returned, found)
        elif isinstance(returned, (tuple, list)):
            for place, value in enumerate(returned):
                if isinstance(value, torch.Tensor):
                    self._note(value, self.graph.call_function(getitem, (found, place)))

    def _note(self, value: torch.Tensor, node: Node) -> None:
        self.nodes[id(value)] = node
        self.varying.add(id(value))

    def _is_there(self, operation: _Operation, own: Sequence[int]) -> bool:
        """Whether what an operation returns is there before: a view of what is placed, or a constant."""
        if any(each in self.varying for each in own) or _memory(operation.returned) & self.written:
            return False
        return operation.function.is_view or not any(each in self.placed for each in own)

    def _node(self, value: object) -> object:
        """Return what stands for a tensor; anything else as it is."""
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in self.nodes:
            with self._behind_given():
                node = self.graph.placeholder(f"fixed_{len(self.fixed)}")
            self.last = self.nodes[id(value)] = node
            self.fixed.append(value.detach())
        return self.nodes[id(value)]

    def _behind_given(self) -> AbstractContextManager[object]:
        if self.last is None:
            return self.graph.inserting_before(next(iter(self.graph.nodes), None))
        return self.graph.inserting_after(self.last)

    def finish(self, returned: Sequence[object]) -> _Replay | None:
        """Return the function; None where it would draw numbers, or return what no operation makes."""
        if self.draws or not all(id(value) in self.varying for value in _tensors_in(returned)):
            return None
        self.graph.output(trees.tree_map(self._node, tuple(returned)))
        self.graph.eliminate_dead_code()
        # Not as a `GraphModule`: torch keeps the source of each for ever.
        code = self.graph.python_code("self")
        scope = dict(code.globals)
        exec(compile(code.src, "<operations>", "exec"), scope)
        return _Replay(partial(scope["forward"], None), tuple(self.fixed))
