"""Variations: an image moved, enlarged and blurred by so little that it shows the same."""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.shapes import Images

SHIFT: Final = 1 / 32
"""Largest shift along each axis, as a part of its side."""

CROP: Final = 0.9
"""Smallest part of each side that a crop keeps; it is enlarged to the whole again."""

BLUR: Final = (0.4, 0.8)
"""Least and largest standard deviation of the blur, in pixels: what the resampling of a picture
by a fraction of a pixel takes anyway, and twice that."""


def variation(images: Images, generators: Sequence[torch.Generator]) -> Images:
    """Each image once, cropped, shifted and blurred, at the same size.

    The three are one resampling: an output pixel is the mean of the pixels around the place that
    crop and shift have it look at, weighted by a normal curve as wide as the blur. Beyond an edge
    stands the edge's pixel. Only products of matrices are computed, image by image, so the same
    image and generator give the same pixels in any batch.

    Args:
        images: Of any value range.
        generators: The randomness of each image, on the CPU; each gives four numbers.
    """
    return torch.stack([_varied(*each) for each in zip(images, generators, strict=True)])


def _varied(
    image: Float[Tensor, "channel height width"], generator: torch.Generator
) -> Float[Tensor, "channel height width"]:
    *shifts, crop, blur = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    scale, sigma = CROP + (1 - CROP) * crop, BLUR[0] + (BLUR[1] - BLUR[0]) * blur
    down, across = (
        resampling(side, scale=scale, shift=SHIFT * side * (2 * shift - 1), sigma=sigma).to(image)
        for side, shift in zip(image.shape[1:], shifts, strict=True)
    )
    return down @ image @ across.T


def resampling(
    side: int, *, scale: float, shift: float, sigma: float
) -> Float[Tensor, "side side"]:
    """Weights of the pixels along an axis, one row for each pixel of the result; rows add up to 1.

    Args:
        side: Number of pixels.
        scale: Part of the side that is seen.
        shift: By how much the middle of what is seen is off the middle, in pixels.
        sigma: Width of the normal curve, in pixels.
    """
    pixels = torch.arange(side, dtype=torch.float64)
    middle = (side - 1) / 2
    places = ((pixels - middle) * scale + middle + shift).clamp(0, side - 1)
    weights = torch.exp(-(((pixels - places[:, None]) / sigma) ** 2) / 2)
    return weights / weights.sum(dim=1, keepdim=True)
