"""Operators that pick elements by their position, or write to positions."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator

REDUCTIONS: Final = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
"""torch's names of what ONNX does with several updates of one element."""


@operator("Slice", lists=("starts", "ends", "axes", "steps"))
def slice_(
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Tensor:
    """ONNX Slice-13."""
    along = range(len(starts)) if axes is None else axes
    strides = [1] * len(starts) if steps is None else steps
    for axis, start, end, step in zip(along, starts, ends, strides, strict=True):
        x = _sliced(x, axis, slice(start, end, step))
    return x


def _sliced(x: Tensor, axis: int, part: slice) -> Tensor:
    """A part of one axis; torch itself slices forward only."""
    positions = range(*part.indices(x.shape[axis]))
    if positions.step < 0:
        backward = torch.tensor(list(positions), dtype=torch.int64, device=x.device)
        return x.index_select(axis, backward)
    before = (slice(None),) * (axis % x.ndim)
    return x[(*before, slice(positions.start, positions.stop, positions.step))]


@operator("Gather")
def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """ONNX Gather-13."""
    at = axis % x.ndim
    picked = x.index_select(at, _from_start(indices, x, at).reshape(-1))
    return picked.reshape((*x.shape[:at], *indices.shape, *x.shape[at + 1 :]))


@operator("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """ONNX GatherElements-13."""
    return torch.gather(x, axis, _from_start(indices, x, axis))


@operator("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """ONNX GatherND-13."""
    axes = indices.ndim - 1
    shared = [
        torch.arange(x.shape[axis], device=x.device).reshape(-1, *[1] * (axes - axis - 1))
        for axis in range(batch_dims)
    ]
    return x[(*shared, *indices.unbind(-1))]


@operator("Scatter")
@operator("ScatterElements")
def scatter_elements(
    x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """ONNX ScatterElements-18."""
    at = _from_start(indices, x, axis)
    if reduction == "none":
        return x.scatter(axis, at, updates)
    if reduction not in REDUCTIONS:
        raise UnsupportedValueError(f"reduction {reduction!r} is not supported")
    return x.scatter_reduce(axis, at, updates, REDUCTIONS[reduction])


@operator("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """ONNX ScatterND-18."""
    if reduction in {"none", "add"}:
        return x.index_put(indices.unbind(-1), updates, accumulate=reduction == "add")
    if reduction not in REDUCTIONS:
        raise UnsupportedValueError(f"reduction {reduction!r} is not supported")
    lengths = x.shape[: indices.shape[-1]]
    at = torch.zeros_like(indices[..., 0])
    for axis, length in enumerate(lengths):
        at = at * length + _from_start(indices[..., axis], x, axis)
    rows = x.reshape(math.prod(lengths), -1)
    changes = updates.reshape(-1, rows.shape[1])
    where = at.reshape(-1, 1).expand_as(changes)
    return rows.scatter_reduce(0, where, changes, REDUCTIONS[reduction]).reshape(x.shape)


@operator("OneHot", scalars=("depth",))
def one_hot(indices: Tensor, depth: float, values: Tensor, *, axis: int = -1) -> Tensor:
    """ONNX OneHot-28: indices beyond the depth are nowhere."""
    after = -1 - axis if axis < 0 else indices.ndim - axis
    position = torch.arange(int(depth), device=indices.device).reshape(-1, *[1] * after)
    at = torch.where(indices < 0, indices + int(depth), indices)
    off, on = values.unbind(0)
    return torch.where(at.unsqueeze(axis) == position, on, off)


@operator("NonZero", counts_values=True)
def non_zero(x: Tensor) -> Tensor:
    """ONNX NonZero-13."""
    return x.nonzero().T


@operator("Compress", lists=("condition",))
def compress(x: Tensor, condition: Sequence[bool], *, axis: int | None = None) -> Tensor:
    """ONNX Compress-11, of a condition that no pixel changes."""
    kept = [at for at, keeps in enumerate(condition) if keeps]
    along = torch.tensor(kept, dtype=torch.int64, device=x.device)
    return x.flatten()[along] if axis is None else x.index_select(axis, along)


@operator("Trilu", scalars=("k",))
def trilu(x: Tensor, k: int = 0, *, upper: int = 1) -> Tensor:
    """ONNX Trilu-14."""
    return torch.triu(x, k) if upper else torch.tril(x, k)


def _from_start(indices: Tensor, x: Tensor, axis: int) -> Tensor:
    """Indices that count from the start, where negative ones count from the end."""
    return torch.where(indices < 0, indices + x.shape[axis], indices).long()
