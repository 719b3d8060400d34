"""How far a translated graph is from ONNX Runtime, which is the oracle for ONNX files."""

import tempfile
from collections.abc import Mapping
from typing import Final

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as runtime
from torch import Tensor

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError
from facetscope.domain.events import Parity

FOLDER_OF_STORED_DATA: Final = "session.model_external_initializers_file_folder_path"
FATAL_ONLY: Final = 4
"""ONNX Runtime's least talkative log level."""

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


def difference(model: bytes, images: Tensor, outputs: Mapping[str, Tensor]) -> Parity:
    """Compare outputs of a graph with those of ONNX Runtime.

    Args:
        model: The ONNX file; data that it keeps in other files are not found.
        images: The batch of network inputs that the graph was given.
        outputs: What it gave for them, by the names of the model's outputs.

    Raises:
        ModelUnreadableError: ONNX Runtime does not run the model.
        InputMismatchError: The model does not take such a batch.
    """
    with tempfile.TemporaryDirectory() as empty:
        session = _session(model, empty)
    expected = _run(session, images, list(outputs))
    provider: str = session.get_providers()[0]
    compared = [
        _compared(name, given, right, provider)
        for (name, given), right in zip(outputs.items(), expected, strict=True)
    ]
    return max(compared, key=lambda parity: parity.largest_relative)


def _session(model: bytes, folder: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry(FOLDER_OF_STORED_DATA, folder)
    try:
        return onnxruntime.InferenceSession(model, options, providers=_providers())
    except REFUSALS as error:
        raise ModelUnreadableError(problem=f"ONNX Runtime refuses it: {_line(error)}") from error


def _providers() -> list[str | tuple[str, dict[str, str]]]:
    """The GPU where there is one, in full single precision, and the CPU."""
    cuda = "CUDAExecutionProvider"
    if torch.cuda.is_available() and cuda in onnxruntime.get_available_providers():
        return [(cuda, {"use_tf32": "0"}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _run(session: onnxruntime.InferenceSession, images: Tensor, names: list[str]) -> list[Tensor]:
    """The outputs for all images, in as many runs as a fixed batch size makes necessary.

    Images are repeated to fill the last one.
    """
    image = session.get_inputs()[0]
    if image.type not in TYPES:
        raise ModelUnreadableError(problem=f"its input is a {image.type}, not an image")
    declared = [size for size in image.shape[:1] if isinstance(size, int) and size > 0]
    fixed = declared[0] if declared else len(images)
    whole = images[torch.arange(-(-len(images) // fixed) * fixed) % len(images)]
    batches = [batch.numpy().astype(TYPES[image.type]) for batch in whole.cpu().split(fixed)]
    try:
        results = [session.run(names, {image.name: batch}) for batch in batches]
    except REFUSALS as error:
        raise InputMismatchError(tuple(images.shape), _line(error)) from error
    by_output = zip(*results, strict=True)
    return [
        torch.cat([torch.atleast_1d(torch.as_tensor(part)) for part in parts])[: len(images)]
        for parts in by_output
    ]


def _compared(name: str, given: Tensor, expected: Tensor, provider: str) -> Parity:
    right = expected.double()
    apart = (given.detach().cpu().double() - right).abs().nan_to_num(nan=torch.inf)
    absolute = apart.max().item()
    scale = right.abs().max().item()
    return Parity(name, absolute, absolute / scale if scale else absolute, provider)


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
