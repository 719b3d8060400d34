"""Pictures brought to the size of a network's input, as torchvision's transforms do it."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from facetscope.domain.inputs import COLOURS, GREY, Fit, Input, Interpolation
from facetscope.images import arrays
from facetscope.images.decoding import UndecodableError, opened
from facetscope.images.room import Room

Pixels = UInt8[Tensor, "channel height width"]
"""One picture, with as many channels as the network's input has, in [0, 255]."""

PADDING: Final = 114
"""The grey around a picture that is fitted whole, as the networks of YOLO are trained with."""

_RESAMPLING: Final = {
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
}
_REDUCING_GAP: Final = 3
"""How much larger than needed a picture stays when decoded reduced: on photos of 12 megapixels, no
grey level is then off by more than 2, and reading takes a third of the time."""

_LARGEST_RESIZED: Final = 2**24
"""Pixels that a picture may become before it is cut; of one that would become larger, only what is
kept is resized, within one grey level of the same."""


def read(data: bytes, spec: Input, room: Room | None = None) -> Pixels:
    """Decode a file, and fit it to ``spec``.

    Pictures have 1 or 3 channels; other numbers of channels come as arrays, see ``arrays``.

    Args:
        data: The file.
        spec: The network's input.
        room: Memory that whole pictures take; if not given, any.

    Raises:
        UndecodableError: Whatever is wrong with the file.
    """
    if data.startswith(arrays.MAGIC):
        with _taken(room, arrays.LEVELS_BYTES * len(data)):
            return torch.cat([fit(band, spec) for band in arrays.bands(data, spec.channels)])
    if spec.channels not in (GREY, COLOURS):
        raise UndecodableError(f"a picture file has no {spec.channels} channels: send .npy arrays")
    picture = opened(data, detail=_detail(spec))
    with _taken(room, picture.size_bytes):
        return fit(picture.decode(channels=spec.channels), spec)


def fit(picture: Image.Image, spec: Input) -> Pixels:
    """Resize a picture with antialiasing, and cut or pad it.

    Args:
        picture: Of mode ``L`` or ``RGB``.
        spec: Whose size, fit, resize and interpolation to use.
    """
    if spec.fit is Fit.LETTERBOX:
        fitted = _letterboxed(picture, spec)
    else:
        fitted = _cut(picture, _resized_size(picture, spec), spec)
    return torch.from_numpy(np.atleast_3d(np.array(fitted))).permute(2, 0, 1).contiguous()


def _taken(room: Room | None, needed: int) -> AbstractContextManager[None]:
    return nullcontext() if room is None else room.taken(needed)


def _detail(spec: Input) -> int | None:
    """Pixels of the short side that are enough; of pictures seen whole, that depends on them."""
    return math.ceil(_REDUCING_GAP * max(spec.uncut)) if spec.fit is not Fit.LETTERBOX else None


def _resized_size(picture: Image.Image, spec: Input) -> tuple[int, int]:
    """Width and height that a picture is resized to, before the input is cut from its centre.

    The longer side is rounded down, as by ``torchvision.transforms.Resize``.
    """
    height, width = spec.uncut
    if spec.fit is Fit.STRETCH:
        return width, height
    if picture.width * height <= picture.height * width:
        return width, max(height, int(width * picture.height / picture.width))
    return max(width, int(height * picture.width / picture.height)), height


def _cut(picture: Image.Image, resized: tuple[int, int], spec: Input) -> Image.Image:
    """The centre of the resized picture, placed as by ``torchvision.transforms.CenterCrop``."""
    left, top = round((resized[0] - spec.width) / 2), round((resized[1] - spec.height) / 2)
    window = (left, top, left + spec.width, top + spec.height)
    resampling = _RESAMPLING[spec.interpolation]
    if resized[0] * resized[1] <= _LARGEST_RESIZED:
        return picture.resize(resized, resampling).crop(window)
    across, down = picture.width / resized[0], picture.height / resized[1]
    right = min(window[2] * across, picture.width)  # rounding may not push it out of the picture
    lower = min(window[3] * down, picture.height)
    box = (left * across, top * down, right, lower)
    return picture.resize((spec.width, spec.height), resampling, box)


def _letterboxed(picture: Image.Image, spec: Input) -> Image.Image:
    """The whole picture on grey, placed as by Ultralytics' LetterBox."""
    scale = min(spec.width / picture.width, spec.height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    left, top = ((spec.width - size[0]) / 2, (spec.height - size[1]) / 2)
    resized = picture.resize(size, _RESAMPLING[spec.interpolation])
    canvas = Image.new(
        picture.mode, (spec.width, spec.height), (PADDING,) * len(picture.getbands())
    )
    canvas.paste(resized, (round(left - 0.1), round(top - 0.1)))
    return canvas
