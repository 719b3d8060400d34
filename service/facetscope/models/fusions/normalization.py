"""Layer normalization, written out."""

from typing import Any

from torch import Tensor, fx
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.fusions.algebra import Algebra, kind_of, operands, orders
from facetscope.models.fusions.patterns import Fusion, same_shape, shape


def layer_normalization(root: fx.Node, algebra: Algebra) -> Fusion | None:
    """``(x - mean) / √(variance + ε) · scale + bias``, with or without the last two."""
    shifted, bias = _beside_constant(root, "add", algebra)
    normal, scale = _beside_constant(shifted, "mul", algebra)
    for centred, deviation in _quotients(normal):
        centring = _centring(centred)
        if centring is None or not same_shape(centring[0], root):
            continue
        x, axes = centring
        epsilon = _epsilon(deviation, x, axes, algebra)
        fits = [_fits(algebra.constant(each), x, axes) for each in (scale, bias) if each]
        if epsilon is not None and all(fits):
            options = {"axes": axes, "epsilon": epsilon}
            return Fusion(normalize, (x, scale, bias), options)
    return None


def normalize(
    x: Tensor, scale: Tensor | None, bias: Tensor | None, *, axes: int, epsilon: float
) -> Tensor:
    """Layer normalization over the last ``axes`` axes, to which scale and bias are expanded."""
    lengths = x.shape[-axes:]
    weight, offset = (None if each is None else each.expand(lengths) for each in (scale, bias))
    return F.layer_norm(x, lengths, weight, offset, epsilon)


def _beside_constant(node: fx.Node, kind: str, algebra: Algebra) -> tuple[fx.Node, fx.Node | None]:
    """The operand of ``node`` that is no constant, and the one that is; else ``node`` and None."""
    for value, constant in orders(operands(node)) if kind_of(node) == kind else ():
        if algebra.constant(constant) is not None and algebra.constant(value) is None:
            return value, constant
    return node, None


def _quotients(node: fx.Node) -> list[tuple[Any, tuple[str, Any]]]:
    """The ways to read ``node`` as one value over √ of another, with what it took the root by."""
    match kind_of(node):
        case "div":
            dividend, divisor = (*operands(node), None, None)[:2]
            return [(dividend, ("sqrt", divisor))]
        case "mul":
            return [(one, ("rsqrt", other)) for one, other in orders(operands(node))]
    return []


def _centring(node: Any) -> tuple[fx.Node, int] | None:
    """The ``x`` of ``x - mean(x)``, and over how many of its last axes the mean is."""
    if kind_of(node) != "sub" or len(operands(node)) != 2:  # noqa: PLR2004
        return None
    x, mean = operands(node)
    axes = _last_axes(mean)
    return (x, axes) if axes and mean.args[0] is x else None


def _last_axes(node: Any) -> int:
    """How many of the last axes ``node`` is a mean over that keeps them; 0 if it is none."""
    if kind_of(node) != "mean":
        return 0
    x, axes, *kept = (*node.args, None)[:3]
    rank = len(shape(x) or ())
    keeps = node.kwargs.get("keepdims", 1 if kept == [None] else kept[0])
    if not isinstance(axes, list | tuple) or not keeps or not rank:
        return 0
    count = len(axes)
    wanted = set(range(rank - count, rank))
    return count if count and {axis % rank for axis in axes} == wanted else 0


def _epsilon(root_of: tuple[str, Any], x: fx.Node, axes: int, algebra: Algebra) -> float | None:
    """The ε in √(variance of x + ε), or in one over it."""
    inner = _radicand(*root_of, algebra)
    for variance, epsilon in orders(operands(inner)) if kind_of(inner) == "add" else ():
        number = algebra.number(epsilon)
        if number is not None and _is_variance(variance, x, axes, algebra):
            return number
    return None


def _radicand(way: str, node: Any, algebra: Algebra) -> Any:
    """What ``node`` is the root of, or one over the root (``rsqrt``); None where it is neither."""
    if way == "rsqrt" and kind_of(node) == "reciprocal":
        way, node = "sqrt", node.args[0]
    power = 0.5 if way == "sqrt" else -0.5
    is_power = kind_of(node) == "pow" and algebra.number(node.args[1]) == power
    return node.args[0] if is_power or kind_of(node) == way else None


def _is_variance(node: Any, x: fx.Node, axes: int, algebra: Algebra) -> bool:
    if _last_axes(node) != axes:
        return False
    square = node.args[0]
    centred = next((each for each in operands(square) if isinstance(each, fx.Node)), None)
    if centred is None or algebra.polynomial(square, centred) != (0.0, 0.0, 1.0):
        return False
    return _centring(centred) == (x, axes)


def _fits(constant: Tensor | None, x: fx.Node, axes: int) -> bool:
    """Whether ``constant`` can be expanded to the last ``axes`` axes of ``x``."""
    lengths = (shape(x) or ())[-axes:]
    if constant is None or constant.dim() > axes:
        return False
    pairs = zip(reversed(constant.shape), reversed(lengths), strict=False)
    return all(length in {1, wanted} for length, wanted in pairs)
