"""From an archive to its graph."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch._C import Argument, CompilationUnit, ModuleDict, ScriptModule, import_ir_module
from torch.utils._pytree import tree_leaves

from facetscope.domain.errors import ModelUnreadableError, OperatorUnsupportedError
from facetscope.models.graph import BATCHES, Translation
from facetscope.models.torchscript.evaluator import Evaluator, Submodule
from facetscope.models.torchscript.naming import Names
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import (
    EXPORT_HINT,
    TracedTensor,
    UntranslatableError,
)


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
    results = evaluator.call(root, "forward", [tape.image, *defaults])
    given = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor | TracedTensor)]
    outputs = _outputs(given)
    places = tuple(at for at, leaf in enumerate(given) if isinstance(leaf, TracedTensor))
    names = tuple(_name(tape.names, output) for output in outputs)
    try:
        module = tape.finish(outputs)
    except UntranslatableError as error:
        raise OperatorUnsupportedError("forward", "prim::Return", str(error)) from error
    alive = set(module.graph.nodes)
    values = {name: value for name, value in tape.names.values.items() if value.node in alive}
    return Translation(module, values, names, places=places)


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


def _outputs(given: Sequence[Tensor | TracedTensor]) -> list[TracedTensor]:
    """The tensors among the results that depend on the image; others say nothing of it."""
    outputs = [leaf for leaf in given if isinstance(leaf, TracedTensor)]
    if not outputs:
        raise OperatorUnsupportedError("forward", "prim::Return", "no output depends on the image")
    return outputs


def _name(names: Names, output: TracedTensor) -> str:
    name = names.of(output.node)
    if name is None:
        raise OperatorUnsupportedError("forward", "prim::Return", "an output is the image itself")
    if tuple(probe.shape[:1] for probe in output.probes) != tuple((batch,) for batch in BATCHES):
        sizes = list(output.probes[0].shape)
        problem = f"the output's shape {sizes} for {BATCHES[0]} images is not one row for each"
        raise OperatorUnsupportedError(name, "prim::Return", f"{problem}: {EXPORT_HINT}")
    return name
