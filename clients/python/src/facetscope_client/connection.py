"""Where a server is, and how its channel is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

LARGEST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""A facet names all its members, so that one of a large image set outgrows gRPC's usual 4 MiB."""

KEEPALIVE_S: Final = 300
"""Seconds of silence before a ping: servers close the connections of those that ask more often."""


OPTIONS: Final = (
    ("grpc.primary_user_agent", "facetscope-client"),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # The pauses between tries are the client's own; the channel shall be ready when they end.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
"""What every channel is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the server is recognized, and how it recognizes the client.

    Attributes:
        authorities: PEM file of those whose signature makes a server trustworthy. If unset, those
            that come with gRPC.
        certificate: PEM file of the client's own certificate chain, for servers that ask for one.
        key: PEM file of its private key.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Credentials from the files as they are now."""
        return grpc.ssl_channel_credentials(
            root_certificates=_bytes_of(self.authorities),
            private_key=_bytes_of(self.key),
            certificate_chain=_bytes_of(self.certificate),
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a server is and what it is told with each call.

    Attributes:
        target: ``host:port``, or any other name that gRPC resolves.
        tls: How the connection is secured. If unset, it is not.
        token: Sent as ``authorization: Bearer``; readable on the way unless ``tls`` is set.
    """

    target: str
    tls: Tls | None = None
    token: str | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What is sent with every call."""
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)

    def channel(self) -> grpc.Channel:
        """A new channel for threads."""
        if self.tls is None:
            return grpc.insecure_channel(self.target, OPTIONS)
        return grpc.secure_channel(self.target, self.tls.credentials(), OPTIONS)

    def aio_channel(self) -> grpc.aio.Channel:
        """A new channel for the running event loop."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.target, OPTIONS)
        return grpc.aio.secure_channel(self.target, self.tls.credentials(), OPTIONS)


def _bytes_of(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
