"""From an archive to its graph."""

from pathlib import Path

import torch
from torch import Tensor
from torch._C import Argument, CompilationUnit, ModuleDict, ScriptModule, import_ir_module

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.graph import Translation
from facetscope.models.torchscript.conclusion import translation
from facetscope.models.torchscript.evaluator import Evaluator, Submodule
from facetscope.models.torchscript.naming import Names
from facetscope.models.torchscript.tape import Tape


def translate(path: Path, example: Tensor) -> Translation:
    """Translate a TorchScript archive that ``policy.check_torchscript`` has let pass.

    The graph takes any batch size, and images of the channels, height and width of ``example``.
    It computes in the precision of ``example``, to which all floating weights are converted.

    Raises:
        ModelUnreadableError: The archive is damaged.
        InputMismatchError: The model refuses images of this shape.
        OperatorUnsupportedError: The model does what has no translation.
    """
    functions = CompilationUnit()
    root = Submodule(_loaded(path, functions), "")
    others = _optional_parameters(root)
    tape = Tape(example, Names(_children(root)))
    evaluator = Evaluator(functions, tape, tuple(example.shape))
    defaults = [other.default_value for other in others]
    return translation(tape, evaluator.call(root, "forward", [tape.image, *defaults]))


def _loaded(path: Path, functions: CompilationUnit) -> ScriptModule:
    try:
        restore_shapes = False
        return import_ir_module(  # type: ignore[call-arg] # torch's stub lacks the last one
            functions, str(path), torch.device("cpu"), {}, restore_shapes
        )
    except (RuntimeError, ValueError) as error:
        raise ModelUnreadableError(str(error).partition("\n")[0]) from error


def _children(root: Submodule) -> frozenset[str]:
    return frozenset(name for name, _ in ModuleDict(root.module).items())


def _optional_parameters(root: Submodule) -> list[Argument]:
    """What ``forward`` takes beside the image, and can be left out."""
    try:
        _, _image, *others = root.schema("forward").arguments
    except (AttributeError, RuntimeError, ValueError) as error:
        raise OperatorUnsupportedError("forward", "forward", "it takes no image") from error
    for other in others:
        if not other.has_default_value():
            problem = f"it takes another input, {other.name!r}, beside the image"
            raise OperatorUnsupportedError("forward", "forward", problem)
    return others
