"""ONNX Runtime: sessions of a file that give out inner tensors too, and batches run in them.

Knows no torch, so that a process that does nothing else starts fast.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from onnx import ModelProto
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError
from facetscope.models.arrays import NUMBERS, Array

FOLDER_OF_STORED_DATA: Final = "session.model_external_initializers_file_folder_path"
FATAL_ONLY: Final = 4
"""ONNX Runtime's least talkative log level."""

CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"

REFUSALS: Final = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
"""What ONNX Runtime raises about a model that it does not run."""

TYPES: Final[Mapping[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
"""Element types that an image input may have."""


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """A serialized model that gives out these tensors of its graph, too.

    Messages of protobuf that follow one another are one, so nothing is parsed or held twice.
    """
    further = ModelProto()
    for name in names:
        further.graph.output.add(name=name)
    return model + further.SerializeToString()


def session(model: bytes, *, threads: int, cuda: bool) -> onnxruntime.InferenceSession:
    """A session of a serialized model; data that it keeps in other files are not found.

    Args:
        model: The file.
        threads: Processor threads to compute with.
        cuda: Whether to compute on the GPU, in full single precision. Without one, or without its
            libraries, the session computes on the CPU, and says nothing but by its
            ``get_providers``.

    Raises:
        ModelUnreadableError: ONNX Runtime does not run the model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.intra_op_num_threads = threads
    providers: list[str | tuple[str, dict[str, str]]] = [CPU]
    if cuda and CUDA in onnxruntime.get_available_providers():
        providers.insert(0, (CUDA, {"use_tf32": "0"}))
    with tempfile.TemporaryDirectory() as empty:
        options.add_session_config_entry(FOLDER_OF_STORED_DATA, empty)
        try:
            return onnxruntime.InferenceSession(model, options, providers=providers)
        except REFUSALS as error:
            problem = f"ONNX Runtime refuses it: {first_line(error)}"
            raise ModelUnreadableError(problem) from error


def run(
    session: onnxruntime.InferenceSession, images: Array, names: Sequence[str] = ()
) -> list[Array | None]:
    """Outputs for all images; None for those that are no tensors of numbers.

    Args:
        session: Of the model.
        images: The batch of network inputs.
        names: Of the outputs; none for all.

    Raises:
        ModelUnreadableError: The model's input is no image.
        InputMismatchError: It does not take such a batch.
    """
    image = session.get_inputs()[0]
    size, whole = in_whole_batches(session, len(images))
    batches = images.astype(input_type(session, TYPES))[whole].reshape(-1, size, *images.shape[1:])
    try:
        results = [session.run(list(names) or None, {image.name: batch}) for batch in batches]
    except REFUSALS as error:
        raise InputMismatchError(tuple(images.shape), first_line(error)) from error
    return [_joined(parts, size, len(images)) for parts in zip(*results, strict=True)]


def in_whole_batches(session: onnxruntime.InferenceSession, images: int) -> tuple[int, Array]:
    """The batch size to run a session with, and which images to take.

    A file with a fixed batch size is run as often as necessary; images are repeated to fill the
    last batch.
    """
    declared = [size for size in session.get_inputs()[0].shape[:1] if isinstance(size, int)]
    size = next((size for size in declared if size > 0), images)
    return size, np.arange(-(-images // size) * size) % images


def input_type(session: onnxruntime.InferenceSession, types: Mapping[str, Any]) -> Any:
    """What ``types`` has for the element type of the input.

    Raises:
        ModelUnreadableError: It has nothing, since no image is like that.
    """
    image = session.get_inputs()[0]
    if image.type not in types:
        raise ModelUnreadableError(problem=f"its input is a {image.type}, not an image")
    return types[image.type]


def first_line(error: Exception) -> str:
    """What is wrong, in the words of the runtime."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _joined(parts: Sequence[Any], size: int, images: int) -> Array | None:
    """One output of all runs, without what repeated images gave."""
    first = parts[0]
    if not isinstance(first, np.ndarray) or first.dtype.kind not in NUMBERS:
        return None
    if size == images:
        return first
    joined: Array = np.concatenate([np.atleast_1d(part) for part in parts])
    return joined[: images * len(np.atleast_1d(first)) // size]
