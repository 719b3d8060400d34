"""Quantization as models made for integer hardware write it down: rounding, then scaling back.

Quantized values of the image stay in the type that the graph computes in, and rounding lets
gradients pass as if it were not there (the straight-through estimator, arXiv:1308.3432).
"""

from typing import Final

import torch
from torch import Tensor

from facetscope.models.onnx.casting import FLOAT4, SMALL_FLOATS, SMALL_INTEGERS, cast, wide
from facetscope.models.onnx.registry import UnsupportedValueError, operator

INTEGERS: Final = frozenset({torch.uint8, torch.int8, torch.uint16, torch.int16})
"""Integers that values are quantized to, besides those of less than a byte."""


@operator("QuantizeLinear", dtypes=("output_dtype",), ignored=("precision",))
def quantize_linear(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: torch.dtype = torch.uint8,
    saturate: int = 1,
) -> Tensor:
    """ONNX QuantizeLinear-25."""
    dtype = output_dtype if zero_point is None else zero_point.dtype
    scaled = x / _along(axis, scale, x, block_size)
    limits = _limits(dtype)
    if limits is None:
        return cast(scaled, saturate=saturate, to=dtype)
    rounded = scaled + (torch.round(scaled) - scaled).detach()
    if zero_point is not None:
        rounded = rounded + _along(axis, wide(zero_point), x, block_size)
    return torch.clamp(rounded, *limits)


@operator("DequantizeLinear", dtypes=("output_dtype",))
def dequantize_linear(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
) -> Tensor:
    """ONNX DequantizeLinear-25."""
    levels = wide(x).to(scale.dtype)
    if zero_point is not None:
        levels = levels - _along(axis, wide(zero_point).to(scale.dtype), x, block_size)
    return levels * _along(axis, scale, x, block_size)


def _limits(dtype: torch.dtype) -> tuple[int, int] | None:
    """The least and the largest integer of a type; None for floats of a few bits."""
    if dtype in SMALL_INTEGERS:
        return SMALL_INTEGERS[dtype]
    if dtype in INTEGERS:
        return torch.iinfo(dtype).min, torch.iinfo(dtype).max
    if dtype is FLOAT4 or dtype in SMALL_FLOATS:
        return None
    raise UnsupportedValueError(f"quantization to {dtype} is not supported")


def _along(axis: int, parameter: Tensor, x: Tensor, block_size: int) -> Tensor:
    """A parameter of all, of each channel or of each block, in a shape that broadcasts with x."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    if block_size:
        repeated = parameter.repeat_interleave(block_size, axis)
        return repeated.narrow(axis, 0, x.shape[axis])
    return parameter.reshape([-1 if at == axis % x.ndim else 1 for at in range(x.ndim)])
