"""What every translator gives: one ``torch.fx`` graph whose values keep the names of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from torch import Tensor, fx

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.domain.units import Obstacle

BATCHES: Final = (5, 7)
"""The batch sizes that translators look at: not 1, which broadcasts, and primes, so that no size
of an ordinary model is one of them, or divides by one, by accident."""


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor that the graph computes from the image.

    Attributes:
        node: The node of ``Translation.module.graph`` that computes it, before any later in-place
            operator of the original.
        kind: Operator or module class that it comes from, for example ``Conv`` or ``Conv2d``.
        aliases: Other names that users may know it by.
    """

    node: fx.Node
    kind: str
    aliases: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape for images of the example's size; see ``shape_of``."""
        return shape_of(self.node)


@dataclass(frozen=True, slots=True)
class Translation:
    """A user's model as one differentiable graph.

    Attributes:
        module: Takes one batch of network inputs and returns a tuple of the model's outputs;
            weights and constants are its buffers. Pure: nothing is done in place. Every node that
            computes a tensor from the image has a shape, see ``shape_of``.
        values: Every addressable tensor by name, in the order of execution. The names are the
            format's: module paths (TorchScript, torch.export) or output tensor names (ONNX).
        outputs: Names of the model's outputs, in order, each a key of ``values``.
        batch: The only batch size that ``module`` takes, see ``bound``; None if it takes any.
        places: Where each of them is among all tensors that the model gives out; left out where
            they are all.
        obstacle: The first node without a translation, if there is one.
    """

    module: fx.GraphModule
    values: Mapping[str, Value]
    outputs: tuple[str, ...]
    batch: int | None = None
    places: tuple[int, ...] = ()
    obstacle: Obstacle | None = None


def bound(translation: Translation, batch: int) -> Translation:
    """A translation that was made at one batch size, and is right for no other.

    Args:
        translation: The graph, with the shapes that its tensors have for ``batch`` images.
        batch: How many images ``module`` takes. ``Network`` reads any number, so many at a time.

    Returns:
        The same graph, where each first axis of length ``batch`` is known to be the batch.
    """
    for node in translation.module.graph.nodes:
        shape = node.meta.get("shape", ())
        if node.op != "get_attr" and shape[:1] == (batch,):
            node.meta["shape"] = (-1, *shape[1:])
    return replace(translation, batch=batch)


def untranslated(node: str, operator: str, problem: str, *_inputs: Tensor) -> Tensor:
    """Stand in a graph for a result that another runtime has to compute: it is known by its shape.

    Raises:
        OperatorUnsupportedError: Always.
    """
    raise OperatorUnsupportedError(node, operator, problem)


def missing(graph: fx.Graph) -> Mapping[fx.Node, Obstacle]:
    """What ``graph`` cannot compute, and the first ``untranslated`` node on the way to it."""
    found: dict[fx.Node, Obstacle] = {}
    for node in graph.nodes:
        behind = [found[source] for source in node.all_input_nodes if source in found]
        if behind:
            found[node] = behind[0]
        elif node.target is untranslated:
            found[node] = Obstacle(*map(str, node.args[:3]))
    return found


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of the tensor that ``node`` computes: -1 stands for the batch, -k for k of it."""
    shape: tuple[int, ...] = node.meta["shape"]
    return shape


def common_shape(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """One shape in place of those for the two ``BATCHES``, as ``shape_of`` gives it."""
    growth = BATCHES[1] - BATCHES[0]
    return tuple(a if a == b else (a - b) // growth for a, b in zip(first, second, strict=True))
