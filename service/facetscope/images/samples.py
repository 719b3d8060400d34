"""Labels of pictures: from the sidecar files of WebDataset, or else from folders.

Members that follow each other and whose names are the same up to the first dot of the last part
are a sample (https://github.com/webdataset/webdataset, "The WebDataset Format"). All pictures of a
sample have its label, from ``NAME.cls`` or ``NAME.json``, wherever among them the sidecar stands.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from facetscope.images.members import Member

LARGEST_PICTURE: Final = 64 * 2**20
"""Bytes that one picture's file may have."""

LARGEST_SIDECAR: Final = 2**16
"""Bytes of a file that is read for a label."""

LONGEST_LABEL: Final = 256
"""Characters."""

MOST_PICTURES: Final = 16
MOST_BYTES: Final = 16 * 2**20
"""What of a sample is kept while its label is awaited; beyond, its pictures go on without."""


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """The file of a picture.

    Attributes:
        name: Its path in the archive.
        label: Of its sample, or the name of the folder that it lies in; empty at the top.
        data: The file.
    """

    name: str
    label: str
    data: bytes


def labelled(
    members: Iterable[Member], unreadable: Callable[[str], None]
) -> Iterator[NamedPicture]:
    """The pictures among ``members``, with their labels.

    Args:
        members: Of an archive, in its order.
        unreadable: Is told the names of sidecars that give no label; their pictures have none.

    Raises:
        ValueError: A picture has more than ``LARGEST_PICTURE`` bytes.
    """
    sample = _Sample("")
    for member in members:
        key = _key(member.name)
        if key != sample.key:
            yield from sample.taken()
            sample = _Sample(key)
        if member.is_picture:
            sample.pictures.append((member.name, picture_file(member)))
            if sample.full:
                yield from sample.taken()
        elif (kind := member.name[len(key) :].lower()) in _LABEL_IN:
            _read_label(sample, kind, member, unreadable)
    yield from sample.taken()


def picture_file(member: Member) -> bytes:
    """The bytes of a picture.

    Raises:
        ValueError: There are more than ``LARGEST_PICTURE``.
    """
    if member.size > LARGEST_PICTURE:
        most = f"and a picture may have {LARGEST_PICTURE}"
        raise ValueError(f"{member.name} has {member.size} bytes, {most}")
    return member.read()


@dataclass(slots=True)
class _Sample:
    """Members of one name, as far as they have been read.

    Attributes:
        key: The name, without its suffixes.
        label: What its sidecar says; ``None`` while there is none.
        certain: Whether no other sidecar of the sample says it better.
        pictures: Names and files of its pictures.
    """

    key: str
    label: str | None = None
    certain: bool = False
    pictures: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def full(self) -> bool:
        size = sum(len(data) for _, data in self.pictures)
        return len(self.pictures) >= MOST_PICTURES or size > MOST_BYTES

    def taken(self) -> Iterator[NamedPicture]:
        """The pictures so far, which are let go."""
        pictures, self.pictures = self.pictures, []
        for name, data in pictures:
            folder = PurePosixPath(name).parent.name
            yield NamedPicture(name, folder if self.label is None else self.label, data)


def _read_label(
    sample: _Sample, kind: str, member: Member, unreadable: Callable[[str], None]
) -> None:
    if sample.certain:
        return
    try:
        label = _LABEL_IN[kind](_text(member))
    except (ValueError, TypeError, RecursionError):
        unreadable(member.name)
        label = ""
    if label is not None:
        sample.label, sample.certain = label, kind == ".cls"


def _text(member: Member) -> str:
    if member.size > LARGEST_SIDECAR:
        raise ValueError("too large")
    return member.read().decode()


def _in_cls(text: str) -> str:
    return _checked(text.strip())


def _in_json(text: str) -> str | None:
    """The label in what may be any description of the picture, and then has none."""
    content = json.loads(text)
    if not isinstance(content, dict) or "label" not in content:
        return None
    label = content["label"]
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise TypeError("neither a text nor a whole number")
    return _checked(str(label).strip())


def _checked(label: str) -> str:
    if not label or len(label) > LONGEST_LABEL or len(label.splitlines()) > 1:
        raise ValueError("no label")
    return label


_LABEL_IN: Final[dict[str, Callable[[str], str | None]]] = {".cls": _in_cls, ".json": _in_json}


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]
