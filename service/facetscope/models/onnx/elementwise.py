"""Operators that treat every element alike."""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.registry import UnsupportedValueError, operator
from facetscope.models.onnx.shapes import Number

UNARY: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": F.hardswish,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}
"""ONNX operators of one input that torch has under the same definition."""

BINARY: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Xor": torch.logical_xor,
}
"""ONNX operators of two inputs that torch has under the same definition."""

for _name, _unary in UNARY.items():
    operator(_name, arity=1)(_unary)
for _name, _binary in BINARY.items():
    operator(_name, arity=2)(_binary)


@operator("Identity")
def identity(x: Tensor) -> Tensor:
    """ONNX Identity-25."""
    return x


@operator("Dropout", scalars=("ratio", "training_mode"), ignored=("seed",))
def dropout(
    x: Tensor,
    ratio: float = 0.5,
    training_mode: bool | None = None,  # noqa: FBT001 (an ONNX input)
    *,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, Tensor]:
    """ONNX Dropout-22, as it is outside of training: nothing is dropped."""
    if training_mode and ratio:
        raise UnsupportedValueError("dropout in training mode is not supported")
    return x if outputs == 1 else (x, torch.ones_like(x, dtype=torch.bool))


@operator("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """ONNX LeakyRelu-16."""
    return F.leaky_relu(x, alpha)


@operator("PRelu")
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """ONNX PRelu-16."""
    return torch.where(x < 0, x * slope, x)


@operator("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """ONNX Elu-22."""
    return F.elu(x, alpha)


@operator("Selu")
def selu(
    x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875
) -> Tensor:
    """ONNX Selu-22."""
    return gamma * F.elu(x, alpha)


@operator("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """ONNX Celu-12."""
    return F.celu(x, alpha)


@operator("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """ONNX HardSigmoid-22."""
    return torch.clamp(alpha * x + beta, 0, 1)


@operator("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """ONNX Gelu-20."""
    return F.gelu(x, approximate=approximate)


@operator("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """ONNX Swish-24."""
    return x * torch.sigmoid(alpha * x)


@operator("Clip", scalars=("min", "max"))
def clip(
    x: Tensor,
    min: Number | None = None,  # noqa: A002 (ONNX's own name)
    max: Number | None = None,  # noqa: A002
) -> Tensor:
    """ONNX Clip-13."""
    return x if min is None and max is None else torch.clamp(x, min, max)


@operator("IsInf")
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """ONNX IsInf-20."""
    return (x == math.inf) & bool(detect_positive) | (x == -math.inf) & bool(detect_negative)


@operator("Div")
def div(dividend: Tensor, divisor: Tensor) -> Tensor:
    """ONNX Div-14: integers are divided towards zero."""
    exact = dividend.is_floating_point()
    return torch.div(dividend, divisor, rounding_mode=None if exact else "trunc")


@operator("Mod")
def mod(dividend: Tensor, divisor: Tensor, *, fmod: int = 0) -> Tensor:
    """ONNX Mod-13: the sign is the dividend's with ``fmod``, else the divisor's."""
    return torch.fmod(dividend, divisor) if fmod else torch.remainder(dividend, divisor)


@operator("Pow")
def power(base: Tensor, exponent: Tensor) -> Tensor:
    """ONNX Pow-15: the result is of the type of the base."""
    if base.is_floating_point():
        return torch.pow(base, exponent.to(base.dtype))
    return torch.pow(base, exponent).to(base.dtype)


@operator("Where")
def where(condition: Tensor, chosen: Tensor, otherwise: Tensor) -> Tensor:
    """ONNX Where-16."""
    return torch.where(condition, chosen, otherwise)


@operator("Max")
def maximum(*tensors: Tensor) -> Tensor:
    """ONNX Max-13."""
    return reduce(torch.maximum, tensors)


@operator("Min")
def minimum(*tensors: Tensor) -> Tensor:
    """ONNX Min-13."""
    return reduce(torch.minimum, tensors)


@operator("Sum")
def total(*tensors: Tensor) -> Tensor:
    """ONNX Sum-13."""
    return reduce(torch.add, tensors)


@operator("Mean")
def mean(*tensors: Tensor) -> Tensor:
    """ONNX Mean-13."""
    return total(*tensors) / len(tensors)
