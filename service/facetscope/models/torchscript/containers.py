"""Lists, tuples, dictionaries and strings of TorchScript's language."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from facetscope.models.torchscript.tracing import UntranslatableError, concrete

LARGEST_INT: Final = 2**63
LONGEST: Final = 2**16
"""Elements of a list or characters of a string: no honest model comes near."""


def bounded(value: Any) -> Any:
    """``value``, unless it is one that a hostile program grows by squaring or doubling."""
    if isinstance(value, int) and not -LARGEST_INT <= value < LARGEST_INT:
        raise UntranslatableError("an integer overflows")
    if isinstance(value, list | tuple | dict | str) and len(value) > LONGEST:
        raise UntranslatableError(f"a list, dictionary or string grows beyond {LONGEST}")
    return value


def repeated(one: Any, other: Any) -> list[Any]:
    """The product of a list and a number, in either order."""
    container, times = (one, other) if isinstance(one, list) else (other, one)
    if len(container) * concrete(times) > LONGEST:
        raise UntranslatableError(f"a list grows beyond {LONGEST}")
    repetitions: list[Any] = container * times
    return repetitions


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
    held = list(container) if isinstance(container, dict) else container
    return concrete(item) in concrete(held)


def _append(container: list[Any], item: Any) -> list[Any]:
    container.append(item)
    return container


def _extend(container: list[Any], items: list[Any]) -> None:
    container.extend(items)
    bounded(container)


def _insert(container: list[Any], index: int, item: Any) -> None:
    container.insert(index, item)
    bounded(container)


def _pop(container: Any, *which: Any) -> Any:
    """What is taken from a list, at its end unless told, or from a dictionary."""
    return container.pop(*which)


def _update(container: dict[Any, Any], items: Any) -> None:
    container.update(items)
    bounded(container)


def _sort(container: list[Any], reverse: bool = False) -> None:  # noqa: FBT001, FBT002 - by position
    concrete(container).sort(reverse=reverse)


def _text(value: Any) -> str:
    if not isinstance(value, int | float | str):
        raise UntranslatableError("it spells out what is neither a number nor a string")
    return str(value)


def _set_item(container: Any, index: Any, item: Any) -> Any:
    container[concrete(index)] = item
    return container


def _format(template: str, *values: Any) -> str:
    """``template`` with each ``{}`` filled: Python's own format would do much more than asked."""
    first, *pieces = template.split("{}")
    fillings = [str(value)[:100] for value in values]
    return first + "".join(map(operator.add, fillings, pieces))


CONTAINERS: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::__contains__": _contains,
    "aten::__derive_index": lambda index, start, step: start + index * step,
    "aten::__getitem__": _item,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::_set_item": _set_item,
    "aten::__range_length": lambda start, stop, step: len(range(start, stop, step)),
    "aten::_unwrap_optional": _first,
    "aten::append": _append,
    "aten::clear": lambda container: container.clear(),
    "aten::copy": lambda container: container.copy(),
    "aten::dict": dict,
    "aten::extend": _extend,
    "aten::format": _format,
    "aten::get": dict.get,
    "aten::index": lambda container, item: concrete(container).index(item),
    "aten::insert": _insert,
    "aten::is_autocast_enabled": lambda: False,
    "aten::is_grad_enabled": lambda: True,
    "aten::is_scripting": lambda: True,
    "aten::items": lambda dictionary: list(dictionary.items()),
    "aten::keys": list,
    "aten::len": len,
    "aten::list": list,
    "aten::pop": _pop,
    "aten::reverse": lambda container: container.reverse(),
    "aten::slice": _slice,
    "aten::sort": _sort,
    "aten::sorted": lambda container: sorted(concrete(container)),
    "aten::str": _text,
    "aten::sum": lambda container: sum(concrete(container)),
    "aten::update": _update,
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
"""What each operator does, given its inputs by position."""

TENSOR_OPERATORS_TOO: Final = {"aten::index", "aten::len", "aten::slice", "aten::sort", "aten::sum"}
"""Those whose names are of tensor operators too."""
