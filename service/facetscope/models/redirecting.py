"""A second gradient for rectifiers that are silent, so that an ascent can wake them.

A rectifier gives nothing of a gradient back where its input is below its threshold, however much
the output is wanted; with all of them silent, there is no way to climb. Lucid lets such a gradient
through (``misc/redirected_relu_grad.py``), and so do these, with its conditions: only for an image
for which nothing comes through the node otherwise, and only towards the live range.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import torch
from torch import Tensor, fx
from torch.fx.node import Argument
from torch.nn import functional as F  # noqa: N812 (its usual name)
from typing_extensions import override

from facetscope.models.fusions.patterns import shape
from facetscope.models.onnx import elementwise

aten: Final = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Range:
    """Where a rectifier is alive: between these bounds, which belong to it where it is closed."""

    low: float
    high: float
    closed: bool = False


def redirect(graph: fx.Graph) -> None:
    """Give every rectifier of ``graph`` that is known here the second gradient.

    The graph computes what it computed, bit by bit. Its gradient is meant for what is *climbed*: a
    score whose gradient is negative gets no help from below.
    """
    for node in list(graph.nodes):
        alive = _range(node)
        if alive is not None:
            _redirect(node, alive)


def _range(node: fx.Node) -> Range | None:
    """Where the rectifier that ``node`` is is alive; None of any other node."""
    known = RANGES.get(getattr(node.target, "overloadpacket", node.target))
    given = (*node.args[1:], *node.kwargs.values())
    if known is None or any(isinstance(each, fx.Node) for each in given):
        return None
    return known(*node.args[1:], **node.kwargs)


def _redirect(node: fx.Node, alive: Range) -> None:
    if node.target is torch.relu_:
        node.target = torch.relu  # the second gradient needs what is overwritten
    with node.graph.inserting_after(node):
        options: dict[str, Argument] = {"low": alive.low, "high": alive.high}
        options |= {"closed": alive.closed, "axis": _batch_axis(node)}
        second = node.graph.call_function(redirected, (node.args[0], node), options)
    second.meta = dict(node.meta)
    node.replace_all_uses_with(second, delete_user_cb=lambda user: user is not second)


def _batch_axis(node: fx.Node) -> int:
    """The axis along which images, or groups of so many rows of each, are told apart."""
    negative = [axis for axis, length in enumerate(shape(node) or ()) if length < 0]
    return negative[0] if negative else 0


def redirected(
    inputs: Tensor, outputs: Tensor, *, low: float, high: float, closed: bool, axis: int
) -> Tensor:
    """``outputs``, which a rectifier made of ``inputs``, with the second gradient besides its own.

    Args:
        inputs: See above.
        outputs: See above.
        low: Least input for which the rectifier is alive.
        high: Greatest one.
        closed: Whether it is alive at these two themselves.
        axis: Along which images are told apart.
    """
    apply: Callable[..., Tensor] = _Redirected.apply
    return apply(inputs, outputs, low, high, closed, axis)


class _Redirected(torch.autograd.Function):
    """Gives its second argument, whose gradient the first one gets a part of."""

    generate_vmap_rule = True

    @staticmethod
    @override
    def forward(*arguments: Any) -> Tensor:
        outputs: Tensor = arguments[1]
        return outputs.clone()

    @staticmethod
    @override
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        values, _, ctx.low, ctx.high, ctx.closed, ctx.axis = inputs
        ctx.save_for_backward(values)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Any) -> Any:
        ((values,), (gradient,)) = ctx.saved_tensors, gradients
        below = values < ctx.low if ctx.closed else values <= ctx.low
        above = values > ctx.high if ctx.closed else values >= ctx.high
        through = _of_each_image((gradient != 0) & ~below & ~above, ctx.axis)
        inward = (below & (gradient > 0)) | (above & (gradient < 0))
        return torch.where(inward & ~through, gradient, 0), gradient, None, None, None, None


def _of_each_image(found: Tensor, axis: int) -> Tensor:
    """Whether anything is found of an image, in a shape that goes with that of ``found``."""
    images = found.movedim(axis, 0).reshape(found.shape[axis], -1).any(dim=1)
    return images.reshape([-1 if each == axis else 1 for each in range(found.dim())])


def _rectified() -> Range:
    return Range(0.0, inf)


def _clamped(
    low: float | None = None,
    high: float | None = None,
    *,
    min: float | None = None,  # noqa: A002 (torch's own name)
    max: float | None = None,  # noqa: A002
) -> Range:
    least, most = (one if other is None else other for one, other in ((low, min), (high, max)))
    return Range(-inf if least is None else least, inf if most is None else most, closed=True)


def _hard_tanh(min_val: float = -1.0, max_val: float = 1.0) -> Range:
    return Range(min_val, max_val)


def _hard_sigmoid(*, alpha: float = 0.2, beta: float = 0.5) -> Range | None:
    return Range(-beta / alpha, (1 - beta) / alpha, closed=True) if alpha > 0 else None


RANGES: Final[Mapping[Any, Callable[..., Range | None]]] = {
    **dict.fromkeys((torch.relu, torch.relu_, aten.relu), _rectified),
    **dict.fromkeys((elementwise.clip, aten.clamp, aten.clip), _clamped),
    aten.clamp_max: lambda max: Range(-inf, max, closed=True),  # noqa: A006 (torch's own name)
    aten.clamp_min: lambda min: Range(min, inf, closed=True),  # noqa: A006
    aten.hardtanh: _hard_tanh,
    aten.relu6: lambda: Range(0.0, 6.0),
    aten.hardsigmoid: lambda: Range(-3.0, 3.0),
    **dict.fromkeys((F.hardswish, aten.hardswish), lambda: Range(-3.0, inf)),
    elementwise.hard_sigmoid: _hard_sigmoid,
}
"""What is known of rectifiers, from the arguments after their input."""
