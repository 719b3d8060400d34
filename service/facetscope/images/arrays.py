"""Pictures with any number of channels, as arrays in NumPy's own file format."""

from collections.abc import Callable, Mapping
from io import BytesIO
from math import prod
from typing import Any, Final

import numpy as np
from numpy.lib import format as formats
from numpy.typing import NDArray
from PIL import Image

from facetscope.images.decoding import LARGEST_AREA, UndecodableError

MAGIC: Final = b"\x93NUMPY"
"""What files of ``numpy.save`` begin with."""

PICTURE_RANK: Final = 3

LEVELS_BYTES: Final = 3
"""Bytes that levels and what they are computed from take for each byte of a file, at most."""

_HEADERS: Final[Mapping[tuple[int, int], Callable[[BytesIO], Any]]] = {
    (1, 0): formats.read_array_header_1_0,
    (2, 0): formats.read_array_header_2_0,
}


def bands(data: bytes, channels: int) -> list[Image.Image]:
    """The channels of an array [height, width, channels], or [height, width], as grey pictures.

    Levels are whole numbers of 8 bits; of 16 bits the upper 8 are kept; fractions are in [0, 1].

    Args:
        data: The file, as ``numpy.save`` writes it. Objects in it are not taken.
        channels: How many there must be.

    Raises:
        UndecodableError: It is not such an array.
    """
    array = _array(data)
    whole = array[..., None] if array.ndim == PICTURE_RANK - 1 else array
    if whole.ndim != PICTURE_RANK or whole.shape[2] != channels:
        wanted = f"[height, width, {channels}]"
        raise UndecodableError(f"an array of {wanted} is needed, not of {list(array.shape)}")
    if not 0 < whole.shape[0] * whole.shape[1] <= LARGEST_AREA:
        raise UndecodableError(f"{whole.shape[1]} x {whole.shape[0]} pixels are too many, or none")
    levels = _levels(whole)
    return [Image.fromarray(np.ascontiguousarray(levels[..., at])) for at in range(channels)]


def _array(data: bytes) -> NDArray[Any]:
    """The array, which takes no memory besides the file's, whatever size its header claims."""
    file = BytesIO(data)
    try:
        version = formats.read_magic(file)
        shape, backwards, dtype = _HEADERS[version](file)
        flat = np.frombuffer(data, dtype, count=prod(shape), offset=file.tell())
        return flat.reshape(shape, order="F" if backwards else "C")
    except Exception as problem:  # on hostile files NumPy raises almost any
        raise UndecodableError(str(problem)) from problem


def _levels(array: NDArray[Any]) -> NDArray[np.uint8]:
    match array.dtype.kind, array.dtype.itemsize:
        case "u", 1:
            return array
        case "u", 2:
            return (array >> 8).astype(np.uint8)
        case "f", _ if ((array >= 0) & (array <= 1)).all():
            return np.rint(array * 255.0).astype(np.uint8)
    raise UndecodableError(f"its {array.dtype} are not uint8, uint16, or fractions in [0, 1]")
