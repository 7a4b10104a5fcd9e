"""Torch modules as graphs of ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from skae._quiet import collected

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# The latest that torch's exporter writes, and the earliest in which texts are compared.
LATEST_OPSET, EARLIEST_OPSET = 20, 19
# Rows are recorded in two, since sizes of one are taken for constants.
_N_ROWS = 2
# onnxruntime computes these in float32 alone.
_RECURRENT = ("GRU", "LSTM", "RNN")
_SINGLE_ONLY = ("Conv", "ConvTranspose", "Elu", "Erf", "Gelu", "LeakyRelu", "Softplus", *_RECURRENT)


def record(
    module: nn.Module, n_columns: int, dtype: torch.dtype, opset: int, given: str, results: Sequence[str]
) -> ModelProto:
    """Return a module from rows (n, n_columns) to tensors of n rows as a model of ONNX.

    By the exporter that traces, which takes less than a second; the one by `torch.export` takes ten, and
    computes with some constants in float32. Its warnings of values that Python reads are silenced: no
    branch depends on them.

    Parameters
    ----------
    module : torch.nn.Module
    n_columns : int
    dtype : torch.dtype
        Of the rows.
    opset : int
        Version of the operators.
    given : str
        Name of the input.
    results : sequence of str
        Names of the outputs.

    Returns
    -------
    model : onnx.ModelProto
    """
    import onnx

    example = torch.zeros(_N_ROWS, n_columns, dtype=dtype)
    with tempfile.TemporaryDirectory() as folder, collected(), torch.no_grad():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=[given],
            output_names=list(results),
            dynamic_axes={name: {0: "rows"} for name in (given, *results)},
        )
        model = onnx.load(path)
    _name_everything(model.graph)
    if dtype == torch.float64:
        _compute_in_single(model.graph)
    return model


def _name_everything(graph: GraphProto) -> None:
    """Name all tensors of nodes: skl2onnx takes "" for a tensor like others, when it sorts nodes."""
    nodes = []
    for number, node in enumerate(graph.node):
        while node.input and not node.input[-1]:
            node.input.pop()
        if node.op_type == "Clip" and len(node.input) == 3 and not node.input[1]:
            node.op_type = "Min"
            node.input.pop(1)
        if node.op_type in _RECURRENT and len(node.input) > 4 and not node.input[4]:
            nodes += _lengths(node.input[0], f"lengths_{number}")
            node.input[4] = f"lengths_{number}"
        for place, name in enumerate(node.output):
            node.output[place] = name or f"unused_{number}_{place}"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _lengths(sequences: str, result: str) -> list[NodeProto]:
    """Return nodes that put out the length of sequences (n_timesteps, n, n_values), once for each."""
    from onnx import TensorProto, helper

    shape, steps, rows = (f"{result}_{part}" for part in ("shape", "steps", "rows"))
    return [
        helper.make_node("Shape", [sequences], [shape], start=0, end=2),
        helper.make_node("Split", [shape], [steps, rows], num_outputs=2),
        helper.make_node("Expand", [steps, rows], [f"{result}_long"]),
        helper.make_node("Cast", [f"{result}_long"], [result], to=TensorProto.INT32),
    ]


def _compute_in_single(graph: GraphProto) -> None:
    """Let operations that onnxruntime has not in float64 be computed in float32."""
    from onnx import TensorProto, helper

    nodes = []
    for number, node in enumerate(graph.node):
        if node.op_type not in _SINGLE_ONLY:
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if place == 4 and node.op_type in _RECURRENT:
                continue  # lengths, which are whole numbers
            node.input[place] = f"{name}_single_{number}"
            nodes.append(helper.make_node("Cast", [name], [node.input[place]], to=TensorProto.FLOAT))
        nodes.append(node)
        for place, name in enumerate(node.output):
            node.output[place] = f"{name}_single"
            nodes.append(helper.make_node("Cast", [node.output[place]], [name], to=TensorProto.DOUBLE))
    del graph.node[:]
    graph.node.extend(nodes)
