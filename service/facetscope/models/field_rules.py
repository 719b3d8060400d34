"""What operators make of receptive fields; ``receptive_fields`` says which has which rule."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, cast

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from facetscope.models.onnx.windows import Windows, windows

LABEL: Final = 8
"""Length of the first axis of a tensor whose axes are told apart by their lengths."""


@dataclass(frozen=True, slots=True)
class Span:
    """The fields of all elements along one axis.

    Attributes:
        axis: Axis of the tensor that the elements lie along.
        first: The first pixel of element 0; negative where it is in the padding.
        size: Pixels of each element, from the first to the last.
        stride: Pixels from the first of one element to the first of the next.
    """

    axis: int
    first: int = 0
    size: int = 1
    stride: int = 1

    def at(self, axis: int) -> "Span":
        """The same, along another axis."""
        return Span(axis, self.first, self.size, self.stride)

    def seen_by(self, *, extent: int, stride: int, before: int) -> "Span":
        """That of windows of ``extent`` elements, from ``before`` the first one on."""
        return Span(
            self.axis,
            self.first - before * self.stride,
            self.size + (extent - 1) * self.stride,
            self.stride * stride,
        )

    def union(self, other: "Span") -> "Span | None":
        """The least that has both in it; None where they are not parallel."""
        if (self.axis, self.stride) != (other.axis, other.stride):
            return None
        first = min(self.first, other.first)
        end = max(self.first + self.size, other.first + other.size)
        return Span(self.axis, first, end - first, self.stride)


Fields = Mapping[int, Span]
"""The fields of a tensor's elements, by axis of the picture, where they are defined."""


@dataclass(frozen=True, slots=True)
class Step:
    """The making of one tensor.

    Attributes:
        call: The node that calls the operator.
        shape: Shape of the tensor.
        sources: Shape and fields of each input that depends on the picture, in order.
    """

    call: fx.Node
    shape: tuple[int, ...]
    sources: Sequence[tuple[tuple[int, ...], Fields]]

    @property
    def rank(self) -> int:
        """Number of axes of the tensor."""
        return len(self.shape)

    @property
    def source(self) -> tuple[tuple[int, ...], Fields]:
        """The only one of ``sources``; where there are several, the first, without fields."""
        shape, fields = self.sources[0]
        return shape, fields if len(self.sources) == 1 else {}

    def arguments(self) -> Mapping[str, Any]:
        """What the operator was called with, by name, defaults included."""
        target: Any = self.call.target
        if not isinstance(target, OpOverload):
            bound = inspect.signature(target).bind(*self.call.args, **self.call.kwargs)
            bound.apply_defaults()
            return bound.arguments | bound.kwargs
        known = target._schema.arguments  # noqa: SLF001 - what torch's own passes read
        given = dict(zip((argument.name for argument in known), self.call.args, strict=False))
        defaults = {a.name: a.default_value for a in known if a.has_default_value()}
        return defaults | given | self.call.kwargs


Rule = Callable[[Step], Fields]
"""What an operator makes of the fields of its inputs."""


def nowhere(_: Step) -> Fields:
    """None: of an operator that looks everywhere, or that nothing is known of."""
    return {}


def united(step: Step) -> Fields:
    """The union of those of all inputs, element by element, along axes that none is spread over.

    Axes are counted from the last, as in broadcasting.
    """
    aligned = [
        {
            axis: span.at(span.axis + step.rank - len(shape))
            for axis, span in fields.items()
            if shape[span.axis] == step.shape[span.axis + step.rank - len(shape)]
        }
        for shape, fields in step.sources
    ]
    first, *others = aligned
    for fields in others:
        pairs = {axis: first[axis].union(span) for axis, span in fields.items() if axis in first}
        first = {axis: span for axis, span in pairs.items() if span is not None}
    return first


def without(fields: Fields, axes: Iterable[int]) -> Fields:
    """``fields``, without those along these axes of the tensor."""
    lost = set(axes)
    return {axis: span for axis, span in fields.items() if span.axis not in lost}


