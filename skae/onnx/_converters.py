"""Converters of skl2onnx, by which whole Pipelines are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skae import estimators
from skae._extras import import_extra
from skae.estimators import BaseAutoencoder
from skae.onnx._exporting import to_onnx
from skae.onnx._recording import EARLIEST_OPSET, LATEST_OPSET
from skae.tasks import AutoencoderImputer, AutoencoderOutlierDetector

if TYPE_CHECKING:
    from onnx import ModelProto
    from skl2onnx.common._container import ModelComponentContainer
    from skl2onnx.common._topology import Scope

_AUTOENCODERS = (
    estimators.AdversarialAutoencoderTransformer,
    estimators.AutoencoderTransformer,
    estimators.BinaryAutoencoderTransformer,
    estimators.ContractiveAutoencoderTransformer,
    estimators.DenoisingAutoencoderTransformer,
    estimators.SparseAutoencoderTransformer,
    estimators.VariationalAutoencoderTransformer,
)


class Variable(Protocol):
    """What goes into a step of a Pipeline, or comes out of it, for skl2onnx."""

    onnx_name: str
    type: Any  # a type of `skl2onnx.common.data_types`, with its shape

    def get_first_dimension(self) -> int | None:
        """Return the number of rows, None for any."""
        ...


class Operator(Protocol):
    """A step of a Pipeline for skl2onnx."""

    raw_operator: Any  # the estimator
    inputs: list[Variable]
    outputs: list[Variable]


def register(*classes: type[BaseAutoencoder]) -> None:
    """Let skl2onnx convert estimators of skae, also as steps of Pipelines, ColumnTransformers and so on.

    A step is what `to_onnx` gives of it: codes of autoencoders, filled rows of imputers, labels and scores of
    outlier detectors. Numbers are float64 where those that come in are, else float32.

    Parameters
    ----------
    *classes : type
        Further classes of your own that derive from an autoencoder of skae.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import skae.onnx
    >>> skae.onnx.register()  # doctest: +SKIP
    >>> onnx_model = skl2onnx.to_onnx(pipe, X[:1])  # doctest: +SKIP
    """
    skl2onnx = import_extra("skl2onnx", "onnx", "skae.onnx.register")
    for estimator_class in (*_AUTOENCODERS, *classes, AutoencoderImputer, AutoencoderOutlierDetector):
        skl2onnx.update_registered_converter(
            estimator_class, f"Skae{estimator_class.__name__}", _find_shapes, _convert
        )


def _find_shapes(operator: Operator) -> None:
    """Set the types and shapes of what an estimator puts out."""
    from skl2onnx.common import data_types

    estimator = operator.raw_operator
    is_double = any(isinstance(given.type, data_types.DoubleTensorType) for given in operator.inputs)
    numbers = data_types.DoubleTensorType if is_double else data_types.FloatTensorType
    n_rows = operator.inputs[0].get_first_dimension()
    if isinstance(estimator, AutoencoderOutlierDetector):
        operator.outputs[0].type = data_types.Int64TensorType([n_rows, 1])
        operator.outputs[1].type = numbers([n_rows, 1])
        return
    n_columns = len(estimator.get_feature_names_out())
    # Packed bits are bytes.
    is_bytes = not estimator.__sklearn_tags__().transformer_tags.preserves_dtype
    operator.outputs[0].type = (data_types.UInt8TensorType if is_bytes else numbers)([n_rows, n_columns])


def _convert(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
    """Add the graph of an estimator to that of a Pipeline."""
    from skl2onnx.common import data_types

    opset = container.target_opset_any_domain("") or 0
    if opset < EARLIEST_OPSET:
        raise RuntimeError(
            f"Estimators of skae are exported with operators of version {EARLIEST_OPSET} or later; got "
            f"target_opset={opset}. Pass a larger one, or none."
        )
    is_double = any(isinstance(given.type, data_types.DoubleTensorType) for given in operator.inputs)
    dtype = np.float64 if is_double else np.float32
    model = to_onnx(operator.raw_operator, dtype=dtype, opset=min(opset, LATEST_OPSET))
    names = _given(scope, operator, container, model)
    _add(scope, container, model, names, [result.onnx_name for result in operator.outputs])


def _given(
    scope: Scope, operator: Operator, container: ModelComponentContainer, model: ModelProto
) -> list[str]:
    """Return the names of tensors that go into a model: all columns in one, or one a column."""
    number = model.graph.input[0].type.tensor_type.elem_type
    if len(model.graph.input) == 1:
        parts = [_cast(scope, container, given.onnx_name, number) for given in operator.inputs]
        if len(parts) == 1:
            return parts
        joined = scope.get_unique_variable_name("rows")
        container.add_node("Concat", parts, joined, axis=1, name=scope.get_unique_operator_name("Concat"))
        return [joined]
    names = []
    for given in operator.inputs:
        for column in range(given.type.shape[1]):
            place = scope.get_unique_variable_name("place")
            container.add_initializer(place, 7, [1], [column])
            name = scope.get_unique_variable_name("column")
            container.add_node(
                "Gather",
                [given.onnx_name, place],
                name,
                axis=1,
                name=scope.get_unique_operator_name("Gather"),
            )
            wanted = model.graph.input[len(names)].type.tensor_type.elem_type
            names.append(_cast(scope, container, name, wanted))
    return names


def _cast(scope: Scope, container: ModelComponentContainer, name: str, number: int) -> str:
    """Return the name of a tensor in a type of ONNX."""
    result = scope.get_unique_variable_name("given")
    container.add_node("Cast", name, result, to=number, name=scope.get_unique_operator_name("Cast"))
    return result


def _add(
    scope: Scope,
    container: ModelComponentContainer,
    model: ModelProto,
    given: list[str],
    results: list[str],
) -> None:
    """Add the nodes and constants of a model, under names that are not taken.

    `skl2onnx.helpers.add_onnx_graph` gives names to inputs of nodes that are left out, too.
    """
    from onnx import NodeProto, TensorProto

    graph = model.graph
    names = {one.name: name for one, name in zip(graph.input, given, strict=True)}
    names |= {one.name: name for one, name in zip(graph.output, results, strict=True)}
    inner = [one.name for one in graph.initializer] + [name for node in graph.node for name in node.output]
    for name in inner:
        if name and name not in names:
            names[name] = scope.get_unique_variable_name(name)
    for one in graph.initializer:
        constant = TensorProto()
        constant.CopyFrom(one)
        constant.name = names[one.name]
        container.initializers.append(constant)
    for one in graph.node:
        node = NodeProto()
        node.CopyFrom(one)
        node.name = scope.get_unique_operator_name(one.name or one.op_type)
        node.input[:] = [names[name] if name else "" for name in one.input]
        node.output[:] = [names[name] if name else "" for name in one.output]
        container.nodes.append(node)
    for used in model.opset_import:
        container.node_domain_version_pair_sets.add((used.domain, used.version))
