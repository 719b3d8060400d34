"""Operators that ONNX itself defines by other operators, written out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import onnx
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto

from facetscope.models.onnx.files import DEFAULT_DOMAIN
from facetscope.models.onnx.operands import Operand
from facetscope.models.onnx.tensors import element_type_of


def body_of(node: NodeProto, opset: int, inputs: Sequence[Operand | None]) -> FunctionProto | None:
    """The nodes that ``node`` stands for, with its attributes filled in.

    Args:
        node: A use of the operator.
        opset: The operator set that it is written for.
        inputs: Its inputs; None for one that is left out.

    Returns:
        A function whose inputs and outputs are in the order of the node's, or None where ONNX has
        no such definition.
    """
    if node.domain not in DEFAULT_DOMAIN or not onnx.defs.has(node.op_type, opset):
        return None
    schema: Any = onnx.defs.get_schema(node.op_type, opset)
    body = _body(schema, node, opset, inputs)
    if body is None or not body.node:
        return None
    given = _attributes(schema, body, node)
    for inner in body.node:
        _fill(inner, given)
    return body


def opset_of(body: FunctionProto, otherwise: int) -> int:
    """The operator set that the nodes of ``body`` are written for."""
    return next((used.version for used in body.opset_import if not used.domain), otherwise)


def spell_defaults_out(model: ModelProto) -> None:
    """Give calls of the file's own functions the attributes that they leave to their defaults.

    The inliner of ``onnx`` drops them, and then other defaults take their place.
    """
    own = {_key(function): function.attribute_proto for function in model.functions}
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in _steps_of(nodes):
            key = (node.domain, node.op_type, node.overload)
            given = {attribute.name for attribute in node.attribute}
            node.attribute.extend(known for known in own.get(key, ()) if known.name not in given)


def _key(function: FunctionProto) -> tuple[str, str, str]:
    return function.domain, function.name, function.overload


def _steps_of(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Nodes, and those of the graphs inside of them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from _steps_of(attribute.g.node)


def _body(
    schema: Any, node: NodeProto, opset: int, inputs: Sequence[Operand | None]
) -> FunctionProto | None:
    body = FunctionProto()
    if schema.has_function:
        body.CopyFrom(schema.function_body)
        return body
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if not versions:
        return None
    types = [_type(operand).SerializeToString() for operand in inputs]
    body.ParseFromString(
        schema.get_context_dependent_function_with_opset_version(
            max(versions), node.SerializeToString(), types
        )
    )
    return body


def _type(operand: Operand | None) -> onnx.TypeProto:
    """The type and shape of an input, for definitions that depend on them."""
    if operand is None:
        return onnx.TypeProto()
    lengths = [length if length >= 0 else None for length in operand.shape]
    element_type = element_type_of(operand.at[0].dtype)
    return onnx.helper.make_tensor_type_proto(element_type, lengths)


def _attributes(schema: Any, body: FunctionProto, node: NodeProto) -> dict[str, AttributeProto]:
    """The node's attributes, and for those that it leaves out the defaults."""
    defaults = {name: known.default_value for name, known in schema.attributes.items()}
    return {
        **{name: value for name, value in defaults.items() if value.name},
        **{value.name: value for value in body.attribute_proto},
        **{value.name: value for value in node.attribute},
    }


def _fill(node: NodeProto, given: dict[str, AttributeProto]) -> None:
    """Put values where attributes of ``node`` refer to those of the function; drop the unset."""
    kept = []
    for attribute in node.attribute:
        if attribute.ref_attr_name in given:
            name = attribute.name
            attribute.CopyFrom(given[attribute.ref_attr_name])
            attribute.name = name
        for inner in attribute.g.node:
            _fill(inner, given)
        if not attribute.ref_attr_name:
            kept.append(attribute)
    del node.attribute[:]
    node.attribute.extend(kept)
