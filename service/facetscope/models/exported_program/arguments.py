"""The arguments of a node, from the form that they have in the file."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from facetscope.models.exported_program.program import Argument
from facetscope.models.exported_program.schema import DTYPES, MEMORY_FORMATS, STRIDED
from facetscope.models.torchscript import operators
from facetscope.models.torchscript.tracing import UntranslatableError

Values = Mapping[str, Any]
"""The values computed so far, by name."""


def value_of(argument: Argument, values: Values) -> Any:
    """The value of an ``argument``, given the ``values`` that it may name.

    Raises:
        UntranslatableError: It names none of them, or is of a kind without translation.
    """
    ((kind, given),) = argument.items()
    if kind not in KINDS:
        raise UntranslatableError(f"it takes an argument of kind {kind.removeprefix('as_')}")
    return KINDS[kind](given, values)


def _none(*_: Any) -> None:
    return None


def _literal(given: Any, _: Values) -> Any:
    return given


def _float(given: Any, _: Values) -> float:
    """A float, which is a string where it is not finite."""
    return float(given)


def _floats(given: Any, _: Values) -> list[float]:
    return [float(each) for each in given]


def _named(given: Mapping[str, str], values: Values) -> Any:
    name = given["name"]
    if name not in values:
        raise UntranslatableError(f"it reads {name!r}, which nothing computes before")
    return values[name]


def _all_named(given: Any, values: Values) -> list[Any]:
    return [_named(each, values) for each in given]


def _number(given: Mapping[str, Any], values: Values) -> Any:
    """A number, or the name of one."""
    ((kind, value),) = given.items()
    return _named({"name": value}, values) if kind == "as_name" else value


def _numbers(given: Any, values: Values) -> list[Any]:
    return [_number(each, values) for each in given]


def _optional(given: Mapping[str, Any], values: Values) -> Any:
    return value_of(given, values)


def _optionals(given: Any, values: Values) -> list[Any]:
    return [value_of(each, values) for each in given]


def _dtype(given: int, _: Values) -> int:
    """The number by which TorchScript knows an element type."""
    if DTYPES.get(given) not in operators.DTYPES:
        raise UntranslatableError(f"it uses the element type of number {given}")
    return operators.DTYPES.index(DTYPES[given])


def _memory_format(given: int, _: Values) -> Any:
    return MEMORY_FORMATS[given]


def _layout(given: int, _: Values) -> None:
    if given != STRIDED:
        raise UntranslatableError("it makes a tensor that is not dense")


KINDS: Final[Mapping[str, Callable[[Any, Values], Any]]] = {
    "as_bool": _literal,
    "as_bools": _literal,
    "as_device": _none,
    "as_float": _float,
    "as_floats": _floats,
    "as_int": _literal,
    "as_ints": _literal,
    "as_layout": _layout,
    "as_memory_format": _memory_format,
    "as_none": _none,
    "as_optional_tensor": _optional,
    "as_optional_tensors": _optionals,
    "as_scalar_type": _dtype,
    "as_string": _literal,
    "as_sym_bool": _number,
    "as_sym_bools": _numbers,
    "as_sym_float": _number,
    "as_sym_floats": _numbers,
    "as_sym_int": _number,
    "as_sym_ints": _numbers,
    "as_tensor": _named,
    "as_tensors": _all_named,
}
"""Values by the kind of argument."""
