"""Tables with text, categories and counts as graphs of ONNX: one input a column, and one output a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skae.tables import Columns
from skae.tables.kinds import Categories, Numbers

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

# As in `Numbers.decode`.
_LARGEST_EXPONENT = 700.0
# Of the tensors between the table and the network; no column is called so.
INSIDE, RESULT = "skae_inside", "skae_result"
_NUMBERS = ("numeric", "count")


class Graph:
    """Nodes and constants of a graph, as they are added.

    Parameters
    ----------
    prefix : str
        What names of tensors begin with.
    dtype : numpy.dtype
        Of numbers.
    """

    def __init__(self, prefix: str, dtype: np.dtype) -> None:
        from onnx import helper

        self.prefix, self.dtype = prefix, dtype
        self.number: int = helper.np_dtype_to_tensor_dtype(dtype)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, values: ArrayLike, dtype: DTypeLike | None = None) -> str:
        """Return the name of a constant: numbers, truth values or texts."""
        from onnx import numpy_helper

        array = np.asarray(values, dtype=dtype or self.dtype)
        name = f"{self.prefix}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operation: str, *inputs: str, result: str | None = None, **attributes: int) -> str:
        """Add a node; return the name of what it puts out."""
        from onnx import helper

        name = f"{self.prefix}_{operation}_{len(self.nodes)}" if result is None else result
        node = helper.make_node(operation, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name


class Values(NamedTuple):
    """The values of a column as ONNX has them."""

    dtype: type  # str, bool, int or float
    levels: np.ndarray  # those of categories; none of numbers

    @classmethod
    def of(cls, column: Numbers | Categories) -> Values:
        """Return the values of a column.

        Raises
        ------
        ValueError
            If they are of several kinds, for which ONNX has no tensors.
        """
        if column.kind in _NUMBERS:
            return cls(int if column.is_whole else float, np.empty(0))
        levels = column.levels
        if all(isinstance(level, str) for level in levels):
            return cls(str, np.array(levels, dtype=object))
        if all(isinstance(level, (bool, np.bool_)) for level in levels):
            return cls(bool, np.array(levels, dtype=bool))
        if any(isinstance(level, str) for level in levels):
            raise ValueError(
                f"Column {column.name!r} holds text and other values, e.g. {levels[:5]!r}, and a tensor of "
                "ONNX holds one kind. Make text of all values before fit."
            )
        numbers = np.array(levels, dtype=np.float64)
        return cls(int if (numbers == np.round(numbers)).all() else float, numbers)


def input_names(columns: Columns) -> list[str]:
    """Return what the columns are called: their names, or x0, x1, ..."""
    return [f"x{j}" for j in range(columns.n_features)] if columns.names is None else list(columns.names)


def read_columns(graph: Graph, columns: Columns, names: Sequence[str]) -> str:
    """Add what makes numeric columns inside of the user's columns, tensors (n, 1) by name.

    Parameters
    ----------
    graph : Graph
    columns : Columns
    names : sequence of str
        Of the tensors: texts, truth values or numbers of any kind.

    Returns
    -------
    inside : str
        Name of the tensor (n, n_inside).
    """
    parts = [_read(graph, column, name) for column, name in zip(columns.columns, names, strict=True)]
    return graph.add("Concat", *parts, result=INSIDE, axis=1)


def _read(graph: Graph, column: Numbers | Categories, name: str) -> str:
    values = Values.of(column)
    x = name if values.dtype is str else graph.add("Cast", name, to=graph.number)
    if column.kind in _NUMBERS:
        if column.kind != "count":
            return x
        zero = graph.constant(0.0)
        above = graph.add("Where", graph.add("Less", x, zero), zero, x)
        return graph.add("Log", graph.add("Add", above, graph.constant(1.0)))
    nothing = graph.constant(np.nan)
    if not len(values.levels):
        return graph.add("Where", graph.add("Equal", x, x), nothing, nothing)
    kind = object if values.dtype is str else graph.dtype
    equal = graph.add("Equal", x, graph.constant(values.levels[None], kind))
    shares = graph.add("Cast", equal, to=graph.number)
    is_known = graph.add("Cast", graph.add("ReduceMax", shares, graph.constant([1], np.int64)), to=_BOOL)
    if column.kind == "binary":
        # One that was seen alone is 0.
        last = graph.constant([len(values.levels) - 1], np.int64)
        only = graph.constant(float(len(values.levels) > 1))
        shares = graph.add("Mul", graph.add("Gather", shares, last, axis=1), only)
    return graph.add("Where", is_known, shares, nothing)


def write_columns(graph: Graph, columns: Columns, names: Sequence[str]) -> None:
    """Add what makes the user's columns, tensors (n, 1), of numeric columns inside (n, n_inside).

    Parameters
    ----------
    graph : Graph
    columns : Columns
    names : sequence of str
        Of the tensors.
    """
    for j, (column, name) in enumerate(zip(columns.columns, names, strict=True)):
        own = graph.constant(np.flatnonzero(columns.owners == j), np.int64)
        _write(graph, column, graph.add("Gather", RESULT, own, axis=1), name)


def _write(graph: Graph, column: Numbers | Categories, part: str, name: str) -> None:
    values = Values.of(column)
    if column.kind in _NUMBERS:
        if column.kind == "count":
            most = graph.constant(min(_LARGEST_EXPONENT, np.log(np.finfo(graph.dtype).max) - 1))
            exp = graph.add("Exp", graph.add("Min", part, most))
            part = graph.add("Sub", exp, graph.constant(1.0))
        if values.dtype is int:
            graph.add("Cast", graph.add("Round", part), result=name, to=_INT64)
        else:
            graph.add("Identity", part, result=name)
        return
    if not len(values.levels):
        raise ValueError(
            f"Column {column.name!r} had no value in training, so that there is none to give back. Drop it "
            "before fit, or use what='encode'."
        )
    if column.kind == "binary":
        place = graph.add("Cast", graph.add("GreaterOrEqual", part, graph.constant(0.5)), to=_INT64)
        place = graph.add("Min", place, graph.constant(len(values.levels) - 1, np.int64))
    else:
        place = graph.add("ArgMax", part, axis=1, keepdims=1)
    kind = {str: object, bool: np.bool_, int: np.int64, float: graph.dtype}[values.dtype]
    graph.add("Gather", graph.constant(values.levels, kind), place, result=name, axis=0)


def described(graph: Graph, columns: Columns, names: Sequence[str], is_given: bool) -> list[ValueInfoProto]:
    """Return types and shapes of the tensors of columns; numbers that come in are all of one dtype."""
    from onnx import TensorProto, helper

    kinds = {str: TensorProto.STRING, bool: TensorProto.BOOL, int: TensorProto.INT64, float: graph.number}
    dtypes = [Values.of(column).dtype for column in columns.columns]
    return [
        helper.make_tensor_value_info(
            name, graph.number if is_given and dtype is int else kinds[dtype], ["rows", 1]
        )
        for name, dtype in zip(names, dtypes, strict=True)
    ]


def with_columns(model: ModelProto, columns: Columns, dtype: np.dtype, what: str) -> ModelProto:
    """Return a model between numeric columns inside as one between the user's columns.

    Parameters
    ----------
    model : onnx.ModelProto
        From `INSIDE`, or codes, to `RESULT`, or what is no table.
    columns : Columns
    dtype : numpy.dtype
        Of numbers.
    what : str
        What the model computes.

    Returns
    -------
    model : onnx.ModelProto
        The same, changed.
    """
    names, core = input_names(columns), model.graph
    reading, writing = Graph("skae_read", dtype), Graph("skae_write", dtype)
    if what != "decode":
        read_columns(reading, columns, names)
        del core.input[:]
        core.input.extend(described(reading, columns, names, is_given=True))
    if what in ("decode", "reconstruct"):
        backs = [f"{name}_back" for name in names]
        write_columns(writing, columns, backs)
        del core.output[:]
        core.output.extend(described(writing, columns, backs, is_given=False))
    nodes = [*reading.nodes, *core.node, *writing.nodes]
    del core.node[:]
    core.node.extend(nodes)
    core.initializer.extend([*reading.constants, *writing.constants])
    return model


# Numbers of ONNX's types, which every version of it has.
_BOOL, _INT64 = 9, 7
