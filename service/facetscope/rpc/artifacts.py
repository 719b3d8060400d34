"""The gRPC face of artifacts: decode, hand over, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, final

from grpc.aio import ServicerContext
from typing_extensions import override

from facetscope.artifacts.store import Store, Upload, checked
from facetscope.domain.errors import InvalidFieldError, NotServedError
from facetscope.gen.facetscope.v1 import artifact_pb2 as pb
from facetscope.gen.facetscope.v1 import artifact_pb2_grpc as pb_grpc
from facetscope.rpc.status import reporting

MOST_DIGESTS: Final = 10_000


@final
class ArtifactServicer(pb_grpc.ArtifactServiceServicer):
    """Answers ``facetscope.v1.ArtifactService`` from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @override
    async def FindMissing(
        self,
        request: pb.FindMissingRequest,
        context: ServicerContext[pb.FindMissingRequest, pb.FindMissingResponse],
    ) -> pb.FindMissingResponse:
        async with reporting(context):
            if len(request.digests) > MOST_DIGESTS:
                raise InvalidFieldError("digests", f"has more than {MOST_DIGESTS}")
            digests = [checked(digest, "digests") for digest in request.digests]
            return pb.FindMissingResponse(
                missing_digests=[digest for digest in digests if digest not in self._store]
            )

    @override
    async def Write(
        self,
        request_iterator: AsyncIterator[pb.WriteRequest],
        context: ServicerContext[pb.WriteRequest, pb.WriteResponse],
    ) -> pb.WriteResponse:
        async with reporting(context):
            first = await anext(aiter(request_iterator), pb.WriteRequest())
            digest = checked(first.digest, "digest")
            if digest in self._store:
                size = self._store.locate([digest])[digest].stat().st_size
                return pb.WriteResponse(digest=digest, size_bytes=size)
            with self._store.upload(digest) as upload:
                await asyncio.to_thread(upload.write, first.offset, first.data)
                await _receive(request_iterator, upload, digest)
                await asyncio.to_thread(upload.keep)
            return pb.WriteResponse(digest=digest, size_bytes=upload.size_bytes)

    @override
    async def QueryWrite(
        self,
        request: pb.QueryWriteRequest,
        context: ServicerContext[pb.QueryWriteRequest, pb.QueryWriteResponse],
    ) -> pb.QueryWriteResponse:
        async with reporting(context):
            raise NotServedError("QueryWrite")
        raise AssertionError

    @override
    async def Read(
        self,
        request: pb.ReadRequest,
        context: ServicerContext[pb.ReadRequest, pb.ReadResponse],
    ) -> AsyncIterator[pb.ReadResponse]:
        async with reporting(context):
            chunks = self._store.read(checked(request.digest, "digest"), request.offset)
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                yield pb.ReadResponse(data=chunk)


async def _receive(requests: AsyncIterator[pb.WriteRequest], upload: Upload, digest: str) -> None:
    async for request in requests:
        if request.digest not in ("", digest):
            raise InvalidFieldError("digest", "an upload has one digest, that of its first chunk")
        await asyncio.to_thread(upload.write, request.offset, request.data)
