"""A server that keeps the contract's promises about artifacts, and else says what it is told to."""

import hashlib
import threading
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from PIL import Image
from typing_extensions import override

from facetscope_client.gen.facetscope.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    facet_pb2,
    inspection_pb2,
    inspection_pb2_grpc,
    model_pb2,
    synthesis_pb2,
)

UNIT = model_pb2.Unit(layer="fc", channel=3)


@dataclass
class Failure:
    """A line of a script that ends the call with an error."""

    code: grpc.StatusCode
    reason: str = ""
    metadata: dict | None = None
    retry_after: timedelta | None = None
    missing: tuple = ()

    def status(self):
        details = [error_details_pb2.ErrorInfo(reason=self.reason, metadata=self.metadata or {})]
        if self.retry_after is not None:
            delay = Duration()
            delay.FromTimedelta(self.retry_after)
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.missing:
            violation = error_details_pb2.PreconditionFailure.Violation
            violations = [violation(type="MISSING", subject=digest) for digest in self.missing]
            details.append(error_details_pb2.PreconditionFailure(violations=violations))
        packed = [Any() for _ in details]
        for box, detail in zip(packed, details, strict=True):
            box.Pack(detail)
        return rpc_status.to_status(
            status_pb2.Status(code=self.code.value[0], message="what to do", details=packed)
        )


class ScriptedServer(
    inspection_pb2_grpc.InspectionServiceServicer, artifact_pb2_grpc.ArtifactServiceServicer
):
    """Each inspection plays the next of ``scripts``: events, failures, and ``...`` for no end."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = []
        self.kept = {}
        self.has_all = False
        self.writes = []
        self.metadata = []
        self.ended = threading.Event()

    @override
    def DescribeModel(self, request, context):
        return next(self._play(request, context))

    @override
    def DiscoverFacets(self, request, context):
        for event in self._play(request, context):
            yield inspection_pb2.DiscoverFacetsResponse(event=event)

    @override
    def MaximizeActivation(self, request, context):
        for event in self._play(request, context):
            yield inspection_pb2.MaximizeActivationResponse(event=event)

    @override
    def InspectUnits(self, request, context):
        for event in self._play(request, context):
            yield inspection_pb2.InspectUnitsResponse(event=event)

    def _play(self, request, context):
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        images = request.images.digests if hasattr(request, "images") else ()
        missing = [each for each in (request.model.digest, *images) if each not in self.kept]
        if missing:
            failure = Failure(
                grpc.StatusCode.FAILED_PRECONDITION, "ARTIFACT_MISSING", missing=tuple(missing)
            )
            context.abort_with_status(failure.status())
        context.add_callback(self.ended.set)
        for line in self.scripts.pop(0):
            if isinstance(line, Failure):
                context.abort_with_status(line.status())
            if line is ...:
                self.ended.wait(timeout=30)
                return
            yield line

    @override
    def FindMissing(self, request, context):
        missing = [digest for digest in request.digests if digest not in self.kept]
        return artifact_pb2.FindMissingResponse(missing_digests=missing)

    @override
    def Write(self, requests, context):
        if self.has_all:
            return artifact_pb2.WriteResponse(digest=next(requests).digest)
        chunks = list(requests)
        data = b"".join(chunk.data for chunk in chunks)
        assert hashlib.sha256(data).hexdigest() == chunks[0].digest
        offset = 0
        for chunk in chunks:
            assert chunk.offset == offset
            offset += len(chunk.data)
        self.kept[chunks[0].digest] = data
        self.writes.append([len(chunk.data) for chunk in chunks])
        return artifact_pb2.WriteResponse(digest=chunks[0].digest, size_bytes=len(data))

    @override
    def Read(self, request, context):
        data = self.kept[request.digest]
        for begin in range(0, len(data), 100_000):
            yield artifact_pb2.ReadResponse(data=data[begin : begin + 100_000])


def picture(width=28, height=28, grey=128, file_format="PNG"):
    file = BytesIO()
    Image.new("L", (width, height), grey).save(file, file_format)
    return facet_pb2.EncodedImage(
        data=file.getvalue(),
        media_type=f"image/{file_format.lower()}",
        width=width,
        height=height,
    )


def progress(done=0, total=10):
    return inspection_pb2.Event(
        progress=inspection_pb2.Progress(
            phase=inspection_pb2.WORK_PHASE_SYNTHESIZING, unit=UNIT, done=done, total=total
        )
    )


def facet_count(verdict=facet_pb2.VERDICT_SEVERAL_FACETS, unit=UNIT):
    return inspection_pb2.Event(
        facet_count=facet_pb2.FacetCount(
            unit=unit, images=6, facets=2, verdict=verdict, p_value=0.025
        )
    )


def facet(index=0, unit=UNIT):
    place = facet_pb2.Point(x=index, y=1)
    member = facet_pb2.Member(name="cat/a.png", label="cat", activation=2.5, embedding=place)
    return inspection_pb2.Event(
        facet=facet_pb2.Facet(
            unit=unit,
            index=index,
            members=[member] * 3,
            mean_image=picture(),
            thumbnails=[picture(file_format="JPEG")] * 2,
            centroid=place,
            evidence=facet_pb2.FacetEvidence(
                share=0.5,
                activation_mean=2.5,
                common_label="cat",
                purity=1.0,
                flags=[
                    facet_pb2.FacetFlag(
                        sign=facet_pb2.SIGN_CORNER, strength=0.5, message="it may be a logo"
                    )
                ],
            ),
            farthest_thumbnails=[picture(grey=64)] * 3,
        )
    )


def image(index=0, unit=UNIT):
    return inspection_pb2.Event(
        image=synthesis_pb2.SynthesizedImage(
            unit=unit, index=index, picture=picture(), activation=9.5, steps=370
        )
    )


def preview(index=0, unit=UNIT):
    return inspection_pb2.Event(
        preview=synthesis_pb2.PreviewImage(unit=unit, index=index, step=10, picture=picture())
    )


def manifest(*warnings):
    return inspection_pb2.Event(
        manifest=inspection_pb2.Manifest(device="cpu", images_read=6, warnings=warnings)
    )


INSPECTION = [progress(), facet(0), facet(1), preview(0), image(0), image(1), manifest()]
