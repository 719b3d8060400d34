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
    entries there is no file.

    Attributes:
        path: The file.
        manifest: Its last entry: what the results are a function of, if it came to that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Mapping[str, Any] | None = None
        self._file: TextIO | None = None

    def enter(self, unit: Mapping[str, Any]) -> None:
        """Append what was found out about one unit."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self._file = _partial(self.path).open("w", encoding="utf-8")
            self._file.write('{"units": [\n')
        else:
            self._file.write(",\n")
        json.dump(unit, self._file, ensure_ascii=False, indent=1)
        self._file.flush()

    def close(self) -> None:
        """Give the file its end and its name."""
        if self._file is not None:
            self._file.write('\n],\n"manifest": ')
            json.dump(self.manifest, self._file, ensure_ascii=False, indent=1)
            self._file.write("}\n")
            self._file.close()
            _partial(self.path).replace(self.path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
