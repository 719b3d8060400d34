"""Zip archives that every reader reads alike, and that unpack to no more than they hold.

Readers differ in what they make of a doubled name, of bytes between the entries, or of two tables
of contents: what one has checked is then not what another opens. Torch writes none of these.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Final, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError

MOST_ENTRIES: Final = 2**16
"""Entries of an archive: torch writes one for each tensor and class."""

LONGEST_NAME: Final = 1024
"""Characters of an entry's name."""

LARGEST_CODE: Final = 2**26
"""Bytes of all code of an archive when unpacked; that of large models is some megabytes."""

HEADER: Final = struct.Struct("<4s5H3L2H")
"""Local header: signature, five of version, flags, method, time and date, checksum, two sizes,
lengths of name and extra field."""

DESCRIPTOR: Final = 24
"""Bytes that may follow an entry's data, to say its sizes: at most."""

END: Final = struct.Struct("<4s4H2LH")
"""End of the table of contents; count of entries, size and offset of the table, its 5th to 7th."""

END_64: Final = struct.Struct("<4sQ2H2L4Q")
LOCATOR: Final = struct.Struct("<4sLQL")

ENCRYPTED: Final = 0x1

DAMAGES: Final = (
    BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Python's reader of zip files raises for damaged ones."""

WHOLE: Final = "the zip archive"


def within(entry: ZipInfo) -> str:
    """Path of ``entry`` below the folder that all entries of a torch archive are in."""
    return entry.filename.partition("/")[2]


def check_zip(archive: ZipFile, size: int) -> None:
    """Refuse an archive of ``size`` bytes that unpacks to far more, hides another or is damaged.

    Raises:
        ModelUnreadableError: A checksum is wrong.
        ModelForbiddenError: It is not entries, their table and its end, with nothing between.
    """
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ModelForbiddenError(f"{len(entries)} entries, more than {MOST_ENTRIES},", WHOLE)
    _check_names(entries)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size + LARGEST_CODE:
        raise ModelForbiddenError(f"{unpacked} bytes when unpacked", f"an archive of {size}")
    _check_layout(archive, size)
    if damaged := archive.testzip():
        raise ModelUnreadableError(f"{damaged} has another checksum than when it was written")


def check_compression(entries: Iterable[ZipInfo], *, compressible: str | tuple[str, ...]) -> None:
    """Refuse compressed entries but those whose path below the root begins as given, if any.

    Raises:
        ModelForbiddenError: There is one.
    """
    for entry in entries:
        may_be = within(entry).startswith(compressible)
        if entry.compress_type not in ((ZIP_STORED, ZIP_DEFLATED) if may_be else (ZIP_STORED,)):
            raise ModelForbiddenError("a compressed entry", entry.filename)


def _check_layout(archive: ZipFile, size: int) -> None:
    if archive.comment:
        raise ModelForbiddenError("a comment, in which another archive may hide,", WHOLE)
    file = cast("BinaryIO", archive.fp)
    start, end = _table(file, size)
    if start != archive.start_dir or end > size - END.size:
        raise ModelForbiddenError("another archive, or other bytes, beside its own", WHOLE)
    _check_places(file, archive.infolist(), start)


def _check_names(entries: Sequence[ZipInfo]) -> None:
    """Refuse names that are two files to one reader and one to another, or lead elsewhere."""
    seen: set[str] = set()
    roots = {entry.filename.partition("/")[0] for entry in entries}
    for entry in entries:
        name = entry.filename
        if len(name) > LONGEST_NAME:
            what = f"a name of {len(name)} characters, more than {LONGEST_NAME},"
            raise ModelForbiddenError(what, f"{name[:64]}...")
        if name.casefold() in seen:
            raise ModelForbiddenError(f"a second entry {name!r}", WHOLE)
        if {"..", ".", ""} & set(name.split("/")) or "\\" in name or entry.orig_filename != name:
            raise ModelForbiddenError(f"a path that leads elsewhere, {name!r},", WHOLE)
        if entry.flag_bits & ENCRYPTED:
            raise ModelForbiddenError("an encrypted entry", name)
        seen.add(name.casefold())
    if len(roots) > 1:
        first, second, *_ = sorted(roots)
        raise ModelForbiddenError(f"two root folders, {first!r} and {second!r},", WHOLE)


def _table(file: BinaryIO, size: int) -> tuple[int, int]:
    """Where the table of contents begins and ends, as both of its descriptions have to say.

    Raises:
        ModelForbiddenError: They say different things.
    """
    end = size - END.size
    *_, count, length, start, _ = _record(file, END, end)
    before = end - LOCATOR.size
    if before < END_64.size:
        return start, start + length
    signature, _, at, _ = _record(file, LOCATOR, before)
    if signature != b"PK\x06\x07":
        return start, start + length
    *_, count_64, length_64, start_64 = _record(file, END_64, before - END_64.size)
    narrow = ((count, 0xFFFF), (length, 0xFFFFFFFF), (start, 0xFFFFFFFF))
    for (number, unsaid), wide in zip(narrow, (count_64, length_64, start_64), strict=True):
        if number not in (unsaid, wide) or at != before - END_64.size:
            raise ModelForbiddenError("two descriptions of its contents that differ", WHOLE)
    return start_64, start_64 + length_64


def _check_places(file: BinaryIO, entries: Sequence[ZipInfo], table: int) -> None:
    """Refuse bytes that belong to no entry, and to several."""
    end, room = 0, 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        _check_gap(entry.header_offset - end, room, f"before {entry.filename!r}")
        end, room = _end(file, entry), DESCRIPTOR
    _check_gap(table - end, room, "before the table of contents")


def _check_gap(size: int, room: int, where: str) -> None:
    if size < 0:
        raise ModelForbiddenError(f"two entries that share bytes, {where},", WHOLE)
    if size > room:
        raise ModelForbiddenError(f"{size} bytes of no entry, {where},", WHOLE)


def _end(file: BinaryIO, entry: ZipInfo) -> int:
    """Where the data of ``entry`` end."""
    *_, name, extra = _record(file, HEADER, entry.header_offset)
    return entry.header_offset + HEADER.size + int(name) + int(extra) + entry.compress_size


def _record(file: BinaryIO, layout: struct.Struct, at: int) -> tuple[Any, ...]:
    file.seek(at)
    return layout.unpack(file.read(layout.size))
