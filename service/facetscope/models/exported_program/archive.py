"""The zip archive that ``torch.export.save`` writes, and what it may not contain."""

import io
import json
import pickletools
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError
from facetscope.models.policy.archives import DAMAGES, check_compression, check_zip, within

MARKER: Final = "archive_format"
OLD: Final = "serialized_exported_program.json"
"""The program in archives of earlier releases of torch, which have no folder and no marker."""

WEIGHTS: Final = "data/weights/"
CONSTANTS: Final = "data/constants/"
SAMPLES: Final = "data/sample_inputs/"
MODEL: Final = re.compile(r"models/(.*)\.json")

LARGEST_JSON: Final = 2**26
"""Bytes of the description of a program; that of Swin-T takes 2 million."""

PICKLED: Final = "weights as a pickle (load the program and save it again by a newer torch)"

FORBIDDEN_ENTRIES: Final[Mapping[str, str]] = {
    r"data/aotinductor/": "a compiled library, which is machine code "
    "(save the exported program itself by torch.export.save)",
    r"data/executorch/": "a program of ExecuTorch "
    "(save the exported program itself by torch.export.save)",
    r"data/(weights|constants)/[^/]*\.pt$": PICKLED,
}
"""What is not served, by the entries that tell of it."""

HARMLESS: Final = re.compile(
    r"torch\._utils _rebuild_\w+|torch\.serialization _get_layout|torch \w+Storage"
    r"|collections OrderedDict"
)
"""What the pickles of ordinary tensors call."""

CALLS: Final = frozenset(
    {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
)
"""Further ways of a pickle to call something, none of which is in that of a tensor."""


def is_exported_program(path: Path) -> bool:
    """Whether the file is an archive of this kind."""
    try:
        with ZipFile(path) as archive:
            names = [(entry.filename, within(entry)) for entry in archive.infolist()]
    except DAMAGES:
        return False
    return any(name == OLD or within == MARKER for name, within in names)


def check(path: Path) -> str:
    """Refuse an archive that is damaged, or holds anything but one program and its tensors.

    Returns:
        The name of the program.

    Raises:
        ModelUnreadableError: It is not whole, or not of one program.
        ModelForbiddenError: Opening it by torch would do more than open, or it is packed unusually.
    """
    with _opened(path) as archive:
        entries = archive.infolist()
        check_compression(entries, compressible=())
        check_zip(archive, path.stat().st_size)
        for entry in entries:
            _check_entry(entry, archive)
        names = [within(entry) for entry in entries]
        programs = [match[1] for match in map(MODEL.fullmatch, names) if match]
    if len(programs) != 1:
        raise ModelUnreadableError(f"it holds {len(programs)} programs: save one by itself")
    return programs[0]


def description(path: Path, name: str) -> Any:
    """The value of the JSON entry ``name`` of the archive at ``path``, which may be left out.

    Raises:
        ModelUnreadableError: It is no JSON.
    """
    with _opened(path) as archive:
        entries = {within(entry): entry for entry in archive.infolist()}
        if name not in entries:
            return {}
        if entries[name].file_size > LARGEST_JSON:
            raise ModelForbiddenError(f"a description of {entries[name].file_size} bytes", name)
        return json.loads(archive.read(entries[name]))


def contents(path: Path, names: Iterable[str]) -> Iterator[tuple[str, bytearray]]:
    """The bytes of entries of the archive at ``path``, one after the other.

    Raises:
        ModelUnreadableError: One is missing or damaged.
    """
    with _opened(path) as archive:
        entries = {within(entry): entry for entry in archive.infolist()}
        for name in names:
            if name not in entries:
                raise ModelUnreadableError(f"the entry {name} is missing: save or send it again")
            yield name, bytearray(archive.read(entries[name]))


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    """The archive at ``path``; what goes wrong while it is read is that it is damaged."""
    try:
        with ZipFile(path) as archive:
            yield archive
    except DAMAGES as error:
        problem = f"it is no whole torch.export archive ({error}): save or send it again"
        raise ModelUnreadableError(problem) from error


def _check_entry(entry: ZipInfo, archive: ZipFile) -> None:
    if entry.filename == OLD:
        raise ModelForbiddenError(PICKLED, "an archive of this age")
    for pattern, what in FORBIDDEN_ENTRIES.items():
        if re.match(pattern, within(entry)):
            raise ModelForbiddenError(what, entry.filename)
    if within(entry) == "byteorder" and archive.read(entry) != b"little":
        raise ModelUnreadableError("its weights are big-endian: save it on another machine")
    if within(entry).startswith(SAMPLES) and entry.file_size:
        _check_samples(entry.filename, archive.read(entry))


def _check_samples(name: str, data: bytes) -> None:
    """Refuse sample inputs that would run code where torch loads them; here, nobody does."""
    try:
        with ZipFile(io.BytesIO(data)) as inner:
            pickles = [entry for entry in inner.infolist() if entry.filename.endswith(".pkl")]
            called = {call for entry in pickles for call in _calls(inner.read(entry))}
    except DAMAGES as error:
        raise ModelForbiddenError("a pickle that torch.save does not write", name) from error
    if strange := sorted(call for call in called if not HARMLESS.fullmatch(call)):
        raise ModelForbiddenError(f"a pickle that calls {', '.join(strange[:3])}", name)


def _calls(pickle: bytes) -> Iterator[str]:
    """What loading a pickle would call, which is not done."""
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name == "GLOBAL":
            yield str(argument)
        elif opcode.name in CALLS:
            yield opcode.name
