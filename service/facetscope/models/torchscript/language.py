"""The language around the tensors: numbers, and what ``containers`` does.

All of it is computed while the graph is written, but for arithmetic with the batch size.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor

from facetscope.models.torchscript import containers
from facetscope.models.torchscript.containers import CONTAINERS, bounded
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import (
    TracedNumber,
    TracedTensor,
    UntranslatableError,
    concrete,
    is_traced,
    probed,
)

Number = int | float


def computes(kind: str, inputs: list[Any]) -> bool:
    """Whether ``kind`` is of this language for these inputs: some are tensor operators too."""
    return kind in OPERATORS and not (
        kind in TENSOR_OPERATORS_TOO
        and any(map(_is_tensor, inputs))
        and not _is_traced_size(inputs)
    )


def compute(tape: Tape, kind: str, inputs: list[Any]) -> Any:
    """The value of an operator that this language ``computes``.

    Raises:
        UntranslatableError: It depends on the image, or grows without measure.
    """
    if kind in COMPARISONS:
        return _compared(COMPARISONS[kind], inputs)
    if kind in CONVERSIONS:
        return bounded(_converted(tape, CONVERSIONS[kind], inputs[0]))
    if kind in ARITHMETIC:
        return bounded(_calculated(tape, ARITHMETIC[kind], inputs))
    return bounded(CONTAINERS[kind](*inputs))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor | TracedTensor)


def _is_traced_size(inputs: list[Any]) -> bool:
    """Whether these are sizes in a trace, which writes numbers beside them as tensors."""
    return any(isinstance(value, TracedNumber) for value in inputs) and not any(
        isinstance(value, TracedTensor) or (isinstance(value, Tensor) and value.dim() > 0)
        for value in inputs
    )


def _compared(function: Callable[..., bool], inputs: list[Any]) -> bool:
    if not is_traced(inputs):
        return bool(function(*inputs))
    answers = set(probed(function, _numbers(inputs), {}))
    if len(answers) > 1:
        raise UntranslatableError("it depends on the batch size")
    return bool(answers.pop())


def _converted(tape: Tape, function: Callable[[Any], float], value: Any) -> Any:
    if not isinstance(value, TracedNumber):
        return function(concrete(value))
    return _compared(bool, [value]) if function is bool else tape.number(function, value)


def _calculated(tape: Tape, function: Callable[..., Any], inputs: list[Any]) -> Any:
    if function is operator.mul and any(isinstance(value, list) for value in inputs):
        return containers.repeated(*inputs)
    if len(inputs) == 3 and inputs.pop() != 1:  # noqa: PLR2004 - a + alpha * b, of traced sizes
        raise UntranslatableError("it scales a size")
    if is_traced(inputs) and not isinstance(inputs[0], list):
        return tape.number(function, *_numbers(inputs))
    return function(*inputs)


def _numbers(inputs: list[Any]) -> list[Any]:
    return [value.item() if isinstance(value, Tensor) else value for value in inputs]


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, int) and isinstance(base, int):
        bounded(1 << min(64, max(0, base.bit_length() - 1) * exponent))
    result: Number = base**exponent
    return result


def _reversed_sub(subtrahend: Number, minuend: Number) -> Number:
    return minuend - subtrahend


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


ARITHMETIC: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::add": operator.add,
    "aten::add_": operator.iadd,
    "aten::ceil": math.ceil,
    "aten::div": operator.truediv,
    "aten::floor": math.floor,
    "aten::floor_divide": operator.floordiv,
    "aten::floordiv": operator.floordiv,
    "aten::mul": operator.mul,
    "aten::neg": operator.neg,
    "aten::pow": _power,
    "aten::remainder": operator.mod,
    "aten::rsub": _reversed_sub,
    "aten::sqrt": math.sqrt,
    "aten::sub": operator.sub,
    "prim::abs": abs,
    "prim::max": max,
    "prim::min": min,
}
COMPARISONS: Final[Mapping[str, Callable[..., bool]]] = {
    "aten::__and__": operator.and_,
    "aten::__not__": operator.not_,
    "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor,
    "aten::eq": operator.eq,
    "aten::ge": operator.ge,
    "aten::gt": operator.gt,
    "aten::le": operator.le,
    "aten::lt": operator.lt,
    "aten::ne": operator.ne,
}
CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "aten::Bool": bool,
    "aten::Float": float,
    "aten::FloatImplicit": float,
    "aten::Int": int,
    "aten::IntImplicit": int,
    "aten::ScalarImplicit": _scalar,
    "aten::item": _scalar,
}
OPERATORS: Final = {*ARITHMETIC, *COMPARISONS, *CONVERSIONS, *CONTAINERS}
TENSOR_OPERATORS_TOO: Final = {*ARITHMETIC, *COMPARISONS, *containers.TENSOR_OPERATORS_TOO}
