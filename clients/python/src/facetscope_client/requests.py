"""Requests, from what is natural to write in Python: paths, bytes and short texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from google.protobuf.message import Message

from facetscope_client.artifacts import Artifact, Source, named
from facetscope_client.gen.facetscope.v1.facet_pb2 import Discovery, ImageSet, InlineImage
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    DescribeModelRequest,
    DiscoverFacetsRequest,
    InspectUnitsRequest,
    MaximizeActivationRequest,
)
from facetscope_client.gen.facetscope.v1.model_pb2 import Input, Model, Precision, Unit
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import Synthesis
from facetscope_client.image_sets import image_sources
from facetscope_client.units import parse_unit

R = TypeVar("R", bound=Message)

Request = DiscoverFacetsRequest | MaximizeActivationRequest | InspectUnitsRequest
"""What streams events."""


@dataclass(frozen=True, slots=True)
class Prepared(Generic[R]):
    """A request, and the artifacts it names whose bytes are at hand, by digest."""

    request: R
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


def describe(
    model: Source, *, precision: Precision.ValueType, input: Input | None
) -> Prepared[DescribeModelRequest]:
    """A request to describe ``model``."""
    (digest,), artifacts = named([model])
    request = DescribeModelRequest(model=Model(digest=digest, precision=precision), input=input)
    return Prepared(request, artifacts)


def discover_facets(
    model: Source,
    unit: Unit | str,
    images: Source | Iterable[Source],
    *,
    precision: Precision.ValueType,
    input: Input | None,
    discovery: Discovery | None,
) -> Prepared[DiscoverFacetsRequest]:
    """A request to discover the facets of ``unit`` in ``images``."""
    (digest, *archives), artifacts = named([model, *image_sources(images)])
    request = DiscoverFacetsRequest(
        model=Model(digest=digest, precision=precision),
        input=input,
        unit=_unit(unit),
        images=ImageSet(digests=archives),
        discovery=discovery,
    )
    return Prepared(request, artifacts)


def maximize_activation(
    model: Source,
    unit: Unit | str,
    *,
    precision: Precision.ValueType,
    input: Input | None,
    synthesis: Synthesis | None,
    starts: Iterable[Source],
    count: int,
) -> Prepared[MaximizeActivationRequest]:
    """A request to synthesize images that excite ``unit``."""
    (digest,), artifacts = named([model])
    request = MaximizeActivationRequest(
        model=Model(digest=digest, precision=precision),
        input=input,
        unit=_unit(unit),
        synthesis=synthesis,
        starts=[_inline(start) for start in starts],
        count=count,
    )
    return Prepared(request, artifacts)


def inspect_units(
    model: Source,
    units: Unit | str | Iterable[Unit | str],
    images: Source | Iterable[Source],
    *,
    precision: Precision.ValueType,
    input: Input | None,
    discovery: Discovery | None,
    synthesis: Synthesis | None,
) -> Prepared[InspectUnitsRequest]:
    """A request to inspect ``units`` with ``images``."""
    (digest, *archives), artifacts = named([model, *image_sources(images)])
    request = InspectUnitsRequest(
        model=Model(digest=digest, precision=precision),
        input=input,
        units=[_unit(units)] if isinstance(units, Unit | str) else map(_unit, units),
        images=ImageSet(digests=archives),
        discovery=discovery,
        synthesis=synthesis,
    )
    return Prepared(request, artifacts)


def _unit(unit: Unit | str) -> Unit:
    return parse_unit(unit) if isinstance(unit, str) else unit


def _inline(picture: Source) -> InlineImage:
    if isinstance(picture, bytes):
        return InlineImage(data=picture)
    path = Path(picture)
    return InlineImage(name=path.name, data=path.read_bytes())
