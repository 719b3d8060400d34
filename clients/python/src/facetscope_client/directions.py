"""Directions of a layer: concept vectors, from numbers or from files, as units."""

from __future__ import annotations

import ast
import json
import struct
from collections.abc import Iterable
from math import isfinite, prod
from pathlib import Path
from typing import Any, Final

from facetscope_client.gen.facetscope.v1.model_pb2 import ChannelWeight, Unit

NUMPY_MAGIC: Final = b"\x93NUMPY"

CODES: Final = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
"""How ``struct`` calls the types of numbers that are read."""


def direction(
    layer: str,
    vector: Iterable[float],
    *,
    position: Iterable[int] = (),
    channel_axis: int | None = None,
) -> Unit:
    """The unit that is a direction of ``layer``: the weighted sum of its channels.

    Args:
        layer: Name of the layer.
        vector: A weight for every channel, in their order: for example a linear probe's, or the
            difference of two means. Any sequence of numbers, also of NumPy or PyTorch.
        position: For one position of the layer; otherwise the mean over all.
        channel_axis: Axis that counts channels, where the server would take another.

    Raises:
        ValueError: A weight is not finite, or all are 0.
    """
    weights = [float(weight) for weight in vector]
    if broken := [channel for channel, weight in enumerate(weights) if not isfinite(weight)]:
        raise ValueError(f"the weight of channel {broken[0]} is {weights[broken[0]]}, not finite")
    kept = [
        ChannelWeight(channel=channel, weight=weight)
        for channel, weight in enumerate(weights)
        if weight
    ]
    if not kept:
        raise ValueError(f"all {len(weights)} weights are 0, which is a direction to nowhere")
    return Unit(layer=layer, position=position, channel_axis=channel_axis, weights=kept)


def read_direction(text: str) -> Unit:
    """The direction that ``LAYER=FILE`` names: a vector as .npy, or a list of numbers as JSON.

    Raises:
        ValueError: It has another form, or the file has no vector.
        OSError: The file cannot be read.
    """
    layer, _, file = text.rpartition("=")
    if not layer or not file:
        raise ValueError(f"{text!r} is no direction: write LAYER=FILE.npy or LAYER=FILE.json")
    try:
        return direction(layer, read_vector(Path(file)))
    except ValueError as problem:
        raise ValueError(f"{file}: {problem}") from problem


def read_vector(path: Path) -> list[float]:
    """The numbers in a file.

    Raises:
        ValueError: It is neither a vector as NumPy saves it (of floats or whole numbers, perhaps
            with further axes of length 1), nor a list of numbers as JSON.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    if not data.startswith(NUMPY_MAGIC):
        return _from_json(data)
    try:
        return _from_numpy(data)
    except (KeyError, SyntaxError, TypeError, struct.error) as problem:
        raise ValueError(f"the .npy file is damaged: {problem}") from problem


def _from_json(data: bytes) -> list[float]:
    try:
        content = json.loads(data)
    except ValueError as problem:
        raise ValueError(f"neither a .npy file nor JSON: {problem}") from problem
    if not isinstance(content, list) or not all(map(_is_number, content)):
        raise ValueError("a vector as JSON is a list of numbers, and nothing else")
    return [float(number) for number in content]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _from_numpy(data: bytes) -> list[float]:
    """Versions 1 to 3 of the format; see ``numpy.lib.format``."""
    wide = data[6:7] > b"\x01"
    (length,) = struct.unpack_from("<I" if wide else "<H", data, 8)
    begin = 12 if wide else 10
    header: dict[str, Any] = ast.literal_eval(data[begin : begin + length].decode())
    shape, kind = header["shape"], header["descr"]
    if max(shape, default=0) != prod(shape):
        raise ValueError(f"an array of shape {list(shape)} is no vector: save one row of it")
    if not isinstance(kind, str) or kind[1:] not in CODES:
        raise ValueError(f"numbers of type {kind!r} are not read: save float32 or float64")
    order = ">" if kind.startswith(">") else "<"
    form = f"{order}{prod(shape)}{CODES[kind[1:]]}"
    return [float(number) for number in struct.unpack_from(form, data, begin + length)]
