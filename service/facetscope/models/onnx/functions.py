"""Operators that ONNX itself defines by other operators, written out."""

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnx import AttributeProto, FunctionProto, NodeProto

from facetscope.models.onnx.files import DEFAULT_DOMAIN
from facetscope.models.onnx.tensors import element_type_of


def body_of(
    node: NodeProto, opset: int, dtypes: Sequence[torch.dtype | None]
) -> FunctionProto | None:
    """The nodes that ``node`` stands for, with its attributes filled in.

    Args:
        node: A use of the operator.
        opset: The operator set that it is written for.
        dtypes: The type of each input; None for one that is left out.

    Returns:
        A function whose inputs and outputs are in the order of the node's, or None where ONNX has
        no such definition.
    """
    if node.domain not in DEFAULT_DOMAIN or not onnx.defs.has(node.op_type, opset):
        return None
    schema: Any = onnx.defs.get_schema(node.op_type, opset)
    body = _body(schema, node, opset, dtypes)
    if body is not None:
        given = _attributes(schema, body, node)
        for inner in body.node:
            _fill(inner, given)
    return body


def opset_of(body: FunctionProto, otherwise: int) -> int:
    """The operator set that the nodes of ``body`` are written for."""
    return next((used.version for used in body.opset_import if not used.domain), otherwise)


def _body(
    schema: Any, node: NodeProto, opset: int, dtypes: Sequence[torch.dtype | None]
) -> FunctionProto | None:
    body = FunctionProto()
    if schema.has_function:
        body.CopyFrom(schema.function_body)
        return body
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if not versions:
        return None
    types = [_type(dtype).SerializeToString() for dtype in dtypes]
    body.ParseFromString(
        schema.get_context_dependent_function_with_opset_version(
            max(versions), node.SerializeToString(), types
        )
    )
    return body


def _type(dtype: torch.dtype | None) -> onnx.TypeProto:
    if dtype is None:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(element_type_of(dtype), None)


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
        if not attribute.ref_attr_name:
            kept.append(attribute)
    del node.attribute[:]
    node.attribute.extend(kept)
