"""The end of a translation: from what a program gave to its graph."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.graph import Translation, shape_of
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import TracedTensor, UntranslatableError

RETURN = "prim::Return"


def translation(tape: Tape, results: Sequence[Any]) -> Translation:
    """The graph on ``tape`` of a program that gave ``results``.

    Raises:
        OperatorUnsupportedError: They are not one row for each image.
    """
    given = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor | TracedTensor)]
    outputs = _outputs(given)
    places = tuple(at for at, leaf in enumerate(given) if isinstance(leaf, TracedTensor))
    names = tuple(_name(tape, output) for output in outputs)
    try:
        module = tape.finish(outputs)
    except UntranslatableError as error:
        raise OperatorUnsupportedError("forward", RETURN, str(error)) from error
    alive = set(module.graph.nodes)
    values = {name: value for name, value in tape.names.values.items() if value.node in alive}
    return Translation(module, values, names, places=places)


def _outputs(given: Sequence[Tensor | TracedTensor]) -> list[TracedTensor]:
    """The tensors among the results that depend on the image; others say nothing of it."""
    outputs = [leaf for leaf in given if isinstance(leaf, TracedTensor)]
    if not outputs:
        raise OperatorUnsupportedError("forward", RETURN, "no output depends on the image")
    return outputs


def _name(tape: Tape, output: TracedTensor) -> str:
    name = tape.names.of(output.node)
    if name is None:
        raise OperatorUnsupportedError("forward", RETURN, "an output is the image itself")
    if shape_of(output.node)[:1] != shape_of(tape.image.node)[:1]:
        (images, *_), sizes = tape.image.probes[0].shape, list(output.probes[0].shape)
        problem = f"the output's shape {sizes} for {images} images is not one row for each"
        raise OperatorUnsupportedError(name, RETURN, f"{problem}: {tape.hint}")
    return name
