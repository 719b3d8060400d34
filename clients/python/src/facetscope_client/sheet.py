"""A contact sheet: all that an inspection found out about one unit, on one picture.

Every facet is a row: its share of the images and what is known of it, its nearest and farthest real
images, their mean, and the synthesized images with the figures of the first; below it stand the
signs that it is made by something else than what its images show. Beside the rows is the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps

from facetscope_client import scatter
from facetscope_client.gen.facetscope.v1 import facet_pb2
from facetscope_client.gen.facetscope.v1.certificate_pb2 import TrustLevel
from facetscope_client.gen.facetscope.v1.facet_pb2 import (
    EncodedImage,
    Facet,
    FacetCount,
    FacetFlag,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import SynthesizedImage
from facetscope_client.pen import ALARM, INK, PALE, PAPER, Pen
from facetscope_client.pictures import on_paper, opened
from facetscope_client.report import UnitReport
from facetscope_client.units import unit_name

TRUST: Final = "trust"
"""What the verdict of a certificate is called."""

MARGIN: Final = 48

CELL: Final = 112
"""Side of a picture: four times that of the classic digits of 28 pixels."""

GAP: Final = 8
"""Between pictures of one kind."""

ROW_GAP: Final = 28
COLUMN_GAP: Final = 36

HEAD: Final = 160
"""Height of what stands above the rows."""

LABEL: Final = 176
"""Width of what is said about a facet."""

FIGURES: Final = 170
"""Width of what is said about a synthesized image."""

LINE: Final = 23
"""Height of one line of it."""

FINE: Final = 17
"""Height of one line of what is known of a facet."""

LONGEST_LABEL: Final = 14
"""Letters of a label that there is room for."""

BADGE: Final = 40
"""Diameter of a facet's mark."""

MOST_MEMBERS: Final = 8
"""Real images in one row."""

HALF: Final = (CELL - GAP) // 2
"""Side of a picture of the farthest images, of which four share the place of one."""

MOST_FARTHEST: Final = 4

MOST_SEEDS: Final = 4
"""Synthesized images in one row."""

NARROWEST: Final = 640
"""Width that a title needs."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Left edges of the columns; one without content has no width."""

    members: int
    farthest: int
    mean: int
    image: int
    figures: int
    embedding: int
    end: int

    @classmethod
    def of(cls, report: UnitReport) -> _Columns:
        """Room for what ``report`` has."""
        facets = report.facets.values()
        shown = max((len(facet.thumbnails) for facet in facets), default=0)
        members = MARGIN + LABEL
        farthest = members + (min(shown, MOST_MEMBERS) * (CELL + GAP) + COLUMN_GAP if shown else 0)
        mean = farthest + (
            CELL + COLUMN_GAP if any(each.farthest_thumbnails for each in facets) else 0
        )
        image = mean + (CELL + COLUMN_GAP if report.facets else 0)
        seeds = max((len(report.images_of(index)) for index, _ in report.images), default=0)
        shown = min(seeds, MOST_SEEDS)
        figures = image + (shown * (CELL + GAP) + GAP if report.images else 0)
        embedding = figures + (FIGURES + 2 * COLUMN_GAP if report.images else 0)
        end = embedding + (scatter.SIDE if report.facets else 0)
        return cls(members, farthest, mean, image, figures, embedding, end)


def contact_sheet(report: UnitReport) -> Image.Image:
    """Draw the sheet of ``report``, which has at least one facet or synthesized image."""
    indices = sorted(report.facets.keys() | {index for index, _ in report.images})
    columns = _Columns.of(report)
    rows = len(indices) * (CELL + ROW_GAP) - ROW_GAP
    height = max(rows, scatter.height_of(len(report.facets)) if report.facets else 0)
    width = max(columns.end, NARROWEST) + MARGIN
    sheet = Image.new("RGB", (width, HEAD + height + MARGIN), PAPER)
    pen = Pen(sheet)
    _draw_head(pen, report, columns)
    for row, index in enumerate(indices):
        _draw_row(pen, report, index, columns, top=HEAD + row * (CELL + ROW_GAP))
    if report.facets:
        scatter.draw_embedding(pen, list(report.facets.values()), columns.embedding, HEAD)
    return sheet


def _draw_head(pen: Pen, report: UnitReport, columns: _Columns) -> None:
    pen.write((MARGIN, MARGIN + 28), unit_name(report.unit), size=34)
    pen.write((MARGIN, MARGIN + 58), _summary(report), size=17, ink=PALE)
    heads = []
    if report.facets:
        heads += [
            (MARGIN, "facet"),
            (columns.mean, "mean image"),
            (columns.embedding, "all images"),
        ]
    if columns.farthest > columns.members:
        heads.append((columns.members, "nearest real images"))
    if columns.mean > columns.farthest:
        heads.append((columns.farthest, "farthest"))
    if report.images:
        heads.append((columns.image, "synthesized"))
    for left, head in heads:
        pen.write((left, HEAD - 14), head, ink=PALE)


def _summary(report: UnitReport) -> str:
    images = sum(len(facet.members) for facet in report.facets.values())
    parts = []
    if report.facets:
        found = f" ({why})" if (why := _why(report.count)) else ""
        parts.append(f"{images:,} images in {_count(len(report.facets), 'facet')}{found}")
    if report.images:
        parts.append(_count(len(report.images), "synthesized image"))
    return ", ".join(parts)


