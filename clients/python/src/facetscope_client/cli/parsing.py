"""Values that people type, and what they mean."""

from __future__ import annotations

from typing import NamedTuple

import typer

from facetscope_client.gen.facetscope.v1.facet_pb2 import Selection


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int


class Numbers(tuple[float, ...]):
    """Numbers, written with commas between them."""

    __slots__ = ()


def parse_size(text: str) -> Size:
    """``N`` or ``HxW``."""
    height, _, width = text.lower().partition("x")
    return Size(int(height), int(width or height))


def parse_numbers(text: str) -> Numbers:
    """``A`` or ``A,B,C``."""
    return Numbers(map(float, text.split(",")))


def selection_from(rule: str) -> Selection:
    """The selection that ``rule`` describes.

    Raises:
        typer.BadParameter: It describes none.
    """
    name, _, value = rule.partition(":")
    match name:
        case "all" if not value:
            return Selection(all=True)
        case "label" if value:
            return Selection(label=value)
        case "top" if value.isdecimal():
            return Selection(top=int(value))
        case "predicted" if not value:
            return Selection(predicted=True)
    raise typer.BadParameter(
        f"{rule!r} is none of all, label:NAME, predicted, top:N", param_hint="--select"
    )
