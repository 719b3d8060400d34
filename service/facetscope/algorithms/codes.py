"""Codes: the vectors that images are compared by, and the order that activations put images in."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from facetscope.algorithms.shapes import Activations, Scores
from facetscope.domain.discoveries import CodePooling

Places = Int[Tensor, " batch"]
"""A position of a layer for each image, where its positions are counted along their axes in order,
the last one fastest."""

Codes = Float[Tensor, "batch channel"]
"""One number for each image and channel."""


def codes_of(
    activations: Activations,
    channel_axis: int,
    pooling: CodePooling = CodePooling.MEAN,
    places: Places | None = None,
) -> Codes:
    """One number for each image and channel, of the activations at all positions or at one.

    Args:
        activations: Of one layer, in any floating type; summed and returned as float32.
        channel_axis: Index of the axis that counts channels, not 0.
        pooling: Which number.
        places: Where to read them with ``AT_MAXIMUM``. By default, where their Euclidean norm over
            the channels is the greatest; of equal places, the first.
    """
    values = by_position(activations.float(), channel_axis)
    match pooling:
        case CodePooling.MEAN:
            return values.mean(dim=2)
        case CodePooling.MAX:
            return values.amax(dim=2)
        case CodePooling.AT_MAXIMUM:
            return _at(values, values.norm(dim=1).argmax(dim=1) if places is None else places)


def attributions_of(
    activations: Activations,
    gradients: Activations,
    channel_axis: int,
    pooling: CodePooling = CodePooling.MEAN,
    places: Places | None = None,
) -> Codes:
    """Gradient times activation: what each channel adds to a unit, to first order.

    Args:
        activations: Of one layer.
        gradients: Of the unit's activation with respect to each of these.
        channel_axis: Index of the axis that counts channels, not 0.
        pooling: Of the products at all positions: ``MEAN`` stands for their sum, so that the code
            of an image adds up to its unit's activation where that is linear in the layer.
        places: Where to read the products with ``AT_MAXIMUM``. By default, where their sum over the
            channels is the greatest; of equal places, the first.
    """
    products = by_position((activations * gradients).float(), channel_axis)
    match pooling:
        case CodePooling.MEAN:
            return products.sum(dim=2)
        case CodePooling.MAX:
            return products.amax(dim=2)
        case CodePooling.AT_MAXIMUM:
            return _at(products, products.sum(dim=1).argmax(dim=1) if places is None else places)


def by_position(
    activations: Activations, channel_axis: int
) -> Num[Tensor, "batch channel position"]:
    """The same numbers with channels first, and all positions along one axis; at least one."""
    channels_first = activations.movedim(channel_axis, 1)
    return channels_first.reshape(*channels_first.shape[:2], -1)


def on_grid(places: Places, extent: Sequence[int], onto: Sequence[int]) -> Places:
    """The cells of another grid that hold the middle of cells of this one.

    Args:
        places: Cells of this grid.
        extent: Cells along each axis of this grid.
        onto: Cells along each axis of the other, which has as many axes.
    """
    found, steps = torch.zeros_like(places), 1
    for size, other in zip(reversed(extent), reversed(onto), strict=True):
        found += (places % size * 2 + 1) * other // (2 * size) * steps
        places, steps = places // size, steps * other
    return found


def top_images(activations: Scores, count: int) -> Int[Tensor, " top"]:
    """Indices of the ``count`` images with the largest activation, or of all if they are fewer.

    The largest is first; of equal ones, the earlier image.
    """
    return torch.argsort(activations, descending=True, stable=True)[:count]


def images_from(activations: Scores, quantile: float) -> Int[Tensor, " top"]:
    """Indices of the images whose activation is at or above a quantile of them all.

    Between two images the quantile is interpolated linearly. The largest activation is first; of
    equal ones, the earlier image.
    """
    ascending = activations.double().sort().values
    place = quantile * (len(ascending) - 1)
    low, part = int(place), place - int(place)
    above = ascending[min(low + 1, len(ascending) - 1)]
    least = ascending[low] + part * (above - ascending[low])
    return top_images(activations, int((activations.double() >= least).sum()))


def _at(values: Float[Tensor, "batch channel position"], places: Places) -> Codes:
    return values.take_along_dim(places[:, None, None], dim=2)[..., 0]
