"""Pixels as files to send: PNG where every grey level counts, small JPEG where a glance will do."""

from io import BytesIO
from typing import Final

import torch
from jaxtyping import Num
from PIL import Image
from torch import Tensor

from facetscope.domain.events import Picture
from facetscope.domain.inputs import COLOURS, GREY

AnyPixels = Num[Tensor, "channel height width"]
"""One picture in [0, 255], whole numbers or not. One channel is grey and three are RGB; of other
numbers, the first three are shown as red, green and blue, and a channel that is not there is 0."""

THUMBNAIL_SIDE: Final = 96
"""Pixels of a thumbnail's longer side."""

_QUALITY: Final = 85


def png(pixels: AnyPixels) -> Picture:
    """A picture as PNG, without loss beyond rounding.

    Values are rounded to the nearest grey level, halves to the even one, and clipped to [0, 255].
    """
    return _file(_image(pixels), "PNG")


def thumbnail(pixels: AnyPixels) -> Picture:
    """A picture as JPEG of ``THUMBNAIL_SIDE``; a smaller one as PNG of its own size."""
    image = _image(pixels)
    if max(image.size) <= THUMBNAIL_SIDE:
        return _file(image, "PNG")
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _file(image, "JPEG", quality=_QUALITY)


def _image(pixels: AnyPixels) -> Image.Image:
    shown = pixels if len(pixels) in (GREY, COLOURS) else _false_colours(pixels)
    levels = shown.detach().round().clamp(0, 255).to("cpu", torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).squeeze(2).numpy())


def _false_colours(pixels: AnyPixels) -> Num[Tensor, "3 height width"]:
    black = pixels.new_zeros((COLOURS, *pixels.shape[1:]))
    return torch.cat([pixels, black])[:COLOURS]


def _file(image: Image.Image, kind: str, **options: int) -> Picture:
    file = BytesIO()
    image.save(file, kind, **options)
    return Picture(file.getvalue(), Image.MIME[kind], image.width, image.height)
