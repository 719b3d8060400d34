"""The composition root: builds the rooms, joins them, and serves until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facetscope.artifacts.store import Store
from facetscope.engine import memory
from facetscope.engine.process_engine import Limits, ProcessEngine
from facetscope.gen.facetscope.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    inspection_pb2,
    inspection_pb2_grpc,
)
from facetscope.rpc.artifacts import ArtifactServicer
from facetscope.rpc.health import HealthServicer
from facetscope.rpc.inspection import InspectionServicer
from facetscope.rpc.reflection import add_reflection
from facetscope.settings import Settings

log = logging.getLogger(__name__)

SERVICES: Final = (
    artifact_pb2.DESCRIPTOR.services_by_name["ArtifactService"].full_name,
    inspection_pb2.DESCRIPTOR.services_by_name["InspectionService"].full_name,
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
)

OPTIONS: Final = (
    # A silent client is asked whether it is still there; one that asks often is not sent away.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # Two servers on one port would share its calls at random.
    ("grpc.so_reuseport", 0),
)


class AddressError(Exception):
    """The address to listen on is taken, or not of this machine."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[int]:
    """A server that takes calls; gives its port. Leaving the context stops it.

    Raises:
        AddressError: The address cannot be bound.
        OSError: The folder of the store cannot be made.
    """
    store = Store(settings.store, largest_bytes=settings.largest_artifact_bytes)
    engine = ProcessEngine(
        locate=store.locate,
        device=settings.device,
        threads=settings.threads or len(os.sched_getaffinity(0)),
        parity_s=settings.parity_s,
        limits=Limits(
            workers=settings.workers,
            queued=settings.queued,
            memory_bytes=settings.worker_memory_bytes or memory.share(settings.workers),
            decoded_bytes=settings.decoded_bytes,
            synthesis_budget=settings.synthesis_budget,
            grace_s=settings.grace_s,
        ),
    )
    server = grpc.aio.server(options=OPTIONS)
    artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(ArtifactServicer(store), server)
    inspection_pb2_grpc.add_InspectionServiceServicer_to_server(
        InspectionServicer(engine, store.put), server
    )
    health = HealthServicer(SERVICES)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        add_reflection(SERVICES, server)
    port = _bound(server, f"{settings.host}:{settings.port}")
    await server.start()
    await health.serve()
    try:
        yield port
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(settings.grace_s)
        await engine.close()


def _bound(server: grpc.aio.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressError(f"cannot listen on {address}: {error}") from error


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with running(settings) as port:
        log.info("serving on %s:%d", settings.host, port)
        await stop.wait()
        log.info("stopping: calls have %g s to end", settings.grace_s)
