"""From a survey to facets: selection, clustering, and the pictures that show a facet."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import torch
from torch import Tensor

from facetscope.algorithms.evidence import small
from facetscope.domain.discoveries import Discovery, View
from facetscope.domain.errors import TooFewImagesError, UnitSilentError
from facetscope.domain.events import Box, Facet, FacetCount, Member, Picture, Progress, Work
from facetscope.domain.inputs import Input
from facetscope.domain.units import ReceptiveField, Unit
from facetscope.engine.encoding import Encoder
from facetscope.engine.evidence import OwnImages, spread_out, weigh
from facetscope.engine.sights import PixelsOf, Sight, box_at
from facetscope.engine.survey import Survey
from facetscope.engine.unit_sums import place_of
from facetscope.images.encoding import png, thumbnail

if TYPE_CHECKING:
    from facetscope.algorithms import facets as algorithm


@dataclass(frozen=True, slots=True, eq=False)
class Discovered:
    """The facets of a unit, and what their synthesis starts from.

    Attributes:
        facets: Largest first.
        mean_images: One for each facet, in [0, 255].
        nearest: Pixels of the nearest members of each facet, as many as were to be kept.
        own: Indices of the unit's own images in the survey.
        codes: Of the same, [image, channel].
        labels: Facet of each of the same.
        is_of_parts: Whether facets are of parts of the images.
    """

    facets: tuple[Facet, ...]
    mean_images: Tensor
    nearest: tuple[Tensor, ...]
    own: Tensor
    codes: Tensor
    labels: Tensor
    is_of_parts: bool


def discover(
    survey: Survey, encoder: Encoder, pixels_of: PixelsOf, spec: Input, *, kept: int = 0
) -> Generator[Progress | FacetCount, None, Discovered]:
    """Find the facets of the encoder's unit among its own images, and say how many there are.

    Args:
        survey: Of all images.
        encoder: Gives the codes that depend on the unit.
        pixels_of: Gives the pictures at places of the set.
        spec: How pictures become the network's input.
        kept: Nearest members of each facet whose pixels are kept.

    Raises:
        ClassNotFoundError: No image has the label.
        UnitSilentError: The unit has one activation for all images, which are not all the same.
        TooFewImagesError: Fewer images than facets are the unit's own.
    """
    # Imported here: scikit-learn takes as long as torch to load, and nothing else needs it.
    from facetscope.algorithms import facets as algorithm  # noqa: PLC0415

    unit, discovery = encoder.target.unit, encoder.discovery
    yield Progress(work=Work.CLUSTERING, unit=unit)
    _check_fires(survey, unit)
    own = survey.select(unit, discovery.selection)
    if len(own) < discovery.fewest:
        purpose = f"finding {discovery.fewest} facets of {unit}"
        raise TooFewImagesError(len(own), discovery.fewest, purpose)
    sight = Sight(pixels_of, _boxes(survey, encoder, own, spec), spec.interpolation)
    codes = yield from _codes(survey, encoder, own, sight)
    found = algorithm.discover(codes.numpy(), discovery)
    yield _count(unit, found)
    return _shown(_Found(survey, unit, own, codes, found, sight.boxes), discovery, sight, kept)


def _check_fires(survey: Survey, unit: Unit) -> None:
    """Tell a dead unit from images that are all the same, which have one code."""
    activations = survey.activations[unit]
    if (activations == activations[0]).all() and (survey.codes != survey.codes[0]).any():
        raise UnitSilentError(str(unit), float(activations[0]), len(activations))


def _codes(
    survey: Survey, encoder: Encoder, own: Tensor, sight: Sight
) -> Generator[Progress, None, Tensor]:
    """Codes of the unit's own images, [image, channel]."""
    if not encoder.is_needed:
        return survey.codes[own]
    ascending = own.argsort()
    places = [survey.places[image] for image in own[ascending].tolist()]
    encoded = yield from encoder.encode(sight.pixels(places), len(places))
    yield Progress(work=Work.CLUSTERING, unit=encoder.target.unit)
    return encoded[ascending.argsort()]


def _boxes(survey: Survey, encoder: Encoder, own: Tensor, spec: Input) -> Mapping[int, Box]:
    """What is seen of the unit's own images, by their places in the set."""
    unit, layer = encoder.target.unit, encoder.target.layer
    if encoder.discovery.view is not View.RECEPTIVE_FIELD:
        return {}
    field = cast("ReceptiveField", layer.receptive_field)  # the encoder has been checked
    boxes = {}
    for image in own.tolist():
        place = place_of(unit, layer) if unit.position else int(survey.peaks[unit][image])
        cell = divmod(place, layer.extent[1])
        boxes[survey.places[image]] = box_at(field, cell, spec.height, spec.width)
    return boxes


