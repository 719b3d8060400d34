"""Rewrites that make a node right for every batch size, not only for the one it was exported at."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from facetscope.models.graph import BATCHES
from facetscope.models.onnx.operands import Operand, constant

Inputs = list[Operand | None]
"""The inputs of a node; None where one is left out."""

Attributes = Mapping[str, Any]
"""The attributes of a node by name."""


def name_squeezed_axes(inputs: Inputs, attributes: Attributes, *, declared: int | None) -> Inputs:
    """Name the axes of a Squeeze without any: those of length 1 at more than one batch size."""
    del declared
    data, *axes = inputs
    if data is None or any(axes) or "axes" in attributes:
        return inputs
    ones = [axis for axis, length in enumerate(data.shape) if length == 1]
    return [data, constant(torch.tensor(ones, dtype=torch.int64))]


def free_batch_axis(inputs: Inputs, attributes: Attributes, *, declared: int | None) -> Inputs:
    """Let a Reshape whose first length is the declared batch size keep the batch that comes in."""
    del attributes
    data, shape = (*inputs, None, None)[:2]
    if declared is None or data is None or shape is None or shape.depends_on_image:
        return inputs
    if not any(length < 0 for length in data.shape[:1]) or shape.at[0].tolist()[:1] != [declared]:
        return inputs
    rest = shape.at[0][1:]
    first, second = (torch.cat([torch.tensor([size]), rest]) for size in BATCHES)
    return [data, Operand((first, second))]


REWRITES: Final[Mapping[str, Callable[..., Inputs]]] = {
    "Reshape": free_batch_axis,
    "Squeeze": name_squeezed_axes,
}
"""Rewrites of a node's inputs by its operator, given also its attributes and the batch size that
the file declares."""
