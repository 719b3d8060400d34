"""Image sets as files: the pictures in a tar (plain or gzip) or a zip, one after the other."""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final, final

from facetscope.domain.errors import ImageSetUnreadableError
from facetscope.images.members import Member, members, zip_pictures
from facetscope.images.samples import NamedPicture, labelled, picture_file

LISTED_UNLABELLED: Final = 3
"""How many sidecars a warning names."""

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


@final
class Archives:
    """The archives of an image set, one after the other.

    They are read as streams, and may be larger than memory. How far the latest reading of all
    pictures has come can be seen meanwhile.

    Attributes:
        total: Pictures in them; ``None`` if only reading them through can tell.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        """Look at archives, and read none but the directories of zips.

        Args:
            paths: Where they are; of what kind is found from their first bytes.
            names: What errors call them.

        Raises:
            ImageSetUnreadableError: The directory of a zip is damaged.
        """
        self._paths = tuple(zip(paths, names, strict=True))
        self._sizes = [path.stat().st_size for path in paths]
        counts = [_zip_pictures(path, name) for path, name in self._paths]
        self.total = None if None in counts else sum(count or 0 for count in counts)
        self._ends: list[int] = []
        self._position = 0.0
        self._unlabelled: list[str] = []
        self._unlabelled_count = 0

    @property
    def fraction(self) -> float:
        """How much of all bytes is behind, in [0, 1]."""
        done = sum(self._sizes[: len(self._ends)])
        current = self._sizes[len(self._ends) : len(self._ends) + 1]
        return min(1.0, (done + sum(current) * self._position) / max(sum(self._sizes), 1))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the labels, a sentence."""
        if not self._unlabelled_count:
            return ()
        names = ", ".join(self._unlabelled)
        sentence = (
            f"sidecar files that give no label: {self._unlabelled_count}, among them {names}; a "
            ".cls has one line of text, a .json has a text or a whole number as label"
        )
        return (sentence,)

    def pictures(self) -> Iterator[NamedPicture]:
        """Read all pictures, in order, one at a time.

        Links, hidden files, and files that are not called what pictures are called are passed over.

        Raises:
            ImageSetUnreadableError: An archive is of another kind, damaged or cut off, or goes
                beyond a limit of ``members`` or ``samples``.
        """
        self._ends, self._unlabelled, self._unlabelled_count = [], [], 0
        seen = 0
        for path, name in self._paths:
            self._position = 0.0
            with _opened(path, name) as file:
                for picture in labelled(self._watched(file, path), self._note_unlabelled):
                    seen += 1
                    yield picture
            self._ends.append(seen)

    def at(self, places: Sequence[int]) -> Iterator[NamedPicture]:
        """Read the pictures at these places of all, which ascend, after ``pictures`` has ended.

        Archives that have none of them stay closed, and none is read beyond the last of them. The
        pictures have no labels.
        """
        begin = 0
        for (path, name), end in zip(self._paths, self._ends, strict=True):
            wanted = frozenset(place - begin for place in places if begin <= place < end)
            if wanted:
                with _opened(path, name) as file:
                    yield from _chosen(members(file, size=path.stat().st_size), wanted)
            begin = end

    @property
    def seen(self) -> int:
        """How many pictures ``pictures`` gave."""
        return self._ends[-1] if self._ends else 0

    def _watched(self, file: BufferedReader, path: Path) -> Iterator[Member]:
        for member in members(file, size=path.stat().st_size):
            self._position = member.position
            yield member

    def _note_unlabelled(self, name: str) -> None:
        self._unlabelled_count += 1
        if len(self._unlabelled) < LISTED_UNLABELLED:
            self._unlabelled.append(name)


def _chosen(files: Iterator[Member], wanted: frozenset[int]) -> Iterator[NamedPicture]:
    place, left = 0, len(wanted)
    for member in files:
        if member.is_picture:
            if place in wanted:
                yield NamedPicture(member.name, "", picture_file(member))
                left -= 1
                if not left:
                    return
            place += 1


def _zip_pictures(path: Path, name: str) -> int | None:
    with _opened(path, name) as file:
        return zip_pictures(file)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BufferedReader]:
    with path.open("rb") as file:
        try:
            yield file
        except _DAMAGE as problem:
            raise ImageSetUnreadableError(name, str(problem)) from problem
