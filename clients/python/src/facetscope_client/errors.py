"""What a call can fail with, told apart by status code and reason.

FacetscopeError
├── InvalidRequestError           change the request, the images or the model
│   ├── NotFoundError             name another layer, label or artifact
│   └── UnsupportedError          the model, or the server, cannot do this
├── AccessError                   send other credentials
├── ExhaustedError                ask for less
├── UnavailableError              call again later
└── DeadlineError                 allow more time
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

M = TypeVar("M", bound=Message)


@dataclass(eq=False)
class FacetscopeError(Exception):
    """A call that ended with an error, as the server tells it.

    Attributes:
        code: The status code.
        message: What was wrong and what to do about it, in one sentence for people.
        reason: Which error it is, for programs: for example ``LAYER_NOT_FOUND``. Empty where the
            error does not come from the service itself but from the way to it.
        metadata: The values of the message, by name.
        retry_after: How long the server asks to wait before the next call, if it does.
        missing: Digests of artifacts that must be uploaded before the call can succeed.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


class InvalidRequestError(FacetscopeError):
    """The request cannot be met as it stands; the caller can fix it."""


class NotFoundError(InvalidRequestError):
    """The request names a layer, a label or an artifact that does not exist."""


class UnsupportedError(InvalidRequestError):
    """The model has an operator, or the request a feature, that the server does not have."""


class AccessError(FacetscopeError):
    """The server does not take the credentials, or they do not allow this."""


class ExhaustedError(FacetscopeError):
    """The job, or the upload, is larger than what the server has room for."""


class UnavailableError(FacetscopeError):
    """The server is not there, or has too much to do; the same call may succeed later."""


class DeadlineError(FacetscopeError):
    """The call took longer than it was allowed to."""


ERROR_OF: Final[Mapping[grpc.StatusCode, type[FacetscopeError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
    grpc.StatusCode.UNAUTHENTICATED: AccessError,
    grpc.StatusCode.PERMISSION_DENIED: AccessError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
}
"""The error of each status code; codes that are not here are plain ``FacetscopeError``."""


def error_from(failure: grpc.RpcError) -> FacetscopeError:
    """The error that ``failure`` is, with what its details tell."""
    status = _status_of(failure)
    info = _detail(status, ErrorInfo)
    retry = _detail(status, RetryInfo)
    return ERROR_OF.get(failure.code(), FacetscopeError)(
        code=failure.code(),
        message=failure.details() or failure.code().name,
        reason=info.reason,
        metadata=dict(info.metadata),
        retry_after=retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else None,
        missing=tuple(
            violation.subject
            for violation in _detail(status, PreconditionFailure).violations
            if violation.type == "MISSING"
        ),
    )


def _status_of(failure: grpc.RpcError) -> Status:
    """The rich status in the trailing metadata; empty where a proxy lost or broke it."""
    trailing: Any = failure.trailing_metadata() or ()
    try:
        return Status.FromString(dict(trailing).get("grpc-status-details-bin", b""))
    except DecodeError:
        return Status()


def _detail(status: Status, kind: type[M]) -> M:
    """The detail of this kind, empty where there is none."""
    message = kind()
    for detail in status.details:
        if detail.Unpack(message):
            break
    return message
