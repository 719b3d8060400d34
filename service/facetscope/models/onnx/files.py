"""ONNX files, and what they declare about themselves."""

from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from facetscope.domain.errors import ModelUnreadableError

OLDEST_OPSET = 7
"""Broadcasting and inference-only normalization begin here; before, the same names mean less."""

IMAGE_RANK = 4
"""Axes of a batch of images."""

PIXELS = (
    TensorProto.UNDEFINED,
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.DOUBLE,
    TensorProto.UINT8,
)
"""Types that the elements of an image may have."""

ADVICE = "send all that torch.onnx.export or torch.jit.save wrote"

DEFAULT_DOMAIN = frozenset({"", "ai.onnx"})
"""Both spellings of the domain of ONNX's own operators."""


def load(path: Path) -> ModelProto:
    """Read a model from its bytes alone; data that it keeps in other files stay unread.

    Raises:
        ModelUnreadableError: It is not ONNX, is damaged, or has no graph to run.
    """
    stored = path.read_bytes()
    if not stored:
        raise ModelUnreadableError(problem="the file is empty")
    model = ModelProto()
    try:
        model.ParseFromString(stored)
    except Exception as error:
        raise ModelUnreadableError(problem=f"it is not ONNX, or is damaged: {ADVICE}") from error
    if not model.HasField("graph") or not model.graph.node or not model.graph.output:
        raise ModelUnreadableError(
            problem=f"it is not ONNX, or has no graph with nodes and outputs: {ADVICE}"
        )
    if not _is_text(model):
        raise ModelUnreadableError(problem="it is damaged: a name in it is not UTF-8")
    return model


def _is_text(message: Any) -> bool:
    """Whether all strings in a message are text; protobuf hands them out as bytes if not."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.type == field.TYPE_STRING and not all(isinstance(text, str) for text in values):
            return False
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, values)):
            return False
    return True


def image_input(model: ModelProto) -> ValueInfoProto:
    """The one input that is not stored in the file.

    Raises:
        ModelUnreadableError: There is none, there are several, or it is not a tensor.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(given.name for given in inputs) or "none"
        raise ModelUnreadableError(problem=f"it must take one input, the image; it takes {names}")
    if not inputs[0].type.HasField("tensor_type"):
        raise ModelUnreadableError(problem=f"its input {inputs[0].name!r} is not a tensor")
    return inputs[0]


def check_image(model: ModelProto) -> None:
    """Refuse a model whose input is declared, and is no batch of images.

    Raises:
        ModelUnreadableError: It is of whole numbers, as tokens are, or has not four axes.
    """
    image = image_input(model)
    tensor = image.type.tensor_type
    axes = len(tensor.shape.dim) if tensor.HasField("shape") else IMAGE_RANK
    if tensor.elem_type not in PIXELS or axes != IMAGE_RANK:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise ModelUnreadableError(
            f"its input {image.name!r} is {kind} of {axes} axes, not a batch of images, which has "
            "four: batch, channels, height and width, in either order"
        )


def input_shape(model: ModelProto) -> tuple[int | None, ...]:
    """The declared shape of the image input, None where it is dynamic; empty if undeclared.

    Raises:
        ModelUnreadableError: The model does not take one image.
    """
    declared = image_input(model).type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.dim_value > 0 else None for axis in declared)


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that the model is written for.

    Raises:
        ModelUnreadableError: There is none, or none that is known here.
    """
    versions = [used.version for used in model.opset_import if used.domain in DEFAULT_DOMAIN]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST_OPSET <= versions[0] <= newest:
        found = ", ".join(map(str, versions)) or "none"
        raise ModelUnreadableError(
            problem=f"it must use an ONNX operator set of {OLDEST_OPSET} to {newest}, not {found}"
        )
    return versions[0]
