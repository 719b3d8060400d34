"""Writes operands and calls into a ``torch.fx`` graph as they are needed."""

import operator
from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.graph import untranslated
from facetscope.models.onnx.folding import in_terms_of, sole
from facetscope.models.onnx.operands import Call, Operand, Outlines
from facetscope.models.onnx.registry import UnsupportedValueError


class Emitter:
    """A graph in the making, and the buffers that it reads.

    Attributes:
        image: The graph's only input.
    """

    def __init__(self, input_name: str) -> None:
        self._graph, self._root = fx.Graph(), nn.Module()
        self._buffers: dict[int, fx.Node] = {}
        self.image = self._graph.create_node("placeholder", "image", name=input_name)
        self._batch = self._graph.call_method("size", (self.image, 0))

    def node(self, operand: Operand) -> fx.Node:
        """The node that computes ``operand`` for any batch.

        Raises:
            UnsupportedValueError: It varies with the batch size in an unsupported way.
        """
        if operand.node is None:
            varies = operand.depends_on_image or operand.depends_on_batch
            operand.node = self._computed(operand) if varies else self._buffer(operand.at[0])
            operand.node.meta["shape"] = operand.shape
            operand.node.meta["dtype"] = operand.at[0].dtype
        return operand.node

    def untranslated(
        self, name: str, why: OperatorUnsupportedError, inputs: Sequence[Operand], at: Outlines
    ) -> Operand:
        """A tensor that only another runtime can compute.

        Args:
            name: Its name.
            why: What is in the way.
            inputs: What it is computed from, as far as that depends on the image.
            at: What it is at both batch sizes, without memory.
        """
        args: tuple[Any, ...] = (why.node, why.operator, why.problem, *map(self.node, inputs))
        node = self._graph.create_node("call_function", untranslated, args, name=name)
        operand = Operand(at, node=node)
        node.meta.update(shape=operand.shape, dtype=at[0].dtype)
        return operand

    def module(self, outputs: Sequence[fx.Node]) -> fx.GraphModule:
        """The finished graph, which returns a tuple of ``outputs``."""
        self._graph.output(tuple(outputs))
        if not self._batch.users:
            self._graph.erase_node(self._batch)
        return fx.GraphModule(self._root, self._graph)

    def _buffer(self, value: Tensor) -> fx.Node:
        if id(value) not in self._buffers:
            name = f"constant{len(self._buffers)}"
            self._root.register_buffer(name, value)
            self._buffers[id(value)] = self._graph.get_attr(name)
        return self._buffers[id(value)]

    def _computed(self, operand: Operand) -> fx.Node:
        if operand.call is None:
            raise UnsupportedValueError("a constant varies with the batch size")
        node = self._called(operand.call)
        if operand.index is None:
            return node
        name = operand.call.names[operand.index]
        return self._graph.create_node(
            "call_function", operator.getitem, (node, operand.index), name=name
        )

    def _called(self, call: Call) -> fx.Node:
        if call.node is None:
            args, kwargs = call.arguments(self._list, self._scalar, self.node)
            call.node = self._graph.create_node(
                "call_function", call.operator.function, args, kwargs, name=call.names[0]
            )
        return call.node

    def _list(self, operand: Operand) -> list[object]:
        return in_terms_of(self._batch, operand)

    def _scalar(self, operand: Operand) -> object:
        return sole(self._list(operand))
