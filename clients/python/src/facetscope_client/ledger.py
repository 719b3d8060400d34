"""Files that are either whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which at no moment has only a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class Ledger:
    """A JSON file that grows by one unit at a time and is never held in memory.

    It has another name until it is closed, so that what has the right name can be parsed. Without
    entries there is no file. Units that were skipped are listed at its end.

    Attributes:
        path: The file.
        manifest: Its last entry: what the results are a function of, if it came to that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Mapping[str, Any] | None = None
        self._skipped: list[Mapping[str, Any]] = []
        self._file: TextIO | None = None

    def enter(self, unit: Mapping[str, Any]) -> None:
        """Append what was found out about one unit."""
        begun = self._file is not None
        file = self._begun()
        if begun:
            file.write(",\n")
        json.dump(unit, file, ensure_ascii=False, indent=1)
        file.flush()

    def skip(self, unit: Mapping[str, Any]) -> None:
        """Note why nothing was found out about one unit."""
        self._skipped.append(unit)

    def close(self) -> None:
        """Give the file its end and its name."""
        if self._file is None and not self._skipped:
            return
        with self._begun() as file:
            file.write('\n],\n"skipped": ')
            json.dump(self._skipped, file, ensure_ascii=False, indent=1)
            file.write(',\n"manifest": ')
            json.dump(self.manifest, file, ensure_ascii=False, indent=1)
            file.write("}\n")
        _partial(self.path).replace(self.path)

    def _begun(self) -> TextIO:
        """The file, with its beginning."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self._file = _partial(self.path).open("w", encoding="utf-8")
            self._file.write('{"units": [\n')
        return self._file


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
