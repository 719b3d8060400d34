"""Reductions over axes, and what picks along an axis."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from facetscope.models.onnx.registry import operator

Axes = Sequence[int] | None
"""The axes that a reduction takes; all of them if there are none."""


@operator("ReduceSum", lists=("axes",))
def reduce_sum(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceSum-13."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.sum(x, dims, kept)


@operator("ReduceMean", lists=("axes",))
def reduce_mean(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceMean-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.mean(x, dims, kept)


@operator("ReduceMax", lists=("axes",))
def reduce_max(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceMax-20."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.amax(_not_empty(x, dims, least=True), dims, kept)


@operator("ReduceMin", lists=("axes",))
def reduce_min(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceMin-20."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.amin(_not_empty(x, dims, least=False), dims, kept)


@operator("ReduceProd", lists=("axes",))
def reduce_prod(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceProd-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return _product(x, dims, kept)


@operator("ReduceL1", lists=("axes",))
def reduce_l1(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceL1-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.sum(x.abs(), dims, kept)


@operator("ReduceL2", lists=("axes",))
def reduce_l2(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceL2-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    length: Tensor = torch.linalg.vector_norm(x, 2, dims, kept)
    return length


@operator("ReduceSumSquare", lists=("axes",))
def reduce_sum_square(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceSumSquare-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.sum(x.square(), dims, kept)


@operator("ReduceLogSum", lists=("axes",))
def reduce_log_sum(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceLogSum-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.sum(x, dims, kept).log()


@operator("ReduceLogSumExp", lists=("axes",))
def reduce_log_sum_exp(
    x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """ONNX ReduceLogSumExp-18."""
    x, dims, kept = _reduced(x, axes, keepdims, noop_with_empty_axes)
    return torch.logsumexp(x, dims, kept)


def _reduced(
    x: Tensor, axes: Axes, keepdims: int, noop_with_empty_axes: int
) -> tuple[Tensor, list[int], bool]:
    """What to reduce, along which axes, and whether to keep them.

    Not to reduce is to reduce a new axis of length 1.
    """
    if not axes and noop_with_empty_axes:
        return x.unsqueeze(-1), [-1], False
    return x, list(axes or range(x.ndim)), bool(keepdims)


def _not_empty(x: Tensor, axes: Sequence[int], *, least: bool) -> Tensor:
    """``x`` with the least or the largest value of its type along axes without any element."""
    if x.numel():
        return x
    if x.is_floating_point():
        bound = -math.inf if least else math.inf
    elif x.dtype == torch.bool:
        bound = not least
    else:
        bound = torch.iinfo(x.dtype).min if least else torch.iinfo(x.dtype).max
    along = [axis % x.ndim for axis in axes]
    shape = [length or int(axis in along) for axis, length in enumerate(x.shape)]
    return torch.full(shape, bound, dtype=x.dtype, device=x.device)


def _product(x: Tensor, axes: Sequence[int], kept: bool) -> Tensor:  # noqa: FBT001 (as in torch)
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=kept, dtype=x.dtype)
    return x


@operator("ArgMax")
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """ONNX ArgMax-13."""
    if not select_last_index:
        return torch.argmax(x, axis, bool(keepdims))
    return x.shape[axis] - 1 - torch.argmax(x.flip(axis), axis, bool(keepdims))


@operator("ArgMin")
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """ONNX ArgMin-13."""
    return arg_max(-x, axis=axis, keepdims=keepdims, select_last_index=select_last_index)


@operator("TopK", scalars=("k",), ignored=("sorted",))
def top_k(x: Tensor, k: int, *, axis: int = -1, largest: int = 1) -> tuple[Tensor, Tensor]:
    """ONNX TopK-24: of equals the first."""
    values, indices = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    return values.narrow(axis, 0, k), indices.narrow(axis, 0, k)


@operator("CumSum", scalars=("axis",))
def cumulative_sum(x: Tensor, axis: int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """ONNX CumSum-14."""
    return _accumulated(torch.cumsum, x, int(axis), exclusive, reverse)


@operator("CumProd", scalars=("axis",))
def cumulative_product(x: Tensor, axis: int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """ONNX CumProd-26."""
    return _accumulated(torch.cumprod, x, int(axis), exclusive, reverse)


def _accumulated(
    function: Callable[..., Tensor], x: Tensor, axis: int, exclusive: int, reverse: int
) -> Tensor:
    """Of each element and those before it, or after it; of the latter alone if ``exclusive``."""
    forward = x.flip(axis) if reverse else x
    if exclusive:
        nothing = function(torch.ones_like(forward.narrow(axis, 0, 1)), axis)
        neutral = nothing if function is torch.cumprod else nothing - 1
        forward = torch.cat([neutral, forward.narrow(axis, 0, x.shape[axis] - 1)], axis)
    result = function(forward, axis, dtype=x.dtype)
    return result.flip(axis) if reverse else result
