"""Resizing as one matrix product along each axis.

Products differentiate deterministically on every device, which torch's own interpolation does not,
and one definition serves all of ONNX's coordinate rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from facetscope.models.onnx.registry import UnsupportedValueError, operator

KEYS_REACH: Final = 2
"""Where the kernel of cubic interpolation ends (Keys 1981, doi:10.1109/TASSP.1981.1163711)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How elements of a resized axis come from those of the original.

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: How positions map, as ``coordinate_transformation_mode`` names it.
        rounding: Which of two elements is the nearest, as ``nearest_mode`` names it.
        cubic: Coefficient of the cubic kernel.
        inside: Whether elements beyond the ends have no weight; else the ends stand for them.
    """

    mode: str
    coordinates: str
    rounding: str = "floor"
    cubic: float = -0.75
    inside: bool = False


@operator("Resize", since=11, lists=("roi", "scales", "sizes"), ignored=("extrapolation_value",))
def resize(
    x: Tensor,
    roi: Sequence[float] | None = None,  # noqa: ARG001 (only for a rule that is not supported)
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """ONNX Resize-19, without antialiasing and cropping."""
    if antialias or keep_aspect_ratio_policy != "stretch":
        raise UnsupportedValueError("antialiasing and kept aspect ratios are not supported")
    rule = Rule(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(exclude_outside)
    )
    along = range(x.ndim) if axes is None else axes
    lengths = [x.shape[axis] for axis in along]
    if sizes:
        scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    elif scales:
        sizes = [int(length * scale) for scale, length in zip(scales, lengths, strict=True)]
    else:
        raise UnsupportedValueError("neither sizes nor scales are given")
    for axis, size, scale in zip(along, sizes, scales, strict=True):
        x = _resized(x, axis, size, scale, rule)
    return x


@operator("Upsample", lists=("scales",))
def upsample(x: Tensor, scales: Sequence[float], *, mode: str = "nearest") -> Tensor:
    """ONNX Upsample-9."""
    rule = Rule("linear" if mode == "bilinear" else mode, "asymmetric")
    for axis, scale in enumerate(scales):
        x = _resized(x, axis, int(x.shape[axis] * scale), scale, rule)
    return x


def _resized(x: Tensor, axis: int, size: int, scale: float, rule: Rule) -> Tensor:
    if size == x.shape[axis] and scale == 1:
        return x
    weights = _weights(x, x.shape[axis], size, scale, rule).to(x.dtype)
    return torch.movedim(torch.movedim(x, axis, -1) @ weights.T, -1, axis)


def _weights(x: Tensor, length: int, size: int, scale: float, rule: Rule) -> Tensor:
    """How much each of ``length`` elements adds to each of ``size``: [size, length], float64."""
    position = _positions(x, length, size, scale, rule.coordinates)[:, None]
    if rule.mode == "nearest":
        nearest = _rounded(position, rule.rounding).clamp(0, length - 1)
        return (nearest == torch.arange(length, device=x.device)).double()
    reach = torch.arange(-1, 3, device=x.device)
    neighbour = position.floor() + reach
    weight = _kernel((neighbour - position).abs(), rule)
    if rule.inside:
        weight = weight * ((neighbour >= 0) & (neighbour < length))
        weight = weight / weight.sum(1, keepdim=True)
    weights = torch.zeros(size, length, dtype=torch.float64, device=x.device)
    return weights.scatter_add(1, neighbour.clamp(0, length - 1).long(), weight)


def _positions(x: Tensor, length: int, size: int, scale: float, coordinates: str) -> Tensor:
    """Where each resized element lies among the original ones."""
    index = torch.arange(size, dtype=torch.float64, device=x.device)
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
    """The weight of an element at a distance."""
    match rule.mode:
        case "linear":
            return (1 - distance).clamp(min=0)
        case "cubic":
            a = rule.cubic
            near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
            far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
            return torch.where(distance <= 1, near, torch.where(distance < KEYS_REACH, far, 0.0))
    raise UnsupportedValueError(f"mode {rule.mode!r} is not supported")
