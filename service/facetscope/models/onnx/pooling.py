"""Pooling over windows and over whole maps."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.convolution import FORWARD
from facetscope.models.onnx.registry import operator
from facetscope.models.onnx.windows import Windows, padded, windows

MAX_POOL: Final[Sequence[Callable[..., Any]]] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVERAGE_POOL: Final[Sequence[Callable[..., Any]]] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


@operator("MaxPool")
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    outputs: int = 1,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """ONNX MaxPool-22: the largest element of each window and, if asked for, where it was."""
    placed = windows(
        x, kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    evened, padding, skipped = x, placed.before, (0,) * (x.ndim - 2)
    if not _native(placed):
        evened, padding, skipped = _all_padded(x, placed, ceil_mode, -math.inf), skipped, padding
    pooled: Any = MAX_POOL[len(placed.extent) - 1](
        evened,
        placed.extent,
        placed.stride,
        padding,
        placed.dilation,
        ceil_mode=bool(ceil_mode),
        return_indices=outputs > 1,
    )
    if isinstance(pooled, Tensor):
        return pooled
    inside = _unravelled(pooled[1], evened.shape[2:])
    at = [index - before for index, before in zip(inside, skipped, strict=True)]
    return pooled[0], _positions(x, at, storage_order)


def _unravelled(flat: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """The index along each axis, of indices into a flattened tensor."""
    indices: list[Tensor] = []
    for length in reversed(lengths):
        indices.insert(0, flat % length)
        flat = flat // length
    return indices


def _positions(x: Tensor, indices: Sequence[Tensor], storage_order: int) -> Tensor:
    """Positions in the whole of ``x``, of an index along each spatial axis."""
    batch, channels, *lengths = x.shape
    plane = torch.arange(batch * channels, device=x.device)
    plane = plane.reshape(batch, channels, *[1] * len(lengths))
    axes = list(zip(indices, lengths, strict=True))
    position = torch.zeros_like(indices[0])
    for index, length in reversed(axes) if storage_order else axes:
        position = position * length + index
    return plane * math.prod(lengths) + position


@operator("MaxUnpool", lists=("output_shape",))
def max_unpool(
    x: Tensor,
    positions: Tensor,
    output_shape: Sequence[int] | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX MaxUnpool-22: zeros but for the elements of ``x``, each at its position."""
    placed = windows(x, kernel_shape, strides=strides, dilations=None, pads=pads, auto_pad="NOTSET")
    spatial = [
        (length - 1) * stride + span - before - after
        for length, stride, span, before, after in zip(
            x.shape[2:], placed.stride, placed.spans, placed.before, placed.after, strict=True
        )
    ]
    shape = [*x.shape[:2], *spatial]
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype, device=x.device)
    unpooled = zeros.scatter(0, positions.flatten(), x.flatten()).reshape(shape)
    if output_shape is None:
        return unpooled
    missing = [asked - length for asked, length in zip(output_shape[2:], spatial, strict=True)]
    return padded(unpooled, [0] * len(missing), missing)


@operator("AveragePool")
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX AveragePool-22."""
    placed = windows(
        x, kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    if _native(placed) and set(placed.dilation) == {1}:
        pool = AVERAGE_POOL[len(placed.extent) - 1]
        pooled: Tensor = pool(
            x,
            placed.extent,
            placed.stride,
            placed.before,
            bool(ceil_mode),
            bool(count_include_pad),
        )
        return pooled
    ones = padded(torch.ones_like(x[:1]), placed.before, placed.after, float(count_include_pad))
    counted = padded(ones, *_incomplete(placed, x.shape[2:], ceil_mode))
    return _sums(_all_padded(x, placed, ceil_mode), placed) / _sums(counted, placed)


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    """ONNX GlobalAveragePool-22."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    """ONNX GlobalMaxPool-22."""
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


@operator("LpPool", since=2)
def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX LpPool-22."""
    placed = windows(
        x, kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    return _root(_sums(_all_padded(x.abs() ** p, placed, ceil_mode), placed), p)


@operator("GlobalLpPool", since=2)
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """ONNX GlobalLpPool-22."""
    return _root((x.abs() ** p).sum(tuple(range(2, x.ndim)), keepdim=True), p)


def _root(powers: Tensor, p: int) -> Tensor:
    """The root of sums of powers, of which that of zero gets a gradient of zero."""
    nothing = powers == 0
    return powers.masked_fill(nothing, 1) ** (1 / p) * ~nothing


def _native(placed: Windows) -> bool:
    """Whether torch pads as asked: evenly, and by up to half a window."""
    halves = zip(placed.before, placed.extent, strict=True)
    return placed.centred and all(2 * padding <= extent for padding, extent in halves)


def _incomplete(
    placed: Windows, lengths: Sequence[int], ceil_mode: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Padding, before and after, for the incomplete windows at the end."""
    none = (0,) * len(lengths)
    return none, placed.excess(lengths) if ceil_mode else none


def _all_padded(x: Tensor, placed: Windows, ceil_mode: int, value: float = 0.0) -> Tensor:
    evened = padded(x, placed.before, placed.after, value)
    return padded(evened, *_incomplete(placed, x.shape[2:], ceil_mode), value)


def _sums(x: Tensor, placed: Windows) -> Tensor:
    """The sum over each window, channel by channel."""
    channels, none = x.shape[1], [0] * len(placed.extent)
    ones = torch.ones((channels, 1, *placed.extent), dtype=x.dtype, device=x.device)
    return torch.convolution(
        x, ones, None, placed.stride, none, placed.dilation, FORWARD, none, channels
    )
