"""What is uploaded: bytes and files, named by the SHA-256 of their bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from facetscope_client.gen.facetscope.v1.artifact_pb2 import WriteRequest

Source = str | os.PathLike[str] | bytes
"""Bytes; the path of a file; or the digest of an uploaded artifact.

An image set may also be a folder of pictures, or a pattern of file names.
"""

CHUNK_BYTES: Final = 256 * 1024
"""Bytes in one message: below 64 KiB the cost of messages dominates, above 1 MiB nothing is won."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that can be read as often as needed, and their name.

    Attributes:
        digest: SHA-256 of the bytes, in hexadecimal.
        size_bytes: How many there are.
        blocks: Gives the bytes from the beginning, in blocks of at most ``CHUNK_BYTES``.
        name: Of the file or the folder that they are from; empty for bytes.
    """

    digest: str
    size_bytes: int
    blocks: Callable[[], Iterator[bytes]]
    name: str = ""

    @classmethod
    def of(cls, source: Source) -> Artifact:
        """Read bytes or a file once, to learn the digest.

        Raises:
            OSError: The source cannot be read.
        """
        if isinstance(source, bytes):
            return cls.made_of(partial(_slices, source))
        return cls.made_of(partial(read_file, Path(source)), Path(source).name)

    @classmethod
    def made_of(cls, blocks: Callable[[], Iterator[bytes]], name: str = "") -> Artifact:
        """Ask for all ``blocks`` once, to learn their digest."""
        digest, size = sha256(), 0
        for block in blocks():
            digest.update(block)
            size += len(block)
        return cls(digest.hexdigest(), size, blocks, name)


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far the upload of one artifact has come."""

    digest: str
    sent_bytes: int
    size_bytes: int


def is_digest(source: Source | Artifact) -> bool:
    """Whether ``source`` is the name of an artifact rather than its bytes or their place."""
    return isinstance(source, str) and re.fullmatch(r"[0-9a-f]{64}", source) is not None


def named(sources: Iterable[Source | Artifact]) -> tuple[list[str], dict[str, Artifact]]:
    """The digests of ``sources``, in order, and the artifacts of those whose bytes are at hand."""
    digests, at_hand = [], {}
    for source in sources:
        if isinstance(source, str) and is_digest(source):
            digests.append(source)
        else:
            artifact = source if isinstance(source, Artifact) else Artifact.of(source)
            digests.append(artifact.digest)
            at_hand[artifact.digest] = artifact
    return digests, at_hand


def writes(
    artifact: Artifact, watch: Callable[[UploadProgress], None] | None = None
) -> Iterator[WriteRequest]:
    """The messages that upload ``artifact``; ``watch`` hears of each before it is sent."""
    offset = 0
    for data in _regrouped(artifact.blocks()):
        yield WriteRequest(digest=artifact.digest, offset=offset, data=data)
        offset += len(data)
        if watch is not None:
            watch(UploadProgress(artifact.digest, offset, artifact.size_bytes))


def _regrouped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of equal size but for the last: a tar has many tiny blocks."""
    rest = bytearray()
    for block in blocks:
        rest += block
        if len(rest) > CHUNK_BYTES:
            yield bytes(rest[:CHUNK_BYTES])
            del rest[:CHUNK_BYTES]
    yield bytes(rest)


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))


def read_file(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in blocks."""
    with path.open("rb") as file:
        yield from iter(partial(file.read, CHUNK_BYTES), b"")
