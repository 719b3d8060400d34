"""Pictures out of files that strangers sent: PNG, JPEG, WebP, BMP, and the first frame of a GIF."""

import threading
import warnings
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
LARGEST_AREA: Final = 64_000_000
"""Pixels that a picture may have; a few kilobytes can claim to hold thousands of millions."""

_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, for each orientation that Exif has for one that is not."""

_filter_lock = threading.Lock()


class UndecodableError(Exception):
    """The bytes are not a whole picture of a known format and of bearable size."""


def decode(data: bytes, *, channels: int, detail: int | None = None) -> Image.Image:
    """Decode a file to a grey or an RGB picture of 8 bits, upright as its Exif data say.

    What is transparent becomes white, as on paper; colour becomes grey by ITU-R 601; of 16 bits the
    upper 8 are kept.

    Args:
        data: The file.
        channels: 1 for grey, 3 for RGB.
        detail: Pixels of the short side that are enough for the caller. A larger JPEG file may be
            decoded at a half, a quarter or an eighth of its size, which is several times as fast.

    Raises:
        UndecodableError: Whatever is wrong with the file.
    """
    try:
        picture, orientation = _opened(data)
        if detail is not None:
            picture.draft(None, (detail, detail))
        flat = _flat(picture).convert("L" if channels == 1 else "RGB")
    except Exception as problem:  # on hostile files Pillow raises almost any
        raise UndecodableError(str(problem)) from problem
    return flat.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else flat


def _opened(data: bytes) -> tuple[Image.Image, int]:
    """A picture with its header read, and its orientation.

    Pillow warns of damaged headers, which nobody can act on. Filters of warnings are global, so one
    thread at a time reads a header.
    """
    with _filter_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        picture = Image.open(BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > LARGEST_AREA:
            raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
        return picture, picture.getexif().get(_ORIENTATION, 1)


def _flat(picture: Image.Image) -> Image.Image:
    """The picture without transparency, and without more than 8 bits."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
