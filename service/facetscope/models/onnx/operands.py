"""The tensors of a file on their way into the graph, and the calls that compute them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from facetscope.models.graph import common_shape
from facetscope.models.onnx.registry import Operator, UnsupportedValueError

Outlines = tuple[Tensor, Tensor]
"""A tensor at each of ``graph.BATCHES``, without memory."""


@dataclass(eq=False, slots=True)
class Operand:
    """One tensor of the file, seen at two batch sizes.

    Attributes:
        at: Its value at each of ``graph.BATCHES``, on device ``meta`` if it depends on the
            pixels.
        call: What computes it; None for the image and for what the file stores.
        index: Which of the results of ``call`` it is; None if there is just one.
        node: The node of the graph that computes it, once there is one.
    """

    at: tuple[Tensor, Tensor]
    call: "Call | None" = None
    index: int | None = None
    node: fx.Node | None = None

    @property
    def depends_on_image(self) -> bool:
        """Whether other pixels give another value."""
        return self.at[0].is_meta

    @property
    def depends_on_batch(self) -> bool:
        """Whether another batch size gives another value, of an operand that no pixel changes."""
        first, second = self.at
        return first is not second and not torch.equal(first, second)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, as ``graph.shape_of`` gives it.

        Raises:
            UnsupportedValueError: The number of axes varies.
        """
        first, second = (value.shape for value in self.at)
        if len(first) != len(second):
            raise UnsupportedValueError("the number of axes varies with the batch size")
        return common_shape(first, second)


Reading = Callable[[Operand], Any]
"""What an operator is given for an operand."""


@dataclass(eq=False, slots=True)
class Call:
    """One use of an operator.

    Attributes:
        operator: What is called.
        bound: Its arguments, with operands for tensors.
        names: What its results are called in the file.
        operands: Every operand among the arguments.
        node: Its node, once the graph has one.
    """

    operator: Operator
    bound: inspect.BoundArguments
    names: tuple[str, ...]
    operands: list[Operand] = field(init=False, default_factory=list)
    node: fx.Node | None = None

    def __post_init__(self) -> None:
        self.arguments(self.operands.append, self.operands.append, self.operands.append)

    def arguments(
        self, list_of: Reading, scalar_of: Reading, tensor_of: Reading
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments, each operand read the way that its parameter takes."""
        read = dict.fromkeys(self.operator.lists, list_of)
        read |= dict.fromkeys(self.operator.scalars, scalar_of)
        bound = inspect.BoundArguments(self.bound.signature, self.bound.arguments.copy())
        for name, value in bound.arguments.items():
            bound.arguments[name] = each(Operand, value, read.get(name, tensor_of))
        return bound.args, bound.kwargs


def constant(value: Tensor) -> Operand:
    """An operand that depends on nothing."""
    return Operand((value, value))


def each(kind: type, tree: Any, change: Callable[[Any], Any]) -> Any:
    """``tree``, nested containers, with every leaf of a kind changed."""
    return map_aggregate(tree, lambda leaf: change(leaf) if isinstance(leaf, kind) else leaf)
