"""Constant folding by computing everything at two batch sizes.

Whatever depends on the pixels is followed as a tensor without memory (device ``meta``), which shows
its shape and costs nothing. All else, weights and shape arithmetic alike, is simply computed. What
comes out equal at both batch sizes is a constant; a size that differs is a multiple of the batch
size and a remainder.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx

from facetscope.models.graph import BATCHES
from facetscope.models.memory import MOST_ELEMENTS
from facetscope.models.onnx.operands import Call, Operand, each
from facetscope.models.onnx.registry import Operator, UnsupportedValueError


class TooLargeError(UnsupportedValueError):
    """A folded tensor would take more memory than any honest file asks for."""


def outlines_of(example: Tensor, batches: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Batches of two sizes of images like those of ``example``, without memory.

    Where the sizes are one, so are the batches, and nothing is computed twice.
    """
    first, second = (
        torch.empty((batch, *example.shape[1:]), dtype=example.dtype, device="meta")
        for batch in batches
    )
    return first, first if first.shape == second.shape else second


def evaluate(call: Call) -> tuple[Operand, ...]:
    """Compute ``call`` at both batch sizes.

    Raises:
        UnsupportedValueError: A result is too large, or takes a number that is not known before the
            image is.
    """
    first = second = _results(call, 0)
    if any(operand.at[0] is not operand.at[1] for operand in call.operands):
        second = _results(call, 1)
    pairs = list(zip(first, second, strict=True))
    if len(pairs) == 1:
        return (Operand(pairs[0], call),)
    return tuple(Operand(pair, call, index) for index, pair in enumerate(pairs))


def numbers(operand: Operand, which: int) -> list[Any]:
    """The elements of ``operand`` at one of the two batch sizes.

    Raises:
        UnsupportedValueError: They depend on the image.
    """
    if operand.depends_on_image:
        raise UnsupportedValueError("a size or a parameter is computed from the image")
    listed: list[Any] = operand.at[which].flatten().tolist()
    return listed


def sole(elements: list[Any]) -> Any:
    """The one element of a list.

    Raises:
        UnsupportedValueError: There is none, or there are several.
    """
    if len(elements) != 1:
        raise UnsupportedValueError(f"one number is expected, not {len(elements)}")
    return elements[0]


def in_terms_of(batch: fx.Node, operand: Operand) -> list[Any]:
    """The elements of ``operand`` at any batch size: numbers, and nodes computed from ``batch``.

    Raises:
        UnsupportedValueError: They depend on the image, or not linearly on the batch size.
    """
    first, second = numbers(operand, 0), numbers(operand, 1)
    if len(first) != len(second):
        raise UnsupportedValueError("the length of a list of sizes varies with the batch size")
    return [_line(batch, *pair) for pair in zip(first, second, strict=True)]


def _line(batch: fx.Node, first: Any, second: Any) -> Any:
    """A number, or the node that computes slope · batch + rest."""
    if first == second:
        return first
    slope, beside = divmod(second - first, BATCHES[1] - BATCHES[0])
    rest = first - slope * BATCHES[0]
    if beside or not isinstance(rest, int):
        raise UnsupportedValueError("a size is not a multiple of the batch size and a remainder")
    node = batch if slope == 1 else batch.graph.call_function(operator.mul, (batch, slope))
    return batch.graph.call_function(operator.add, (node, rest)) if rest else node


def _results(call: Call, which: int) -> tuple[Tensor, ...]:
    args = call.arguments(
        lambda operand: numbers(operand, which),
        lambda operand: sole(numbers(operand, which)),
        lambda operand: operand.at[which],
    )
    if call.operator.reads_shape_only:
        args = each(Tensor, args, _outline)
    if call.operator.counts_values:
        return _counted(call.operator, args)
    with torch.device("meta"):
        outlines = _run(call.operator, each(Tensor, args, lambda tensor: tensor.to("meta")))
    if _depends_on_image(args):
        return outlines
    largest = max(outline.numel() for outline in outlines)
    if largest > MOST_ELEMENTS:
        raise TooLargeError(f"a constant has {largest} elements, more than {MOST_ELEMENTS}")
    return _run(call.operator, args)


def _counted(called: Operator, args: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Tensor, ...]:
    """The results of an operator that gives no more elements than it takes, for each axis."""
    if _depends_on_image(args):
        raise UnsupportedValueError("the size of its result depends on the pixels")
    return _run(called, args)


@torch.no_grad()
def _run(called: Operator, args: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Tensor, ...]:
    result = called.function(*args[0], **args[1])
    return (result,) if isinstance(result, Tensor) else tuple(result)


def _depends_on_image(args: tuple[tuple[Any, ...], dict[str, Any]]) -> bool:
    seen: list[bool] = []
    each(Tensor, args, lambda tensor: seen.append(tensor.is_meta))
    return any(seen)


def _outline(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and type that takes the memory of one element."""
    return torch.empty((), dtype=tensor.dtype).expand(tensor.shape)
