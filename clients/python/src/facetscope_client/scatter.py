"""The embedding of a unit's images: near images are alike, and each facet has its mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from facetscope_client.gen.facetscope.v1.facet_pb2 import Facet, Point
from facetscope_client.pen import PALE, Pen

SIDE: Final = 560
"""Side of the field."""

INSET: Final = 32
"""Free border within it."""

DOT: Final = 12
"""Diameter of the mark of an image."""

BADGE: Final = 30
"""Diameter of the mark of a facet, which has its number."""

ENTRIES: Final = 7
"""Entries of the legend in one line."""

LINE_HEIGHT: Final = 40
"""Height of one line of the legend."""


def height_of(facets: int) -> int:
    """Height of the field with a legend of this many ``facets``."""
    return SIDE + LINE_HEIGHT * -(-facets // ENTRIES) + 16


def draw_embedding(pen: Pen, facets: Sequence[Facet], left: int, top: int) -> None:
    """Draw members, centroids with the number of their facet, and a legend below."""
    pen.frame((left, top), (SIDE, SIDE))
    place = _projection(facets, left, top)
    for facet in facets:
        for member in facet.members:
            pen.mark(facet.index, place(member.embedding), DOT)
    for facet in facets:
        pen.badge(facet.index, place(facet.centroid), BADGE)
    _draw_legend(pen, facets, left, top + SIDE + 16)


def _draw_legend(pen: Pen, facets: Sequence[Facet], left: int, top: int) -> None:
    for number, facet in enumerate(facets):
        line, column = divmod(number, ENTRIES)
        x, y = left + column * SIDE // ENTRIES, top + line * LINE_HEIGHT + LINE_HEIGHT // 2
        pen.badge(facet.index, (x + BADGE / 2, y), BADGE)
        pen.write((x + BADGE + 6, y), f"{len(facet.members)}", ink=PALE, anchor="lm")


def _projection(
    facets: Sequence[Facet], left: int, top: int
) -> Callable[[Point], tuple[float, float]]:
    """From the plane of the embedding to the field, with one scale for both directions."""
    points = [member.embedding for facet in facets for member in facet.members]
    points += [facet.centroid for facet in facets]
    xs, ys = [point.x for point in points], [point.y for point in points]
    extent = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    scale = (SIDE - 2 * INSET) / extent
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return lambda point: (
        left + SIDE / 2 + scale * (point.x - middle_x),
        top + SIDE / 2 - scale * (point.y - middle_y),
    )
