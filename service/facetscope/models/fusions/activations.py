"""Activation functions that exporters spell out: GELU, SiLU, hard swish."""

from collections.abc import Iterator
from math import pi, sqrt
from typing import Any, Final

import torch
from torch import fx
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models import normalizing
from facetscope.models.fusions.algebra import Algebra, aten, equal, kind_of, operands, orders
from facetscope.models.fusions.patterns import Fusion, same_shape
from facetscope.models.onnx import convolution, normalization

GATES: Final = {
    "erf": ("none", (0.0, 1 / sqrt(2))),
    "tanh": ("tanh", (0.0, sqrt(2 / pi), 0.0, 0.044715 * sqrt(2 / pi))),
}
"""The functions within GELU and its approximation, and the polynomials that they are applied to."""


OVERWRITABLE: Final = frozenset(
    {
        *(
            aten.add,
            aten.conv1d,
            aten.conv2d,
            aten.convolution,
            aten.linear,
            normalizing.batch_norm,
        ),
        *(convolution.conv, normalization.batch_normalization, torch.add),
    }
)
"""Operators whose result is theirs alone, and whose gradient is computed without it."""


def gelu(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``x · ½(1 + erf(x / √2))``, or with tanh, in any order of its products and sums."""
    for coefficient, x, gate in _gated(root, algebra):
        for function in _arithmetic_inputs(gate):
            outer = algebra.polynomial(gate, function)
            if outer is None or not equal([coefficient * each for each in outer], (0.5, 0.5)):
                continue
            approximate, wanted = GATES.get(kind_of(function), ("", ()))
            if equal(algebra.polynomial(function.args[0], x) or (), wanted):
                return Fusion(F.gelu, (x,), {"approximate": approximate})
    return None


def silu(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``x · sigmoid(x)``."""
    for coefficient, x, gate in _gated(root, algebra):
        if kind_of(gate) == "sigmoid" and gate.args[0] is x and coefficient == 1:
            return Fusion(F.silu, (x,))
    return None


def hard_swish(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``x · clip(x / 6 + ½, 0, 1)``, also as ``x · clip(x + 3, 0, 6) / 6``."""
    for coefficient, x, gate in _gated(root, algebra):
        line, bounds = _clipped(gate, x, algebra)
        scaled = [None if number is None else coefficient * number for number in (*line, *bounds)]
        if equal(scaled, (0.5, 1 / 6, 0.0, 1.0)):
            return Fusion(F.hardswish, (x,))
    return None


def _gated(root: fx.Node, algebra: Algebra) -> Iterator[tuple[float, fx.Node, fx.Node]]:
    """The ways to read ``root`` as a number times ``x`` times a gate, both of one shape."""
    if kind_of(root) not in {"mul", "div"}:
        return
    found = algebra.product(root)
    for x, gate in orders(found.factors):
        if same_shape(x, root) and same_shape(gate, root):
            yield found.coefficient, x, gate


def _arithmetic_inputs(gate: fx.Node) -> Iterator[fx.Node]:
    """The functions in ``1 + f``, ``½ + ½f`` and the like."""
    for value in operands(gate) if kind_of(gate) in {"add", "mul", "div"} else ():
        if isinstance(value, fx.Node):
            yield value
            yield from _arithmetic_inputs(value)


def _clipped(
    gate: fx.Node, x: fx.Node, algebra: Algebra
) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """A polynomial in ``x``, and what it is clipped to; nothing where ``gate`` is no such thing."""
    match kind_of(gate):
        case "hard_sigmoid" if gate.args[0] is x:
            options: Any = {"alpha": 0.2, "beta": 0.5, **gate.kwargs}
            return (options["beta"], options["alpha"]), (0.0, 1.0)
        case "hardsigmoid" if gate.args[0] is x:
            return (0.5, 1 / 6), (0.0, 1.0)
        case "relu6":
            bounds: tuple[Any, ...] = (0, 6)
        case "clip" | "hardtanh" if len(gate.args) == 3 and not gate.kwargs:  # noqa: PLR2004
            bounds = gate.args[1:]
        case _:
            return (), ()
    line = algebra.polynomial(gate.args[0], x)
    return line or (), tuple(algebra.number(bound) for bound in bounds)


def relu_in_place(root: fx.Node, _: Algebra) -> Fusion | None:
    """A ReLU of what nothing else reads, and what its maker does not need for its gradient."""
    if kind_of(root) != "relu":
        return None
    (x,) = root.args
    if not isinstance(x, fx.Node) or len(x.users) > 1 or not _is_overwritable(x):
        return None
    return Fusion(torch.relu_, (x,))


def _is_overwritable(node: fx.Node) -> bool:
    """Whether ``node`` makes memory of its own, which its gradient does without."""
    return getattr(node.target, "overloadpacket", node.target) in OVERWRITABLE
