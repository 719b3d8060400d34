"""Matrix products."""

import torch
from torch import Tensor

from facetscope.models.onnx.registry import operator


@operator("MatMul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """ONNX MatMul-13."""
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803 (ONNX's own name)
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """ONNX Gemm-13."""
    left = a.T if transA else a
    right = b.T if transB else b
    if c is None:
        return alpha * torch.mm(left, right)
    return torch.addmm(c, left, right, beta=beta, alpha=alpha)


@operator("Det")
def determinant(x: Tensor) -> Tensor:
    """ONNX Det-22."""
    return torch.det(x)


@operator("Einsum")
def einsum(*tensors: Tensor, equation: str) -> Tensor:
    """ONNX Einsum-12."""
    return torch.einsum(equation.replace(" ", ""), *tensors)
