"""Operators of ONNX Runtime's own domain on quantized tensors, as its quantizer writes them.

Each is the operator of ONNX between dequantization and quantization, with one scale for a tensor;
products are computed on levels, see ``integers``. The definitions are in
``docs/ContribOperators.md`` of github.com/microsoft/onnxruntime.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.integers import by_row, centred
from facetscope.models.onnx.microsoft import DOMAIN
from facetscope.models.onnx.normalization import softmax, softmax_of_rows
from facetscope.models.onnx.pooling import average_pool, global_average_pool
from facetscope.models.onnx.quantization import dequantize_linear, quantize_linear
from facetscope.models.onnx.registry import UnsupportedValueError, operator

SOFTMAX_BY_AXIS = 13
"""The operator set of ONNX from which a softmax is over one axis."""

operator(
    "QuantizeLinear",
    domain=DOMAIN,
    dtypes=("output_dtype",),
    ignored=("saturate", "precision"),
)(quantize_linear)
operator("DequantizeLinear", domain=DOMAIN, dtypes=("output_dtype",))(dequantize_linear)


@operator("QLinearAdd", domain=DOMAIN)
def qlinear_add(
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
) -> Tensor:
    """A sum."""
    left = dequantize_linear(a, a_scale, a_zero_point)
    right = dequantize_linear(b, b_scale, b_zero_point)
    return quantize_linear(left + right, y_scale, y_zero_point)


@operator("QLinearMul", domain=DOMAIN)
def qlinear_mul(
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
) -> Tensor:
    """A product, element by element."""
    left = dequantize_linear(a, a_scale, a_zero_point)
    right = dequantize_linear(b, b_scale, b_zero_point)
    return quantize_linear(left * right, y_scale, y_zero_point)


@operator("QLinearSigmoid", domain=DOMAIN)
def qlinear_sigmoid(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
) -> Tensor:
    """Sigmoid."""
    y = torch.sigmoid(dequantize_linear(x, x_scale, x_zero_point))
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearLeakyRelu", domain=DOMAIN)
def qlinear_leaky_relu(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
    *,
    alpha: float = 0.01,
) -> Tensor:
    """ONNX LeakyRelu."""
    y = F.leaky_relu(dequantize_linear(x, x_scale, x_zero_point), alpha)
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearSoftmax", domain=DOMAIN)
def qlinear_softmax(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor,
    *,
    axis: int = -1,
    opset: int,
) -> Tensor:
    """ONNX Softmax of the operator set that is said."""
    function = softmax if opset >= SOFTMAX_BY_AXIS else softmax_of_rows
    y = function(dequantize_linear(x, x_scale, x_zero_point), axis=axis)
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearGlobalAveragePool", domain=DOMAIN)
def qlinear_global_average_pool(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    *,
    channels_last: int = 0,
) -> Tensor:
    """ONNX GlobalAveragePool."""
    _check_order(channels_last)
    y = global_average_pool(dequantize_linear(x, x_scale, x_zero_point))
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearAveragePool", domain=DOMAIN)
def qlinear_average_pool(
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor | None = None,
    *,
    channels_last: int = 0,
    **placed: Any,
) -> Tensor:
    """ONNX AveragePool."""
    _check_order(channels_last)
    y = average_pool(dequantize_linear(x, x_scale, x_zero_point), **placed)
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearConcat", domain=DOMAIN)
def qlinear_concat(y_scale: Tensor, y_zero_point: Tensor, *inputs: Tensor, axis: int) -> Tensor:
    """ONNX Concat of tensors that are each followed by its scale and zero point."""
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    y = torch.cat([dequantize_linear(*triple) for triple in triples], axis)
    return quantize_linear(y, y_scale, y_zero_point)


@operator("QLinearWhere", domain=DOMAIN)
def qlinear_where(
    condition: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor,
    y: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    z_scale: Tensor,
    z_zero_point: Tensor,
) -> Tensor:
    """ONNX Where."""
    chosen = torch.where(
        condition,
        dequantize_linear(x, x_scale, x_zero_point),
        dequantize_linear(y, y_scale, y_zero_point),
    )
    return quantize_linear(chosen, z_scale, z_zero_point)


@operator("QGemm", domain=DOMAIN)
def qgemm(
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero_point: Tensor | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803 (ONNX Runtime's own name)
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """ONNX Gemm; its addend is in levels of all factors together. Real unless it has a scale."""
    dtype = a_scale.dtype
    left = centred(a, a_zero_point, dtype)
    right = centred(b, by_row(b_zero_point) if transB else b_zero_point, dtype)
    total = torch.mm(left.T if transA else left, right.T if transB else right)
    if c is not None:
        total = total + c.to(dtype)
    y = total * (alpha * a_scale * b_scale)
    return y if y_scale is None else quantize_linear(y, y_scale, y_zero_point)


@operator("MatMulIntegerToFloat", domain=DOMAIN)
def matmul_integer_to_float(
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero_point: Tensor | None = None,
    b_zero_point: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """A product of quantized matrices that is not quantized itself."""
    dtype = a_scale.dtype
    total = torch.matmul(centred(a, a_zero_point, dtype), centred(b, b_zero_point, dtype))
    y = total * (a_scale * b_scale)
    return y if bias is None else y + bias


def _check_order(channels_last: int) -> None:
    if channels_last:
        raise UnsupportedValueError("channels behind rows and columns are not supported")
