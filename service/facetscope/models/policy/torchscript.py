"""What a TorchScript archive may not contain.

Its code is text. Loading compiles all of it, and runs its ``__setstate__`` methods; nothing else of
it is ever run, and what the translator computes in its place is a list of its own. So the text is
checked for what is dangerous to load or compile, and for operators that no model has a use for.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError
from facetscope.models.policy import archives
from facetscope.models.policy.operators import pure

FORBIDDEN_CODE: Final[Mapping[bytes, str]] = {
    b"__setstate__": "a __setstate__ method, which would run while the file is opened",
    b"__torch__.torch.classes": (
        "an object of a C++ class, as in quantized models and those of optimize_for_mobile"
    ),
}

PACKED: Final = b"ConstantMKLDNNTensor"
"""What the code has in place of a weight that was packed for one processor."""

WITHOUT_WEIGHTS: Final = (
    "its weights were packed by torch.jit.optimize_for_inference, and such weights are not saved, "
    "so that torch cannot load it either: save torch.jit.freeze(model) or the model before it was "
    "optimized"
)
"""What is wrong with a saved file of an optimized model, and what to do."""

DEEPEST: Final = 2000
"""Operators, subscripts and calls within one another, levels of indentation, or all ``elif`` of a
file: torch's compiler recurses, and ends its process between 1000 and 10000 of them."""

TOKEN: Final = re.compile(
    rb'''
    (?P<text> \#[^\n]* | """(?s:.*?)(?:"""|\Z) | [']{3}(?s:.*?)(?:[']{3}|\Z)
      | '(?:[^'\\\n]|\\.)*+'? | "(?:[^"\\\n]|\\.)*+"? )
    | (?<![\w.]) (?P<operator> (?:torch|ops) (?: \s*\.\s* \w+ )+ ) \s* (?=\()
    | (?P<line> \n\ * )
    | (?P<open> [\[({] )
    | (?P<close> [\])}] )
    | (?P<next> , )
    | (?P<chained> \belif\b )
    | (?P<deeper> [-+*/%<>=&|^~.@] | \b(?:not|and|or|if)\b )
    ''',
    re.VERBOSE,
)
"""What of the code matters here; names and numbers do not."""


def check_torchscript(path: Path) -> None:
    """Refuse an archive that is damaged, no TorchScript, or not safe to load.

    Raises:
        ModelUnreadableError: It is not a TorchScript archive, or not whole.
        ModelForbiddenError: Loading it would do more than load.
    """
    try:
        with ZipFile(path) as archive:
            _check_archive(archive, path.stat().st_size)
    except archives.DAMAGES as error:
        problem = f"it is no whole TorchScript archive ({error}): save or send it again"
        raise ModelUnreadableError(problem) from error


def _check_archive(archive: ZipFile, size: int) -> None:
    entries = archive.infolist()
    _check_kind({archives.within(entry) for entry in entries})
    archives.check_compression(entries, compressible="code/")
    archives.check_zip(archive, size)
    _check_contents(archive)


def _check_kind(names: set[str]) -> None:
    has_code = any(name.startswith("code/") for name in names)
    if not has_code or not {"data.pkl", "constants.pkl"} <= names:
        raise ModelUnreadableError(
            "the archive holds no TorchScript code: write it by torch.jit.save"
        )


def _check_contents(archive: ZipFile) -> None:
    for entry in archive.infolist():
        name = entry.filename.lower()  # torch finds entries in either case
        if name.endswith((".py", ".pkl")):
            _check_marks(entry.filename, archive.read(entry))
        if name.endswith(".py"):
            _check_code(entry.filename, archive.read(entry))


def _check_marks(name: str, content: bytes) -> None:
    for mark, what in FORBIDDEN_CODE.items():
        if mark in content:
            raise ModelForbiddenError(what, name)
    if PACKED in content:
        raise ModelUnreadableError(WITHOUT_WEIGHTS)


def _check_code(name: str, code: bytes) -> None:
    """Refuse operators that are not pure, and expressions too deep for torch's compiler."""
    for at, called in _operators(code):
        if not pure(called):
            line = code.count(b"\n", 0, at) + 1
            raise ModelForbiddenError(f"the operator {called}", f"{name}, line {line}")
    for at, depth in _depths(code):
        if depth > DEEPEST:
            line = code.count(b"\n", 0, at) + 1
            what = f"an expression nested more than {DEEPEST} deep"
            raise ModelForbiddenError(what, f"{name}, line {line}")


def _operators(code: bytes) -> Iterator[tuple[int, str]]:
    """Where operators are called, and which, as ``namespace::name`` or however else."""
    for token in TOKEN.finditer(code):
        if token["operator"]:
            match re.split(r"\s*\.\s*", token["operator"].decode(errors="replace")):
                case ["torch", name]:
                    yield token.start(), f"aten::{name}"
                case ["ops", namespace, name]:
                    yield token.start(), f"{namespace}::{name}"
                case names:
                    yield token.start(), ".".join(names)


def _depths(code: bytes) -> Iterator[tuple[int, int]]:
    """How deep the tree of an expression is at most, wherever it gets deeper.

    Each ``elif`` is taken to be within all before it: torch compiles it so, and writes none itself.
    """
    levels, chained = [0], 0
    for token in TOKEN.finditer(code):
        match token.lastgroup:
            case "line" if len(levels) == 1:
                levels[0] = len(token[0])
            case "open":
                levels[-1] += 1
                levels.append(0)
            case "close" if len(levels) > 1:
                levels.pop()
            case "next":
                levels[-1] = 0
            case "chained":
                chained += 1
            case "deeper":
                levels[-1] += 1
        yield token.start(), sum(levels) + chained
