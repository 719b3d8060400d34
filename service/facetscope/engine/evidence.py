"""From facets and a sample of their images to evidence: figures, and signs told in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from facetscope.algorithms.evidence import (
    REPEATED,
    Region,
    dominant_source,
    mark,
    near_duplicates,
    purity,
)
from facetscope.domain.events import FacetEvidence, FacetFlag, Sign

if TYPE_CHECKING:
    from facetscope.algorithms.facets import Facet, FacetMap

SAMPLED: Final = 32
"""Images of a facet that are looked at for signs."""

COMPARED: Final = 128
"""Images of other facets that they are compared with, as nearly as equal parts allow."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnImages:
    """The images of a unit.

    Attributes:
        names: Of their files.
        labels: Empty where there is none.
        activations: Of the unit, [image].
    """

    names: Sequence[str]
    labels: Sequence[str]
    activations: Tensor


def spread_out(places: Sequence[int]) -> list[int]:
    """At most ``SAMPLED`` of ``places``, from the first to the last at equal distances."""
    last = len(places) - 1
    count = min(len(places), SAMPLED)
    return [places[round(last * number / max(1, count - 1))] for number in range(count)]


def weigh(images: OwnImages, found: FacetMap, samples: Sequence[Tensor]) -> list[FacetEvidence]:
    """Evidence of each facet of ``images``.

    Args:
        images: Of the unit.
        found: Their facets.
        samples: Some images of each facet, small: [image, channel, row, column].
    """
    return [
        _evidence(images, found, index, flags=(*_seen(samples, index), *_named(images, facet)))
        for index, facet in enumerate(found.facets)
    ]


def _evidence(
    images: OwnImages, found: FacetMap, index: int, *, flags: tuple[FacetFlag, ...]
) -> FacetEvidence:
    members = found.facets[index].members
    activations = images.activations[torch.from_numpy(members)].double()
    common, part = purity([images.labels[member] for member in members]) or ("", None)
    return FacetEvidence(
        share=len(members) / len(images.names),
        activation_mean=float(activations.mean()),
        activation_std=float(activations.std(correction=0)),
        activation_least=float(activations.min()),
        activation_most=float(activations.max()),
        common_label=common,
        purity=part,
        stability=None if found.recoveries is None else float(found.recoveries[index]),
        flags=flags,
    )


def _seen(samples: Sequence[Tensor], index: int) -> Iterator[FacetFlag]:
    """Signs in the pixels."""
    facet, others = samples[index].float(), _others(samples, index)
    if others is not None and (found := mark(facet, others)):
        sign = Sign.FRAME if found.region is Region.FRAME else Sign.CORNER
        message = (
            f"in the {found.region.value}, {found.agreement:.0%} of the pixels hardly differ "
            "between images of this facet, and do between others: the facet may be a border, a "
            "logo or a date"
        )
        yield FacetFlag(sign, found.agreement, message)
    if (repeated := near_duplicates(facet, others)) >= REPEATED:
        message = (
            f"{repeated:.0%} of the images that were compared have a near-duplicate in this facet: "
            "it may be one picture, taken or saved several times"
        )
        yield FacetFlag(Sign.NEAR_DUPLICATES, repeated, message)


def _others(samples: Sequence[Tensor], index: int) -> Tensor | None:
    """Some images of each facet but this one; ``None`` where there is no other."""
    others = [sample for place, sample in enumerate(samples) if place != index]
    each = max(1, COMPARED // max(1, len(others)))
    return (
        torch.cat([sample[:: -(-len(sample) // each)] for sample in others]).float()
        if others
        else None
    )


def _named(images: OwnImages, facet: Facet) -> Iterator[FacetFlag]:
    """Signs in the files' names."""
    if source := dominant_source(facet.members.tolist(), images.names, images.labels):
        message = (
            f"{source.share:.0%} of the images have names like {source.name!r}, which by chance "
            f"happens with a probability of {source.chance:.1g}: the facet may be a camera or a "
            "collection"
        )
        yield FacetFlag(Sign.SOURCE, source.share, message)
