"""The graph that is being written."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map

from facetscope.models.graph import BATCHES, common_shape
from facetscope.models.memory import Memory
from facetscope.models.torchscript.naming import Names
from facetscope.models.torchscript.tracing import (
    EXPORT_HINT,
    TracedNumber,
    TracedTensor,
    UntranslatableError,
    View,
    probed,
    version,
)
from facetscope.models.torchscript.views import rewrite_of_base, shares_memory


@final
class Tape:
    """A graph of pure tensor operators, from the image on.

    Attributes:
        image: The batch of network inputs.
        names: Names of what the graph computes.
        memory: What the constants take that are computed on the way.
        hint: What to do about a program that is fixed to one batch size.
    """

    def __init__(
        self,
        example: Tensor,
        names: Names,
        *,
        hint: str = EXPORT_HINT,
        batches: tuple[int, int] = BATCHES,
    ) -> None:
        """Begin with a batch of images like those of ``example``.

        Args:
            example: A batch of network inputs.
            names: Where to write down names.
            hint: See ``Tape``.
            batches: Two numbers of images to look at the program with, or twice the only one that
                it takes.
        """
        self._graph = fx.Graph()
        self._constants: dict[int, tuple[Tensor, int, fx.Node]] = {}
        self.names = names
        self.memory = Memory()
        self.hint = hint
        self.image = TracedTensor(
            self._graph.placeholder("images"),
            tuple(
                example.new_empty((batch, *example.shape[1:]), device="meta") for batch in batches
            ),
        )
        self.image.node.meta["shape"] = common_shape(*(each.shape for each in self.image.probes))

    @property
    def precision(self) -> torch.dtype:
        """Type of the image, to which the floating constants are to be converted."""
        return self.image.probes[0].dtype

    def record(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        options: Mapping[str, Any] = {},
        *,
        name: str | None,
        kind: str,
    ) -> Any:
        """Write down a call whose result depends on the image; ``name`` is None for what is hidden.

        Returns:
            One traced tensor or number, or a list of them.

        Raises:
            UntranslatableError: It reads what an in-place operator has since overwritten.
        """
        self._refresh(arguments, options)
        probes = probed(function, arguments, options)
        node = self._graph.call_function(
            function, tuple(self._lowered(list(arguments))), self._lowered(dict(options))
        )
        result = self._result(node, probes, name=name, kind=kind)
        self._note_view(result, function, arguments, options)
        return result

    def rewrite(self, target: TracedTensor, node: fx.Node, path: str) -> None:
        """Let ``node`` compute ``target`` from now on, within the module at ``path``.

        What ``target`` is a view of follows, as far as that is known to be up to date.
        """
        views, view = [], target
        while view.origin and not view.origin.base.stale:
            views.append(view)
            view = view.origin.base
        target.rewrite(node)
        for view in views:
            if not self._rewrite_base(view, path):
                break

    def _rewrite_base(self, view: TracedTensor, path: str) -> bool:
        """Compute anew what ``view`` shows a part of; tell whether it is known how."""
        origin = view.origin
        rewrite = rewrite_of_base(origin, view) if origin else None
        if not origin or not rewrite:
            return False
        function, arguments = rewrite
        origin.base.version = version(origin.base.probes[0])
        kind = function.overloadpacket.__name__
        name = self.names.operator(path, kind)
        origin.base.node = self.record(function, arguments, name=name, kind=kind).node
        return True

    def refresh(self, tensor: TracedTensor) -> None:
        """If ``tensor`` is a view, and was written through another, compute it anew."""
        origin = tensor.origin
        if origin is None or not tensor.stale:
            return
        self.refresh(origin.base)
        if not origin.base.stale:
            arguments = [origin.base, *origin.arguments]
            renewed = self.record(origin.function, arguments, origin.options, name=None, kind="")
            tensor.node, tensor.version = renewed.node, version(tensor.probes[0])

    def _refresh(self, arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
        for leaf in tree_leaves((list(arguments), dict(options))):
            if isinstance(leaf, TracedTensor):
                self.refresh(leaf)

    def _note_view(
        self,
        result: Any,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        options: Mapping[str, Any],
    ) -> None:
        """Remember of a view what it is of."""
        base = arguments[0]
        if not isinstance(base, TracedTensor) or not isinstance(result, TracedTensor):
            return
        if isinstance(function, OpOverload) and shares_memory(result, base):
            result.origin = View(base, function, tuple(arguments[1:]), options)

    def number(self, function: Callable[..., float], *arguments: Any) -> TracedNumber:
        """Write down arithmetic with numbers that follow the batch size."""
        self._refresh(arguments, {})
        probes = probed(function, arguments, {})
        return TracedNumber(
            self._graph.call_function(function, tuple(self._lowered(list(arguments)))), probes
        )

    def size(self, tensor: TracedTensor, axis: int) -> int | TracedNumber:
        """Size of one axis: a plain number unless it follows the batch size."""
        sizes = {probe.shape[axis] for probe in tensor.probes}
        if len(sizes) == 1:
            return sizes.pop()
        return self.number(torch.ops.aten.sym_size.int, tensor, axis)

    def finish(self, outputs: Sequence[TracedTensor]) -> fx.GraphModule:
        """The graph as a module that gives ``outputs`` as a tuple.

        Raises:
            UntranslatableError: A constant or an output changed after it was computed.
        """
        self._refresh(outputs, {})
        if any(output.stale for output in outputs):
            raise UntranslatableError("it writes to an output through another view")
        for tensor, used, _ in self._constants.values():
            if version(tensor) != used:
                raise UntranslatableError("it writes to a constant that was used before")
        self._graph.output(tuple(output.node for output in outputs))
        self._graph.eliminate_dead_code()
        constants = {
            str(node.target): tensor.detach() for tensor, _, node in self._constants.values()
        }
        return fx.GraphModule(constants, self._graph)

    def _result(
        self, node: fx.Node, probes: tuple[Any, ...], *, name: str | None, kind: str
    ) -> Any:
        match probes[0]:
            case Tensor() as first:
                node.meta["shape"] = common_shape(*(probe.shape for probe in probes))
                if name is not None:
                    self.names.add_operator(name, kind, node)
                return TracedTensor(node, probes, version(first))
            case list() | tuple():
                return [
                    self._result(
                        self._graph.call_function(operator.getitem, (node, index)),
                        parts,
                        name=f"{name}:{index}",
                        kind=kind,
                    )
                    for index, parts in enumerate(zip(*probes, strict=True))
                ]
            case _:
                raise UntranslatableError("its result is no tensor")

    def _lowered(self, value: Any) -> Any:
        """``value`` as an argument of a node."""

        def leaf(value: Any) -> Any:
            match value:
                case TracedTensor() | TracedNumber():
                    return value.node
                case Tensor():
                    return self._constant(value)
                case _:
                    return value

        return tree_map(leaf, value)

    def _constant(self, tensor: Tensor) -> fx.Node:
        if id(tensor) not in self._constants:
            node = self._graph.get_attr(f"constant_{len(self._constants)}")
            self._constants[id(tensor)] = (tensor, version(tensor), node)
        return self._constants[id(tensor)][2]