def convolved(step: Step) -> Fields:
    """Windows over the axes behind the channels, which they mix."""
    given = step.arguments()
    kernel = _kernel(given["weight"])
    if given.get("transposed") or not kernel:
        return {}
    return without(_windowed(step, given, kernel[2:]), [1])


def pooled(step: Step) -> Fields:
    """Windows over the last axes."""
    given = step.arguments()
    return _windowed(step, given, given.get("kernel_shape", given.get("kernel_size")))


def _windowed(step: Step, given: Mapping[str, Any], extent: Sequence[int]) -> Fields:
    shape, fields = step.source
    placed = _placed(given, shape, extent)
    seen = {
        axis: {"extent": span, "stride": stride, "before": before}
        for axis, span, stride, before in zip(
            range(2, len(shape)), placed.spans, placed.stride, placed.before, strict=True
        )
    }
    return {
        axis: span.seen_by(**seen[span.axis]) if span.axis in seen else span
        for axis, span in fields.items()
    }


def _placed(given: Mapping[str, Any], shape: tuple[int, ...], extent: Sequence[int]) -> Windows:
    """The windows of an operator: of ONNX by its own rule, of torch by its arguments."""
    if "auto_pad" in given or "placed" in given:
        image = torch.empty((1, *shape[1:]), device="meta")
        said = {name: given.get(name) for name in ("strides", "dilations", "pads")}
        return windows(image, extent, **said, auto_pad=given.get("auto_pad", "NOTSET"))
    axes = len(shape) - 2
    whole, dilation = _lengths(extent, axes), _lengths(given.get("dilation", 1), axes)
    stride = _lengths(given["stride"] or whole, axes)
    none = (0,) * axes
    placed = Windows(whole, stride, dilation, none, none)
    match given["padding"]:
        case "valid":
            return placed
        case "same":
            before = tuple((span - 1) // 2 for span in placed.spans)
        case padding:
            before = _lengths(padding, axes)
    return Windows(whole, stride, dilation, before, before)


def _lengths(given: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for each axis, as torch takes one for all."""
    lengths = (given,) if isinstance(given, int) else tuple(given)
    return lengths * axes if len(lengths) == 1 else lengths


def _kernel(weights: Any) -> tuple[int, ...]:
    """Shape of weights; of those that are computed from the picture, none."""
    module = weights.graph.owning_module
    if weights.op != "get_attr" or module is None:
        return ()
    return tuple(module.get_buffer(cast("str", weights.target)).shape)


def pooled_evenly(step: Step) -> Fields:
    """Windows of adaptive pooling, which lie evenly where their number divides the length."""
    shape, fields = step.source
    spans = {axis: (span, shape[span.axis], step.shape[span.axis]) for axis, span in fields.items()}
    return {
        axis: span.seen_by(extent=length // count, stride=length // count, before=0)
        for axis, (span, length, count) in spans.items()
        if count == length or (count > 1 and length % count == 0)
    }


def blocked(step: Step) -> Fields:
    """Blocks of pixels that become channels."""
    shape, fields = step.source
    blocks = {axis: shape[axis] // step.shape[axis] for axis in (2, 3)}
    return {
        axis: span.seen_by(extent=blocks[span.axis], stride=blocks[span.axis], before=0)
        for axis, span in fields.items()
        if span.axis in blocks
    }


def padded(step: Step) -> Fields:
    """Shifted by what is put before; what is not constant comes from within the picture."""
    shape, fields = step.source
    given = step.arguments()
    ends = dict.fromkeys(range(len(shape)), (0, 0)) | _ends(given, len(shape))
    if given.get("mode", "constant") != "constant":
        return without(fields, [axis for axis, pair in ends.items() if any(pair)])
    return {
        axis: span.seen_by(extent=1, stride=1, before=ends[span.axis][0])
        for axis, span in fields.items()
    }


def _ends(given: Mapping[str, Any], rank: int) -> dict[int, tuple[int, int]]:
    """Padding before and after, by axis: ONNX gives all befores first, torch the last axis."""
    if "pad" in given:
        pairs = list(zip(given["pad"][::2], given["pad"][1::2], strict=True))
        return {rank - 1 - at: pair for at, pair in enumerate(pairs)}
    axes = [axis % rank for axis in given["axes"] or range(rank)]
    pads = given["pads"]
    return dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))


def sliced(step: Step) -> Fields:
    """Parts of axes, from some element on, perhaps with gaps."""
    shape, fields = step.source
    given = step.arguments()
    parts = {axis % len(shape): part for axis, part in _parts(given).items()}
    found = {}
    for axis, span in fields.items():
        start, _, by = parts.get(span.axis, slice(None)).indices(shape[span.axis])
        if by > 0:
            found[axis] = span.seen_by(extent=1, stride=by, before=-start)
    return found


def _parts(given: Mapping[str, Any]) -> dict[int, slice]:
    if "starts" not in given:
        start, end = given["start"], given.get("end")
        return {given["dim"]: slice(start, end, given.get("step", 1))}
    starts, steps = given["starts"], given["steps"]
    parts = map(slice, starts, given["ends"], steps or [1] * len(starts))
    return dict(zip(given["axes"] or range(len(starts)), parts, strict=True))


def picked(step: Step) -> Fields:
    """One axis fewer, or another order along it."""
    shape, fields = step.source
    given = step.arguments()
    at = given.get("axis", given.get("dim", 0)) % len(shape)
    gone = len(shape) - step.rank
    if gone not in {0, 1}:
        return {}
    kept = without(fields, [at]).items()
    return {axis: span.at(span.axis - gone * (span.axis > at)) for axis, span in kept}


def unbroken(step: Step) -> Fields:
    """As they are, along the axes whose length stays."""
    shape, fields = step.source
    if len(shape) != step.rank or len(step.sources) > 1:
        return {}
    return {
        axis: span for axis, span in fields.items() if shape[span.axis] == step.shape[span.axis]
    }


def moved(step: Step) -> Fields:
    """Where the operator itself moves them, of a tensor with another length along each axis."""
    if len(step.call.all_input_nodes) != 1:
        return united(step)
    shape, fields = step.source
    labels = torch.empty([LABEL + at for at in range(len(shape))], device="meta")
    operator: Any = step.call.target
    args: Any
    kwargs: Any
    args, kwargs = map_arg((step.call.args, step.call.kwargs), lambda _: labels)
    result = next(each for each in tree_leaves(operator(*args, **kwargs)) if each is not None)
    lengths = list(cast("Tensor", result).shape)
    return {
        axis: span.at(lengths.index(LABEL + span.axis))
        for axis, span in fields.items()
        if LABEL + span.axis in lengths
    }


def reshaped(step: Step) -> Fields:
    """Where there are as many elements along an axis, and from one to the next."""
    shape, fields = step.source
    found = {}
    for axis, span in fields.items():
        same = [
            at
            for at in range(1, step.rank)
            if (step.shape[at], prod(step.shape[at + 1 :]))
            == (shape[span.axis], prod(shape[span.axis + 1 :]))
        ]
        if span.axis in same or len(same) == 1:
            found[axis] = span.at(span.axis if span.axis in same else same[0])
    return found


def multiplied(step: Step) -> Fields:
    """Along the axes that a matrix of weights does not mix."""
    shape, fields = step.source
    left, right = (_kernel(matrix) for matrix in step.call.args[:2])
    if len(shape) != step.rank or not (left or right):
        return {}
    return without(fields, [step.rank - (2 if left else 1)])


def mixing_last(step: Step) -> Fields:
    """Along all axes but the last."""
    return without(united(step), [step.rank - 1])


def mixing_channels(step: Step) -> Fields:
    """Along all axes but the second."""
    return without(united(step), [1])


def normalized(step: Step) -> Fields:
    """Along the axes that are not normalized."""
    given = step.arguments()
    lengths = given.get("normalized_shape")
    axes = -given["axis"] % step.rank if lengths is None else len(lengths)
    return without(united(step), range(step.rank - axes, step.rank))


def along_others(step: Step) -> Fields:
    """Along all axes but the one that the operator works along."""
    given = step.arguments()
    return without(united(step), [given.get("axis", given.get("dim")) % step.rank])


def batch_normalized(step: Step) -> Fields:
    """As they are, by the statistics of training; by those of the batch, none."""
    return {} if step.arguments().get("training") else united(step)
