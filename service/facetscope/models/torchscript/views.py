"""What a write through a view does to the tensor behind it.

The graph has no memory to share: after ``y = x[:, 0]; y.add_(1)`` it has a new ``x`` too, in which
the written part takes the place of the old.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch._ops import OpOverload

from facetscope.models.torchscript.tracing import TracedTensor, View

aten: Final = torch.ops.aten

Rewrite = tuple[OpOverload, Sequence[Any]]
"""An operator, and its arguments."""


def shares_memory(one: TracedTensor, other: TracedTensor) -> bool:
    """Whether one is a view of the other, or both are views of a third."""
    return _memory(one.probes[0]) == _memory(other.probes[0])


def rewrite_of_base(view: View, written: TracedTensor) -> Rewrite | None:
    """What computes the base of ``view`` once ``written`` is what the view shows.

    Returns:
        None if it is not known for this kind of view.
    """
    rule = RULES.get(view.function.overloadpacket)
    return rule(view, written) if rule and not view.options else None


def _memory(tensor: Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata  # noqa: SLF001 - meta tensors have no address
    return memory


def _scattered(function: OpOverload) -> Callable[[View, TracedTensor], Rewrite]:
    """The rule of a view of a part: that part is replaced, and the rest stays."""
    return lambda view, written: (function, (view.base, written, *view.arguments))


def _narrowed(view: View, written: TracedTensor) -> Rewrite:
    dim, start, length = view.arguments
    return aten.slice_scatter.default, (view.base, written, dim, start, start + length)


def _reshaped(view: View, written: TracedTensor) -> Rewrite:
    """The rule of a view of all, in the same order."""
    return aten.reshape_as.default, (written, view.base)


def _swapped(view: View, written: TracedTensor) -> Rewrite:
    """The rule of a view that undoes itself when it is taken twice."""
    return view.function, (written, *view.arguments)


def _permuted(view: View, written: TracedTensor) -> Rewrite:
    (order,) = view.arguments
    axes = [axis % len(order) for axis in order]
    return aten.permute.default, (written, [axes.index(axis) for axis in range(len(axes))])


RULES: Final[Mapping[Any, Callable[[View, TracedTensor], Rewrite]]] = {
    aten.alias: _reshaped,
    aten.contiguous: _reshaped,
    aten.detach: _reshaped,
    aten.diagonal: _scattered(aten.diagonal_scatter.default),
    aten.flatten: _reshaped,
    aten.narrow: _narrowed,
    aten.permute: _permuted,
    aten.reshape: _reshaped,
    aten.reshape_as: _reshaped,
    aten.select: _scattered(aten.select_scatter.default),
    aten.slice: _scattered(aten.slice_scatter.default),
    aten.squeeze: _reshaped,
    aten.swapaxes: _swapped,
    aten.swapdims: _swapped,
    aten.t: _swapped,
    aten.transpose: _swapped,
    aten.unflatten: _reshaped,
    aten.unsqueeze: _reshaped,
    aten.view_as: _reshaped,
}
"""The rules by the operator that gives the view."""
