"""Quantization as models made for integer hardware write it down: rounding, then scaling back.

Quantized values of the image stay in the type that the graph computes in, and rounding lets
gradients pass as if it were not there (the straight-through estimator, arXiv:1308.3432).
"""

from typing import Final

import torch
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator

QUANTIZED: Final = frozenset({torch.uint8, torch.int8, torch.uint16, torch.int16})
"""Types that values are quantized to."""


@operator("QuantizeLinear", dtypes=("output_dtype",), ignored=("saturate", "precision"))
def quantize_linear(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: torch.dtype = torch.uint8,
) -> Tensor:
    """ONNX QuantizeLinear-25, for integers of 8 and 16 bits."""
    dtype = output_dtype if zero_point is None else zero_point.dtype
    if block_size or dtype not in QUANTIZED:
        raise UnsupportedValueError(f"quantization in blocks, or to {dtype}, is not supported")
    scaled = x / _along(axis, scale, x)
    rounded = scaled + (torch.round(scaled) - scaled).detach()
    shifted = rounded if zero_point is None else rounded + _along(axis, zero_point, x)
    limits = torch.iinfo(dtype)
    return torch.clamp(shifted, limits.min, limits.max)


@operator("DequantizeLinear", dtypes=("output_dtype",))
def dequantize_linear(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
) -> Tensor:
    """ONNX DequantizeLinear-25, for one scale in all or by channel."""
    if block_size:
        raise UnsupportedValueError("quantization in blocks is not supported")
    levels = x.to(scale.dtype)
    if zero_point is not None:
        levels = levels - _along(axis, zero_point.to(scale.dtype), x)
    return levels * _along(axis, scale, x)


def _along(axis: int, parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter of each channel, or of all, in a shape that broadcasts with ``x``."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if at == axis % x.ndim else 1 for at in range(x.ndim)])
