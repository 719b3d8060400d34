"""Server reflection, in the version that clients use now and in the one that older ones still use.

The two versions differ in nothing but the name of the service, so that one servicer answers both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

V1: Final = "grpc.reflection.v1.ServerReflection"


def add_reflection(services: Sequence[str], server: grpc.aio.Server) -> None:
    """Let clients of ``server`` ask for the contract of ``services``."""
    servicer = reflection.aio.ReflectionServicer((*services, reflection.SERVICE_NAME))
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    handlers = [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        for name in (V1, reflection.SERVICE_NAME)
    ]
    server.add_generic_rpc_handlers(tuple(handlers))
