"""Pictures out of files that strangers sent: PNG, JPEG, WebP, BMP, and the first frame of a GIF."""

import threading
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Final, final

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

_PLAIN_BYTES: Final = 8
"""Of a pixel: Pillow keeps 4, and as many again while a picture is turned or resized."""

_OTHER_BYTES: Final = 16
"""Of a pixel whose transparency or depth is removed: the layers, and what becomes of them."""

_COEFFICIENT_BYTES: Final = 6
"""Of a pixel of a progressive JPEG, all of whose coefficients are kept until the last scan."""

_filter_lock = threading.Lock()


class UndecodableError(Exception):
    """The bytes are not a whole picture of a known format and of bearable size."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file whose header has been read, and whose pixels have not.

    Attributes:
        picture: What Pillow makes of it.
        orientation: As Exif has it.
        size_bytes: Memory that decoding takes, at most.
    """

    picture: Image.Image
    orientation: int
    size_bytes: int

    def decode(self, *, channels: int) -> Image.Image:
        """The pixels: a grey or an RGB picture of 8 bits, upright.

        What is transparent becomes white, as on paper; colour becomes grey by ITU-R 601; of 16 bits
        the upper 8 are kept.

        Args:
            channels: 1 for grey, 3 for RGB.

        Raises:
            UndecodableError: Whatever is wrong with the file.
        """
        try:
            flat = _flat(self.picture)
            mode = "L" if channels == 1 else "RGB"
            levels = flat if flat.mode == mode else flat.convert(mode)
            levels.load()
        except Exception as problem:  # on hostile files Pillow raises almost any
            raise UndecodableError(str(problem)) from problem
        turn = _UPRIGHT.get(self.orientation)
        return levels if turn is None else levels.transpose(turn)


def opened(data: bytes, *, detail: int | None = None) -> Opened:
    """Read the header of a file.

    Args:
        data: The file.
        detail: Pixels of the short side that are enough for the caller. A larger JPEG file may be
            decoded at a half, a quarter or an eighth of its size, which is several times as fast.

    Raises:
        UndecodableError: It is of no known format, or has more than ``LARGEST_AREA`` pixels.
    """
    try:
        picture, orientation = _opened(data)
        whole = picture.width * picture.height
        if detail is not None:
            picture.draft(None, (detail, detail))
        return Opened(picture, orientation, _size_bytes(picture, whole))
    except Exception as problem:  # on hostile files Pillow raises almost any
        raise UndecodableError(str(problem)) from problem


def decode(data: bytes, *, channels: int, detail: int | None = None) -> Image.Image:
    """Decode a file at once; see ``opened`` and ``Opened.decode``."""
    return opened(data, detail=detail).decode(channels=channels)


def _size_bytes(picture: Image.Image, whole: int) -> int:
    """Memory for decoding; ``whole`` is the number of pixels in the file, reduced or not."""
    plain = picture.mode in ("L", "RGB") and not picture.has_transparency_data
    area = picture.width * picture.height
    coefficients = _COEFFICIENT_BYTES * whole if "progressive" in picture.info else 0
    return area * (_PLAIN_BYTES if plain else _OTHER_BYTES) + coefficients


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
