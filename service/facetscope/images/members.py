"""Archives as a sequence of members: tar (plain or gzip) and zip, read in their own order."""

import gzip
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import PurePosixPath
from typing import IO, Final, cast, final

from typing_extensions import override

LONGEST_NAME: Final = 4096
"""Characters of a member's name, as of a path on Linux."""

LARGEST_EXTENSION: Final = 2**20
"""Bytes of a header that extends a header of a tar."""

LARGEST_DIRECTORY: Final = 32 * 2**20
"""Bytes of a zip's directory, which is read as a whole: some 300 000 files."""

MOST_UNPACKED: Final = 200
"""How many times its own size an archive may unpack to, beyond ``ALWAYS_UNPACKED``."""

ALWAYS_UNPACKED: Final = 2**30
"""Bytes that every archive may unpack to."""

_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 1
_EXTENSIONS: Final = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)
_SUFFIXES: Final = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".npy", ".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""What pictures are called. Some cannot be decoded here; they are named, not passed over."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path.
        size: Its bytes, unpacked.
        read: Gives these, as long as no further member has been asked for.
        position: How much of the archive is behind, in [0, 1].
    """

    name: str
    size: int
    read: Callable[[], bytes]
    position: float

    @property
    def is_picture(self) -> bool:
        """Whether it is called what pictures are called, and not hidden."""
        path = PurePosixPath(self.name)
        hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
        return path.suffix.lower() in _SUFFIXES and not hidden and not self.name.endswith("/")


def members(file: BufferedReader, *, size: int) -> Iterator[Member]:
    """Read the files of an archive, in its own order; links and folders are passed over.

    A tar is read once from its beginning to its end, and none of it is kept; of a zip the directory
    is kept.

    Args:
        file: The archive, at its beginning; what kind it is of is found from its first bytes.
        size: Its bytes.

    Raises:
        tarfile.TarError, zipfile.BadZipFile, ValueError, OSError and others: It is damaged, or does
            not keep to the limits above.
    """
    magic = file.peek(2)[:2]
    if magic == b"PK":
        return _in_zip(file, size)
    if magic == b"\x1f\x8b":
        return _in_tar_gz(file, size)
    return _in_tar(file, lambda: file.tell() / max(size, 1), most=size)


def zip_pictures(file: BufferedReader) -> int | None:
    """How many pictures a zip says that it holds; ``None`` of what is no zip."""
    if file.peek(2)[:2] != b"PK":
        return None
    with zipfile.ZipFile(cast("IO[bytes]", _Sparing(file))) as archive:
        return sum(_of_zip(archive, entry, 0.0).is_picture for entry in archive.infolist())


def _in_tar_gz(file: BufferedIOBase, size: int) -> Iterator[Member]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        yield from _in_tar(
            cast("BufferedIOBase", unpacked),
            lambda: file.tell() / size,
            most=ALWAYS_UNPACKED + MOST_UNPACKED * size,
        )


def _in_tar(file: BufferedIOBase, position: Callable[[], float], *, most: int) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Header, errors="replace") as archive:
        while (entry := archive.next()) is not None:
            _forget_members(archive)
            if entry.offset_data + entry.size > most:
                raise ValueError(f"{entry.name} ends after {most} bytes: it is cut off, or a bomb")
            _check_name(entry.name)
            if entry.isreg():
                yield Member(entry.name, entry.size, _of_tar(archive, entry), min(position(), 1.0))


def _forget_members(archive: tarfile.TarFile) -> None:
    """Let go of what is behind, which would grow with the archive."""
    archive.members.clear()  # type: ignore[attr-defined]  # typeshed does not know it


def _of_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], bytes]:
    return lambda: cast("IO[bytes]", archive.extractfile(entry)).read()


class _Header(tarfile.TarInfo):
    """A header that must be one, where ``tarfile`` takes damage for the end of the archive."""

    @classmethod
    @override
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as problem:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the mark of the end
            raise tarfile.ReadError(
                f"another kind of file, damaged or cut off ({problem})"
            ) from None
        if header.type in _EXTENSIONS and not 0 <= header.size <= LARGEST_EXTENSION:
            raise tarfile.ReadError(f"a header that goes on for {header.size} bytes")
        if header.size < 0:
            raise tarfile.ReadError(f"{header.name} has {header.size} bytes")
        if header.type == tarfile.GNUTYPE_SPARSE:
            cls._refuse_sparse()
        return header

    @staticmethod
    def _refuse_sparse(*_: object) -> None:
        """Refuse files with holes, whose few bytes can claim to be any number."""
        raise tarfile.ReadError("a sparse file, which pictures are not")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _in_zip(file: BufferedReader, size: int) -> Iterator[Member]:
    with zipfile.ZipFile(cast("IO[bytes]", _Sparing(file))) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > ALWAYS_UNPACKED + MOST_UNPACKED * size:
            raise ValueError(f"its {size} bytes would unpack to {unpacked}: it is a bomb")
        for index, entry in enumerate(entries):
            _check_name(entry.filename)
            if not entry.is_dir():
                yield _of_zip(archive, entry, index / len(entries))


def _of_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, position: float) -> Member:
    def read() -> bytes:
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _COMPRESSIONS:
            raise ValueError(f"{entry.filename} is encrypted, or packed in an unusual way")
        return archive.read(entry)

    return Member(entry.filename, entry.file_size, read, position)


@final
class _Sparing:
    """A file of which nobody takes much at once: ``zipfile`` takes as much as the file says."""

    def __init__(self, file: BufferedReader) -> None:
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """As of a file, up to ``LARGEST_DIRECTORY``."""
        if size > LARGEST_DIRECTORY:
            more = f"and a zip may have one of {LARGEST_DIRECTORY}: send a tar, or several zips"
            raise ValueError(f"a directory of {size} bytes, {more}")
        return self._file.read(size)


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name of {len(name)} characters, and it may have {LONGEST_NAME}")
