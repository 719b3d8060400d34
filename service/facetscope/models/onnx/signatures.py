"""What the input of an ONNX file says of the pictures that it takes."""

from dataclasses import dataclass
from typing import Final

from onnx import ModelProto, TensorProto

from facetscope.domain.inputs import Guess, Layout, Source
from facetscope.models import guesses
from facetscope.models.onnx.files import image_input, input_shape

CHANNELS_DENOTED: Final = "DATA_CHANNEL"
"""How ONNX's denotations (docs/DimensionDenotation.md) call the axis of channels."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The input of a file.

    Attributes:
        name: Of the tensor.
        shape: Of a batch, ``None`` where it is open; empty if undeclared.
        is_bytes: Whether its numbers are whole, from 0 to 255.
        channels_at: The axis of channels, where the file denotes it.
        kernel: Shape of the first convolution's kernel, [out, in, height, width]; empty if there
            is none.
    """

    name: str
    shape: tuple[int | None, ...]
    is_bytes: bool
    channels_at: int | None
    kernel: tuple[int, ...]

    def guesses(self, layout: Layout | None) -> tuple[Guess, ...]:
        """What it says, where the request says the layout or does not."""
        denoted = None if self.channels_at is None else self._denoted()
        said = () if denoted is None else (denoted,)
        if layout is None and denoted is not None:
            layout = denoted.values["layout"]
        evidence = f"input {self.name!r}"
        shape = guesses.from_shape(self.shape, layout, evidence=evidence)
        levels = {"low": 0.0, "high": 255.0}
        typed = (Guess(levels, Source.SIGNATURE, f"{evidence} is uint8"),) if self.is_bytes else ()
        kernel = guesses.from_kernel(self.kernel, evidence="first kernel")
        return (*said, *shape, *typed, *kernel)

    def _denoted(self) -> Guess:
        layout = Layout.NHWC if self.channels_at == len(self.shape) - 1 else Layout.NCHW
        evidence = f"{CHANNELS_DENOTED} at axis {self.channels_at}"
        return Guess({"layout": layout}, Source.METADATA, evidence)


def signature(model: ModelProto) -> Signature:
    """The input of ``model``.

    Raises:
        ModelUnreadableError: The model does not take one image.
    """
    image = image_input(model)
    tensor = image.type.tensor_type
    denoted = [axis.denotation for axis in tensor.shape.dim]
    return Signature(
        name=image.name,
        shape=input_shape(model),
        is_bytes=tensor.elem_type == TensorProto.UINT8,
        channels_at=denoted.index(CHANNELS_DENOTED) if CHANNELS_DENOTED in denoted else None,
        kernel=_first_kernel(model),
    )


def _first_kernel(model: ModelProto) -> tuple[int, ...]:
    """Shape of the first convolution's kernel over all groups, where it is stored as it is."""
    stored = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and len(stored.get("".join(node.input[1:2]), ())) > 1:
            groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
            out, within, *extent = stored[node.input[1]]
            return (out, within * max([1, *groups]), *extent)
    return ()
