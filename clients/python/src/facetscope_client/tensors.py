"""Tensors that come in place of pictures, without any package that computes with them."""

from __future__ import annotations

import sys
from array import array
from math import prod
from typing import Final

from facetscope_client.gen.facetscope.v1.facet_pb2 import EncodedImage

RAW: Final = "application/octet-stream"
NPY: Final = "application/x-npy"

ELEMENT_BYTES: Final = {"float32": 4}
"""Bytes of each type of element that the contract has."""


def picture_array(picture: EncodedImage) -> memoryview[float]:
    """The elements of a tensor: float32 in [0, 255], of shape [channel, height, width].

    The view has the shape that the message tells, so that ``numpy.asarray(picture_array(picture))``
    is an array. Where ``picture.alpha`` is set, the last channel tells how much
    each pixel matters. Images are tensors where the encoding FLOAT32 or NPY was asked for; other
    encodings are files of pictures, which Pillow decodes, for example.

    Raises:
        ValueError: It is a picture, or not what its message says.
    """
    if picture.media_type not in (RAW, NPY):
        kind = picture.media_type
        raise ValueError(f"{kind} is no tensor: ask for FLOAT32 or NPY, or decode the picture")
    if picture.element_type not in ELEMENT_BYTES:
        raise ValueError(f"this client is too old for elements of {picture.element_type!r}")
    shape = list(picture.shape)
    size = prod(shape) * ELEMENT_BYTES[picture.element_type]
    surplus = len(picture.data) - size
    if surplus < 0 or (surplus and picture.media_type == RAW):
        kind = picture.element_type
        raise ValueError(f"{len(picture.data)} bytes are no tensor of {kind} and shape {shape}")
    # A file of NumPy has its elements at its end.
    return memoryview(_native(picture.data[surplus:])).cast("f", shape=shape)


def _native(data: bytes) -> bytes:
    """Elements that are little endian, as this machine has them."""
    if sys.byteorder == "little":
        return data
    elements = array("f", data)
    elements.byteswap()
    return elements.tobytes()
