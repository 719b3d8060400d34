"""What nodes come to as arithmetic, whichever way an exporter spelled it.

Nodes of both translators are told by their kind: what ONNX and TorchScript call by different
functions has one name here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isclose
from typing import Any, Final, final

import torch
from torch import Tensor, fx

from facetscope.models.onnx import (
    casting,
    elementwise,
    indexing,
    linear,
    normalization,
    reductions,
    shapes,
)

aten: Final = torch.ops.aten

KINDS: Final[Mapping[Any, str]] = {
    torch.add: "add",
    torch.erf: "erf",
    torch.mul: "mul",
    torch.neg: "neg",
    torch.reciprocal: "reciprocal",
    torch.relu: "relu",
    torch.sigmoid: "sigmoid",
    torch.sqrt: "sqrt",
    torch.sub: "sub",
    torch.tanh: "tanh",
    casting.cast: "cast",
    elementwise.clip: "clip",
    elementwise.div: "div",
    elementwise.dropout: "identity",
    elementwise.hard_sigmoid: "hard_sigmoid",
    elementwise.identity: "identity",
    elementwise.power: "pow",
    indexing.gather: "gather",
    linear.gemm: "gemm",
    linear.matmul: "matmul",
    normalization.softmax: "softmax",
    normalization.softmax_of_rows: "softmax",
    reductions.reduce_mean: "mean",
    shapes.reshape: "reshape",
} | {
    getattr(aten, name): name
    for name in (
        *("add", "div", "erf", "hardsigmoid", "hardtanh", "linear", "matmul", "mean", "mul", "neg"),
        *("pow", "reciprocal", "relu", "relu6", "reshape", "rsqrt", "sigmoid", "softmax", "sqrt"),
        *("square", "sub", "tanh"),
    )
}
"""What the functions that nodes call compute; only those that a fusion asks for."""

ROUNDING: Final = 1e-6
"""How far, relatively, a constant of single precision may be from what it stands for."""

DEEPEST: Final = 12
"""Operators between a polynomial and its variable, at most."""

HIGHEST: Final = 4
"""Degree of the polynomials that are followed."""

Polynomial = tuple[float, ...]
"""Coefficients, from that of the zeroth power on."""


def kind_of(value: Any) -> str:
    """What ``value`` computes, if it is a node of one of ``KINDS``, and otherwise nothing."""
    if not isinstance(value, fx.Node) or value.op != "call_function":
        return ""
    return KINDS.get(getattr(value.target, "overloadpacket", value.target), "")


def operands(node: fx.Node) -> Sequence[Any]:
    """What a plain operator is applied to; nothing where an option changes what it computes."""
    given: Sequence[Any] = node.args
    options = {name: value for name, value in node.kwargs.items() if value is not None}
    if kind_of(node) in {"add", "sub"} and len(given) == 3:  # noqa: PLR2004
        *given, options["alpha"] = given  # of a number, as scripts add it
    return () if options.keys() - {"alpha"} or options.get("alpha", 1) != 1 else given


def orders(pair: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Two operands, as they are and the other way round; nothing where they are not two."""
    if len(pair) == 2:  # noqa: PLR2004
        yield pair[0], pair[1]
        yield pair[1], pair[0]


def equal(given: Sequence[float | None], wanted: Sequence[float]) -> bool:
    """Whether these are the wanted numbers, but for the rounding of constants."""
    return len(given) == len(wanted) and all(
        one is not None and isclose(one, other, rel_tol=ROUNDING)
        for one, other in zip(given, wanted, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Product:
    """A number times the product of some nodes."""

    coefficient: float
    factors: tuple[fx.Node, ...]


@final
class Algebra:
    """Reads the nodes of a graph as expressions, knowing the constants of its module."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module = module
        self._numbers: dict[str, float | None] = {}

    def constant(self, value: Any) -> Tensor | None:
        """The tensor that a node reads from the module, if it does."""
        if not isinstance(value, fx.Node) or value.op != "get_attr":
            return None
        return self._module.get_buffer(str(value.target))

    def number(self, value: Any) -> float | None:
        """The one number that ``value`` is, if it is one: written in the graph, or a constant."""
        if isinstance(value, int | float):
            return float(value)
        constant = self.constant(value)
        if constant is None or constant.numel() != 1 or constant.is_complex():
            return None
        name = str(value.target)
        if name not in self._numbers:
            self._numbers[name] = float(constant.item())
        return self._numbers[name]

    def product(self, root: fx.Node) -> Product:
        """The factors of ``root``, as far up as nothing else reads the products between."""
        if kind_of(root) == "mul":
            parts = [self._factor(value) for value in operands(root)]
        elif kind_of(root) == "div" and operands(root):
            dividend, divisor = operands(root)
            number = self.number(divisor)
            if not number:
                return Product(1.0, (root,))
            parts = [self._factor(dividend), Product(1 / number, ())]
        else:
            return Product(1.0, (root,))
        return reduce(_times, parts, Product(1.0, ()))

    def _factor(self, value: Any) -> Product:
        number = self.number(value)
        if number is not None:
            return Product(number, ())
        return self.product(value) if len(value.users) == 1 else Product(1.0, (value,))

    def scaled(self, value: fx.Node) -> tuple[float, fx.Node]:
        """``value`` as a number times another node; 1 and itself where it is no such product."""
        found = self.product(value) if len(value.users) == 1 else Product(1.0, (value,))
        if len(found.factors) != 1:
            return 1.0, value
        return found.coefficient, found.factors[0]

    def polynomial(self, value: Any, x: fx.Node, *, depth: int = DEEPEST) -> Polynomial | None:
        """``value`` as a polynomial in ``x``, if it is one of low degree."""
        if value is x:
            return (0.0, 1.0)
        number = self.number(value)
        if number is not None:
            return (number,)
        if not depth or not isinstance(value, fx.Node):
            return None
        parts = [self.polynomial(part, x, depth=depth - 1) for part in operands(value)]
        found = _combined(kind_of(value), [part for part in parts if part is not None], len(parts))
        return found if found and len(found) <= HIGHEST + 1 else None


def _times(one: Product, other: Product) -> Product:
    return Product(one.coefficient * other.coefficient, one.factors + other.factors)


def _combined(kind: str, parts: Sequence[Polynomial], count: int) -> Polynomial | None:
    """An operator on polynomials, if all its ``count`` operands are some."""
    found: Polynomial | None = None
    match kind if len(parts) == count else "", parts:
        case "add", (one, other):
            found = _sum(one, other)
        case "sub", (one, other):
            found = _sum(one, _scaled(other, -1.0))
        case "neg", (one,):
            found = _scaled(one, -1.0)
        case "mul", (one, other):
            found = _product(one, other)
        case "square", (one,):
            found = _product(one, one)
        case "div", (one, (divisor,)) if divisor:
            found = _scaled(one, 1 / divisor)
        case "pow", (one, (power,)) if power in range(1, HIGHEST + 1):
            found = reduce(_product, [one] * int(power))
    return found


def _sum(one: Polynomial, other: Polynomial) -> Polynomial:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return tuple(
        value + (shorter[power] if power < len(shorter) else 0.0)
        for power, value in enumerate(longer)
    )


def _scaled(one: Polynomial, by: float) -> Polynomial:
    return tuple(by * value for value in one)


def _product(one: Polynomial, other: Polynomial) -> Polynomial:
    sums = [0.0] * (len(one) + len(other) - 1)
    for low, first in enumerate(one):
        for high, second in enumerate(other):
            sums[low + high] += first * second
    return tuple(sums)
