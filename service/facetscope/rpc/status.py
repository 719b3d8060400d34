"""From domain errors to gRPC status, in one table."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc.aio import ServicerContext
from grpc_status import rpc_status

from facetscope.domain import errors

log = logging.getLogger(__name__)

DOMAIN: Final = "facetscope"

LONGEST_MESSAGE: Final = 1000
"""Bytes of a message, at most: trailing metadata beyond 8 KiB destroys the status."""

LONGEST_VALUE: Final = 256
"""Bytes of a metadata value, at most, for the same reason."""

LISTED_VIOLATIONS: Final = 16
"""Missing artifacts that one status names, at most, for the same reason."""

CODE_OF: Final[Mapping[type[errors.InspectionError], int]] = {
    errors.LayerNotFoundError: code_pb2.NOT_FOUND,
    errors.ClassNotFoundError: code_pb2.NOT_FOUND,
    errors.ChannelOutOfRangeError: code_pb2.OUT_OF_RANGE,
    errors.PositionOutOfRangeError: code_pb2.OUT_OF_RANGE,
    errors.TooFewImagesError: code_pb2.FAILED_PRECONDITION,
    errors.UnitSilentError: code_pb2.FAILED_PRECONDITION,
    errors.NonFiniteActivationError: code_pb2.FAILED_PRECONDITION,
    errors.ObjectiveUnreachableError: code_pb2.FAILED_PRECONDITION,
    errors.InvalidRequestError: code_pb2.INVALID_ARGUMENT,
    errors.OperatorUnsupportedError: code_pb2.UNIMPLEMENTED,
    errors.GradientUnavailableError: code_pb2.UNIMPLEMENTED,
    errors.ModelError: code_pb2.INVALID_ARGUMENT,
    errors.ArtifactMissingError: code_pb2.FAILED_PRECONDITION,
    errors.ArtifactNotFoundError: code_pb2.NOT_FOUND,
    errors.StoreFullError: code_pb2.RESOURCE_EXHAUSTED,
    errors.ArtifactTooLargeError: code_pb2.RESOURCE_EXHAUSTED,
    errors.ArtifactError: code_pb2.INVALID_ARGUMENT,
    errors.NotServedError: code_pb2.UNIMPLEMENTED,
    errors.OutOfMemoryError: code_pb2.RESOURCE_EXHAUSTED,
    errors.EngineError: code_pb2.UNAVAILABLE,
    errors.InspectionError: code_pb2.INTERNAL,
}


def status_of(error: errors.InspectionError) -> status_pb2.Status:
    """The status that tells a client about ``error``: code, message and details."""
    code = next(CODE_OF[kind] for kind in type(error).__mro__ if kind in CODE_OF)
    details = [_packed(detail) for detail in _details(error)]
    message = _cut(str(error), LONGEST_MESSAGE)
    return status_pb2.Status(code=code, message=message, details=details)


@asynccontextmanager
async def reporting(context: ServicerContext[Any, Any]) -> AsyncGenerator[None]:
    """End the call with the right status: a domain error's own, or an opaque one for a bug."""
    try:
        yield
    except errors.InspectionError as error:
        log.info("call ended by %s: %s", error.reason, error)
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    except Exception:
        incident = uuid4().hex
        log.exception("call failed, incident %s", incident)
        info = error_details_pb2.ErrorInfo(
            reason="INTERNAL", domain=DOMAIN, metadata={"incident": incident}
        )
        status = status_pb2.Status(
            code=code_pb2.INTERNAL,
            message=f"internal error, incident {incident}",
            details=[_packed(info)],
        )
        await context.abort_with_status(rpc_status.to_status(status))


def _details(error: errors.InspectionError) -> Iterator[Message]:
    metadata = {name: _cut(value, LONGEST_VALUE) for name, value in error.metadata.items()}
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    if isinstance(error, errors.ArtifactMissingError):
        yield error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(type="MISSING", subject=digest)
                for digest in error.digests[:LISTED_VIOLATIONS]
            ]
        )
    if isinstance(error, errors.EngineBusyError):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _cut(text: str, longest: int) -> str:
    """The beginning of ``text`` that takes at most ``longest`` bytes."""
    return text.encode(errors="replace")[:longest].decode(errors="ignore")


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
