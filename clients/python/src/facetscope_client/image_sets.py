"""What image sets are made of: archives, several of them by a pattern, and folders in shards."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from typing import Final
from zlib import crc32

from facetscope_client.artifacts import Artifact, Source, is_digest, read_file

PICTURE_SUFFIXES: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".webp")
"""What the name of a picture, or of an array of one, ends with, in lower case."""

MOST_PICTURES: Final = 5000
MOST_BYTES: Final = 256 * 2**20
"""What a shard of a folder holds at most, unless it is a single picture."""

USUAL_PICTURES: Final = 1000
USUAL_BYTES: Final = 64 * 2**20
"""What a shard holds at least, before it may end; about as much again follows on average."""


class NoPicturesError(ValueError):
    """A folder, or a pattern, was to be an image set, and has no pictures."""


def image_sources(images: Source | Iterable[Source]) -> Iterator[str | Artifact]:
    """The artifacts of an image set, or their digests where these are given.

    Folders come in shards, and patterns of file names as what they match.

    Raises:
        NoPicturesError: A folder has no pictures, or a pattern matches nothing.
        OSError: A file cannot be read.
    """
    sources = [images] if isinstance(images, str | bytes | os.PathLike) else images
    for source in sources:
        if isinstance(source, str) and is_digest(source):
            yield source
        elif isinstance(source, bytes) or Path(source).is_file():
            yield Artifact.of(source)
        elif Path(source).is_dir():
            yield from folder_shards(Path(source))
        elif has_magic(os.fspath(source)):
            yield from image_sources(_matches(os.fspath(source)))
        else:
            yield Artifact.of(source)


def folder_shards(folder: Path) -> Iterator[Artifact]:
    """The pictures below ``folder`` as uncompressed tars, which need neither memory nor disk.

    Paths keep the folders that label the pictures. The same pictures under the same names give the
    same bytes, and where a shard ends depends on the names and sizes that are near: whoever adds a
    picture to a large folder uploads one or a few shards again. Links to folders are not followed.

    Raises:
        NoPicturesError: There are none.
        OSError: A file cannot be read.
    """
    for names in _shards(folder, _pictures(folder)):
        yield Artifact.made_of(partial(_tar, folder, names), f"{folder.resolve().name}/")


def _matches(pattern: str) -> list[str]:
    found = sorted(glob(pattern, recursive=True))  # noqa: PTH207 - takes absolute patterns, too
    if not found:
        raise NoPicturesError(f"{pattern} matches no file: give a folder, an archive or a pattern")
    return found


def _pictures(folder: Path) -> list[str]:
    """Paths of the pictures below ``folder``, in it, with slashes, sorted."""
    pictures = sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(PICTURE_SUFFIXES)
        and not name.startswith(".")
        and Path(place, name).is_file()
    )
    if not pictures:
        raise NoPicturesError(
            f"{folder} has no pictures: put PNG, JPEG, WebP, BMP or GIF files there"
        )
    return pictures


def _shards(folder: Path, pictures: Iterable[str]) -> Iterator[Sequence[str]]:
    """``pictures`` in groups, which end at names that a checksum picks.

    Were they to end by count alone, one more picture would change every later group.
    """
    shard: list[str] = []
    size = 0
    for name in pictures:
        bytes_more = (folder / name).stat().st_size
        full = len(shard) == MOST_PICTURES or size + bytes_more > MOST_BYTES
        usual = len(shard) / USUAL_PICTURES + size / USUAL_BYTES >= 1
        chance = 1 / USUAL_PICTURES + bytes_more / USUAL_BYTES
        if shard and (full or (usual and crc32(name.encode(errors="replace")) < chance * 2**32)):
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += bytes_more
    yield shard


def _tar(folder: Path, names: Iterable[str]) -> Iterator[bytes]:
    """A tar made as it is read."""
    for name in names:
        member = tarfile.TarInfo(name)
        member.size = (folder / name).stat().st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from read_file(folder / name)
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
