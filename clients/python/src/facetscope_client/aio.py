"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
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


class AsyncClient:
    """``Client`` for asyncio: the same calls with the same arguments and promises.

    Made and used within one event loop.

        async with AsyncClient("127.0.0.1:50051") as client:
            async with aclosing(client.inspect_units("model.onnx", "fc:3", "photos/")) as events:
                async for event in events:
                    ...

    Files are read and packed in a thread, so that the loop goes on meanwhile.
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
        self._channel = connection.aio_channel()
        self._artifacts = ArtifactServiceStub(self._channel)
        self._inspection = InspectionServiceStub(self._channel)
        self._timeout_s = timeout_s
        self._retry = retry or RetryPolicy()
        self._on_upload = on_upload

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, which cancels the calls that are still open."""
        await self._channel.close()

    async def describe(
        self,
        model: Source,
        *,
        precision: Precision.ValueType = PRECISION_UNSPECIFIED,
        input: Input | None = None,
        timeout_s: float | None = None,
    ) -> DescribeModelResponse:
        """As ``Client.describe``."""
        prepared = await asyncio.to_thread(
            requests.describe, model, precision=precision, input=input
        )
        ask = partial(self._inspection.DescribeModel, prepared.request)
        return await self._ask(ask, self._attempts(timeout_s, prepared.artifacts))

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
    ) -> AsyncGenerator[Event, None]:
        """As ``Client.discover_facets``."""
        prepare = partial(
            requests.discover_facets,
            model,
            unit,
            images,
            precision=precision,
            input=input,
            discovery=discovery,
        )
        return self._events(self._inspection.DiscoverFacets, prepare, timeout_s)

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
    ) -> AsyncGenerator[Event, None]:
        """As ``Client.maximize_activation``."""
        prepare = partial(
            requests.maximize_activation,
            model,
            unit,
            precision=precision,
            input=input,
            synthesis=synthesis,
            starts=starts,
            count=count,
        )
        return self._events(self._inspection.MaximizeActivation, prepare, timeout_s)

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
    ) -> AsyncGenerator[Event, None]:
        """As ``Client.inspect_units``."""
        prepare = partial(
            requests.inspect_units,
            model,
            units,
            images,
            precision=precision,
            input=input,
            discovery=discovery,
            synthesis=synthesis,
        )
        return self._events(self._inspection.InspectUnits, prepare, timeout_s)

    def run(
        self,
        request: Request,
        artifacts: Mapping[str, Artifact] = MappingProxyType({}),
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Event, None]:
        """As ``Client.run``."""

        def prepare() -> Prepared[Any]:
            return Prepared(request, artifacts)

        match request:
            case DiscoverFacetsRequest():
                return self._events(self._inspection.DiscoverFacets, prepare, timeout_s)
            case MaximizeActivationRequest():
                return self._events(self._inspection.MaximizeActivation, prepare, timeout_s)
            case InspectUnitsRequest():
                return self._events(self._inspection.InspectUnits, prepare, timeout_s)

    async def upload(self, source: Source, *, timeout_s: float | None = None) -> str:
        """As ``Client.upload``."""
        return await self._upload(await asyncio.to_thread(Artifact.of, source), timeout_s)

    async def upload_images(
        self, images: Source | Iterable[Source], *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """As ``Client.upload_images``."""
        return tuple(
            [
                source if isinstance(source, str) else await self._upload(source, timeout_s)
                async for source in _in_thread(image_sources(images))
            ]
        )

    async def _upload(self, artifact: Artifact, timeout_s: float | None) -> str:
        if await self.find_missing([artifact.digest], timeout_s=timeout_s):
            await self._write(artifact, self._attempts(timeout_s))
        return artifact.digest

    async def find_missing(
        self, digests: Iterable[str], *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """As ``Client.find_missing``."""
        ask = partial(self._artifacts.FindMissing, FindMissingRequest(digests=digests))
        return tuple((await self._ask(ask, self._attempts(timeout_s))).missing_digests)

    async def download(self, digest: str, *, timeout_s: float | None = None) -> bytes:
        """As ``Client.download``."""
        prepared = Prepared(ReadRequest(digest=digest))
        responses = self._stream(self._artifacts.Read, prepared, timeout_s)
        return b"".join([response.data async for response in responses])

    def _attempts(
        self, timeout_s: float | None, artifacts: Mapping[str, Artifact] = MappingProxyType({})
    ) -> Attempts:
        chosen_s = self._timeout_s if timeout_s is None else timeout_s
        return Attempts(self._retry, timeout_s=chosen_s, artifacts=artifacts)

    async def _events(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[R, E],
        prepare: Callable[[], Prepared[R]],
        timeout_s: float | None,
    ) -> AsyncGenerator[Event, None]:
        prepared = await asyncio.to_thread(prepare)
        async with aclosing(self._stream(method, prepared, timeout_s)) as envelopes:
            async for envelope in envelopes:
                if (event := opened(envelope)) is not None:
                    yield event

    async def _stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[R, A],
        prepared: Prepared[R],
        timeout_s: float | None,
    ) -> AsyncGenerator[A, None]:
        attempts = self._attempts(timeout_s, prepared.artifacts)
        delivered = False
        while True:
            call = method(prepared.request, timeout=attempts.remaining_s(), metadata=self._metadata)
            try:
                async for response in call:
                    delivered = True
                    yield response
            except grpc.RpcError as failure:
                remedy = attempts.remedy(failure, delivered=delivered)
            else:
                return
            finally:
                call.cancel()
            await self._apply(remedy, attempts)

    async def _ask(self, ask: Callable[..., Awaitable[A]], attempts: Attempts) -> A:
        while True:
            try:
                return await ask(timeout=attempts.remaining_s(), metadata=self._metadata)
            except grpc.RpcError as failure:
                remedy = attempts.remedy(failure)
            await self._apply(remedy, attempts)

    async def _apply(self, remedy: Wait | Send, attempts: Attempts) -> None:
        match remedy:
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Send(artifacts):
                for artifact in artifacts:
                    await self._write(artifact, self._attempts(attempts.remaining_s()))

    async def _write(self, artifact: Artifact, attempts: Attempts) -> None:
        def write(**how: Any) -> Awaitable[WriteResponse]:
            return self._artifacts.Write(_in_thread(writes(artifact, self._on_upload)), **how)

        await self._ask(write, attempts)


async def _in_thread(chunks: Iterator[A]) -> AsyncGenerator[A, None]:
    """``chunks``, each made in a thread, so that reading a file does not hold up the loop."""
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk
