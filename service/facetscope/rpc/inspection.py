"""The gRPC face of inspections: decode, hand over, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import final

from grpc.aio import ServicerContext
from typing_extensions import override

from facetscope.domain.descriptions import Description
from facetscope.domain.events import Event
from facetscope.domain.jobs import Job
from facetscope.engine.port import Engine
from facetscope.gen.facetscope.v1 import inspection_pb2 as pb
from facetscope.gen.facetscope.v1 import inspection_pb2_grpc as pb_grpc
from facetscope.rpc import answers, wire
from facetscope.rpc.status import reporting


@final
class InspectionServicer(pb_grpc.InspectionServiceServicer):
    """Answers ``facetscope.v1.InspectionService`` with what an engine computes."""

    def __init__(self, engine: Engine, keep: wire.Keep) -> None:
        """Run jobs on ``engine``; ``keep`` stores models that come inline."""
        self._engine = engine
        self._keep = keep

    @override
    async def DescribeModel(
        self,
        request: pb.DescribeModelRequest,
        context: ServicerContext[pb.DescribeModelRequest, pb.DescribeModelResponse],
    ) -> pb.DescribeModelResponse:
        async with reporting(context):
            job = await asyncio.to_thread(wire.describe_model_from, request, self._keep)
            async with self._engine.run(job) as events:
                return answers.description_message(await _description(events))

    @override
    async def DiscoverFacets(
        self,
        request: pb.DiscoverFacetsRequest,
        context: ServicerContext[pb.DiscoverFacetsRequest, pb.DiscoverFacetsResponse],
    ) -> AsyncIterator[pb.DiscoverFacetsResponse]:
        async with reporting(context):
            job = await asyncio.to_thread(wire.discover_facets_from, request, self._keep)
            async with aclosing(self._events(job)) as events:
                async for event in events:
                    yield pb.DiscoverFacetsResponse(event=event)

    @override
    async def MaximizeActivation(
        self,
        request: pb.MaximizeActivationRequest,
        context: ServicerContext[pb.MaximizeActivationRequest, pb.MaximizeActivationResponse],
    ) -> AsyncIterator[pb.MaximizeActivationResponse]:
        async with reporting(context):
            job = await asyncio.to_thread(wire.maximize_activation_from, request, self._keep)
            async with aclosing(self._events(job)) as events:
                async for event in events:
                    yield pb.MaximizeActivationResponse(event=event)

    @override
    async def InspectUnits(
        self,
        request: pb.InspectUnitsRequest,
        context: ServicerContext[pb.InspectUnitsRequest, pb.InspectUnitsResponse],
    ) -> AsyncIterator[pb.InspectUnitsResponse]:
        async with reporting(context):
            job = await asyncio.to_thread(wire.inspect_units_from, request, self._keep)
            async with aclosing(self._events(job)) as events:
                async for event in events:
                    yield pb.InspectUnitsResponse(event=event)

    async def _events(self, job: Job) -> AsyncGenerator[pb.Event]:
        sequence = 0
        async with self._engine.run(job) as events:
            async for event in events:
                sequence += 1
                yield answers.event_message(sequence, event)


async def _description(events: AsyncIterator[Event]) -> Description:
    async for event in events:
        if isinstance(event, Description):
            return event
    raise RuntimeError("the engine ended a DescribeModel without a description")
