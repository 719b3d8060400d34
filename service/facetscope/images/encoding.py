"""Pixels as files to send: PNG where every grey level counts, small JPEG where a glance will do."""

from io import BytesIO
from typing import Final

import torch
from jaxtyping import Num
from PIL import Image
from torch import Tensor

from facetscope.domain.events import Picture

AnyPixels = Num[Tensor, "channel height width"]
"""One picture, grey or RGB, in [0, 255]: whole numbers or not."""

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
    levels = pixels.detach().round().clamp(0, 255).to("cpu", torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).squeeze(2).numpy())


def _file(image: Image.Image, kind: str, **options: int) -> Picture:
    file = BytesIO()
    image.save(file, kind, **options)
    return Picture(file.getvalue(), Image.MIME[kind], image.width, image.height)
