"""Resizing as one matrix product along each axis.

Products differentiate deterministically on every device, which torch's own interpolation does not,
and one definition serves all of ONNX's coordinate rules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator

REACH: Final[Mapping[str, int]] = {"linear": 1, "cubic": 2}
"""How far the kernel of each interpolation reaches (cubic: Keys 1981,
doi:10.1109/TASSP.1981.1163711)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How elements of a resized axis come from those of the original.

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: How positions map, as ``coordinate_transformation_mode`` names it.
        rounding: Which of two elements is the nearest, as ``nearest_mode`` names it.
        cubic: Coefficient of the cubic kernel.
        inside: Whether elements beyond the ends have no weight; else the ends stand for them.
        smooth: Whether the kernel widens with the distance of the elements that are kept.
        beyond: What is read where a crop reaches beyond the ends.
    """

    mode: str
    coordinates: str
    rounding: str = "floor"
    cubic: float = -0.75
    inside: bool = False
    smooth: bool = False
    beyond: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """What becomes of one axis.

    Attributes:
        axis: Which axis.
        size: How many elements it gets.
        scale: How much longer it gets, of which ``size`` may be a rounding.
        crop: The part of it that is read, from 0 at its first element to 1 at its last.
    """

    axis: int
    size: int
    scale: float
    crop: tuple[float, float] = (0.0, 1.0)


@operator("Resize", since=11, lists=("roi", "scales", "sizes"))
def resize(
    x: Tensor,
    roi: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """ONNX Resize-19."""
    rule = Rule(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside),
        bool(antialias),
        extrapolation_value,
    )
    along = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes]
    lengths = [x.shape[axis] for axis in along]
    if sizes:
        sizes, scales = _kept(lengths, sizes, keep_aspect_ratio_policy)
    elif scales:
        sizes = [_scaled(length, scale) for length, scale in zip(lengths, scales, strict=True)]
    else:
        raise UnsupportedValueError("neither sizes nor scales are given")
    crops = [(0.0, 1.0)] * len(along)
    if coordinate_transformation_mode == "tf_crop_and_resize":
        crops = _crops(roi or (), len(along))
    for target in map(Target, along, sizes, scales, crops):
        x = _resized(x, target, rule)
    return x


@operator("Resize", since=10, lists=("scales",))
@operator("Upsample", lists=("scales",))
def upsample(x: Tensor, scales: Sequence[float], *, mode: str = "nearest") -> Tensor:
    """ONNX Upsample-9 and Resize-10, which rounds as ONNX Runtime does where nothing is said."""
    for axis, (length, scale) in enumerate(zip(x.shape, scales, strict=True)):
        rounding = "floor" if scale >= 1 else "ceil"
        rule = Rule("linear" if mode == "bilinear" else mode, "asymmetric", rounding)
        x = _resized(x, Target(axis, _scaled(length, scale), scale), rule)
    return x


def _scaled(length: int, scale: float) -> int:
    """The rounded-off length of a scaled axis, multiplied in the precision of the file's scales."""
    return int(np.float32(length) * np.float32(scale))


def _kept(
    lengths: Sequence[int], sizes: Sequence[int], policy: str
) -> tuple[Sequence[int], Sequence[float]]:
    """Sizes and scales that keep the aspect ratio as far as ``policy`` asks for."""
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return sizes, scales
    if policy not in {"not_larger", "not_smaller"}:
        raise UnsupportedValueError(f"aspect ratio policy {policy!r} is not supported")
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [int(scale * length + 0.5) for length in lengths], [scale] * len(lengths)


def _crops(roi: Sequence[float], axes: int) -> list[tuple[float, float]]:
    if len(roi) != 2 * axes:
        raise UnsupportedValueError(f"roi has {len(roi)} numbers, not 2 for each axis")
    return list(zip(roi[:axes], roi[axes:], strict=True))


def _resized(x: Tensor, target: Target, rule: Rule) -> Tensor:
    length = x.shape[target.axis]
    if target.size == length and target.scale == 1 and target.crop == (0, 1):
        return x
    precision = torch.float32 if rule.mode == "nearest" else torch.float64
    position = _positions(length, target, rule.coordinates, x.device, precision)
    weights = _weights(position[:, None], length, target.scale, rule)
    beyond = torch.zeros_like(position, dtype=torch.bool)
    if rule.coordinates == "tf_crop_and_resize":
        beyond = (position < 0) | (position > length - 1)
    weights = weights.masked_fill(beyond[:, None], 0).to(x.dtype)
    resized = torch.movedim(x, target.axis, -1) @ weights.T
    if rule.coordinates == "tf_crop_and_resize":
        resized = resized + rule.beyond * beyond.to(x.dtype)
    return torch.movedim(resized, -1, target.axis)


def _weights(position: Tensor, length: int, scale: float, rule: Rule) -> Tensor:
    """How much each of ``length`` elements adds at each position: [size, length], float64."""
    if rule.mode == "nearest":
        nearest = _rounded(position, rule.rounding).clamp(0, length - 1)
        return (nearest == torch.arange(length, device=position.device)).double()
    if rule.mode not in REACH:
        raise UnsupportedValueError(f"mode {rule.mode!r} is not supported")
    shrinking = min(scale, 1.0) if rule.smooth else 1.0
    reach = math.ceil(REACH[rule.mode] / shrinking)
    neighbour = position.floor() + torch.arange(1 - reach, 1 + reach, device=position.device)
    weight = _kernel((neighbour - position).abs() * shrinking, rule)
    if rule.inside:
        weight = weight * ((neighbour >= 0) & (neighbour < length))
    if rule.inside or rule.smooth:
        weight = weight / weight.sum(1, keepdim=True)
    weights = torch.zeros(len(position), length, dtype=torch.float64, device=position.device)
    return weights.scatter_add(1, neighbour.clamp(0, length - 1).long(), weight)


def _positions(
    length: int, target: Target, coordinates: str, device: torch.device, precision: torch.dtype
) -> Tensor:
    """Where each resized element lies among the original ones.

    Which element is nearest is found in single precision, as runtimes do: between two, it decides.
    """
    size, scale = target.size, target.scale
    index = torch.arange(size, dtype=precision, device=device)
    match coordinates:
        case "half_pixel":
            return (index + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            trimmed = length / 2 * (1 - size / (scale * length))
            return trimmed + (index + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (index + 0.5) / scale - 0.5 if size > 1 else index
        case "align_corners":
            return index * (length - 1) / max(size - 1, 1)
        case "asymmetric":
            return index / scale
        case "tf_crop_and_resize":
            start, end = target.crop
            along = index / (size - 1) if size > 1 else index + 0.5
            return (start + along * (end - start)) * (length - 1)
    raise UnsupportedValueError(f"coordinates {coordinates!r} are not supported")


def _rounded(position: Tensor, rounding: str) -> Tensor:
    match rounding:
        case "round_prefer_floor":
            return torch.ceil(position - 0.5)
        case "round_prefer_ceil":
            return torch.floor(position + 0.5)
        case "floor":
            return torch.floor(position)
        case "ceil":
            return torch.ceil(position)
    raise UnsupportedValueError(f"rounding {rounding!r} is not supported")


def _kernel(distance: Tensor, rule: Rule) -> Tensor:
    """The weight of an element at a distance, for the modes that have a reach."""
    if rule.mode == "linear":
        return (1 - distance).clamp(min=0)
    a = rule.cubic
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < REACH["cubic"], far, 0.0))
