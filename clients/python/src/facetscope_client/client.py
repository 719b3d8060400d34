"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

import grpc

from facetscope_client import requests
from facetscope_client.artifacts import Artifact, Source, UploadProgress, writes
from facetscope_client.connection import Connection, Tls
from facetscope_client.events import Envelope, Event, opened
from facetscope_client.gen.facetscope.v1.artifact_pb2 import (
    FindMissingRequest,
    ReadRequest,
    WriteResponse,
)
from facetscope_client.gen.facetscope.v1.artifact_pb2_grpc import ArtifactServiceStub
from facetscope_client.gen.facetscope.v1.facet_pb2 import Discovery
from facetscope_client.gen.facetscope.v1.inspection_pb2 import (
    DescribeModelResponse,
    DiscoverFacetsRequest,
    InspectUnitsRequest,
    MaximizeActivationRequest,
)
from facetscope_client.gen.facetscope.v1.inspection_pb2_grpc import InspectionServiceStub
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    PRECISION_UNSPECIFIED,
    Input,
    Precision,
    Unit,
)
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import Synthesis
from facetscope_client.image_sets import image_sources
from facetscope_client.requests import Prepared, R, Request
from facetscope_client.retry import Attempts, RetryPolicy, Send, Wait

A = TypeVar("A")
E = TypeVar("E", bound=Envelope)


