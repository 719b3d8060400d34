"""Files that people send in place of a model, and what to send instead.

They are told by their first bytes, and archives by the names in them; nothing of them is opened.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from facetscope.domain.errors import ModelUnreadableError
from facetscope.models import policy

HEAD: Final = 2**16
"""Bytes of a file that are looked at."""

EXPORT: Final = "export it by torch.onnx.export, or save torch.jit.trace(model.eval(), images)"
CONVERT: Final = "convert it to ONNX by tf2onnx"
UNPACK: Final = "unpack it, and send the ONNX or TorchScript file in it"
PICTURE: Final = "send the model; pictures belong into the set of images"

WEB_PAGE: Final = "it is a web page, perhaps of a failed download: send what the link leads to"

CHECKPOINT: Final = (
    "it is a checkpoint, weights without the graph; load it into its model, and "
    "save torch.jit.trace(model.eval(), images) or export it by torch.onnx.export"
)
"""What is wrong with weights alone, and what to do."""

PICKLED_MODULE: Final = (
    "it is a pickled module (torch.save(model)), which nothing but its own Python code can open; "
    "open it there, and save torch.jit.trace(model.eval(), images) or export it by "
    "torch.onnx.export"
)

BEGINNINGS: Final[Mapping[bytes, str]] = {
    b"\xff\xd8\xff": f"it is a JPEG picture: {PICTURE}",
    b"\x89PNG\r\n": f"it is a PNG picture: {PICTURE}",
    b"GIF8": f"it is a GIF picture: {PICTURE}",
    b"II*\0": f"it is a TIFF picture: {PICTURE}",
    b"MM\0*": f"it is a TIFF picture: {PICTURE}",
    b"\x89HDF": f"it is HDF5, as Keras writes it (.h5): {CONVERT} (--keras)",
    b"GGUF": f"it is GGUF, made for another runtime: send what it was made from, or {EXPORT}",
    b"\x93NUMPY": f"it is an array of NumPy: {EXPORT}",
    b"ftrt": "it is an engine of TensorRT, made for one GPU: send the ONNX that it was built from",
    b"%PDF": f"it is a PDF document: {EXPORT}",
    b"\x1f\x8b": f"it is compressed by gzip: {UNPACK}",
    b"7z\xbc\xaf": f"it is a 7z archive: {UNPACK}",
    b"\xfd7zXZ": f"it is compressed by xz: {UNPACK}",
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file: run git lfs pull first",
    b"7767517": "it is a model of ncnn: send the ONNX file that it was made from",
}
"""What a file is by its first bytes."""

WITHIN: Final[Mapping[tuple[int, bytes], str]] = {
    (4, b"TFL3"): f"it is TensorFlow Lite (.tflite): {CONVERT} (--tflite)",
    (8, b"WEBP"): f"it is a WebP picture: {PICTURE}",
    (257, b"ustar"): f"it is a tar archive: {UNPACK}",
}
"""What a file is by later bytes."""

TEXTS: Final[Mapping[bytes, str]] = {
    b"<net": "it is the XML of OpenVINO: send the ONNX file that it was made from",
    b"<html": WEB_PAGE,
    b"<!doctype html": WEB_PAGE,
}
"""What a text that begins with < is, by what is in it."""

NAMES: Final[Mapping[str, str]] = {
    "saved_model.pb": f"it is a SavedModel of TensorFlow: {CONVERT} (--saved-model)",
    "model.weights.h5": f"it is a Keras model (.keras): {CONVERT} (--keras)",
    "Manifest.json": "it is a package of Core ML: send the ONNX file that it was made from",
}
"""What an archive is, by the last part of a name in it."""

PICKLE: Final = b"\x80"
ONNX_SUFFIX: Final = ".onnx"


def check_file(path: Path) -> None:
    """Refuse a file, not a zip archive, that is known not to be a model.

    Raises:
        ModelUnreadableError: It is known; the message says what it is, and what to send.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ModelUnreadableError("the file is empty: send ONNX, TorchScript or .pt2")
    for known in (_by_beginning, _by_content, _pickled, _safetensors):
        if problem := known(head):
            raise ModelUnreadableError(problem)


def check_archive(path: Path) -> None:
    """Refuse a zip archive that is known not to be TorchScript.

    Raises:
        ModelUnreadableError: It is known, or holds a checkpoint; see ``check_file``.
    """
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [
                name for name in names if name.endswith("/data.pkl") and not _has_code(names)
            ]
            pickled = b"".join(_head(archive, name) for name in pickles)
    except policy.DAMAGES:  # for the policy to explain
        return
    if problem := _by_names(names) or (_checkpoint(pickled) if pickles else ""):
        raise ModelUnreadableError(problem)


def _by_beginning(head: bytes) -> str:
    return next((what for mark, what in BEGINNINGS.items() if head.startswith(mark)), "")


def _by_content(head: bytes) -> str:
    for (at, mark), what in WITHIN.items():
        if head.startswith(mark, at):
            return what
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    return next((what for mark, what in TEXTS.items() if mark in text), "")


def _pickled(head: bytes) -> str:
    return _checkpoint(head) if head.startswith(PICKLE) else ""


def _safetensors(head: bytes) -> str:
    """A length, and a header in JSON of that length."""
    if len(head) < struct.calcsize("<Q") or head[8:9] != b"{":
        return ""
    (length,) = struct.unpack_from("<Q", head)
    looks = length < 2**32 and (b'"dtype"' in head or b'"__metadata__"' in head)
    return CHECKPOINT.replace("a checkpoint", "a safetensors file", 1) if looks else ""


def _checkpoint(pickled: bytes) -> str:
    """What a pickle is: it names the classes of what it holds."""
    return PICKLED_MODULE if b"torch.nn.modules" in pickled else CHECKPOINT


def _by_names(names: list[str]) -> str:
    last = {name.rpartition("/")[2] for name in names}
    for mark, what in NAMES.items():
        if mark in last:
            return what
    if any(name.endswith(ONNX_SUFFIX) for name in names):
        return f"it is an archive with an ONNX file in it: {UNPACK}"
    if "bytecode.pkl" in last and not _has_code(names):
        return "it is made for torch's mobile interpreter: save it by torch.jit.save"
    return ""


def _has_code(names: list[str]) -> bool:
    return any(name.partition("/")[2].startswith("code/") for name in names)


def _head(archive: ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(HEAD)
