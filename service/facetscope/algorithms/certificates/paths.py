"""Path similarity: are the layers on the way to a unit in a state that natural images bring about?

Geirhos et al., "Don't trust your eyes: on the (un)reliability of feature visualizations" (2024),
arXiv:2306.04719: an image that a network processes on another path than natural images shows
nothing of what the network does for these.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from facetscope.algorithms.codes import Codes
from facetscope.algorithms.shapes import Scores
from facetscope.domain.units import Layer

FEWEST_CHANNELS: Final = 8
"""Channels of a layer that has a say: fewer have hardly an order."""

LEAST_SCALE: Final = 0.02
"""Difference between two rank correlations that is taken for one at least."""


def chosen_layers(layers: Sequence[Layer], most: int) -> tuple[Layer, ...]:
    """At most ``most`` of the layers on the way to a unit, evenly spread from first to last.

    Args:
        layers: In the order of execution, the unit's own left out; those with fewer than 8 channels
            are passed over.
        most: How many, at least 1.
    """
    wide = [layer for layer in layers if layer.channels >= FEWEST_CHANNELS]
    if len(wide) <= most:
        return tuple(wide)
    last, gaps = len(wide) - 1, max(most - 1, 1)
    return tuple(wide[last - place * last // gaps] for place in reversed(range(most)))


def rank_correlations(
    left: Codes, right: Float[Tensor, "other channel"]
) -> Float[Tensor, "batch other"]:
    """Spearman's rank correlation of each image of ``left`` with each of ``right``.

    Equal channels share the mean of their ranks. Where all are equal there are no ranks: two images
    of that kind are taken to be alike, with 1, and one of them is like no other, with 0.

    Args:
        left: One number for each image and channel: the mean over the layer's positions.
        right: The same of other images.
    """
    a, b = _standardized(left), _standardized(right)
    silent = (a == 0).all(dim=1)[:, None] & (b == 0).all(dim=1)
    return (a @ b.T).clamp(-1, 1).masked_fill(silent, 1.0)


def path_similarities(
    images: Float[Tensor, "batch witness"],
    kin: Float[Tensor, "witness witness"],
    strangers: Float[Tensor, "stranger witness"],
) -> Scores:
    """How far a layer does for images what it does for natural images of a kind.

    1 for an image that is as similar to natural images of the kind as these are to each other; 0
    for one that is no more similar to them than natural images of other kinds are, and less for
    less. What counts as 1 is the difference between the two means; but no less than the standard
    deviation among the kind's own images, so that a layer that tells no kinds apart, or says the
    same for all of them, does not decide by a hair.

    Args:
        images: Rank correlations of the images, one row each, with natural images of the kind.
        kin: Of the natural images of the kind with each other, a square of at least 3 rows.
        strangers: Of natural images of other kinds, at least one row, with those of the kind.

    Returns:
        One number for each image, in [-1, 1].
    """
    others = _without_diagonal(kin).mean(dim=1)
    same, spread = others.mean(), others.std()
    scale = torch.stack([same - strangers.mean(), spread, same.new_tensor(LEAST_SCALE)]).amax()
    return (1 - (same - images.mean(dim=1)) / scale).clamp(-1, 1)


def _without_diagonal(square: Float[Tensor, "row row"]) -> Float[Tensor, "row other"]:
    rows = len(square)
    others: Tensor = square[~torch.eye(rows, dtype=torch.bool, device=square.device)]
    return others.reshape(rows, rows - 1)


def _standardized(values: Codes) -> Float[Tensor, "batch channel"]:
    """Ranks about their mean, with a length of 1; zeros where all values are equal."""
    ranks = torch.stack([_ranks(image) for image in values])
    away = ranks - ranks.mean(dim=1, keepdim=True)
    return normalize(away)


def _ranks(values: Float[Tensor, " channel"]) -> Float[Tensor, " channel"]:
    """Ranks from 0, in double precision, equal values sharing their mean."""
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    shared: Tensor = counts.cumsum(0).double() - (counts.double() + 1) / 2
    return shared[inverse]