def _why(count: FacetCount | None) -> str:
    """How the number of facets came about, where that was not a request."""
    if count is None:
        return ""
    match count.verdict:
        case facet_pb2.VERDICT_SEVERAL_FACETS | facet_pb2.VERDICT_ONE_FACET:
            return f"found, p = {count.p_value:.2g}"
        case facet_pb2.VERDICT_CLUSTERING:
            return "found"
        case facet_pb2.VERDICT_TOO_FEW_IMAGES:
            return "too few images to find more"
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _draw_row(pen: Pen, report: UnitReport, index: int, columns: _Columns, *, top: int) -> None:
    pen.badge(index, (MARGIN + BADGE / 2, top + CELL / 2), BADGE)
    if (facet := report.facets.get(index)) is not None:
        _draw_facet(pen, facet, columns, top=top)
    images = report.images_of(index)[:MOST_SEEDS]
    for place, image in enumerate(images):
        at = (columns.image + place * (CELL + GAP), top)
        _draw_picture(pen, image.picture, at)
        if image.HasField("field"):
            _draw_field(pen, image, at)
    if images:
        _draw_figures(pen, images[0], columns.figures, top)


def _draw_facet(pen: Pen, facet: Facet, columns: _Columns, *, top: int) -> None:
    left = MARGIN + BADGE + 16
    pen.write((left, top + 26), f"{facet.evidence.share:.0%}", size=26)
    for line, text in enumerate(_known_of(facet)):
        pen.write((left, top + 46 + line * FINE), text, size=13, ink=PALE)
    for place, thumbnail in enumerate(facet.thumbnails[:MOST_MEMBERS]):
        _draw_picture(pen, thumbnail, (columns.members + place * (CELL + GAP), top))
    for place, thumbnail in enumerate(facet.farthest_thumbnails[:MOST_FARTHEST]):
        down, across = (step * (HALF + GAP) for step in divmod(place, 2))
        _draw_picture(pen, thumbnail, (columns.farthest + across, top + down), HALF)
    if facet.HasField("mean_image"):
        _draw_picture(pen, facet.mean_image, (columns.mean, top))
    if signs := ", ".join(map(_sign, facet.evidence.flags)):
        pen.write((columns.members, top + CELL + 17), f"Look: {signs}", size=13, ink=ALARM)


def _known_of(facet: Facet) -> Iterator[str]:
    """What is known of a facet, a line each."""
    evidence = facet.evidence
    yield _count(len(facet.members), "image")
    yield f"active {evidence.activation_mean:.3g} ± {evidence.activation_std:.2g}"
    yield f"silhouette {facet.silhouette:.2f}"
    if evidence.HasField("stability"):
        yield f"stability {evidence.stability:.2f}"
    if evidence.HasField("purity"):
        label = evidence.common_label
        name = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        yield f"{evidence.purity:.0%} {name}"


def _sign(flag: FacetFlag) -> str:
    name = facet_pb2.Sign.Name(flag.sign).removeprefix("SIGN_").replace("_", "-").lower()
    return f"{name} {flag.strength:.0%}"


def _draw_picture(pen: Pen, picture: EncodedImage, at: tuple[int, int], side: int = CELL) -> None:
    pen.put(_fitted(on_paper(opened(picture), PAPER), side), at, (side, side))


def _draw_field(pen: Pen, image: SynthesizedImage, at: tuple[int, int]) -> None:
    """Frame the part of its picture that the unit depends on."""
    size, box = (image.picture.width, image.picture.height), image.field
    scale = CELL // max(size) if CELL // max(size) > 1 else CELL / max(size)
    left, top = (
        begin + (CELL - round(side * scale)) // 2 + round(place * scale)
        for begin, side, place in zip(at, size, (box.left, box.top), strict=True)
    )
    pen.frame((left, top), (round(box.width * scale), round(box.height * scale)), ink=ALARM)


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    """``picture`` at the size of a field; the pixels of small ones stay visible squares."""
    whole_times = side // max(picture.size)
    if whole_times > 1:
        return ImageOps.scale(picture, whole_times, Image.Resampling.NEAREST)
    return ImageOps.contain(picture, (side, side), Image.Resampling.LANCZOS)


def _draw_figures(pen: Pen, image: SynthesizedImage, left: int, top: int) -> None:
    figures = list(_figures(image))
    first = top + (CELL - LINE * len(figures)) // 2 + 16
    for line, (name, value) in enumerate(figures):
        baseline = first + line * LINE
        pen.write((left, baseline), name, ink=PALE)
        ink = ALARM if (name, value) == (TRUST, "RED") else INK
        pen.write((left + FIGURES, baseline), value, ink=ink, anchor="rs")


def _figures(image: SynthesizedImage) -> Iterator[tuple[str, str]]:
    if image.certificate.verdict:
        yield TRUST, TrustLevel.Name(image.certificate.verdict).removeprefix("TRUST_LEVEL_")
    yield "activation", f"{image.activation:.4g}"
    if image.HasField("natural"):
        yield "percentile", f"{image.natural.percentile:.4g}"
        yield "best real image", f"{image.natural.maximum:.4g}"
    yield "start", f"{image.start_activation:.4g}"
    if image.stopped_early:
        yield "stopped at step", f"{image.steps}"
    if image.HasField("probability"):
        yield "probability", f"{image.probability:.3f}"
