"""User files by format: what they declare, and how they become a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from facetscope.domain.descriptions import InputTensor
from facetscope.domain.inputs import Guess, Layout
from facetscope.domain.units import Layer
from facetscope.models import (
    exported_program,
    foreign,
    guesses,
    onnx,
    onnx_runtime,
    policy,
    torchscript,
)
from facetscope.models.graph import Translation
from facetscope.models.onnx.outlines import Probe
from facetscope.models.sessions import Session

ZIP_MAGIC: Final = b"PK\x03\x04"


@runtime_checkable
class ModelFile(Protocol):
    """A file that holds a model."""

    @property
    def format(self) -> str:
        """What users call its format."""
        ...

    @property
    def input_tensors(self) -> tuple[InputTensor, ...]:
        """What the model takes, as the file declares it."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself in words."""
        ...

    def guesses(self, layout: Layout | None) -> tuple[Guess, ...]:
        """What the file says of its pictures without being translated, the most trusted first.

        Args:
            layout: Of a batch, where the request says it.
        """
        ...

    def translate(self, example: Tensor, probe: Probe | None = None) -> Translation:
        """The model as one graph, for images of the shape of ``example``.

        Where ``probe`` can tell what comes of a node without a translation, the graph goes on
        behind it.
        """
        ...

    def declares(self, shape: Sequence[int]) -> bool:
        """Whether batches of ``shape``, of any size, are such as the file itself asks for."""
        ...

    def session(self, layers: Sequence[Layer], device: torch.device) -> Session | None:
        """What gives these layers without the graph; None where nothing does.

        Raises:
            ModelUnreadableError: The runtime of the format does not run the file.
        """
        ...


def open_model(path: Path) -> ModelFile:
    """Find the format of a file from its bytes, and check it before anything opens it.

    Raises:
        ModelUnreadableError: It is no model, or damaged.
        ModelForbiddenError: It holds something that a model may not hold.
        OperatorUnsupportedError: It takes other tensors than images, or calls other libraries.
    """
    with path.open("rb") as file:
        magic = file.read(len(ZIP_MAGIC))
    if magic != ZIP_MAGIC:
        foreign.check_file(path)
        return OnnxFile(path)
    if exported_program.is_exported_program(path):
        return ExportedProgramFile(path)
    foreign.check_archive(path)
    return TorchScriptFile(path)


@final
class OnnxFile:
    """An ONNX file."""

    format = "ONNX"

    def __init__(self, path: Path) -> None:
        self._path = path
        model = onnx.load(path)
        policy.check_onnx(model)
        onnx.check_image(model)
        self._signature = onnx.signature(model)
        self.metadata: Mapping[str, str] = {each.key: each.value for each in model.metadata_props}
        shape = tuple(-1 if size is None else size for size in self._signature.shape)
        self.input_tensors = (InputTensor(self._signature.name, shape),)
        self._computed = {name for node in model.graph.node for name in node.output}
        self._given = {output.name for output in model.graph.output}

    def guesses(self, layout: Layout | None) -> tuple[Guess, ...]:
        """See ``ModelFile``."""
        return (*self._signature.guesses(layout), *guesses.from_metadata(self.metadata))

    def translate(self, example: Tensor, probe: Probe | None = None) -> Translation:
        """See ``ModelFile``."""
        return onnx.translate(onnx.load(self._path), example, probe)

    def declares(self, shape: Sequence[int]) -> bool:
        """See ``ModelFile``."""
        sizes = zip(self._signature.shape[1:], shape[1:], strict=False)
        return all(declared in (None, size) for declared, size in sizes)

    def session(self, layers: Sequence[Layer], device: torch.device) -> Session | None:
        """See ``ModelFile``; tensors within branches and functions are none of the file's own."""
        names = {layer.name for layer in layers}
        if not names <= self._computed:
            return None
        model = onnx_runtime.with_outputs(self._path.read_bytes(), sorted(names - self._given))
        return Session(model, layers, device)


@final
class TorchScriptFile:
    """A TorchScript archive, as ``torch.jit.save`` writes it."""

    format = "TorchScript"
    input_tensors: tuple[InputTensor, ...] = ()

    def __init__(self, path: Path) -> None:
        policy.check_torchscript(path)
        self._path = path
        self.metadata = torchscript.extras(path)

    def guesses(self, _: Layout | None) -> tuple[Guess, ...]:
        """See ``ModelFile``."""
        kernel = torchscript.first_kernel(self._path)
        said = guesses.from_metadata(self.metadata)
        return (*guesses.from_kernel(kernel, evidence="first kernel"), *said)

    def translate(self, example: Tensor, _: Probe | None = None) -> Translation:
        """See ``ModelFile``; its nodes are no other runtime's."""
        return torchscript.translate(self._path, example)

    def declares(self, _: Sequence[int]) -> bool:
        """See ``ModelFile``; these files say nothing."""
        return True

    def session(self, layers: Sequence[Layer], device: torch.device) -> None:
        """None: the module itself is never run where gradients are."""


@final
class ExportedProgramFile:
    """An archive of ``torch.export.save`` (.pt2)."""

    format = "torch.export"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._program = exported_program.load(path)
        self.metadata = torchscript.extras(path)
        shape = tuple(-1 if size is None else size for size in self._program.shape)
        self.input_tensors = (InputTensor(self._program.image, shape),)

    def guesses(self, layout: Layout | None) -> tuple[Guess, ...]:
        """See ``ModelFile``."""
        evidence = f"input {self._program.image!r}"
        shape = guesses.from_shape(self._program.shape, layout, evidence=evidence)
        return (*shape, *guesses.from_metadata(self.metadata))

    def translate(self, example: Tensor, _: Probe | None = None) -> Translation:
        """See ``ModelFile``; its nodes are no other runtime's."""
        return exported_program.translate(self._path, self._program, example)

    def declares(self, shape: Sequence[int]) -> bool:
        """See ``ModelFile``."""
        sizes = zip(self._program.shape[1:], shape[1:], strict=False)
        return all(declared in (None, size) for declared, size in sizes)

    def session(self, layers: Sequence[Layer], device: torch.device) -> None:
        """None: the program itself is never loaded by torch, which would run what is in it."""


def example(shape: tuple[int, ...], *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """A batch of standard normal noise to translate with."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
