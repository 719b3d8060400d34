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
from jaxtyping import Bool, Float, UInt8
from scipy.stats import chi2, hypergeom
from torch import Tensor
from torch.nn.functional import interpolate

from facetscope.algorithms.shapes import Images

Others = Float[Tensor, "other channel height width"]
"""Images of the unit's other facets, at the size of the facet's own."""

SIDE: Final = 112
"""Rows and columns at which images are compared; smaller ones keep their own. The strokes of a date
on a photo of 224 are then still a pixel wide; at 32 they blur into what is behind them."""

FEWEST: Final = 6
"""Images that agreement is worth the name with."""

NOISE: Final = 4.0
"""Grey levels by which pixels differ that show the same: twice the error of a JPEG file."""

STEADY: Final = 0.1
"""Variance that a facet's images may have where they agree, as a part of how far others are off."""

STILL: Final = 0.25
"""Variance that they may have there, as a part of their mean variance over all pixels."""

SELDOM: Final = 1e-6
"""How likely a pixel of few images may have so little variance by chance, if it were normal."""

FRAMED: Final = 0.25
"""Part of a frame that has to agree for it to be a mark."""

INKED: Final = 0.01
"""Part of a corner that has to agree for it to be a mark: a date is some strokes, and no more."""

STROKES: Final = 4
"""Pixels of a corner that have to agree, at least."""

AROUND_FRAME: Final = 1 / 3
"""What may agree elsewhere, as a part of what agrees in a frame: frames are of any width."""

AROUND_CORNER: Final = 0.1
"""What may agree elsewhere, as a part of what agrees in a corner."""

COARSE: Final = 16
"""Rows and columns at which near-duplicates are looked for: copies are saved and cut anew."""

NEAR: Final = 0.15
"""Distance of near-duplicates, as a part of the median from the facet's images to others."""

REPEATED: Final = 1 / 3
"""Part of a facet's images that are near-duplicates of others where they dominate it."""

DOMINANT: Final = 0.8
"""Part of a facet's images that come from one source where it dominates the facet."""

CHANCE: Final = 1e-3
"""How likely such a share of the source may be by chance."""

CORNER: Final = (4, 3)
"""A corner has these parts of the height and of the width."""

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


def small(image: Float[Tensor, "channel height width"]) -> UInt8[Tensor, "channel row column"]:
    """An image at ``SIDE`` rows and columns, or as many as it has: averaged, not sampled."""
    return _reduced(image[None], SIDE)[0].round().clamp(0, 255).byte()


def agreeing(facet: Images, others: Others) -> Bool[Tensor, "height width"]:
    """The pixels at which images of a facet agree on what the others seldom show there.

    They agree where their variance is below ``STILL`` of its mean over all pixels, and below
    ``STEADY`` of the squared distance of more than half of the others to their mean, also when the
    others are brought to the facet's overall colour: a brighter facet is no mark. All are sums over
    channels, increased by ``NOISE`` squared for each. Of few images, the latter part is what as
    many normal ones fall short of with a probability of ``SELDOM``. What half of the others show,
    such as the black around digits, is so no agreement.
    """
    freedom = len(facet) - 1
    steady = min(STEADY, float(chi2.ppf(SELDOM, freedom)) / freedom)
    floor = NOISE**2 * facet.shape[1]
    own = facet.var(dim=0).sum(dim=0) + floor
    mean = facet.mean(dim=0)
    shift = others.mean(dim=(0, 2, 3)) - mean.mean(dim=(1, 2))
    far = torch.ones((len(others), *own.shape), dtype=torch.bool)
    for centre in (mean, mean + shift[:, None, None]):
        off = (others - centre).square_().sum(dim=1) + floor
        far &= own < steady * off
    seldom = far.double().mean(dim=0) > 0.5  # noqa: PLR2004 - a half
    return seldom & (own < STILL * own.mean())


def mark(facet: Images, others: Others) -> Mark | None:
    """The region whose pixels agree as much as a mark's, and not elsewhere.

    Of a frame, that is more than ``FRAMED``; else of the corner that agrees most, more than
    ``INKED``.
    """
    if min(len(facet), len(others)) < FEWEST:
        return None
    pixels = agreeing(facet, others)
    frame = _agreement(pixels, Region.FRAME)
    if frame.within > FRAMED and frame.without <= AROUND_FRAME * frame.within:
        return Mark(Region.FRAME, frame.within)
    corners = {region: _agreement(pixels, region) for region in Region if region != Region.FRAME}
    region = max(corners, key=lambda each: corners[each].within)
    corner = corners[region]
    inked = corner.within > INKED and corner.pixels >= STROKES
    if inked and corner.without <= AROUND_CORNER * corner.within:
        return Mark(region, corner.within)
    return None


@dataclass(frozen=True, slots=True)
class _Agreement:
    """How many pixels agree in a region, and what part of it and of the rest they are."""

    pixels: int
    within: float
    without: float


def _agreement(pixels: Bool[Tensor, "height width"], region: Region) -> _Agreement:
    inside = _inside(region, *pixels.shape)
    parts = (float(pixels[where].double().mean()) for where in (inside, ~inside))
    return _Agreement(int(pixels[inside].sum()), *parts)


def _inside(region: Region, height: int, width: int) -> Bool[Tensor, "height width"]:
    """The pixels of a region."""
    inside = torch.zeros((height, width), dtype=torch.bool)
    if region is Region.FRAME:
        top, left = (max(1, side // FRAME) for side in (height, width))
        inside[:top] = inside[-top:] = True
        inside[:, :left] = inside[:, -left:] = True
        return inside
    down, across = (
        max(1, side // part) for side, part in zip((height, width), CORNER, strict=True)
    )
    rows = slice(None, down) if region.name.startswith("TOP") else slice(-down, None)
    columns = slice(None, across) if region.name.endswith("LEFT") else slice(-across, None)
    inside[rows, columns] = True
    return inside


def near_duplicates(images: Images, others: Others | None = None) -> float:
    """Part of ``images`` that have a near-duplicate among them, in [0, 1].

    Two are near-duplicates where the root of their mean squared difference at ``COARSE`` rows and
    columns is at most ``NEAR`` of its median from ``images`` to ``others``, or ``NOISE``: what is
    near depends on how unlike images of the set are.
    """
    rows = _reduced(images, COARSE).flatten(1).double()
    per_pixel = rows.shape[1] ** 0.5
    near = NOISE
    if others is not None:
        far = torch.cdist(rows, _reduced(others, COARSE).flatten(1).double()) / per_pixel
        near = max(NOISE, NEAR * float(far.median()))
    distances = torch.cdist(rows, rows) / per_pixel
    distances.fill_diagonal_(torch.inf)
    return float((distances.amin(dim=1) <= near).double().mean())


def _reduced(images: Images, most: int) -> Float[Tensor, "batch channel row column"]:
    """Images at ``most`` rows and columns, or as many as they have."""
    return interpolate(
        images, size=tuple(min(side, most) for side in images.shape[2:]), mode="area"
    )


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
