"""Canvases: images that may be larger than a network's input, seen through crops of its size."""

from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import interpolate

from facetscope.algorithms.shapes import Canvas, Images

Origin = tuple[int, int]
"""Row and column of a crop's first pixel on its canvas."""

Size = tuple[int, int]
"""Height and width, in pixels."""


def height_width(images: Images) -> Size:
    """The size of ``images``."""
    *_, height, width = images.shape
    return height, width


def resize(canvas: Images, scale: float, *, at_least: Size) -> Canvas:
    """``canvas`` with sides ``scale`` times as long, and no shorter than ``at_least``."""
    return fit(canvas, size_of(canvas, scale, at_least=at_least))


def size_of(canvas: Images, scale: float, *, at_least: Size) -> Size:
    """The size of ``canvas`` with sides ``scale`` times as long, and no shorter than these."""
    height, width = (
        max(round(side * scale), least)
        for side, least in zip(height_width(canvas), at_least, strict=True)
    )
    return height, width


def fit(canvas: Canvas, size: Size) -> Images:
    """The whole canvas at ``size``: bilinear, and averaging where it shrinks."""
    now = height_width(canvas)
    if now == size:
        return canvas
    shrinks = any(new < old for new, old in zip(size, now, strict=True))
    return interpolate(canvas, size=size, mode="bilinear", align_corners=False, antialias=shrinks)


def random_origins(
    slack: Size,
    *,
    window: float,
    generators: Sequence[torch.Generator],
    whole: Callable[[float], int] = round,
) -> list[Origin]:
    """An origin for each generator, around the one that centres the crop.

    Args:
        slack: By how much the canvas exceeds the crop.
        window: Standard deviation, as a fraction of ``slack``; origins are clipped to it.
        generators: One for each image; each gives two numbers, whatever the slack.
        whole: How places between pixels become pixels.
    """
    deviates = [torch.randn(2, generator=each, device=each.device).tolist() for each in generators]
    return [
        (_origin(slack[0], window * row, whole), _origin(slack[1], window * column, whole))
        for row, column in deviates
    ]


def _origin(room: int, deviation: float, whole: Callable[[float], int]) -> int:
    return min(max(whole(room * (0.5 + deviation)), 0), room)


def crop(canvas: Canvas, origins: Sequence[Origin], size: Size) -> Images:
    """A copy of the part of each image that begins at its origin and has ``size`` pixels."""
    height, width = size
    return torch.stack(
        [
            image[:, row : row + height, column : column + width]
            for image, (row, column) in zip(canvas, origins, strict=True)
        ]
    )


def paste(canvas: Canvas, crops: Images, origins: Sequence[Origin]) -> Canvas:
    """A copy of ``canvas`` with ``crops`` at their origins."""
    height, width = height_width(crops)
    result = canvas.clone()
    for image, part, (row, column) in zip(result, crops, origins, strict=True):
        image[:, row : row + height, column : column + width] = part
    return result


def slack(canvas: Images, size: Size) -> Size:
    """By how much ``canvas`` exceeds ``size``."""
    rows, columns = (whole - part for whole, part in zip(height_width(canvas), size, strict=True))
    return rows, columns
