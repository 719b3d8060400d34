"""The language around the tensors: numbers, lists, tuples, dictionaries and strings.

All of it is computed while the graph is written, but for arithmetic with the batch size.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor

from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import (
    TracedNumber,
    TracedTensor,
    UntranslatableError,
    concrete,
    is_traced,
    probed,
)

LARGEST_INT: Final = 2**63
LONGEST: Final = 2**16
"""Elements of a list or characters of a string: no honest model comes near."""

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
        return _bounded(_converted(tape, CONVERSIONS[kind], inputs[0]))
    if kind in ARITHMETIC:
        return _bounded(_calculated(tape, ARITHMETIC[kind], inputs))
    return _bounded(CONTAINERS[kind](*inputs))


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
    if len(inputs) == 3 and inputs.pop() != 1:  # noqa: PLR2004 - a + alpha * b, of traced sizes
        raise UntranslatableError("it scales a size")
    if is_traced(inputs) and not isinstance(inputs[0], list):
        return tape.number(function, *_numbers(inputs))
    return function(*inputs)


def _numbers(inputs: list[Any]) -> list[Any]:
    return [value.item() if isinstance(value, Tensor) else value for value in inputs]


def _bounded(value: Any) -> Any:
    """``value``, unless it is one that a hostile program grows by squaring or doubling."""
    if isinstance(value, int) and not -LARGEST_INT <= value < LARGEST_INT:
        raise UntranslatableError("an integer overflows")
    if isinstance(value, list | tuple | dict | str) and len(value) > LONGEST:
        raise UntranslatableError(f"a list, dictionary or string grows beyond {LONGEST}")
    return value


def _reversed_sub(subtrahend: Number, minuend: Number) -> Number:
    return minuend - subtrahend


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _first(value: Any, *_: Any) -> Any:
    return value


def _nothing(*_: Any) -> None:
    return None


def _list(*items: Any) -> list[Any]:
    return list(items)


def _tuple(*items: Any) -> tuple[Any, ...]:
    return items


def _dictionary(*items: Any) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _item(container: Any, index: Any) -> Any:
    return container[concrete(index)]


def _slice(container: Any, start: int | None, stop: int | None, step: int = 1) -> Any:
    return container[slice(concrete(start), concrete(stop), concrete(step))]


def _contains(container: Any, item: Any) -> bool:
    return concrete(item) in concrete(container)


def _append(container: list[Any], item: Any) -> list[Any]:
    container.append(item)
    return container


def _extend(container: list[Any], items: list[Any]) -> None:
    container.extend(items)
    _bounded(container)


def _set_item(container: Any, index: Any, item: Any) -> Any:
    container[concrete(index)] = item
    return container


def _range_length(start: int, stop: int, step: int) -> int:
    return len(range(start, stop, step))


def _derive_index(index: int, start: int, step: int) -> int:
    return start + index * step


def _format(template: str, *values: Any) -> str:
    """``template`` with each ``{}`` filled: Python's own format would do much more than asked."""
    first, *pieces = template.split("{}")
    fillings = [str(value)[:100] for value in values]
    return first + "".join(map(operator.add, fillings, pieces))


ARITHMETIC: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::add": operator.add,
    "aten::ceil": math.ceil,
    "aten::div": operator.truediv,
    "aten::floor": math.floor,
    "aten::floor_divide": operator.floordiv,
    "aten::floordiv": operator.floordiv,
    "aten::mul": operator.mul,
    "aten::neg": operator.neg,
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
CONTAINERS: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::__contains__": _contains,
    "aten::__derive_index": _derive_index,
    "aten::__getitem__": _item,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__range_length": _range_length,
    "aten::_set_item": _set_item,
    "aten::_unwrap_optional": _first,
    "aten::append": _append,
    "aten::copy": list,
    "aten::extend": _extend,
    "aten::format": _format,
    "aten::is_autocast_enabled": lambda: False,
    "aten::is_grad_enabled": lambda: True,
    "aten::is_scripting": lambda: True,
    "aten::keys": list,
    "aten::len": len,
    "aten::list": list,
    "aten::slice": _slice,
    "aten::values": lambda dictionary: list(dictionary.values()),
    "aten::warn": _nothing,
    "prim::DictConstruct": _dictionary,
    "prim::ListConstruct": _list,
    "prim::NumToTensor": _first,
    "prim::TupleConstruct": _tuple,
    "prim::TupleIndex": _item,
    "prim::Uninitialized": _nothing,
    "prim::type": operator.attrgetter("type"),
    "prim::unchecked_cast": _first,
    "prim::unchecked_unwrap_optional": _first,
}
OPERATORS: Final = {*ARITHMETIC, *COMPARISONS, *CONVERSIONS, *CONTAINERS}
TENSOR_OPERATORS_TOO: Final = {*ARITHMETIC, *COMPARISONS, "aten::len", "aten::slice"}
