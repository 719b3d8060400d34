"""The names of a model's classes, where its file has them among its metadata."""

from collections.abc import Mapping
from typing import Any, Final

from facetscope.models.guesses import read_value

KEYS: Final = ("names", "class_names", "classes", "labels", "categories", "id2label")
"""What exporters call the names; the first that is a list of them counts."""

MOST: Final = 25_000
LONGEST: Final = 100
"""Names that are taken, and letters of each; a file may hold any text, an answer 4 MB."""


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the classes in the order of their channels; empty where there are none.

    They are a list, or a mapping from each number from 0 on, as JSON or as a Python literal; or one
    on each line, or with commas between them.
    """
    by_key = {_stem(key): text for key, text in metadata.items()}
    for key in KEYS:
        names = _names(by_key[key]) if key in by_key else []
        if 0 < len(names) <= MOST:
            return tuple(name[:LONGEST] for name in names)
    return ()


def _stem(key: str) -> str:
    """``labels`` of ``labels.json`` and ``Labels.txt``."""
    return key.lower().removesuffix(".json").removesuffix(".txt")


def _names(text: str) -> list[str]:
    match read_value(text):
        case dict(numbered):
            return _in_order(numbered)
        case list(names) | tuple(names) if all(isinstance(name, str) for name in names):
            return list(names)
        case None:
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines if len(lines) > 1 else [name.strip() for name in text.split(",")]
    return []


def _in_order(numbered: Mapping[Any, Any]) -> list[str]:
    """Values of a mapping from 0, 1, 2 and so on, which JSON writes as text."""
    names = [numbered.get(index, numbered.get(str(index))) for index in range(len(numbered))]
    return [name for name in names if isinstance(name, str)] if None not in names else []
