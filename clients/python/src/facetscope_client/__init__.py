"""What makes a unit of a vision model fire: a client of Facetscope.

``Client`` (for threads) and ``AsyncClient`` (for asyncio) call a server; everything else here is
what they take and give back, by the names that the contract has for it.
"""

from facetscope_client.aio import AsyncClient
from facetscope_client.artifacts import Source, UploadProgress
from facetscope_client.client import Client
from facetscope_client.connection import Tls
from facetscope_client.errors import (
    AccessError,
    DeadlineError,
    ExhaustedError,
    FacetscopeError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from facetscope_client.events import Event
from facetscope_client.gen.facetscope.v1.facet_pb2 import (
    Discovery,
    EncodedImage,
    Facet,
    Member,
    Point,
    Selection,
)
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    DescribeModelResponse,
    Manifest,
    Progress,
    WorkPhase,
)
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    ColorOrder,
    Fit,
    Gamma,
    Input,
    InputOrigin,
    InputSource,
    InputTensor,
    Interpolation,
    Layer,
    Layout,
    Obstacle,
    Parity,
    ParityAbsence,
    ParityAbsenceReason,
    Precision,
    Readout,
    ReceptiveField,
    Runtime,
    Unit,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    NaturalComparison,
    Phase,
    PreviewImage,
    Schedule,
    SchedulePreset,
    Start,
    Synthesis,
    SynthesizedImage,
)
from facetscope_client.retry import RetryPolicy
from facetscope_client.units import parse_unit, unit_name

__all__ = [
    "AccessError",
    "AsyncClient",
    "Client",
    "ColorOrder",
    "DeadlineError",
    "DescribeModelResponse",
    "Discovery",
    "EncodedImage",
    "Event",
    "ExhaustedError",
    "Facet",
    "FacetscopeError",
    "Fit",
    "Gamma",
    "Input",
    "InputOrigin",
    "InputSource",
    "InputTensor",
    "Interpolation",
    "InvalidRequestError",
    "Layer",
    "Layout",
    "Manifest",
    "Member",
    "NaturalComparison",
    "NotFoundError",
    "Obstacle",
    "Parity",
    "ParityAbsence",
    "ParityAbsenceReason",
    "Phase",
    "Point",
    "Precision",
    "PreviewImage",
    "Progress",
    "Readout",
    "ReceptiveField",
    "RetryPolicy",
    "Runtime",
    "Schedule",
    "SchedulePreset",
    "Selection",
    "Source",
    "Start",
    "Synthesis",
    "SynthesizedImage",
    "Tls",
    "UnavailableError",
    "Unit",
    "UnsupportedError",
    "UploadProgress",
    "WorkPhase",
    "parse_unit",
    "unit_name",
]
