"""What an archive tells of its model without loading it."""

import json
import pickle
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from typing_extensions import override

KERNEL_RANK: Final = 4
LARGEST_TEXT: Final = 2**21
"""Bytes of an extra file that is read; names of some ten thousand classes are a few hundred KiB."""

TENSOR: Final = "_rebuild_tensor_v2"
"""How an archive names the making of a tensor, of which the third argument is the shape."""


def extras(path: Path) -> Mapping[str, str]:
    """The texts that were saved beside the model (``_extra_files``), by name.

    Members of a text that is a JSON object are given beside it: texts as they are, others as JSON.
    """
    texts: dict[str, str] = {}
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            _, _, name = entry.filename.partition("/")
            if name.startswith("extra/") and entry.file_size <= LARGEST_TEXT:
                text = archive.read(entry).decode(errors="replace")
                texts |= {name.removeprefix("extra/"): text, **_members(text)}
    return texts


def first_kernel(path: Path) -> tuple[int, ...]:
    """Shape of the first tensor of 4 axes in the archive, which is a kernel as a rule; or empty.

    Weights are looked at in the order in which their modules were made; those of a frozen model in
    the order of their use.
    """
    with ZipFile(path) as archive:
        for kind in ("data.pkl", "constants.pkl"):
            for name in archive.namelist():
                if name.partition("/")[2] == kind:
                    for shape in _shapes(_content(archive.read(name))):
                        if len(shape) == KERNEL_RANK:
                            return shape
    return ()


def _content(data: bytes) -> Any:
    """What is pickled in ``data``, as lists, tuples and ``_Inert``; None if it is damaged."""
    try:
        return _Shapes(BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - on hostile files pickle raises almost any
        return None


def _members(text: str) -> dict[str, str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in content.items()
    }


class _Inert:
    """Stands for any object of an archive: it keeps what it is made of, and does nothing."""

    def __init__(self, *parts: Any) -> None:
        self.parts: list[Any] = list(parts)

    def __setstate__(self, state: Any) -> None:
        self.parts = [state]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append(value)


class _Tensor(_Inert):
    """A tensor, made of its storage, offset, shape and more."""


class _Shapes(pickle.Unpickler):
    """Reads the structure of an archive; no class and no function of it is ever looked up."""

    @override
    def find_class(self, module: str, name: str, /) -> Any:
        return _Tensor if name == TENSOR else _Inert

    @override
    def persistent_load(self, pid: Any, /) -> None:
        return None


def _shapes(content: Any) -> Iterator[tuple[int, ...]]:
    """Shapes of the tensors in ``content``, in order."""
    waiting = [content]
    seen: set[int] = set()
    while waiting:
        match waiting.pop():
            case each if id(each) in seen:
                continue
            case _Tensor(parts=[_, _, tuple(shape), *_]):
                yield shape
            case _Inert(parts=parts) as each:
                seen.add(id(each))
                waiting.extend(reversed(parts))
            case dict(members) as each:
                seen.add(id(each))
                waiting.extend(reversed(list(members.values())))
            case list(members) | tuple(members) as each:
                seen.add(id(each))
                waiting.extend(reversed(members))
