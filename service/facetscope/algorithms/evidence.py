"""Evidence: signs that a facet is made by something else than what its images show.

Images of one facet may be alike in a frame, a logo in a corner, a source or a shot, and in nothing
else. Each sign here is a number with a threshold, between the images of a facet and those of the
unit's other facets, so that what all images share is a sign of nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import Final

import torch
from jaxtyping import Bool, Float
from scipy.stats import hypergeom
from torch import Tensor
from torch.nn.functional import interpolate

from facetscope.algorithms.shapes import Images

Others = Float[Tensor, "other channel height width"]
"""Images of the unit's other facets, at the size of the facet's own."""

SIDE: Final = 32
"""Rows and columns at which images are compared; smaller ones keep their own."""

FEWEST: Final = 5
"""Images that agreement is worth the name with."""

NOISE: Final = 4.0
"""Grey levels by which pixels differ that show the same: twice the error of a JPEG file."""

STEADY: Final = 0.1
"""Part of the other images' variance that those of a facet may have where they agree."""

MARKED: Final = 0.25
"""Part of a region that has to agree for the region to be a mark."""

ELSEWHERE: Final = 1 / 3
"""What may agree elsewhere, as a part of what agrees in the region."""

REPEATED: Final = 1 / 3
"""Part of a facet's images that are near-duplicates of others where they dominate it."""

DOMINANT: Final = 0.8
"""Part of a facet's images that come from one source where it dominates the facet."""

CHANCE: Final = 1e-3
"""How likely such a share of the source may be by chance."""

CORNER: Final = 4
"""A corner has this part of each side."""

FRAME: Final = 16
"""A frame has this part of each side."""


class Region(Enum):
    """A part of an image that is not its middle."""

    FRAME = "frame"
    TOP_LEFT = "top left corner"
    TOP_RIGHT = "top right corner"
    BOTTOM_LEFT = "bottom left corner"
    BOTTOM_RIGHT = "bottom right corner"


@dataclass(frozen=True, slots=True)
class Mark:
    """A region in which images of a facet agree, and not elsewhere.

    Attributes:
        region: Where.
        agreement: Part of the region's pixels that agree, in [0, 1].
    """

    region: Region
    agreement: float


@dataclass(frozen=True, slots=True)
class Source:
    """Where most images of a facet come from.

    Attributes:
        name: What the names of its files have in common.
        share: Part of the facet's images that come from it, in [0, 1].
        chance: How likely at least this share is among as many images drawn from the others that
            the facet could have had.
    """

    name: str
    share: float
    chance: float


def small(image: Float[Tensor, "channel height width"]) -> Float[Tensor, "channel row column"]:
    """An image at ``SIDE`` rows and columns, or as many as it has: averaged, not sampled."""
    size = tuple(min(side, SIDE) for side in image.shape[1:])
    return interpolate(image[None], size=size, mode="area")[0]


def agreeing(facet: Images, others: Others) -> Bool[Tensor, "height width"]:
    """The pixels at which images of a facet agree on what the others seldom show there.

    They agree where their variance, summed over channels, is less than ``STEADY`` times that of the
    others, each with ``NOISE`` squared for every channel. The others seldom show it where less than
    half of them lie within three times ``NOISE`` of the facet's mean in every channel.
    """
    floor = NOISE**2 * facet.shape[1]
    spread, spread_of_others = (
        images.var(dim=0, correction=0).sum(dim=0) + floor for images in (facet, others)
    )
    near = (others - facet.mean(dim=0)).abs().amax(dim=1) <= 3 * NOISE
    usual = near.double().mean(dim=0) >= 0.5  # noqa: PLR2004 - a half
    return (spread < STEADY * spread_of_others) & ~usual


def mark(facet: Images, others: Others) -> Mark | None:
    """The region whose pixels agree by more than a part of ``MARKED``, and not elsewhere.

    Of several, the one with the largest agreement, the frame first.
    """
    if min(len(facet), len(others)) < FEWEST:
        return None
    pixels = agreeing(facet, others)
    found = [
        Mark(region, float(pixels[inside].double().mean()))
        for region in Region
        for inside in [_inside(region, *pixels.shape)]
        if _stands_out(pixels, inside)
    ]
    return max(found, key=lambda each: each.agreement, default=None)


def _stands_out(pixels: Bool[Tensor, "height width"], inside: Bool[Tensor, "height width"]) -> bool:
    within, without = (pixels[where].double().mean() for where in (inside, ~inside))
    return bool(within > MARKED and without <= ELSEWHERE * within)


def _inside(region: Region, height: int, width: int) -> Bool[Tensor, "height width"]:
    """The pixels of a region."""
    inside = torch.zeros((height, width), dtype=torch.bool)
    if region is Region.FRAME:
        top, left = (max(1, side // FRAME) for side in (height, width))
        inside[:top] = inside[-top:] = True
        inside[:, :left] = inside[:, -left:] = True
        return inside
    down, across = (max(1, side // CORNER) for side in (height, width))
    rows = slice(None, down) if region.name.startswith("TOP") else slice(-down, None)
    columns = slice(None, across) if region.name.endswith("LEFT") else slice(-across, None)
    inside[rows, columns] = True
    return inside


def near_duplicates(images: Images) -> float:
    """Part of ``images`` that have a near-duplicate among them, in [0, 1].

    Two are near-duplicates where the root of their mean squared difference is at most ``NOISE``.
    """
    rows = images.flatten(1).double()
    distances = torch.cdist(rows, rows) / rows.shape[1] ** 0.5
    distances.fill_diagonal_(torch.inf)
    return float((distances.amin(dim=1) <= NOISE).double().mean())


def source_of(name: str) -> str:
    """Where a picture comes from, as far as its name tells.

    The folders above the one that is its label, and what stands before the number that its file's
    name ends with: ``camera2/`` and ``IMG_`` for ``camera2/cat/IMG_0012.jpg``.
    """
    path = PurePosixPath(name)
    stem = path.name.split(".")[0].rstrip("0123456789")
    folders = path.parts[:-2]
    return "/".join((*folders, stem)) if folders else stem


def dominant_source(
    members: Sequence[int], names: Sequence[str], labels: Sequence[str]
) -> Source | None:
    """The source of ``DOMINANT`` of a facet's images, where that is more than their label explains.

    The facet's images of its most frequent label are compared with all images of this label: a
    source that all of these share is no sign. By chance, as many images drawn from them have as
    many of the source with the probability of a hypergeometric distribution.

    Args:
        members: Indices of the facet's images.
        names: Of all images of the unit.
        labels: Of the same; empty where there is none.
    """
    (label, _), *_ = Counter(labels[member] for member in members).most_common(1)
    drawn = [source_of(names[member]) for member in members if labels[member] == label]
    pool = Counter(
        source_of(name) for name, each in zip(names, labels, strict=True) if each == label
    )
    (name, count), *_ = Counter(drawn).most_common(1)
    chance = float(hypergeom.sf(count - 1, pool.total(), pool[name], len(drawn)))
    if count < DOMINANT * len(members) or chance > CHANCE:
        return None
    return Source(name, count / len(members), chance)


def purity(labels: Sequence[str]) -> tuple[str, float] | None:
    """The most frequent of ``labels``, and its part of those that are not empty.

    Of equally frequent ones, the first in the alphabet. ``None`` where all are empty.
    """
    counts = Counter(label for label in labels if label)
    if not counts:
        return None
    label = min(counts, key=lambda each: (-counts[each], each))
    return label, counts[label] / counts.total()
