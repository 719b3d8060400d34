"""Bias of the start: how much of an image was there before the ascent began."""

import torch
from jaxtyping import Float
from torch import Tensor

from facetscope.algorithms.certificates.spectra import luminance
from facetscope.algorithms.shapes import Images

NARROWEST = 1e-9
"""Length of a picture about its mean, relative to the picture's, that is more than rounding."""


def shortfall(elsewhere: float, activation: float, ordinary: float) -> float | None:
    """The part of an activation that the same ascent does not reach from another start.

    Args:
        elsewhere: Activation that it reaches from there.
        activation: Of the image.
        ordinary: From where activations are counted: the natural median.

    Returns:
        0 where the start adds nothing, 1 where without it the ascent gets nowhere, negative where
        it is a hindrance; ``None`` unless the activation is above the ordinary one.
    """
    gained = activation - ordinary
    return None if gained <= 0 else (activation - elsewhere) / gained


def likenesses(
    images: Images, starts: Float[Tensor, "start channel height width"]
) -> Float[Tensor, "batch start"]:
    """Pearson's correlation between the luminance of each image and of each start.

    Returns:
        In [-1, 1]; NaN for pictures of one grey level.
    """
    found: Tensor = _standardized(images) @ _standardized(starts).T
    return found


def excess(likeness: Float[Tensor, " start"], own: int) -> float | None:
    """By how much an image is more like its own start than like the most alike of the others.

    Args:
        likeness: Of the image, to each start; NaN for one of one grey level.
        own: Index of its own start.

    Returns:
        In [-2, 2]; ``None`` where there is no other start, or the own one is of one grey level.
    """
    others = torch.cat([likeness[:own], likeness[own + 1 :]])
    known = others[others.isfinite()]
    if likeness[own].isnan() or not len(known):
        return None
    return float(likeness[own] - known.max())


def _standardized(images: Images) -> Float[Tensor, "image pixel"]:
    grey = luminance(images).flatten(1)
    away = grey - grey.mean(dim=1, keepdim=True)
    length, whole = away.norm(dim=1, keepdim=True), grey.norm(dim=1, keepdim=True)
    flat: Tensor = away / length
    return flat.masked_fill(length <= NARROWEST * whole, torch.nan)
