"""Certificates of a unit's images, from what an inspection knows of the unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final

import torch
from torch import Tensor

from facetscope.algorithms.canvases import fit
from facetscope.algorithms.certificates.certify import Controls, Origin, certify
from facetscope.algorithms.certificates.paths import chosen_layers
from facetscope.algorithms.certificates.reference import Natural, Readings, refer
from facetscope.algorithms.codes import codes_of
from facetscope.domain.certificates import Certificate, Certification
from facetscope.domain.events import SynthesizedImage
from facetscope.engine.aims import Made
from facetscope.engine.discovery import Discovered
from facetscope.engine.encoding import Encoder
from facetscope.engine.sights import PixelsOf
from facetscope.engine.survey import Survey
from facetscope.engine.targets import Target

MOST_STRANGERS: Final = 16
"""Images that are not the unit's own, to compare paths with."""


def readings_of(
    target: Target, encoder: Encoder | None, layers: int, other: Target | None
) -> Readings:
    """What a model says of pictures: of a unit, and of some layers on the way to it.

    Args:
        target: The unit.
        encoder: Gives codes; ``None`` where there are no facets to compare them with.
        layers: How many layers are read, at most.
        other: The unit's counterpart in another model.
    """
    network, device = target.network, target.network.device
    way = chosen_layers(network.on_the_way(target.layer), layers) if layers else ()
    names = tuple(layer.name for layer in way)

    def codes(images: Tensor) -> Tensor:
        if encoder is None:
            raise ValueError("there are no facets that codes could be compared with")
        return encoder.codes(images.to(device)).cpu()

    def path(images: Tensor) -> Sequence[Tensor]:
        values = network.reading(names)(target.preprocessing(images.to(device)))
        pairs = zip(values, way, strict=True)
        return [codes_of(value, layer.channel_axis).cpu() for value, layer in pairs]

    return Readings(
        activations=lambda images: target.activation(images.to(device)).cpu(),
        codes=codes,
        path=path,
        layers=names,
        transferred=None if other is None else partial(_transferred, other),
    )


def _transferred(other: Target, images: Tensor) -> Tensor:
    """Activations of a unit of another model, which may take pictures of another size."""
    _, height, width = other.shape
    resized = fit(images.to(other.network.device), (height, width))
    return other.activation(resized).cpu()


@dataclass(frozen=True, slots=True, eq=False)
class Certifier:
    """Certifies the images of one unit.

    Attributes:
        certification: What is asked for.
        readings: What the model says of pictures.
        natural: Natural images; ``None`` without an image set.
        seed: Of variations.
    """

    certification: Certification
    readings: Readings
    natural: Natural | None
    seed: int

    def certificates(self, delivered: Sequence[tuple[Made, SynthesizedImage]]) -> list[Certificate]:
        """Of all images of the unit, in their order, controls left out.

        Args:
            delivered: The images as they are sent, and the controls, in the order of their starts.
        """
        images = [made for made, _ in delivered if not made.aim.is_control]
        starts = [[*group] for _, group in groupby(delivered, lambda each: each[0].aim.index)]
        places = {group[0][0].aim.index: place for place, group in enumerate(starts)}
        facets = self.natural is not None
        with torch.no_grad():
            return [
                *certify(
                    torch.stack([each.pixels for each in images]),
                    [
                        Origin(each.aim.index if facets else None, places[each.aim.index])
                        for each in images
                    ],
                    self.readings,
                    self.certification,
                    generators=[each.aim.generator(self.seed, "variations") for each in images],
                    reference=None if self.natural is None else refer(self.natural, self.readings),
                    controls=_controls(starts) if len(starts) > 1 else None,
                )
            ]


def _controls(starts: Sequence[Sequence[tuple[Made, SynthesizedImage]]]) -> Controls:
    """Where images began, and what was reached from there in the mean."""
    reached = [sum(image.activation for _, image in group) / len(group) for group in starts]
    return Controls(torch.stack([group[0][0].start for group in starts]), torch.tensor(reached))


def natural_images(
    survey: Survey,
    found: Discovered,
    target: Target,
    pixels_of: PixelsOf,
    *,
    witnesses: int,
    transferred: Tensor | None,
) -> Natural:
    """What an inspection knows of natural images, for the certificates of ``target``.

    Args:
        survey: Of all images.
        found: Facets of the unit, with pixels of ``witnesses`` members or more.
        target: The unit.
        pixels_of: Gives the pictures at places of the set.
        witnesses: How many members of each facet paths are compared with.
        transferred: Activations of the unit's counterpart in another model, for all images.
    """
    activations = survey.activations[target.unit]
    return Natural(
        activations=activations,
        own=activations[found.own],
        codes=found.codes,
        facets=found.labels,
        witnesses=tuple(nearest[:witnesses].float() for nearest in found.nearest),
        strangers=_strangers(survey, found, target, pixels_of),
        transferred=transferred,
    )


def _strangers(survey: Survey, found: Discovered, target: Target, pixels_of: PixelsOf) -> Tensor:
    """Some images that are not the unit's own, spread over the set; none where it sees parts."""
    others = torch.ones(len(survey.names), dtype=torch.bool)
    others[found.own] = False
    rest = torch.nonzero(others)[:, 0].tolist()
    if found.is_of_parts or not rest:
        return torch.empty((0, *target.shape))
    chosen = rest[:: -(-len(rest) // MOST_STRANGERS)]
    return torch.stack([*pixels_of([survey.places[image] for image in chosen])]).float()
