"""What a model file may not contain, found before anything opens it.

TorchScript runs an archive's ``__setstate__`` methods while it loads; ONNX reads tensors from files
that the model names. A file that asks for either is refused.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from facetscope.domain.errors import ModelForbiddenError, ModelUnreadableError

FORBIDDEN_CODE: Final[Mapping[bytes, str]] = {
    b"__setstate__": "a __setstate__ method, which would run while the file is opened",
    b"__torch__.torch.classes": "an object of a C++ class, as in quantized models",
}

CHECKPOINT: Final = (
    "it is a checkpoint, weights without the graph; "
    "load it into its model and save torch.jit.trace(model.eval(), images)"
)
"""What is wrong with a file of ``torch.save``, and what to do."""

LARGEST_CODE: Final = 2**26
"""Bytes of all code of an archive when unpacked; that of large models is some megabytes."""

OUTSIDE: Final = "data in another file (save model and weights as one)"

DAMAGES: Final = (
    BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Python's reader of zip files raises for damaged ones."""


def check_torchscript(path: Path) -> None:
    """Refuse an archive that is damaged, no TorchScript, or not safe to load.

    Raises:
        ModelUnreadableError: It is not a TorchScript archive, or not whole.
        ModelForbiddenError: Loading it would do more than load.
    """
    try:
        with ZipFile(path) as archive:
            _check_archive(archive, path.stat().st_size)
    except DAMAGES as error:
        problem = f"it is no whole TorchScript archive ({error}): save or send it again"
        raise ModelUnreadableError(problem) from error


def _check_archive(archive: ZipFile, size: int) -> None:
    entries = archive.infolist()
    _check_kind({_within(entry) for entry in entries})
    _check_packing(entries, size)
    if archive.comment:
        raise ModelForbiddenError("a comment, in which another archive may hide", "the zip archive")
    if damaged := archive.testzip():
        raise ModelUnreadableError(f"{damaged} has another checksum than when it was written")
    for entry in entries:
        if entry.filename.lower().endswith((".py", ".pkl")):  # torch finds them in either case
            _check_code(entry.filename, archive.read(entry))


def _within(entry: ZipInfo) -> str:
    """Path of ``entry`` below the folder that all entries of a torch archive are in."""
    return entry.filename.partition("/")[2]


def _check_kind(names: set[str]) -> None:
    has_code = any(name.startswith("code/") for name in names)
    if has_code and {"data.pkl", "constants.pkl"} <= names:
        return
    if "data.pkl" in names:
        raise ModelUnreadableError(CHECKPOINT)
    raise ModelUnreadableError("the archive holds no TorchScript code: write it by torch.jit.save")


def _check_packing(entries: Iterable[ZipInfo], size: int) -> None:
    """Refuse entries that unpack to more than they may; only code is compressed by torch."""
    unpacked = 0
    for entry in entries:
        is_code = _within(entry).startswith("code/")
        if entry.compress_type not in ((ZIP_STORED, ZIP_DEFLATED) if is_code else (ZIP_STORED,)):
            raise ModelForbiddenError("a compressed entry", entry.filename)
        unpacked += entry.file_size
    if unpacked > size + LARGEST_CODE:
        raise ModelForbiddenError(f"{unpacked} bytes when unpacked", f"an archive of {size}")


def _check_code(name: str, code: bytes) -> None:
    for mark, what in FORBIDDEN_CODE.items():
        if mark in code:
            raise ModelForbiddenError(what, name)


def check_onnx(model: ModelProto) -> None:
    """Refuse a model any of whose tensors is in another file.

    Raises:
        ModelForbiddenError: One is.
    """
    training = chain.from_iterable((t.initialization, t.algorithm) for t in model.training_info)
    tensors = chain(
        chain.from_iterable(map(_tensors_of_graph, (model.graph, *training))),
        *(_tensors_of_nodes(function.node) for function in model.functions),
        *(_tensors_of_attributes(function.attribute_proto) for function in model.functions),
    )
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelForbiddenError(OUTSIDE, f"tensor {tensor.name!r}")


def _tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    yield from _tensors_of_sparse(graph.sparse_initializer)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        yield from _tensors_of_attributes(node.attribute)


def _tensors_of_attributes(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        yield from _tensors_of_sparse((attribute.sparse_tensor, *attribute.sparse_tensors))
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors_of_graph(graph)


def _tensors_of_sparse(tensors: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)
