"""Enums of the domain and of the wire, by the names that they share."""

from enum import Enum
from typing import Any, Protocol, TypeVar

from facetscope.domain.errors import InvalidFieldError

E = TypeVar("E", bound=Enum)


class _Enum(Protocol):
    """A generated enum, which knows the names of its numbers."""

    def Name(self, number: Any) -> str: ...  # noqa: N802


def member(field: str, domain: type[E], wire: _Enum, number: int) -> E | None:
    """The member of ``domain`` that a number of a generated enum stands for; ``None`` for 0.

    Raises:
        InvalidFieldError: The number is not one of the enum; ``field`` is the field that it is in.
    """
    if number == 0:
        return None
    try:
        name = wire.Name(number)
    except ValueError:
        raise InvalidFieldError(field, f"{number} is not a value of this enum") from None
    return next(member for member in domain if name.endswith(f"_{member.name}"))


def number(wire: Any, prefix: str, member: Enum) -> Any:
    """The number of a generated enum that a member of the domain's enum has."""
    return wire.Value(f"{prefix}_{member.name}")