class Client:
    """A connection to a Facetscope server, safe to share between threads.

    Models and images are given as bytes, as paths, or as the digests of what was uploaded before;
    a folder of pictures is packed as it is sent, a large one in shards. The server gets only what
    it says it does not have. Calls that fail because the server is unavailable are tried again,
    as long as nothing of their answer has been delivered. All calls raise ``FacetscopeError``, and
    ``OSError`` or ``ValueError`` where a file cannot be read or a unit not be understood.

        with Client("127.0.0.1:50051") as client:
            for event in client.inspect_units("model.onnx", "fc:3", "photos/"):
                match event:
                    case SynthesizedImage():
                        Path(f"facet-{event.index}.png").write_bytes(event.picture.data)

    Args:
        target: ``host:port``, or any other name that gRPC resolves.
        tls: How the connection is secured. If unset, it is not.
        token: Sent with every call as ``authorization: Bearer``; without ``tls`` in the clear.
        timeout_s: Seconds that a call may take, all tries and uploads together. If unset, any time.
        retry: How often and when calls are tried again.
        on_upload: Told of every chunk that is sent, in a thread of its own.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None = None,
        token: str | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy | None = None,
        on_upload: Callable[[UploadProgress], None] | None = None,
    ) -> None:
        connection = Connection(target, tls=tls, token=token)
        self._metadata = connection.metadata
        self._channel = connection.channel()
        self._artifacts = ArtifactServiceStub(self._channel)
        self._inspection = InspectionServiceStub(self._channel)
        self._timeout_s = timeout_s
        self._retry = retry or RetryPolicy()
        self._on_upload = on_upload

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, which cancels the calls that are still open."""
        self._channel.close()

    def describe(
        self,
        model: Source,
        *,
        precision: Precision.ValueType = PRECISION_UNSPECIFIED,
        input: Input | None = None,
        timeout_s: float | None = None,
    ) -> DescribeModelResponse:
        """What ``model`` takes, what its layers are called, and whether it is computed right."""
        prepared = requests.describe(model, precision=precision, input=input)
        ask = partial(self._inspection.DescribeModel, prepared.request)
        return self._ask(ask, self._attempts(timeout_s, prepared.artifacts))

    def discover_facets(
        self,
        model: Source,
        unit: Unit | str,
        images: Source | Iterable[Source],
        *,
        precision: Precision.ValueType = PRECISION_UNSPECIFIED,
        input: Input | None = None,
        discovery: Discovery | None = None,
        timeout_s: float | None = None,
    ) -> Generator[Event, None, None]:
        """Discover the kinds of image in ``images`` that excite ``unit``.

        Yields progress, then facets, then a manifest. The call begins with the first event asked
        for; closing the generator cancels it.
        """
        prepared = requests.discover_facets(
            model, unit, images, precision=precision, input=input, discovery=discovery
        )
        return self._events(self._inspection.DiscoverFacets, prepared, timeout_s)

    def maximize_activation(
        self,
        model: Source,
        unit: Unit | str,
        *,
        precision: Precision.ValueType = PRECISION_UNSPECIFIED,
        input: Input | None = None,
        synthesis: Synthesis | None = None,
        starts: Iterable[Source] = (),
        count: int = 0,
        timeout_s: float | None = None,
    ) -> Generator[Event, None, None]:
        """Synthesize images that excite ``unit``.

        They start from ``starts``, one from each, or else ``count`` of them from noise. Yields
        progress and previews, then images, then a manifest. The call begins with the first event
        asked for; closing the generator cancels it.
        """
        prepared = requests.maximize_activation(
            model,
            unit,
            precision=precision,
            input=input,
            synthesis=synthesis,
            starts=starts,
            count=count,
        )
        return self._events(self._inspection.MaximizeActivation, prepared, timeout_s)

    def inspect_units(
        self,
        model: Source,
        units: Unit | str | Iterable[Unit | str],
        images: Source | Iterable[Source],
        *,
        precision: Precision.ValueType = PRECISION_UNSPECIFIED,
        input: Input | None = None,
        discovery: Discovery | None = None,
        synthesis: Synthesis | None = None,
        timeout_s: float | None = None,
    ) -> Generator[Event, None, None]:
        """Discover the facets of each of ``units``, and synthesize one image for each facet.

        Yields, unit by unit, progress, previews, facets and images; then a manifest. The call
        begins with the first event asked for; closing the generator cancels it.
        """
        prepared = requests.inspect_units(
            model,
            units,
            images,
            precision=precision,
            input=input,
            discovery=discovery,
            synthesis=synthesis,
        )
        return self._events(self._inspection.InspectUnits, prepared, timeout_s)

    def run(
        self,
        request: Request,
        artifacts: Mapping[str, Artifact] = MappingProxyType({}),
        *,
        timeout_s: float | None = None,
    ) -> Generator[Event, None, None]:
        """Make the call that ``request`` belongs to, as it stands.

        What it names by digest is at the server, or among ``artifacts``. Yields what the call of
        that name does.
        """
        calls = self._inspection
        match request:
            case DiscoverFacetsRequest():
                return self._events(calls.DiscoverFacets, Prepared(request, artifacts), timeout_s)
            case MaximizeActivationRequest():
                prepared = Prepared(request, artifacts)
                return self._events(calls.MaximizeActivation, prepared, timeout_s)
            case InspectUnitsRequest():
                return self._events(calls.InspectUnits, Prepared(request, artifacts), timeout_s)

    def upload(self, source: Source, *, timeout_s: float | None = None) -> str:
        """Upload bytes or a file, unless it is there already; its digest."""
        return self._upload(Artifact.of(source), timeout_s)

    def upload_images(
        self, images: Source | Iterable[Source], *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """Upload an image set, but for what is there already; the digests that stand for it.

        A folder becomes shards of at most 5000 pictures and 256 MiB, one after the other; a pattern
        such as ``shards/*.tar`` stands for the files that it matches.
        """
        return tuple(
            source if isinstance(source, str) else self._upload(source, timeout_s)
            for source in image_sources(images)
        )

    def _upload(self, artifact: Artifact, timeout_s: float | None) -> str:
        if self.find_missing([artifact.digest], timeout_s=timeout_s):
            self._write(artifact, self._attempts(timeout_s))
        return artifact.digest

    def find_missing(
        self, digests: Iterable[str], *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """Those of ``digests`` that the server does not have."""
        ask = partial(self._artifacts.FindMissing, FindMissingRequest(digests=digests))
        return tuple(self._ask(ask, self._attempts(timeout_s)).missing_digests)

    def download(self, digest: str, *, timeout_s: float | None = None) -> bytes:
        """The bytes of an artifact."""
        request = Prepared(ReadRequest(digest=digest))
        responses = self._stream(self._artifacts.Read, request, timeout_s)
        return b"".join(response.data for response in responses)

    def _attempts(
        self, timeout_s: float | None, artifacts: Mapping[str, Artifact] = MappingProxyType({})
    ) -> Attempts:
        chosen_s = self._timeout_s if timeout_s is None else timeout_s
        return Attempts(self._retry, timeout_s=chosen_s, artifacts=artifacts)

    def _events(
        self,
        method: grpc.UnaryStreamMultiCallable[R, E],
        prepared: Prepared[R],
        timeout_s: float | None,
    ) -> Generator[Event, None, None]:
        with closing(self._stream(method, prepared, timeout_s)) as envelopes:
            for envelope in envelopes:
                if (event := opened(envelope)) is not None:
                    yield event

    def _stream(
        self,
        method: grpc.UnaryStreamMultiCallable[R, A],
        prepared: Prepared[R],
        timeout_s: float | None,
    ) -> Generator[A, None, None]:
        attempts = self._attempts(timeout_s, prepared.artifacts)
        delivered = False
        while True:
            call = method(prepared.request, timeout=attempts.remaining_s(), metadata=self._metadata)
            try:
                for response in call:
                    delivered = True
                    yield response
            except grpc.RpcError as failure:
                remedy = attempts.remedy(failure, delivered=delivered)
            else:
                return
            finally:
                call.cancel()
            self._apply(remedy, attempts)

    def _ask(self, ask: Callable[..., A], attempts: Attempts) -> A:
        while True:
            try:
                return ask(timeout=attempts.remaining_s(), metadata=self._metadata)
            except grpc.RpcError as failure:
                remedy = attempts.remedy(failure)
            self._apply(remedy, attempts)

    def _apply(self, remedy: Wait | Send, attempts: Attempts) -> None:
        match remedy:
            case Wait(seconds):
                time.sleep(seconds)
            case Send(artifacts):
                for artifact in artifacts:
                    self._write(artifact, self._attempts(attempts.remaining_s()))

    def _write(self, artifact: Artifact, attempts: Attempts) -> None:
        def write(**how: Any) -> WriteResponse:
            return self._artifacts.Write(writes(artifact, self._on_upload), **how)

        self._ask(write, attempts)
