"""Diversity: how alike the images of a batch are to a layer, as Lucid measures it.

Olah, Mordvintsev & Schubert, "Feature Visualization" (2017), after the style of Gatys et al.; Lucid
``optvis/objectives.py``, ``diversity``. Of Lucid's sum over the other images this is the mean, so
that its weight need not follow their number.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from facetscope.algorithms.shapes import Activations, Scores


def similarity(activations: Activations, channel_axis: int) -> Scores:
    """How alike each image is to the others, in [-1, 1]: less is more diverse.

    It is the mean cosine between the Gram matrix of an image's channels and those of the other
    images; where the layer has no positions, between codes. An image without activation is like
    none, and one that is alone is like no other: 0.

    Args:
        activations: Of one layer, for the images that shall differ.
        channel_axis: The axis of ``activations`` that counts channels.
    """
    features = (
        activations.movedim(channel_axis, 1)
        .flatten(1)
        .unflatten(1, (activations.shape[channel_axis], -1))
    )
    cosines = _of_codes(features) if features.shape[2] == 1 else _of_grams(features)
    others = max(len(features) - 1, 1)
    return (cosines.sum(dim=1) - cosines.diagonal()) / others


def _of_codes(features: Tensor) -> Tensor:
    codes = normalize(features.flatten(1), dim=1)
    return codes @ codes.T


def _of_grams(features: Tensor) -> Tensor:
    """Cosines between Gram matrices, by whichever of two equal sums is shorter.

    The product of two Gram matrices, element by element and summed, is the sum of the squares of
    the products of all positions of one image with all of the other.
    """
    images, channels, positions = features.shape
    if positions < channels:
        at = features.movedim(1, 2).flatten(0, 1)
        products = (at @ at.T).square().reshape(images, positions, images, positions)
        products = products.sum(dim=(1, 3))
        lengths = products.diagonal().clamp(min=torch.finfo(products.dtype).tiny).sqrt()
        return products / lengths / lengths[:, None]
    return _of_codes(features @ features.mT)
