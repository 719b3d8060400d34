"""Pixels as what is sent of them: pictures of whole grey levels, or tensors that round nothing."""

from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Num
from PIL import Image
from torch import Tensor

from facetscope.domain.events import Picture
from facetscope.domain.inputs import COLOURS, GREY
from facetscope.domain.syntheses import Encoding

AnyPixels = Num[Tensor, "channel height width"]
"""One picture in [0, 255], whole numbers or not. One channel is grey and three are RGB; of other
numbers, the first three are shown as red, green and blue, and a channel that is not there is 0."""

Opacity = Float[Tensor, "height width"]
"""How much each pixel of a picture is to be seen, in [0, 1]."""

THUMBNAIL_SIDE: Final = 96
"""Pixels of a thumbnail's longer side."""

WHITE: Final = 255
"""The largest value of a pixel, and of an alpha channel where all is to be seen."""

ELEMENT_TYPE: Final = "float32"
"""What tensors are sent in."""

RAW: Final = "application/octet-stream"
NPY: Final = "application/x-npy"

_QUALITY: Final = 85
"""Of thumbnails."""

_OPTIONS: Final = MappingProxyType(
    {
        Encoding.PNG: MappingProxyType({}),
        Encoding.JPEG: MappingProxyType({"quality": 95, "subsampling": 0}),
        # Exact: without it, colours that nobody sees are replaced by others that take fewer bytes.
        Encoding.WEBP: MappingProxyType({"quality": 90, "exact": True}),
    }
)


def encoded(pixels: AnyPixels, encoding: Encoding, alpha: Opacity | None = None) -> Picture:
    """A picture as it is sent; ``delivered`` tells what its receiver finds in it.

    Args:
        pixels: The picture. Values are clipped to [0, 255], and rounded to the nearest grey level,
            halves to the even one, unless the encoding is of tensors.
        encoding: What to send it as.
        alpha: How much each pixel is to be seen, as one more channel; not with JPEG.
    """
    if encoding in _OPTIONS:
        return _file(_image(pixels, alpha), encoding.name, **_OPTIONS[encoding])
    planes = pixels if alpha is None else torch.cat([pixels, WHITE * alpha.to(pixels)[None]])
    return _tensor(planes, encoding, has_alpha=alpha is not None)


def delivered(pixels: AnyPixels, encoding: Encoding, alpha: Opacity | None = None) -> AnyPixels:
    """The colours that the receiver of ``encoded`` decodes, in the type and place of ``pixels``.

    Where pictures are false colours, all channels in whole grey levels: what is measured of them is
    that of the whole image, of which its receiver sees a part.
    """
    if encoding not in _OPTIONS:
        return pixels.detach().clamp(0, WHITE).to(torch.float32).to(pixels)
    if encoding is Encoding.PNG or len(pixels) not in (GREY, COLOURS):
        return pixels.detach().round().clamp(0, WHITE)
    picture = Image.open(BytesIO(encoded(pixels, encoding, alpha).data))
    levels = np.array(picture.convert("L" if len(pixels) == GREY else "RGB"))
    return torch.from_numpy(levels).reshape(*levels.shape[:2], -1).permute(2, 0, 1).to(pixels)


def png(pixels: AnyPixels) -> Picture:
    """A picture as PNG, without loss beyond rounding."""
    return encoded(pixels, Encoding.PNG)


def thumbnail(pixels: AnyPixels) -> Picture:
    """A picture as JPEG of ``THUMBNAIL_SIDE``; a smaller one as PNG of its own size."""
    image = _image(pixels)
    if max(image.size) <= THUMBNAIL_SIDE:
        return _file(image, "PNG")
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _file(image, "JPEG", quality=_QUALITY)


def _image(pixels: AnyPixels, alpha: Opacity | None = None) -> Image.Image:
    shown = pixels if len(pixels) in (GREY, COLOURS) else _false_colours(pixels)
    image = Image.fromarray(_levels(shown).permute(1, 2, 0).squeeze(2).numpy())
    if alpha is not None:
        image.putalpha(Image.fromarray(_levels(WHITE * alpha).numpy()))
    return image


def _levels(values: Tensor) -> Tensor:
    return values.detach().round().clamp(0, WHITE).to("cpu", torch.uint8)


def _false_colours(pixels: AnyPixels) -> Num[Tensor, "3 height width"]:
    black = pixels.new_zeros((COLOURS, *pixels.shape[1:]))
    return torch.cat([pixels, black])[:COLOURS]


def _file(image: Image.Image, kind: str, **options: Any) -> Picture:
    file = BytesIO()
    image.save(file, kind, **options)
    has_alpha = image.mode in ("LA", "RGBA")
    return Picture(file.getvalue(), Image.MIME[kind], image.width, image.height, alpha=has_alpha)


def _tensor(planes: AnyPixels, encoding: Encoding, *, has_alpha: bool) -> Picture:
    clipped = planes.detach().clamp(0, WHITE).to("cpu", torch.float32)
    elements = np.ascontiguousarray(clipped.numpy(), "<f4")
    channels, height, width = elements.shape
    if encoding is Encoding.FLOAT32:
        data, media_type = elements.tobytes(), RAW
    else:
        file = BytesIO()
        np.save(file, elements, allow_pickle=False)
        data, media_type = file.getvalue(), NPY
    return Picture(
        data, media_type, width, height, (channels, height, width), ELEMENT_TYPE, has_alpha
    )
