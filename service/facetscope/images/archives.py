"""Image sets as files: the pictures in a tar (plain or gzip) or a zip, one after the other."""

import gzip
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

from typing_extensions import override

from facetscope.domain.errors import ImageSetUnreadableError

LARGEST_PICTURE: Final = 64 * 2**20
"""Bytes that one picture's file may have."""

_SUFFIXES: Final = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".npy", ".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""What pictures are called. Some cannot be decoded here; they are named, not passed over."""

_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 1

_DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a feature of zip that some flipped bit names
    OSError,  # gzip; and zip, where a damaged directory points before the file's beginning
    ValueError,
)


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """The file of a picture.

    Attributes:
        name: Its path in the archive.
        label: Name of the folder that it lies in; empty at the top.
        data: The file.
    """

    name: str
    label: str
    data: bytes


def pictures(path: Path, *, source: str) -> Iterator[NamedPicture]:
    """Read the pictures of an archive, in its own order, one at a time.

    Links, hidden files, and files that are not called what pictures are called are passed over.

    Args:
        path: The archive; what kind it is of is found from its first bytes.
        source: What errors call it.

    Raises:
        ImageSetUnreadableError: It is of another kind, damaged or cut off, or has a picture of more
            than ``LARGEST_PICTURE`` bytes.
    """
    with path.open("rb") as file:
        try:
            yield from _pictures(file)
        except _DAMAGE as problem:
            raise ImageSetUnreadableError(source, str(problem)) from problem


def _pictures(file: BufferedIOBase) -> Iterator[NamedPicture]:
    magic = file.read(2)
    file.seek(0)
    if magic == b"PK":
        yield from _in_zip(file)
    elif magic == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from _in_tar(unpacked)
    else:
        yield from _in_tar(file)


def _in_tar(file: BufferedIOBase) -> Iterator[NamedPicture]:
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Header, errors="replace") as archive:
        for entry in archive:
            if entry.isreg() and _is_picture(entry.name):
                _check_size(entry.name, entry.size)
                yield _named(entry.name, cast("IO[bytes]", archive.extractfile(entry)).read())


class _Header(tarfile.TarInfo):
    """A header that must be one, where ``tarfile`` takes damage for the end of the archive."""

    @classmethod
    @override
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as problem:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the mark of the end
            raise tarfile.ReadError(
                f"another kind of file, damaged or cut off ({problem})"
            ) from None


def _in_zip(file: BufferedIOBase) -> Iterator[NamedPicture]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if _is_picture(entry.filename):
                _check_size(entry.filename, entry.file_size)
                if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _COMPRESSIONS:
                    raise ValueError(f"{entry.filename} is encrypted, or packed in an unusual way")
                yield _named(entry.filename, archive.read(entry))


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
    return path.suffix.lower() in _SUFFIXES and not hidden and not name.endswith("/")


def _check_size(name: str, size: int) -> None:
    if size > LARGEST_PICTURE:
        raise ValueError(f"{name} has {size} bytes, and a picture may have {LARGEST_PICTURE}")


def _named(name: str, data: bytes) -> NamedPicture:
    return NamedPicture(name, PurePosixPath(name).parent.name, data)
