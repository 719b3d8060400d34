"""Products and convolutions of quantized tensors, as ONNX defines them for integer hardware.

They are computed on the levels themselves, which floating point holds exactly as far as its
mantissa goes; see ``quantization`` for what becomes of gradients.
"""

from typing import Any

import torch
from torch import Tensor

from facetscope.models.onnx.convolution import conv
from facetscope.models.onnx.quantization import quantize_linear
from facetscope.models.onnx.registry import operator


@operator("ConvInteger", ignored=("kernel_shape",))
def conv_integer(
    x: Tensor,
    weight: Tensor,
    x_zero_point: Tensor | None = None,
    weight_zero_point: Tensor | None = None,
    **placed: Any,
) -> Tensor:
    """ONNX ConvInteger-10."""
    dtype = _floating(x, weight)
    return conv(
        centred(x, x_zero_point, dtype),
        centred(weight, by_filter(weight_zero_point, weight), dtype),
        **placed,
    )


@operator("QLinearConv", ignored=("kernel_shape",))
def qlinear_conv(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    bias: Tensor | None = None,
    **placed: Any,
) -> Tensor:
    """ONNX QLinearConv-10: the bias is in levels of both scales together."""
    total = conv(
        centred(x, x_zero_point, y_scale.dtype),
        centred(weight, by_filter(weight_zero_point, weight), y_scale.dtype),
        None if bias is None else bias.to(y_scale.dtype),
        **placed,
    )
    return quantize_linear(total, y_scale / (x_scale * weight_scale), y_zero_point, axis=1)


@operator("MatMulInteger")
def matmul_integer(
    a: Tensor,
    b: Tensor,
    a_zero_point: Tensor | None = None,
    b_zero_point: Tensor | None = None,
) -> Tensor:
    """ONNX MatMulInteger-10."""
    dtype = _floating(a, b)
    return torch.matmul(centred(a, by_row(a_zero_point), dtype), centred(b, b_zero_point, dtype))


@operator("QLinearMatMul")
def qlinear_matmul(
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
) -> Tensor:
    """ONNX QLinearMatMul-21, with one scale for the product."""
    total = torch.matmul(
        centred(a, by_row(a_zero_point), y_scale.dtype), centred(b, b_zero_point, y_scale.dtype)
    )
    return quantize_linear(total * (by_row(a_scale) * b_scale), y_scale, y_zero_point)


def centred(x: Tensor, zero_point: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Levels counted from the one that stands for zero."""
    return x.to(dtype) if zero_point is None else x.to(dtype) - zero_point.to(dtype)


def by_filter(parameter: Tensor | None, weight: Tensor) -> Tensor | None:
    """A parameter of each filter of a convolution, or of all, to broadcast with its weights."""
    return None if parameter is None else parameter.reshape(-1, *[1] * (weight.ndim - 1))


def by_row(parameter: Any) -> Any:
    """A parameter of each row of a matrix, or of all, to broadcast with it."""
    return parameter if parameter is None or parameter.ndim != 1 else parameter.unsqueeze(-1)


def _floating(*tensors: Tensor) -> torch.dtype:
    """The type that the levels which depend on the image are carried in."""
    carried = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    return carried[0] if carried else torch.float64
