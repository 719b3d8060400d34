"""Fusions: one call in place of the several that an exporter wrote for it.

A pattern is a function that looks at one node, as the last of those that it recognizes. It reads
what comes before as arithmetic (see ``algebra``), so that the order of sums and products, and the
place of constants, do not matter.
"""

from operator import getitem
from typing import Final

from torch import fx

from facetscope.models.fusions import activations, attention, linear, normalization
from facetscope.models.fusions.algebra import Algebra, kind_of
from facetscope.models.fusions.patterns import Fusion, Pattern

PATTERNS: Final[tuple[Pattern, ...]] = (
    attention.attention,
    normalization.layer_normalization,
    activations.gelu,
    activations.silu,
    activations.hard_swish,
    linear.linear,
    linear.gemm,
    linear.rows,
    linear.selection,
    activations.relu_in_place,
)
"""All that is recognized; where several patterns end at a node, the first one is taken."""


def fuse(graph: fx.Graph, module: fx.GraphModule) -> None:
    """Rewrite ``graph``, whose constants are those of ``module``, by ``PATTERNS``.

    What it gives out stays what it is. A pattern with an inner value that is read elsewhere, or
    given out, is left alone: both would have to be computed.
    """
    algebra = Algebra(module)
    _skip_identities(graph)
    for node in reversed(list(graph.nodes)):
        if node.op not in {"placeholder", "output"}:
            _rewrite(node, algebra)


def _rewrite(node: fx.Node, algebra: Algebra) -> None:
    """Put a fusion in the place of ``node`` if there is one; remove what is not read any more."""
    fusion = _found(node, algebra) if node.users else None
    if fusion is not None:
        _replace(node, fusion)
    if not node.users:
        node.graph.erase_node(node)


def _skip_identities(graph: fx.Graph) -> None:
    """Read what an identity, or a conversion to the type that it has, is given instead of it."""
    for node in list(graph.nodes):
        if _is_identity(node) or _is_idle_cast(node):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _is_identity(node: fx.Node) -> bool:
    """Whether it gives just what it is given; a dropout may give a mask too."""
    return kind_of(node) == "identity" and all(user.target is not getitem for user in node.users)


def _is_idle_cast(node: fx.Node) -> bool:
    if kind_of(node) != "cast" or not isinstance(node.args[0], fx.Node):
        return False
    return bool(node.args[0].meta.get("dtype", "unknown") == node.kwargs["to"])


def _found(node: fx.Node, algebra: Algebra) -> Fusion | None:
    for pattern in PATTERNS:
        fusion = pattern(node, algebra)
        if fusion is not None and _is_closed(node, fusion):
            return fusion
    return None


def _is_closed(root: fx.Node, fusion: Fusion) -> bool:
    """Whether nothing but ``root`` is read of the tensors that ``fusion`` computes."""
    given: set[fx.Node] = set()
    fx.node.map_arg((fusion.args, fusion.kwargs), given.add)
    inner, waiting = {root}, [root]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            is_tensor = source.op == "call_function" and "shape" in source.meta
            if is_tensor and source not in given and source not in inner:
                inner.add(source)
                waiting.append(source)
    return all(inner.issuperset(node.users) for node in inner - {root})


def _replace(root: fx.Node, fusion: Fusion) -> None:
    with root.graph.inserting_before(root):
        node = root.graph.call_function(fusion.function, fusion.args, dict(fusion.kwargs))
    node.meta = dict(root.meta)
    root.replace_all_uses_with(node)
