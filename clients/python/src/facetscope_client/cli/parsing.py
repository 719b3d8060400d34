"""Values that people type, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import typer
from google.protobuf.json_format import Parse, ParseError

from facetscope_client.directions import read_direction
from facetscope_client.gen.facetscope.v1.facet_pb2 import FacetRange, Selection
from facetscope_client.gen.facetscope.v1.model_pb2 import Unit
from facetscope_client.gen.facetscope.v1.synthesis_pb2 import (
    RECIPE_PRESET_FOURIER,
    RECIPE_PRESET_MACO,
    SCHEDULE_PRESET_AUTHORS_CODE,
    SCHEDULE_PRESET_CENTER_BIASED,
    SCHEDULE_PRESET_MEAN_IMAGE,
    Recipe,
    RecipePreset,
    Schedule,
    SchedulePreset,
)
from facetscope_client.units import parse_unit

PUBLISHED: Final[Mapping[str, SchedulePreset.ValueType]] = MappingProxyType(
    {
        "mean-image": SCHEDULE_PRESET_MEAN_IMAGE,
        "center-biased": SCHEDULE_PRESET_CENTER_BIASED,
        "authors-code": SCHEDULE_PRESET_AUTHORS_CODE,
    }
)
"""The published schedules, as people type them."""

RECIPES: Final[Mapping[str, RecipePreset.ValueType]] = MappingProxyType(
    {"fourier": RECIPE_PRESET_FOURIER, "maco": RECIPE_PRESET_MACO}
)
"""The known recipes, as people type them."""


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int


class Numbers(tuple[float, ...]):
    """Numbers, written with commas between them."""

    __slots__ = ()


class Facets(NamedTuple):
    """A number of facets, or where to look for it."""

    number: int | None
    range: FacetRange | None


def unit_from(text: str) -> Unit:
    """The unit that ``text`` names.

    Raises:
        typer.BadParameter: It names none.
    """
    return _told(parse_unit, text)


def direction_from(text: str) -> Unit:
    """The direction that ``LAYER=FILE`` names.

    Raises:
        typer.BadParameter: It names none, or the file has no vector.
    """
    return _told(read_direction, text)


def _told(parse: Callable[[str], Unit], text: str) -> Unit:
    """What ``parse`` makes of ``text``, with its own words where it fails: Typer drops them."""
    try:
        return parse(text)
    except (OSError, ValueError) as problem:
        raise typer.BadParameter(str(problem)) from problem


def parse_size(text: str) -> Size:
    """``N`` or ``HxW``."""
    height, _, width = text.lower().partition("x")
    return Size(int(height), int(width or height))


def parse_numbers(text: str) -> Numbers:
    """``A`` or ``A,B,C``."""
    return Numbers(map(float, text.split(",")))


def parse_facets(text: str) -> Facets:
    """``K``, or ``MIN-MAX`` for a number that is to be found."""
    first, dash, last = text.partition("-")
    if dash:
        return Facets(None, FacetRange(minimum=int(first), maximum=int(last)))
    return Facets(int(first), None)


def parse_schedule(text: str) -> Schedule:
    """The name of a published schedule, or a file with a schedule as JSON.

    Raises:
        typer.BadParameter: It is neither.
    """
    if text in PUBLISHED:
        return Schedule(preset=PUBLISHED[text])
    try:
        return Parse(Path(text).read_text(), Schedule())
    except (OSError, UnicodeDecodeError, ParseError) as problem:
        raise typer.BadParameter(
            f"{text!r} is none of {', '.join(PUBLISHED)}, nor a file with a schedule: {problem}"
        ) from problem


def parse_recipe(text: str) -> Recipe:
    """The name of a known recipe, or a file with a recipe as JSON.

    Raises:
        typer.BadParameter: It is neither.
    """
    if text in RECIPES:
        return Recipe(preset=RECIPES[text])
    try:
        return Parse(Path(text).read_text(), Recipe())
    except (OSError, UnicodeDecodeError, ParseError) as problem:
        raise typer.BadParameter(
            f"{text!r} is none of {', '.join(RECIPES)}, nor a file with a recipe: {problem}"
        ) from problem


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
        case "quantile" if _is_number(value):
            return Selection(quantile=float(value))
        case "predicted" if not value:
            return Selection(predicted=True)
    raise typer.BadParameter(
        f"{rule!r} is none of all, label:NAME, predicted, top:N, quantile:Q", param_hint="--select"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
