"""Subjects: units whose facets are known, and what their images and certificates are made of."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from facetscope.algorithms.parameterizations import magnitudes
from facetscope.domain.discoveries import Discovery
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.events import Progress, Work
from facetscope.domain.jobs import InspectUnits
from facetscope.domain.syntheses import Start, Synthesis
from facetscope.engine.aims import CONTROL, Aim, noise
from facetscope.engine.certification import Certifier, natural_images, readings_of
from facetscope.engine.discovery import Discovered
from facetscope.engine.encoding import Encoder
from facetscope.engine.image_sets import Decoding, OpenImageSet
from facetscope.engine.opened import OpenModel
from facetscope.engine.survey import Survey
from facetscope.engine.targets import Target


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """What jobs are done with.

    Attributes:
        paths: Of artifacts, by digest.
        device: Where to compute.
        decoding: How pictures are decoded.
        parity_s: Seconds that a model's own runtime may take.
        budget: Pixels that all steps of a job may change together.
    """

    paths: Mapping[str, Path]
    device: torch.device
    decoding: Decoding
    parity_s: float
    budget: int


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """A unit's counterpart in another model, and what excites it among the images of the set."""

    target: Target
    activations: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A unit whose facets are known, and all that its images and certificates are made of."""

    encoder: Encoder
    survey: Survey
    found: Discovered
    images: OpenImageSet
    other: Other | None

    @property
    def target(self) -> Target:
        """The unit."""
        return self.encoder.target


def transferred(
    job: InspectUnits, channels: int, tools: Tools
) -> Generator[Progress, None, Other | None]:
    """Open the other model that certificates ask for, and pass the image set through it.

    Args:
        job: What is asked for.
        channels: Of the pictures that images are made as.
        tools: What to do it with.

    Raises:
        InvalidFieldError: It takes pictures of another number of channels.
        LayerNotFoundError: It has no such layer.
    """
    asked = job.synthesis.transfer
    if asked is None:
        return None
    yield Progress(work=Work.LOADING_MODEL)
    model = OpenModel(
        asked.model,
        tools.paths[asked.model],
        asked.input,
        asked.precision,
        tools.device,
        parity_s=tools.parity_s,
    )
    target = model.target(asked.unit)
    if target.shape[0] != channels:
        problem = f"takes pictures of {target.shape[0]} channels, and the model those of {channels}"
        raise InvalidFieldError("synthesis.transfer.model", problem)
    images = OpenImageSet(model, job.images, tools.paths, tools.decoding)
    limit = job.discovery.undecodable_limit
    forward = Discovery(code_layer=target.layer.name, undecodable_limit=limit)
    survey = yield from images.survey([asked.unit], forward)
    return Other(target, survey.activations[asked.unit])


def kept(job: InspectUnits) -> int:
    """Pictures of each facet's members that are wanted after its discovery."""
    asked = job.synthesis.certification
    return max(
        job.discovery.averaged if job.synthesis.keeps_magnitudes else 0,
        asked.witnesses if asked else 0,
    )


def facet_aims(subject: Subject, synthesis: Synthesis) -> list[Aim]:
    """Images to be made of each facet of a unit."""
    found, magnitude = subject.found, None
    if synthesis.keeps_magnitudes:
        magnitude = torch.stack([magnitudes(pixels.float()) for pixels in found.nearest])
    return aims_for(
        subject.target,
        synthesis,
        len(found.facets),
        given=found.mean_images if synthesis.start is Start.FACET_MEAN else None,
        natural=subject.survey.activations[subject.target.unit],
        magnitude=magnitude,
    )


def aims_for(
    target: Target,
    synthesis: Synthesis,
    starts: int,
    *,
    given: Tensor | None = None,
    natural: Tensor | None = None,
    magnitude: Tensor | None = None,
) -> list[Aim]:
    """Images of ``target``, those of a start in sequence, and the control where there is one."""

    def aim(index: int, seed_index: int, place: int) -> Aim:
        return Aim(
            target,
            index,
            seed_index,
            noise(target, synthesis, index, seed_index)
            if given is None or index == CONTROL
            else given[place],
            natural,
            None if magnitude is None else magnitude[place],
        )

    wanted = [
        aim(index, seed_index, index)
        for index in range(starts)
        for seed_index in range(synthesis.images_per_start)
    ]
    return wanted + [aim(CONTROL, 0, 0)] * synthesis.has_control


def certifier_of(subject: Subject, synthesis: Synthesis) -> Certifier | None:
    """What certifies the images of a unit; ``None`` where no certificates are asked for."""
    asked, other = synthesis.certification, subject.other
    if asked is None:
        return None
    natural = natural_images(
        subject.survey,
        subject.found,
        subject.target,
        subject.images.pixels,
        witnesses=asked.witnesses,
        transferred=other.activations if other else None,
    )
    counterpart = other.target if other else None
    readings = readings_of(subject.target, subject.encoder, asked.layers, counterpart)
    return Certifier(asked, readings, natural, synthesis.seed)
