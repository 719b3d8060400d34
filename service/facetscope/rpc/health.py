"""The standard health service, with the listing that grpcio's own servicer for asyncio lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from grpc.aio import ServicerContext
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)
from typing_extensions import override


@final
class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]
    """Answers ``grpc.health.v1.Health`` for the server, whose name is empty, and its services."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__()
        self._services = ("", *services)

    async def serve(self) -> None:
        """Tell everybody that all services can be called."""
        for name in self._services:
            await self.set(name, HealthCheckResponse.SERVING)

    @override
    async def List(
        self, request: HealthListRequest, context: ServicerContext[Any, Any]
    ) -> HealthListResponse:
        return HealthListResponse(
            statuses={
                name: await self.Check(HealthCheckRequest(service=name), context)
                for name in self._services
            }
        )
