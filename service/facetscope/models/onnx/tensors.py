"""What an ONNX file stores, as torch values: tensors, element types and attributes.

Single, half and brain floats are all read as the one type that the graph computes in: reduced
precision is storage here, not arithmetic.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper
from torch import Tensor

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError
from facetscope.models.onnx.registry import UnsupportedValueError

COMPUTED: Final = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16})
"""Element types that become the compute type."""

DTYPES: Final[Mapping[int, torch.dtype]] = {
    TensorProto.DOUBLE: torch.float64,
    TensorProto.BOOL: torch.bool,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
}
"""Every other element type that torch computes with."""

INT2: Final[torch.dtype] = torch.int2  # type: ignore[attr-defined]  # torch's stubs lack these
INT4: Final[torch.dtype] = torch.int4  # type: ignore[attr-defined]
UINT2: Final[torch.dtype] = torch.uint2  # type: ignore[attr-defined]
UINT4: Final[torch.dtype] = torch.uint4  # type: ignore[attr-defined]

STORED: Final[Mapping[int, torch.dtype]] = {
    TensorProto.FLOAT8E4M3FN: torch.float8_e4m3fn,
    TensorProto.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
    TensorProto.FLOAT8E5M2: torch.float8_e5m2,
    TensorProto.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
    TensorProto.FLOAT8E8M0: torch.float8_e8m0fnu,
    TensorProto.FLOAT4E2M1: torch.float4_e2m1fn_x2,
    TensorProto.INT2: INT2,
    TensorProto.INT4: INT4,
    TensorProto.UINT2: UINT2,
    TensorProto.UINT4: UINT4,
}
"""Element types for storage alone, of which there is one in each byte here; see ``casting``."""


def dtype_from(element_type: int, compute: torch.dtype) -> torch.dtype:
    """The torch type of an ONNX element type, where ``compute`` stands for all narrow floats.

    Raises:
        UnsupportedValueError: Strings and complex numbers.
    """
    if element_type in COMPUTED:
        return compute
    dtype = DTYPES.get(element_type) or STORED.get(element_type)
    if dtype is None:
        known = TensorProto.DataType.DESCRIPTOR.values_by_number
        name = known[element_type].name if element_type in known else str(element_type)
        raise UnsupportedValueError(f"elements of type {name} are not supported")
    return dtype


def element_type_of(dtype: torch.dtype) -> int:
    """The ONNX element type of a tensor that the graph computes."""
    return onnx.helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype)


def tensor_from(stored: TensorProto, compute: torch.dtype) -> Tensor:
    """Read a stored tensor.

    Raises:
        ModelForbiddenError: Its data are in another file, which is never opened.
        ModelUnreadableError: Its data do not fill its shape.
        UnsupportedValueError: Its element type is not supported.
    """
    if stored.data_location == TensorProto.EXTERNAL:
        raise ModelForbiddenError(what="external data", where=f"tensor {stored.name!r}")
    dtype = dtype_from(stored.data_type, compute)
    try:
        array = numpy_helper.to_array(stored)
    except (ValueError, TypeError) as error:
        raise ModelUnreadableError(f"tensor {stored.name!r} is damaged: {error}") from error
    if stored.data_type in STORED:
        codes = array.view(np.uint8) if "float" in array.dtype.name else array.astype(np.int8)
        return torch.from_numpy(codes.copy()).view(dtype)
    return torch.from_numpy(array.astype(str(dtype).removeprefix("torch.")))


def attribute_from(attribute: AttributeProto, compute: torch.dtype) -> Any:
    """Read an attribute: a number, a text, a tensor, or a list of numbers.

    Raises:
        ModelForbiddenError: It is a tensor whose data are in another file.
        ModelUnreadableError: It is a tensor whose data do not fill its shape.
        UnsupportedValueError: It is of another type.
    """
    match attribute.type:
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.STRING:
            return attribute.s.decode(errors="replace")
        case AttributeProto.TENSOR:
            return tensor_from(attribute.t, compute)
        case AttributeProto.FLOATS:
            return list(attribute.floats)
        case AttributeProto.INTS:
            return list(attribute.ints)
    raise UnsupportedValueError(f"attribute {attribute.name!r} is of an unsupported type")


def constant_from(node: NodeProto, compute: torch.dtype) -> Tensor:
    """Read the value of a ``Constant`` node.

    Raises:
        ModelForbiddenError: Its data are in another file.
        ModelUnreadableError: It has not one value.
        UnsupportedValueError: The value is neither a tensor nor numbers.
    """
    if len(node.attribute) != 1:
        raise ModelUnreadableError(problem=f"constant {node.name!r} has not one value")
    value = attribute_from(node.attribute[0], compute)
    match node.attribute[0].name:
        case "value":
            return torch.as_tensor(value)
        case "value_float" | "value_floats":
            return torch.tensor(value, dtype=compute)
        case "value_int" | "value_ints":
            return torch.tensor(value, dtype=torch.int64)
    raise UnsupportedValueError("constants that are neither tensors nor numbers are not supported")
