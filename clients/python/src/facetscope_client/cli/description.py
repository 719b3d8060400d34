"""A described model as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from facetscope_client.gen.facetscope.v1.inspection_pb2 import DescribeModelResponse
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    COLOR_ORDER_BGR,
    FIT_LETTERBOX,
    FIT_STRETCH,
    GAMMA_LINEAR,
    INPUT_SOURCE_DEFAULT,
    INPUT_SOURCE_REQUEST,
    LAYOUT_NHWC,
    Input,
    InputSource,
    Layer,
    Obstacle,
    ReceptiveField,
)

MOST_NAMES: Final = 8
"""Names of classes that are shown; all are in the answer."""


def description_table(model: DescribeModelResponse) -> RenderableType:
    """What ``model`` is, and below it its layers in the order of execution."""
    return Group(_facts(model), Text(), _layers(model))


def _facts(model: DescribeModelResponse) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("format", model.format)
    table.add_row("digest", model.digest)
    for tensor in model.input_tensors:
        table.add_row("takes", f"{tensor.name} {_shape(tensor.shape)}")
    table.add_row("input", _input(model.input))
    for origin, names in _origins(model).items():
        table.add_row(origin, names)
    table.add_row("code layer", model.code_layer)
    classes = ", ".join(filter(None, [model.logits, model.probabilities]))
    table.add_row("classes", classes or "none: no output has one row of numbers for each picture")
    if model.class_names:
        table.add_row("class names", _names(model.class_names))
    table.add_row("parity", _parity(model))
    if model.HasField("obstacle"):
        table.add_row("obstacle", _obstacle(model.obstacle))
    return table


def _layers(model: DescribeModelResponse) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    table.add_column("shape")
    table.add_column("units", justify="right")
    table.add_column("sees")
    table.add_column()
    for layer in model.layers:
        table.add_row(
            layer.name,
            layer.kind,
            _shape(layer.shape),
            f"{layer.channels:,}",
            _sees(layer.receptive_field) if layer.HasField("receptive_field") else "",
            _remark(layer, model.code_layer),
        )
    return table


def _shape(sizes: Iterable[int]) -> str:
    """For example ``[n, 64, 56, 56]``: sizes that are left open are called n."""
    return f"[{', '.join('n' if size < 0 else str(size) for size in sizes)}]"


def _input(input: Input) -> str:
    order = "BGR" if input.color_order == COLOR_ORDER_BGR else "RGB"
    colours = {1: "grey", 3: order}.get(input.channels, f"of {input.channels} channels")
    light = ", linear" if input.gamma == GAMMA_LINEAR else ""
    layout = "NHWC" if input.layout == LAYOUT_NHWC else "NCHW"
    numbers = f"mean {_numbers(input.mean)}, std {_numbers(input.std)}"
    return (
        f"{input.height} x {input.width} {colours}{light}, {layout}, "
        f"range {input.low:g} to {input.high:g}, {numbers}, {_fit(input)}"
    )


def _fit(input: Input) -> str:
    if input.fit == FIT_LETTERBOX:
        return "whole pictures on grey"
    how = "stretched" if input.fit == FIT_STRETCH else "short side resized"
    return f"{how} to {input.resize}, centre cut"


def _origins(model: DescribeModelResponse) -> dict[str, str]:
    """Fields of the input that the file says, by what says them."""
    said: dict[str, list[str]] = {}
    for origin in model.input_origins:
        if origin.source not in (INPUT_SOURCE_DEFAULT, INPUT_SOURCE_REQUEST):
            source = InputSource.Name(origin.source).removeprefix("INPUT_SOURCE_").lower()
            said.setdefault(f"by {source}", []).append(f"{origin.field} ({origin.evidence})")
    return {source: ", ".join(fields) for source, fields in said.items()}


def _names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + rest


def _sees(field: ReceptiveField) -> str:
    """For example ``11 x 11 / 4``: windows of 11 by 11 pixels, 4 pixels apart."""
    return (
        f"{' x '.join(map(str, field.size))} / {' x '.join(map(str, dict.fromkeys(field.stride)))}"
    )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values) or "none"


def _parity(model: DescribeModelResponse) -> str:
    if not model.HasField("parity"):
        return f"not measured: {model.parity_absence.problem or 'the server does not say why'}"
    parity = model.parity
    return (
        f"differs by {parity.largest_relative:.1e} of the largest value of {parity.output} "
        f"({parity.largest_absolute:.1e}) from {parity.runtime} ({parity.provider})"
    )


def _obstacle(obstacle: Obstacle) -> str:
    return f"{obstacle.operator} at {obstacle.node}: {obstacle.problem}"


def _remark(layer: Layer, code_layer: str) -> str:
    remarks = [
        "output" if layer.output else "",
        "code layer" if code_layer in (layer.name, *layer.aliases) else "",
        f"also {', '.join(layer.aliases)}" if layer.aliases else "",
        f"no gradient: {_obstacle(layer.obstacle)}" if layer.HasField("obstacle") else "",
    ]
    return "; ".join(filter(None, remarks))
