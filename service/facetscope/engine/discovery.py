"""From a survey to facets: selection, clustering, and the pictures that show a facet."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facetscope.algorithms import facets as algorithm
from facetscope.domain.errors import TooFewImagesError
from facetscope.domain.events import Facet, Member, Progress, Work
from facetscope.domain.jobs import Discovery
from facetscope.domain.units import Unit
from facetscope.engine.survey import Survey
from facetscope.images.encoding import png, thumbnail

PixelsOf = Callable[[Sequence[int]], Tensor]
"""Pixels in [0, 255] of pictures by their place in the set, [image, channel, height, width]."""


@dataclass(frozen=True, slots=True, eq=False)
class Discovered:
    """The facets of a unit, and what their synthesis starts from.

    Attributes:
        facets: Largest first.
        mean_images: One for each facet, in [0, 255].
    """

    facets: tuple[Facet, ...]
    mean_images: Tensor


def discover(
    survey: Survey, unit: Unit, discovery: Discovery, pixels_of: PixelsOf
) -> Generator[Progress, None, Discovered]:
    """Find the facets of ``unit`` among its own images.

    Raises:
        ClassNotFoundError: No image has the label.
        TooFewImagesError: Fewer images than facets are the unit's own.
    """
    yield Progress(work=Work.CLUSTERING, unit=unit)
    own = survey.select(unit, discovery.selection)
    if len(own) < discovery.facets:
        raise TooFewImagesError(
            len(own), discovery.facets, f"finding {discovery.facets} facets of {unit}"
        )
    found = algorithm.discover(
        survey.codes[own].numpy(),
        facets=discovery.facets,
        components=discovery.components,
        perplexity=discovery.perplexity,
        seed=discovery.seed,
    )
    shown = max(discovery.averaged, discovery.thumbnails)
    nearest = [own[torch.from_numpy(facet.members[:shown])].tolist() for facet in found.facets]
    pixels = pixels_of([survey.places[image] for images in nearest for image in images]).split(
        [len(images) for images in nearest]
    )
    mean_images = torch.stack([each[: discovery.averaged].float().mean(dim=0) for each in pixels])
    facets = tuple(
        Facet(
            unit=unit,
            index=index,
            members=_members(survey, unit, own, found, index),
            mean_image=png(mean_images[index]),
            thumbnails=tuple(map(thumbnail, pixels[index][: discovery.thumbnails])),
            silhouette=float(found.silhouettes[found.labels == index].mean()),
            centroid=_point(facet.centroid),
        )
        for index, facet in enumerate(found.facets)
    )
    return Discovered(facets, mean_images)


def _members(
    survey: Survey, unit: Unit, own: Tensor, found: algorithm.FacetMap, index: int
) -> tuple[Member, ...]:
    facet = found.facets[index]
    activations = survey.activations[unit]
    return tuple(
        Member(
            name=survey.names[image],
            label=survey.labels[image],
            activation=float(activations[image]),
            embedding=_point(found.embedding[member]),
            distance=float(distance),
            silhouette=float(found.silhouettes[member]),
        )
        for member, image, distance in zip(
            facet.members,
            own[torch.from_numpy(facet.members)].tolist(),
            facet.distances,
            strict=True,
        )
    )


def _point(place: Iterable[float]) -> tuple[float, float]:
    x, y = place
    return float(x), float(y)
