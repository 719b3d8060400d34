"""Which tensors of a graph have a gradient with respect to the image, and what stands in the way.

The graph is run on tensors without memory, which have a gradient or not like any others.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from facetscope.domain.units import Obstacle
from facetscope.models.graph import Value, missing, shape_of, untranslated

META: Final = torch.device("meta")


def obstacles(
    module: fx.GraphModule, values: Mapping[str, Value], shape: tuple[int, ...]
) -> Mapping[fx.Node, Obstacle]:
    """What is in the way to each tensor that has no gradient.

    Args:
        module: A graph.
        values: Its tensors by name.
        shape: Of a batch of its inputs, of a size that it takes.
    """
    names = {value.node: (name, value.kind) for name, value in values.items()}
    tracer = _Tracer(module, shape[0])
    with META:
        tracer.run(torch.empty(shape, dtype=_precision(module)).requires_grad_())
    found = dict(missing(module.graph))
    for node in module.graph.nodes:
        if node in found or node in tracer.differentiable:
            continue
        lost = any(source in tracer.differentiable for source in node.all_input_nodes)
        problem = "it has no gradient" if lost else "it does not depend on the image"
        behind = [found[source] for source in _computed_inputs(node) if source in found]
        found[node] = behind[0] if behind and not lost else Obstacle(*_named(node, names), problem)
    return found


def _precision(module: fx.GraphModule) -> torch.dtype:
    """The type that ``module`` was translated for: that of its floating constants."""
    types = (constant.dtype for constant in module.buffers() if constant.is_floating_point())
    return next(types, torch.float32)


def _computed_inputs(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.all_input_nodes if source.op == "call_function"]


def _named(node: fx.Node, names: Mapping[fx.Node, tuple[str, str]]) -> tuple[str, str]:
    """Name and operator of ``node`` for people."""
    return names.get(node, (node.name, getattr(node.target, "__name__", str(node.target))))


class _Tracer(fx.Interpreter):
    """Runs a graph, and notes which nodes have a gradient."""

    def __init__(self, module: fx.GraphModule, batch: int) -> None:
        super().__init__(module)
        self._batch = batch
        self.differentiable: set[fx.Node] = set()

    @override
    def run_node(self, n: fx.Node) -> Any:
        if n.target is untranslated:
            sizes = [size if size >= 0 else -size * self._batch for size in shape_of(n)]
            return torch.empty(sizes, dtype=n.meta["dtype"])
        result = super().run_node(n)
        if any(leaf.requires_grad for leaf in tree_leaves(result) if isinstance(leaf, Tensor)):
            self.differentiable.add(n)
        return result

    @override
    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().get_attr(target, args, kwargs).to(META)
