"""Linear layers, which ONNX writes as a product and a sum, and picks of one element."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.fusions.algebra import Algebra, kind_of, operands, orders
from facetscope.models.fusions.patterns import Fusion, shape

GEMM: Final[Mapping[str, Any]] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
"""The options of ONNX's Gemm, and what they are where none is given."""

MATRIX: Final = 2
"""Axes of a matrix."""


def linear(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``x · weights + bias`` or ``x · weights``, all but ``x`` constant."""
    pairs = orders(operands(root)) if kind_of(root) == "add" else [(root, None)]
    for product, bias in pairs:
        if kind_of(product) != "matmul":
            continue
        x, weights = product.args
        if isinstance(x, fx.Node) and _fit(algebra, x, weights, bias):
            return Fusion(apply_columns, (x, weights, bias))
    return None


def rows(root: fx.Node, _: Algebra) -> Fusion | None:
    """TorchScript's linear layer, of more than one axis of rows."""
    if kind_of(root) != "linear" or len(shape(root.args[0]) or ()) <= MATRIX:
        return None
    return Fusion(apply_rows, (*root.args, None)[:3])


def gemm(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """ONNX's Gemm of constant weights, without its options."""
    if kind_of(root) != "gemm":
        return None
    options = {**GEMM, **root.kwargs}
    x: Any
    x, weights, bias = (*root.args, None)[:3]
    if (options["alpha"], options["beta"], options["transA"]) != (1, 1, 0):
        return None
    if not _fit(algebra, x, weights, bias, transposed=bool(options["transB"])):
        return None
    return Fusion(F.linear if options["transB"] else apply_columns, (x, weights, bias))


def apply_rows(x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer, as one product of matrices.

    torch makes one of it only where the rows of ``x`` lie side by side; where tokens come before
    images it repeats the weights for each token.
    """
    results = F.linear(x.reshape(-1, x.shape[-1]), weights, bias)
    return results.reshape(*x.shape[:-1], results.shape[-1])


def apply_columns(x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of weights [input, output], as they stand in a matrix product."""
    return apply_rows(x, weights.t(), bias)


def _fit(
    algebra: Algebra, x: fx.Node, weights: Any, bias: Any, *, transposed: bool = False
) -> bool:
    """Whether ``x`` depends on the image, is rows for constant weights, and has a bias for each."""
    stored, added = algebra.constant(weights), algebra.constant(bias)
    if stored is None or stored.dim() != MATRIX or algebra.constant(x) is not None:
        return False
    outputs = stored.shape[0 if transposed else 1]
    fits = bias is None or (added is not None and added.shape == (outputs,))
    return fits and len(shape(x) or ()) >= MATRIX


def selection(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """A Gather of one element along an axis, which copies where a view does."""
    if kind_of(root) != "gather":
        return None
    x, indices = root.args
    picked = algebra.constant(indices)
    if picked is None or picked.dim():
        return None
    return Fusion(torch.select, (x, root.kwargs.get("axis", 0), int(picked.item())))
