"""What a call asks for, free of wire and tensor types.

Jobs are canonical: equal jobs ask for the same bytes, so they name artifacts by digest, and every
default is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from facetscope.domain.computing import Precision
from facetscope.domain.discoveries import Discovery, PredictedImages, Selection
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import InputSpec
from facetscope.domain.ranges import check_range
from facetscope.domain.syntheses import MOST_IMAGES, Start, Synthesis
from facetscope.domain.units import Unit


@dataclass(frozen=True, slots=True)
class InlineImage:
    """A picture that came with the request.

    Attributes:
        name: What replies call it.
        label: Its class, or empty.
        data: The file.
    """

    name: str
    label: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images to find facets in: archives by digest, and inline images."""

    digests: tuple[str, ...] = ()
    inline: tuple[InlineImage, ...] = ()

    def __post_init__(self) -> None:
        if not self.digests and not self.inline:
            raise InvalidFieldError("images", "name at least one archive, or send images inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeModel:
    """A job: describe the model."""

    model: str
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverFacets:
    """A job: find the kinds of image that excite ``unit``."""

    model: str
    unit: Unit
    images: ImageSet
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    discovery: Discovery = field(default_factory=Discovery)

    def __post_init__(self) -> None:
        _check_predictable(self.discovery.selection, (self.unit,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximizeActivation:
    """A job: synthesize images that excite ``unit``, from ``starts`` or ``count`` times noise.

    Where only phases are varied, magnitudes are those of ``spectrum``.
    """

    model: str
    unit: Unit
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    synthesis: Synthesis = field(default_factory=lambda: Synthesis(start=Start.NOISE))
    starts: tuple[InlineImage, ...] = ()
    count: int = 1
    spectrum: tuple[InlineImage, ...] = ()

    def __post_init__(self) -> None:
        check_range("count", self.count, 1, MOST_IMAGES)
        check_range("starts", len(self.starts), 0, MOST_IMAGES)
        check_range("spectrum", len(self.spectrum), 0, MOST_IMAGES)
        if self.synthesis.start is Start.FACET_MEAN:
            raise InvalidFieldError(
                "synthesis.start",
                "FACET_MEAN is for InspectUnits: send the mean images of facets as starts",
            )
        if (self.synthesis.start is Start.GIVEN) != bool(self.starts):
            raise InvalidFieldError("starts", "send pictures if and only if the start is GIVEN")
        if self.synthesis.transfer is not None:
            problem = "is for InspectUnits: without an image set there is nothing to compare with"
            raise InvalidFieldError("synthesis.transfer", problem)
        if self.synthesis.keeps_magnitudes != bool(self.spectrum):
            problem = "send pictures if and only if the parameterization is MACO, ten at best"
            raise InvalidFieldError("spectrum", problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectUnits:
    """A job: find the facets of each unit, and synthesize an image for each facet."""

    model: str
    units: tuple[Unit, ...]
    images: ImageSet
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    discovery: Discovery = field(default_factory=Discovery)
    synthesis: Synthesis = field(default_factory=Synthesis)

    def __post_init__(self) -> None:
        check_range("units", len(self.units), 1, 10_000)
        if self.synthesis.start is Start.GIVEN:
            raise InvalidFieldError("synthesis.start", "GIVEN is for MaximizeActivation")
        _check_predictable(self.discovery.selection, self.units)


Job = DescribeModel | DiscoverFacets | MaximizeActivation | InspectUnits


def artifacts(job: Job) -> tuple[str, ...]:
    """Digests of everything that ``job`` needs from the store, the model first."""
    images = job.images.digests if isinstance(job, DiscoverFacets | InspectUnits) else ()
    synthesis = job.synthesis if isinstance(job, MaximizeActivation | InspectUnits) else None
    other = synthesis.transfer if synthesis else None
    return (job.model, *images, *([other.model] if other else []))


def _check_predictable(selection: Selection, units: tuple[Unit, ...]) -> None:
    """Refuse to ask which images are predicted to be a direction: only channels can be."""
    directions = [unit for unit in units if unit.is_direction]
    if directions and isinstance(selection, PredictedImages):
        problem = (
            f"unit {directions[0]} is a direction of its layer, and the model predicts channels "
            "alone: select by top, quantile, label or all"
        )
        raise InvalidFieldError("discovery.selection.predicted", problem)
