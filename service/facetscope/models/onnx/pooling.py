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


@operator("MaxPool", ignored=("storage_order",))
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX MaxPool-22, without the indices."""
    placed = windows(
        x, kernel_shape, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    padding = placed.before
    if not _native(placed):
        x, padding = _all_padded(x, placed, ceil_mode, -math.inf), (0,) * len(padding)
    pool = MAX_POOL[len(placed.extent) - 1]
    pooled: Tensor = pool(
        x, placed.extent, placed.stride, padding, placed.dilation, ceil_mode=bool(ceil_mode)
    )
    return pooled


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
