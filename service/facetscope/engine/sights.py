"""What of its images a unit is shown by: all that the network sees, or where the unit looks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from torch import Tensor
from torch.nn.functional import interpolate

from facetscope.domain.events import Box
from facetscope.domain.inputs import Interpolation
from facetscope.domain.units import ReceptiveField

PixelsOf = Callable[[Sequence[int]], Iterator[Tensor]]
"""Pixels in [0, 255] of pictures by their places in the set, which ascend, one after the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A unit's own images, as its facets show them.

    Attributes:
        whole: The images, at the size of the network's input.
        boxes: What is seen of each, by its place; empty where all is.
        interpolation: How a part becomes as large as the whole.
    """

    whole: PixelsOf
    boxes: Mapping[int, Box]
    interpolation: Interpolation = Interpolation.BILINEAR

    def pixels(self, places: Sequence[int]) -> Iterator[Tensor]:
        """Pixels in [0, 255] of the pictures at these places, which ascend."""
        for place, pixels in zip(places, self.whole(places), strict=True):
            box = self.boxes.get(place)
            yield pixels if box is None else cropped(pixels, box, self.interpolation)


def box_at(field: ReceptiveField, cell: tuple[int, int], height: int, width: int) -> Box:
    """The part of a picture that an element depends on, at least one pixel.

    Args:
        field: Of the layer.
        cell: Where the element is, down and across.
        height: Pixels of the picture.
        width: Pixels of the picture.
    """
    top, bottom = _span(field, 0, cell[0], height)
    left, right = _span(field, 1, cell[1], width)
    return Box(left, top, right - left, bottom - top)


def _span(field: ReceptiveField, axis: int, cell: int, pixels: int) -> tuple[int, int]:
    """First pixel along an axis and the one after the last, within the picture."""
    centre = field.offset[axis] + cell * field.stride[axis]
    first = floor(centre - (field.size[axis] - 1) / 2)
    start = min(max(first, 0), pixels - 1)
    return start, max(min(first + field.size[axis], pixels), start + 1)


def cropped(pixels: Tensor, box: Box, interpolation: Interpolation) -> Tensor:
    """A part of a picture [channel, height, width], as large as the whole, antialiased."""
    part = pixels[:, box.top : box.top + box.height, box.left : box.left + box.width]
    mode = "bicubic" if interpolation is Interpolation.BICUBIC else "bilinear"
    resized = interpolate(
        part[None].float(), size=pixels.shape[1:], mode=mode, align_corners=False, antialias=True
    )
    return resized[0].clamp(0, 255)
