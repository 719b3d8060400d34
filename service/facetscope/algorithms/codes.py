"""Codes: the vectors that images are compared by, and the order that activations put images in."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from facetscope.algorithms.shapes import Activations, Scores


def codes_of(activations: Activations, channel_axis: int) -> Float[Tensor, "batch channel"]:
    """One number for each image and channel: the activation's mean over its positions.

    Args:
        activations: Of one layer, in any floating type; summed and returned as float32.
        channel_axis: Index of the axis that counts channels, not 0.
    """
    channels_first = activations.float().movedim(channel_axis, 1)
    return channels_first.reshape(*channels_first.shape[:2], -1).mean(dim=2)


def top_images(activations: Scores, count: int) -> Int[Tensor, " top"]:
    """Indices of the ``count`` images with the largest activation, or of all if they are fewer.

    The largest is first; of equal ones, the earlier image.
    """
    return torch.argsort(activations, descending=True, stable=True)[:count]