def _count(unit: Unit, found: algorithm.FacetMap) -> FacetCount:
    return FacetCount(
        unit=unit,
        images=len(found.labels),
        facets=len(found.facets),
        verdict=found.verdict,
        candidates=found.candidates,
        p_value=found.p_value,
        agreement=found.agreement,
        trustworthiness=found.trustworthiness,
        noise=found.noise,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A unit's own images, shared out among facets.

    Attributes:
        survey: Of all images.
        unit: The unit.
        own: Indices of its own images in the survey.
        codes: Of these.
        map: The facets of these, by their place in ``own``.
        boxes: What is seen of these, by their places in the set; empty where all is.
    """

    survey: Survey
    unit: Unit
    own: Tensor
    codes: Tensor
    map: algorithm.FacetMap
    boxes: Mapping[int, Box]

    def places(self, facet: algorithm.Facet) -> list[int]:
        """Where a facet's members are in the set, nearest first."""
        images = self.own[torch.from_numpy(facet.members)].tolist()
        return [self.survey.places[image] for image in images]

    def own_images(self) -> OwnImages:
        """What is known of each of the unit's own images."""
        images = self.own.tolist()
        return OwnImages(
            [self.survey.names[image] for image in images],
            [self.survey.labels[image] for image in images],
            self.survey.activations[self.unit][self.own],
        )


def _shown(found: _Found, discovery: Discovery, sight: Sight, kept: int) -> Discovered:
    """The facets with their pictures."""
    looks = [_Look(found.places(facet), discovery, kept) for facet in found.map.facets]
    wanted = sorted({place for look in looks for place in look.places})
    for place, pixels in zip(wanted, sight.pixels(wanted), strict=True):
        for look in looks:
            look.take(place, pixels)
    weighed = weigh(found.own_images(), found.map, [look.sample for look in looks])
    facets = tuple(
        Facet(
            unit=found.unit,
            index=index,
            members=_members(found, facet),
            mean_image=png(look.mean),
            thumbnails=tuple(look.thumbnails),
            silhouette=float(found.map.silhouettes[facet.members].mean()),
            centroid=_point(facet.centroid),
            evidence=evidence,
            farthest_thumbnails=tuple(look.farthest),
        )
        for index, (facet, look, evidence) in enumerate(
            zip(found.map.facets, looks, weighed, strict=True)
        )
    )
    return Discovered(
        facets,
        torch.stack([look.mean for look in looks]),
        tuple(look.kept for look in looks) if kept else (),
        found.own,
        found.codes,
        torch.from_numpy(found.map.labels),
        bool(found.boxes),
    )


@final
class _Look:
    """The pictures of a facet, made of some of its members: seen once, and kept if asked."""

    def __init__(self, places: Sequence[int], discovery: Discovery, kept: int) -> None:
        """Expect the pictures at ``places``, of the facet's members from the nearest on."""
        self._averaged = set(places[: discovery.averaged])
        self._nearest = places[: discovery.thumbnails]
        self._farthest = places[::-1][: discovery.farthest]
        self._keeps = places[:kept]
        self._kept: dict[int, Tensor] = {}
        self._shown = {*self._nearest, *self._farthest}
        self._sampled = set(spread_out(places))
        self._sum: Tensor | None = None
        self._thumbnails: dict[int, Picture] = {}
        self._sample: dict[int, Tensor] = {}

    @property
    def places(self) -> set[int]:
        """Where the pictures are that it is made of."""
        return self._averaged | self._shown | self._sampled | {*self._keeps}

    def take(self, place: int, pixels: Tensor) -> None:
        """See the picture at ``place``."""
        if place in self._averaged:
            self._sum = pixels.float() if self._sum is None else self._sum + pixels
        if place in self._shown:
            self._thumbnails[place] = thumbnail(pixels)
        if place in self._sampled:
            self._sample[place] = small(pixels.float())
        if place in self._keeps:
            self._kept[place] = pixels

    @property
    def mean(self) -> Tensor:
        """The mean image, [channel, height, width]."""
        return cast("Tensor", self._sum) / len(self._averaged)

    @property
    def kept(self) -> Tensor:
        """Pixels of the nearest members, nearest first, [image, channel, height, width]."""
        return torch.stack([self._kept[place] for place in self._keeps])

    @property
    def thumbnails(self) -> list[Picture]:
        """Of the nearest members, nearest first."""
        return [self._thumbnails[place] for place in self._nearest]

    @property
    def farthest(self) -> list[Picture]:
        """Of the farthest members, farthest first."""
        return [self._thumbnails[place] for place in self._farthest]

    @property
    def sample(self) -> Tensor:
        """Small forms of members that stand for all, [image, channel, row, column]."""
        return torch.stack(list(self._sample.values()))


def _members(found: _Found, facet: algorithm.Facet) -> tuple[Member, ...]:
    survey, activations = found.survey, found.survey.activations[found.unit]
    images = found.own[torch.from_numpy(facet.members)].tolist()
    return tuple(
        Member(
            name=survey.names[image],
            label=survey.labels[image],
            activation=float(activations[image]),
            embedding=_point(found.map.embedding[member]),
            distance=float(distance),
            silhouette=float(found.map.silhouettes[member]),
            crop=found.boxes.get(survey.places[image]),
        )
        for member, image, distance in zip(facet.members, images, facet.distances, strict=True)
    )


def _point(place: Iterable[float]) -> tuple[float, float]:
    x, y = place
    return float(x), float(y)
