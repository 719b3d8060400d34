"""Everything that an image may be sent as, opened by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from PIL import Image

from facetscope_client.gen.facetscope.v1.facet_pb2 import EncodedImage
from facetscope_client.tensors import NPY, RAW, picture_array

MEDIA: Final = ("PNG", "JPEG", "WEBP")
"""What the contract sends pictures as."""

MODE_OF: Final = {1: "L", 3: "RGB"}
"""What a picture is, by the number of its colours."""


def opened(picture: EncodedImage) -> Image.Image:
    """``picture`` in whole grey levels, as L, LA, RGB or RGBA.

    Of a tensor with other than one or three colours, the first three are red, green and blue.

    Raises:
        ValueError: The bytes are not what the message says.
        OSError: They are no picture.
    """
    if picture.media_type not in (RAW, NPY):
        return Image.open(BytesIO(picture.data), formats=MEDIA)
    height, width = picture.shape[1:]
    planes = [_levels(plane, (width, height)) for plane in _planes(picture)]
    alpha = planes.pop() if picture.alpha else None
    if len(planes) not in MODE_OF:
        planes = [*planes, *[Image.new("L", (width, height))] * 2][:3]
    image = Image.merge(MODE_OF[len(planes)], planes)
    if alpha is not None:
        image.putalpha(alpha)
    return image


def on_paper(picture: Image.Image, paper: str) -> Image.Image:
    """``picture`` as RGB, with ``paper`` where it is transparent."""
    if "A" not in picture.getbands():
        return picture.convert("RGB")
    sheet = Image.new("RGBA", picture.size, paper)
    return Image.alpha_composite(sheet, picture.convert("RGBA")).convert("RGB")


def _planes(picture: EncodedImage) -> Sequence[memoryview]:
    """The bytes of each channel of a tensor."""
    whole = picture_array(picture).cast("B")
    size = len(whole) // picture.shape[0]
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def _levels(plane: memoryview, size: tuple[int, int]) -> Image.Image:
    """One channel, rounded; Pillow itself would cut fractions off."""
    values = Image.frombytes("F", size, plane.tobytes())
    return values.point(lambda value: value * 1 + 0.5).convert("L")
