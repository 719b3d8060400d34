"""What an ONNX model may not contain."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, final

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
)

from facetscope.domain.errors import ModelForbiddenError

OUTSIDE: Final = "data in another file (save model and weights as one)"

MOST_NODES: Final = 100_000
"""Nodes of a model, those of its own functions counted at each use.

Swin, from torch's older exporter, has 6285.
"""

DEEPEST: Final = 64
"""Functions within one another."""

LONGEST_NAME: Final = 4096
"""Characters of a name."""

ALL_NAMES: Final = 2**24
"""Characters of the names of all nodes and tensors."""


def check_onnx(model: ModelProto) -> None:
    """Refuse a model that asks for another file, or for more than any model needs.

    Raises:
        ModelForbiddenError: It does.
    """
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelForbiddenError(OUTSIDE, f"tensor {tensor.name!r}")
    _check_names(model)
    nodes = _Sizes(model.functions).of(model.graph.node)
    if nodes > MOST_NODES:
        what = f"{nodes} nodes, with its functions written out; more than {MOST_NODES},"
        raise ModelForbiddenError(what, f"graph {model.graph.name!r}")


@final
class _Sizes:
    """Counts nodes, with functions written out, before anything writes them out.

    Each of forty functions that uses the next one twice makes a thousand billion nodes.
    """

    def __init__(self, functions: Iterable[FunctionProto]) -> None:
        self._functions = {(each.domain, each.name, each.overload): each for each in functions}
        self._sizes: dict[tuple[str, str, str], int] = {}
        self._depth = 0

    def of(self, nodes: Iterable[NodeProto]) -> int:
        """How many nodes ``nodes`` come to.

        Raises:
            ModelForbiddenError: A function uses itself, or functions are too deep in one another.
        """
        return sum(self._of_node(node) for node in nodes)

    def _of_node(self, node: NodeProto) -> int:
        bodies = sum(self.of(graph.node) for graph in _graphs(node.attribute))
        key = (node.domain, node.op_type, node.overload)
        return 1 + bodies + (self._of_function(key) if key in self._functions else 0)

    def _of_function(self, key: tuple[str, str, str]) -> int:
        if key not in self._sizes:
            self._depth += 1
            if self._depth > DEEPEST:
                what = f"functions more than {DEEPEST} deep in one another, or in themselves,"
                raise ModelForbiddenError(what, f"function {key[1]!r}")
            self._sizes[key] = self.of(self._functions[key].node)
            self._depth -= 1
        return self._sizes[key]


def _check_names(model: ModelProto) -> None:
    """Refuse names that nobody can read, or list."""
    total = 0
    for name in _names(chain(model.graph.node, *(each.node for each in model.functions))):
        total += len(name)
        if len(name) > LONGEST_NAME:
            what = f"a name of {len(name)} characters, more than {LONGEST_NAME},"
            raise ModelForbiddenError(what, f"{name[:64]}...")
    if total > ALL_NAMES:
        what = f"names of {total} characters in all, more than {ALL_NAMES},"
        raise ModelForbiddenError(what, f"graph {model.graph.name!r}")


def _names(nodes: Iterable[NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.output)
        for graph in _graphs(node.attribute):
            yield from _names(graph.node)


def _graphs(attributes: Iterable[AttributeProto]) -> Iterator[GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    training = chain.from_iterable((t.initialization, t.algorithm) for t in model.training_info)
    return chain(
        chain.from_iterable(map(_tensors_of_graph, (model.graph, *training))),
        *(_tensors_of_nodes(function.node) for function in model.functions),
        *(_tensors_of_attributes(function.attribute_proto) for function in model.functions),
    )


def _tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    yield from _tensors_of_sparse(graph.sparse_initializer)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        yield from _tensors_of_attributes(node.attribute)


def _tensors_of_attributes(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        yield from _tensors_of_sparse((attribute.sparse_tensor, *attribute.sparse_tensors))
        for graph in _graphs((attribute,)):
            yield from _tensors_of_graph(graph)


def _tensors_of_sparse(tensors: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)
