"""A content-addressed store in a local folder.

An artifact is a file named after its SHA-256. It appears by a rename, so it is whole or not there;
whoever shares the folder sees it then.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final, final

from facetscope.domain.errors import (
    ArtifactMissingError,
    ArtifactNotFoundError,
    ArtifactTooLargeError,
    DigestMismatchError,
    InvalidFieldError,
    OffsetMismatchError,
    StoreFullError,
)

READ_BYTES: Final = 256 * 2**10
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def checked(digest: str, field: str) -> str:
    """``digest``, if it is one.

    Raises:
        InvalidFieldError: It is not 64 lower-case hexadecimal digits.
    """
    if not DIGEST.fullmatch(digest):
        raise InvalidFieldError(field, f"{digest[:80]!r} is not 64 lower-case hexadecimal digits")
    return digest


@final
class Store:
    """Artifacts by their digest."""

    def __init__(self, folder: Path, *, largest_bytes: int) -> None:
        """Keep artifacts of up to ``largest_bytes`` in ``folder``, which is made if need be."""
        self._folder = folder.resolve()
        self._largest_bytes = largest_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def locate(self, digests: Iterable[str]) -> dict[str, Path]:
        """Paths of artifacts by digest, to be read only.

        Raises:
            ArtifactMissingError: Some are not there; it names them all.
        """
        paths = {digest: self._path(digest) for digest in digests}
        if missing := tuple(digest for digest in paths if digest not in self):
            raise ArtifactMissingError(missing)
        return paths

    def put(self, data: bytes) -> str:
        """Keep ``data``, and give its digest."""
        digest = sha256(data).hexdigest()
        if digest not in self:
            with self.upload(digest) as upload:
                upload.write(0, data)
                upload.keep()
        return digest

    @contextmanager
    def upload(self, digest: str) -> Iterator[Upload]:
        """Receive an artifact; nothing is left of it unless ``Upload.keep`` was called.

        Raises:
            StoreFullError: The disk is full.
        """
        with (
            _telling_when_full(),
            NamedTemporaryFile(dir=self._folder, prefix=".upload-", delete=False) as file,
        ):
            try:
                yield Upload(file, self._path(digest), self._largest_bytes)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def read(self, digest: str, offset: int) -> Iterator[bytes]:
        """The bytes of an artifact from ``offset`` on, in chunks.

        Raises:
            ArtifactNotFoundError: It is not there.
            InvalidFieldError: The offset lies beyond its end.
        """
        if digest not in self:
            raise ArtifactNotFoundError(digest)
        with self._path(digest).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                raise InvalidFieldError(
                    "offset", f"{offset} lies beyond the {size} bytes there are"
                )
            file.seek(offset)
            while chunk := file.read(READ_BYTES):
                yield chunk

    def _path(self, digest: str) -> Path:
        return self._folder / digest


@contextmanager
def _telling_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError from error
        raise


@final
class Upload:
    """An artifact that is arriving."""

    def __init__(self, file: IO[bytes], path: Path, largest_bytes: int) -> None:
        """Receive into ``file`` what is to be kept as ``path``, which is named after its digest."""
        self._file = file
        self._path = path
        self._largest_bytes = largest_bytes
        self._hash = sha256()
        self.size_bytes = 0

    def write(self, offset: int, data: bytes) -> None:
        """Take the next chunk.

        Raises:
            ArtifactTooLargeError: There are more bytes than allowed.
            OffsetMismatchError: The chunk does not begin where the one before it ended.
        """
        if offset != self.size_bytes:
            raise OffsetMismatchError(offset, self.size_bytes)
        self.size_bytes += len(data)
        if self.size_bytes > self._largest_bytes:
            raise ArtifactTooLargeError(self._largest_bytes)
        self._hash.update(data)
        self._file.write(data)

    def keep(self) -> None:
        """Make the artifact appear in the store.

        Raises:
            DigestMismatchError: What arrived is not what was announced.
        """
        received = self._hash.hexdigest()
        if received != self._path.name:
            raise DigestMismatchError(self._path.name, received, self.size_bytes)
        self._file.flush()
        os.fsync(self._file.fileno())
        Path(self._file.name).chmod(0o444)
        Path(self._file.name).replace(self._path)
