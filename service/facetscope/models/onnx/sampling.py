"""Operators that read an image between its pixels, at places that may be computed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.registry import UnsupportedValueError, operator
from facetscope.models.onnx.windows import Windows, windows

SAMPLING: Final[Mapping[str, str]] = {
    "linear": "bilinear",
    "bilinear": "bilinear",
    "nearest": "nearest",
    "cubic": "bicubic",
    "bicubic": "bicubic",
}
"""torch's names of the modes of both GridSample-16 and GridSample-20."""

PLANE: Final = 4
"""Axes of a batch of planes with channels."""


@operator("GridSample", since=16)
def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> Tensor:
    """ONNX GridSample-22, of planes and of volumes."""
    if mode not in SAMPLING:
        raise UnsupportedValueError(f"mode {mode!r} is not supported")
    return F.grid_sample(x, grid, SAMPLING[mode], padding_mode, bool(align_corners))


@operator("DeformConv", since=19, ignored=("kernel_shape",))
def deform_conv(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX DeformConv-22 of planes: each element of a window is read where an offset moves it."""
    if x.ndim != PLANE:
        raise UnsupportedValueError(f"inputs of {x.ndim} axes are not supported")
    placed = windows(
        x, weight.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad="NOTSET"
    )
    maps = rearrange(x, "n (group c) h w -> (n group) c h w", group=offset_group)
    grid = _moved(offset, placed, x, offset_group)
    read = F.grid_sample(maps, grid, "bilinear", "zeros", align_corners=False)
    if mask is not None:
        read = read * rearrange(
            mask, "n (group tap) h w -> (n group) 1 (tap h) w", group=offset_group
        )
    sizes = {"group": offset_group, "tap": math.prod(placed.extent)}
    columns = rearrange(read, "(n group) c (tap h) w -> n (group c) tap h w", **sizes)
    summed = torch.einsum(
        "ngcthw,goct->ngohw",
        rearrange(columns, "n (group c) tap h w -> n group c tap h w", group=group),
        rearrange(weight, "(group o) c row column -> group o c (row column)", group=group),
    ).flatten(1, 2)
    return summed if bias is None else summed + bias[:, None, None]


def _moved(offset: Tensor, placed: Windows, x: Tensor, groups: int) -> Tensor:
    """Where each element of each window is read, from -1 to 1 as ``grid_sample`` takes it."""
    split = "n (group tap yx) h w -> (n group) tap h w yx"
    at = rearrange(offset, split, group=groups, yx=2) + _places(placed, offset)
    lengths = torch.tensor(x.shape[2:], dtype=x.dtype, device=x.device)
    return ((2 * at + 1) / lengths - 1).flip(-1).flatten(1, 2)


def _places(placed: Windows, offset: Tensor) -> Tensor:
    """Row and column of each element of each window of a plane: [element, height, width, 2]."""
    down, across = (
        _steps(extent, offset)[:, None] * dilation + _steps(count, offset) * stride - before
        for extent, dilation, count, stride, before in zip(
            placed.extent,
            placed.dilation,
            offset.shape[2:],
            placed.stride,
            placed.before,
            strict=True,
        )
    )
    rows, columns = torch.broadcast_tensors(down[:, None, :, None], across[None, :, None, :])
    return torch.stack([rows, columns], -1).flatten(0, 1)


def _steps(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, dtype=like.dtype, device=like.device)


@operator("RoiAlign", since=16)
def roi_align(
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """ONNX RoiAlign-22, whose averages are a matrix product along each axis."""
    if mode not in {"avg", "max"}:
        raise UnsupportedValueError(f"mode {mode!r} is not supported")
    half = coordinate_transformation_mode == "half_pixel"
    left, top, right, bottom = (rois * spatial_scale - 0.5 * half).unbind(1)
    height, width = bottom - top, right - left
    if not half:
        height, width = height.clamp(min=1), width.clamp(min=1)
    rows = _samples(top, height / output_height, output_height, sampling_ratio, x.shape[2])
    columns = _samples(left, width / output_width, output_width, sampling_ratio, x.shape[3])
    maps = x.index_select(0, batch_indices.long())
    if mode == "avg":
        return rows.averages[:, None] @ maps @ columns.averages[:, None].mT
    return _largest(maps, rows, columns)


@operator("RoiAlign", since=10)
def roi_align_from_corners(
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """ONNX RoiAlign-10: pixels are where their corners are."""
    return roi_align(
        x,
        rois,
        batch_indices,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


@dataclass(frozen=True, slots=True)
class Samples:
    """Where regions are sampled along one axis, each sample between two elements.

    Attributes:
        index: The two elements: [region, bin, sample, 2].
        weight: How much each of them counts, likewise: nothing outside of the map.
        counted: Which samples there are: [region, bin, sample].
        length: Elements of the axis.
    """

    index: Tensor
    weight: Tensor
    counted: Tensor
    length: int

    @property
    def averages(self) -> Tensor:
        """The matrices that take the average over each bin: [region, bin, element]."""
        regions, bins, _ = self.counted.shape
        count = self.counted.sum(2, keepdim=True).clamp(min=1)
        empty = self.weight.new_zeros((regions, bins, self.length))
        return empty.scatter_add(2, self.index.flatten(2), self.weight.flatten(2)) / count


def _samples(start: Tensor, step: Tensor, bins: int, ratio: int, length: int) -> Samples:
    """The samples of regions that start at ``start`` and have bins of ``step`` elements.

    Where ``ratio`` is 0, there is one for each element that a bin covers.
    """
    count = torch.full_like(step, ratio) if ratio else step.detach().ceil().clamp(min=0)
    most = ratio or (1 if count.is_meta else int(count.max()))
    sample = _steps(most, start)
    within = (sample + 0.5) / count.clamp(min=1)[:, None, None]
    position = start[:, None, None] + step[:, None, None] * (_steps(bins, start)[:, None] + within)
    counted = (sample < count[:, None, None]).expand_as(position)
    inside = (position >= -1) & (position <= length) & counted
    position = position.clamp(0, length - 1)
    low = position.detach().floor()
    share = position - low
    weight = torch.stack([1 - share, share], -1) * inside[..., None]
    index = torch.stack([low, (low + 1).clamp(max=length - 1)], -1).long()
    return Samples(index, weight, counted, length)


def _largest(maps: Tensor, rows: Samples, columns: Samples) -> Tensor:
    """The largest weighted element around any sample of each bin: [region, channel, bin, bin]."""
    down, across = rows.index.flatten(1), columns.index.flatten(1)
    read = maps.gather(2, down[:, None, :, None].expand(-1, maps.shape[1], -1, maps.shape[3]))
    read = read.gather(3, across[:, None, None, :].expand(-1, maps.shape[1], read.shape[2], -1))
    weight = rows.weight.flatten(1)[:, :, None] * columns.weight.flatten(1)[:, None, :]
    counted = _twice(rows.counted)[:, :, None] & _twice(columns.counted)[:, None, :]
    weighed = (read * weight[:, None]).masked_fill(~counted[:, None], -math.inf)
    bins = weighed.unflatten(2, (rows.index.shape[1], -1)).unflatten(
        4, (columns.index.shape[1], -1)
    )
    largest: Tensor = bins.amax((3, 5))
    return largest.masked_fill(largest == -math.inf, 0)


def _twice(counted: Tensor) -> Tensor:
    """For both elements around each sample: [region, bin * sample * 2]."""
    return counted.repeat_interleave(2, 2).flatten(1)
