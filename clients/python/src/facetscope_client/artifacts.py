"""What is uploaded: bytes, files and folders of pictures, named by the SHA-256 of their bytes."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from facetscope_client.gen.facetscope.v1.artifact_pb2 import WriteRequest

Source = str | os.PathLike[str] | bytes
"""Bytes; the path of a file, or of a folder of pictures; or the digest of an uploaded artifact."""

CHUNK_BYTES: Final = 256 * 1024
"""Bytes in one message: below 64 KiB the cost of messages dominates, above 1 MiB nothing is won."""

PICTURE_SUFFIXES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".webp"})
"""What the name of a picture, or of an array of one, ends with, in lower case."""


class NoPicturesError(ValueError):
    """A folder was to be an image set, and has no pictures."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that can be read as often as needed, and their name.

    Attributes:
        digest: SHA-256 of the bytes, in hexadecimal.
        size_bytes: How many there are.
        blocks: Gives the bytes from the beginning, in blocks of at most ``CHUNK_BYTES``.
    """

    digest: str
    size_bytes: int
    blocks: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, source: Source) -> Artifact:
        """Read ``source`` once, to learn its digest.

        A folder becomes an uncompressed tar of the pictures in it, whose paths keep the folders
        that label them. The same pictures under the same names give the same bytes. Links to
        folders are not followed.

        Raises:
            OSError: The source cannot be read.
            NoPicturesError: A folder has no pictures.
        """
        blocks = _blocks_of(source)
        digest, size = sha256(), 0
        for block in blocks():
            digest.update(block)
            size += len(block)
        return cls(digest.hexdigest(), size, blocks)


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far the upload of one artifact has come."""

    digest: str
    sent_bytes: int
    size_bytes: int


def is_digest(source: Source) -> bool:
    """Whether ``source`` is the name of an artifact rather than its bytes or their place."""
    return isinstance(source, str) and re.fullmatch(r"[0-9a-f]{64}", source) is not None


def named(sources: Iterable[Source]) -> tuple[list[str], dict[str, Artifact]]:
    """The digests of ``sources``, in order, and the artifacts of those whose bytes are at hand."""
    digests, at_hand = [], {}
    for source in sources:
        if isinstance(source, str) and is_digest(source):
            digests.append(source)
        else:
            artifact = Artifact.of(source)
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


def _blocks_of(source: Source) -> Callable[[], Iterator[bytes]]:
    if isinstance(source, bytes):
        return partial(_slices, source)
    path = Path(source)
    return partial(_tar, path, _pictures(path)) if path.is_dir() else partial(_read, path)


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(partial(file.read, CHUNK_BYTES), b"")


def _pictures(folder: Path) -> list[Path]:
    """The pictures below ``folder``, sorted by their path in it."""
    pictures = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]
    if not pictures:
        raise NoPicturesError(
            f"{folder} has no pictures: put PNG, JPEG, WebP, BMP or GIF files there"
        )
    return sorted(pictures, key=lambda path: path.relative_to(folder).as_posix())


def _tar(folder: Path, pictures: Iterable[Path]) -> Iterator[bytes]:
    """A tar made as it is read, so that a large folder takes neither memory nor disk."""
    for picture in pictures:
        member = tarfile.TarInfo(picture.relative_to(folder).as_posix())
        member.size = picture.stat().st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from _read(picture)
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
