"""Operators that rearrange elements, or speak of shapes."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator
from facetscope.models.onnx.windows import padded

Number = int | float
"""An element, of which the type is the result's."""


@operator("Reshape", lists=("shape",))
def reshape(x: Tensor, shape: Sequence[int], *, allowzero: int = 0) -> Tensor:
    """ONNX Reshape-25: 0 keeps a length, -1 takes what is left."""
    kept = () if allowzero else tuple(x.shape[: len(shape)])
    lengths = [
        kept[axis] if length == 0 and axis < len(kept) else length
        for axis, length in enumerate(shape)
    ]
    return x.reshape(lengths)


@operator("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """ONNX Flatten-25."""
    columns = math.prod(x.shape[axis:])
    return x.reshape(math.prod(x.shape[:axis]), columns)


@operator("Transpose")
def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """ONNX Transpose-25."""
    return x.permute(tuple(perm) if perm is not None else tuple(reversed(range(x.ndim))))


@operator("Squeeze", lists=("axes",))
def squeeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    """ONNX Squeeze-25."""
    if any(x.shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes {list(axes)} of {list(x.shape)} are not all of length 1")
    return x.squeeze(tuple(axes))


@operator("Unsqueeze", lists=("axes",))
def unsqueeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    """ONNX Unsqueeze-25."""
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("Concat")
def concat(*tensors: Tensor, axis: int) -> Tensor:
    """ONNX Concat-13."""
    return torch.cat(tensors, axis)


@operator("Split", lists=("split",))
def split(
    x: Tensor,
    split: Sequence[int] | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
    outputs: int,
) -> tuple[Tensor, ...]:
    """ONNX Split-18: in equal parts unless told, of which the last may be shorter."""
    if split is not None:
        return torch.split(x, list(split), axis)
    return torch.split(x, -(-x.shape[axis] // (num_outputs or outputs)), axis)


@operator("Expand", lists=("shape",))
def expand(x: Tensor, shape: Sequence[int]) -> Tensor:
    """ONNX Expand-13: either may broadcast to the other."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape)))


@operator("Tile", lists=("repeats",))
def tile(x: Tensor, repeats: Sequence[int]) -> Tensor:
    """ONNX Tile-13."""
    return x.repeat(tuple(repeats))


@operator("Pad", lists=("pads", "axes"), scalars=("value",))
def pad(
    x: Tensor,
    pads: Sequence[int],
    value: float | None = None,
    axes: Sequence[int] | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    """ONNX Pad-25."""
    padded_axes = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    before, after = [0] * x.ndim, [0] * x.ndim
    for at, axis in enumerate(padded_axes):
        before[axis], after[axis] = pads[at], pads[at + len(padded_axes)]
    if mode == "constant":
        return padded(x, before, after, float(value or 0))
    for axis, ends in enumerate(zip(before, after, strict=True)):
        if any(ends):
            x = x.index_select(axis, _sources(x, axis, ends, mode))
    return x


def _sources(x: Tensor, axis: int, ends: tuple[int, int], mode: str) -> Tensor:
    """Where along an axis each element of the padded tensor comes from."""
    length = x.shape[axis]
    position = torch.arange(-ends[0], length + ends[1], device=x.device)
    match mode:
        case "edge":
            return position.clamp(0, length - 1)
        case "wrap":
            return position % length
        case "reflect":
            period = max(2 * (length - 1), 1)
            return length - 1 - (position % period - (length - 1)).abs()
    raise UnsupportedValueError(f"padding mode {mode!r} is not supported")


@operator("Shape", reads_shape_only=True)
def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """ONNX Shape-25."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64, device=x.device)


@operator("Size", reads_shape_only=True)
def size(x: Tensor) -> Tensor:
    """ONNX Size-25."""
    return torch.tensor(x.numel(), dtype=torch.int64, device=x.device)


@operator("ConstantOfShape", lists=("shape",), defaults={"value": 0.0})
def constant_of_shape(shape: Sequence[int], *, value: Tensor) -> Tensor:
    """ONNX ConstantOfShape-25."""
    return value.reshape(()).expand(tuple(shape))


@operator("Range", scalars=("start", "limit", "delta"))
def number_range(start: Number, limit: Number, delta: Number) -> Tensor:
    """ONNX Range-11."""
    return torch.arange(start, limit, delta)


@operator("EyeLike", dtypes=("dtype",), reads_shape_only=True)
def eye_like(x: Tensor, *, dtype: torch.dtype | None = None, k: int = 0) -> Tensor:
    """ONNX EyeLike-22."""
    row, column = (torch.arange(length, device=x.device) for length in x.shape)
    return (column - row[:, None] == k).to(dtype or x.dtype)


@operator("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """ONNX DepthToSpace-13."""
    deep, wide = _depth_and_space(mode)
    return rearrange(x, f"{deep} -> {wide}", down=blocksize, across=blocksize)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """ONNX SpaceToDepth-28."""
    deep, wide = _depth_and_space(mode)
    return rearrange(x, f"{wide} -> {deep}", down=blocksize, across=blocksize)


def _depth_and_space(mode: str) -> tuple[str, str]:
    """Where blocks of pixels are: among the channels, whose order ``mode`` tells, and in space."""
    if mode not in {"DCR", "CRD"}:
        raise UnsupportedValueError(f"mode {mode!r} is not supported")
    channels = "down across c" if mode == "DCR" else "c down across"
    return f"b ({channels}) h w", "b c (h down) (w across)"
