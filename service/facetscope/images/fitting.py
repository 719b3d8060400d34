"""Pictures brought to the size of a network's input."""

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from facetscope.domain.inputs import Fit, Input, Interpolation
from facetscope.images.decoding import decode

Pixels = UInt8[Tensor, "channel height width"]
"""One picture: grey or RGB, as the network's input has 1 or 3 channels, in [0, 255]."""

_RESAMPLING: Final = {
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
}
_REDUCING_GAP: Final = 3
"""How much larger than needed a picture stays when decoded reduced: on photos of 12 megapixels, no
grey level is then off by more than 2, and reading takes a third of the time."""


def read(data: bytes, spec: Input) -> Pixels:
    """Decode a file, and fit it to ``spec``.

    Raises:
        UndecodableError: Whatever is wrong with the file.
    """
    needed = math.ceil(_REDUCING_GAP * max(spec.height, spec.width) / spec.crop_fraction)
    return fit(decode(data, channels=spec.channels, detail=needed), spec)


def fit(picture: Image.Image, spec: Input) -> Pixels:
    """Cut and resize a picture, in one go and with antialiasing.

    Args:
        picture: Of mode ``L`` or ``RGB``, as ``spec`` has 1 or 3 channels.
        spec: Whose size, fit, crop fraction and interpolation to use.
    """
    resampling = _RESAMPLING[spec.interpolation]
    fitted = picture.resize((spec.width, spec.height), resampling, _window(picture, spec))
    return torch.from_numpy(np.atleast_3d(np.array(fitted))).permute(2, 0, 1).contiguous()


def _window(picture: Image.Image, spec: Input) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is kept; pixels may be cut through."""
    if spec.fit is Fit.STRETCH:
        return (0.0, 0.0, float(picture.width), float(picture.height))
    scale = spec.crop_fraction * min(picture.width / spec.width, picture.height / spec.height)
    left = max(0.0, (picture.width - scale * spec.width) / 2)
    top = max(0.0, (picture.height - scale * spec.height) / 2)
    return (left, top, picture.width - left, picture.height - top)
