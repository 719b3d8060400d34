"""A described model as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from facetscope_client.gen.facetscope.v1.inspection_pb2 import DescribeModelResponse
from facetscope_client.gen.facetscope.v1.model_pb2 import (
    COLOR_ORDER_BGR,
    FIT_STRETCH,
    LAYOUT_NHWC,
    Input,
    Layer,
)


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
    table.add_row("code layer", model.code_layer)
    table.add_row("parity", _parity(model))
    return table


def _layers(model: DescribeModelResponse) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    table.add_column("shape")
    table.add_column("units", justify="right")
    table.add_column()
    for layer in model.layers:
        table.add_row(
            layer.name,
            layer.kind,
            _shape(layer.shape),
            f"{layer.channels:,}",
            _remark(layer, model.code_layer),
        )
    return table


def _shape(sizes: Iterable[int]) -> str:
    """For example ``[n, 64, 56, 56]``: sizes that are left open are called n."""
    return f"[{', '.join('n' if size < 0 else str(size) for size in sizes)}]"


def _input(input: Input) -> str:
    order = "BGR" if input.color_order == COLOR_ORDER_BGR else "RGB"
    colours = "grey" if input.channels == 1 else order
    layout = "NHWC" if input.layout == LAYOUT_NHWC else "NCHW"
    numbers = f"mean {_numbers(input.mean)}, std {_numbers(input.std)}"
    fit = "stretched" if input.fit == FIT_STRETCH else f"centre {input.crop_fraction:.4g} kept"
    return (
        f"{input.height} x {input.width} {colours}, {layout}, "
        f"range {input.low:g} to {input.high:g}, {numbers}, {fit}"
    )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values) or "none"


def _parity(model: DescribeModelResponse) -> str:
    if not model.HasField("parity"):
        return "not measured: no other runtime takes this file"
    parity = model.parity
    return (
        f"differs by {parity.largest_relative:.1e} of the largest value of {parity.output} "
        f"({parity.largest_absolute:.1e}) from {parity.provider}"
    )


def _remark(layer: Layer, code_layer: str) -> str:
    remarks = [
        "output" if layer.output else "",
        "code layer" if code_layer in (layer.name, *layer.aliases) else "",
        f"also {', '.join(layer.aliases)}" if layer.aliases else "",
    ]
    return "; ".join(filter(None, remarks))
