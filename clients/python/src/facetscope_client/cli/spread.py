"""Groups of options as parameters of a command: Typer itself takes only single ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with a parameter for each field of its parameters that are dataclasses.

    Two commands share options by sharing a dataclass, whose fields are annotated for Typer.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @wraps(command)
    def spread_command(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    parameters = list(_parameters(command, hints))
    spread_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_command.__annotations__ = {each.name: each.annotation for each in parameters}
    return spread_command


def _parameters(
    command: Callable[..., None], hints: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    """The parameters of ``command``, by keyword only, those of its groups one by one."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    for name, parameter in inspect.signature(command).parameters.items():
        group = hints[name]
        if not is_dataclass(group):
            yield parameter.replace(kind=keyword, annotation=group)
            continue
        group_hints = get_type_hints(group, include_extras=True)
        for field in fields(group):
            annotation = group_hints[field.name]
            yield inspect.Parameter(
                field.name, keyword, default=field.default, annotation=annotation
            )
