"""Where the windows of a convolution or pooling lie."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.registry import UnsupportedValueError

Lengths = tuple[int, ...]
"""One number for each spatial axis."""

SAME: Final = frozenset({"SAME_UPPER", "SAME_LOWER"})
"""Values of ``auto_pad`` that give one window for each stride."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along the spatial axes of a tensor of shape [batch, channel, *spatial].

    Attributes:
        extent: Elements of a window along each axis.
        stride: Distance between two windows.
        dilation: Distance between two elements of a window.
        before: Padding before the first element of the tensor.
        after: Padding after the last.
    """

    extent: Lengths
    stride: Lengths
    dilation: Lengths
    before: Lengths
    after: Lengths

    @property
    def centred(self) -> bool:
        """Whether there is the same padding on both sides."""
        return self.before == self.after

    @property
    def spans(self) -> Lengths:
        """How far a window reaches along each axis."""
        return tuple(
            (extent - 1) * dilation + 1
            for extent, dilation in zip(self.extent, self.dilation, strict=True)
        )

    def counts(self, lengths: Sequence[int]) -> Lengths:
        """How many windows there are along each axis."""
        return tuple(
            (before + length + after - span) // stride + 1
            for length, span, stride, before, after in zip(
                lengths, self.spans, self.stride, self.before, self.after, strict=True
            )
        )

    def excess(self, lengths: Sequence[int]) -> Lengths:
        """Padding beyond ``after`` that a last, incomplete window needs along each axis.

        A window that would begin in the padding at the end does not count.
        """
        excess = []
        for length, span, stride, before, after in zip(
            lengths, self.spans, self.stride, self.before, self.after, strict=True
        ):
            last = -(-(before + length + after - span) // stride) * stride
            if last >= before + length:
                last -= stride
            excess.append(max(last + span - before - length - after, 0))
        return tuple(excess)


def windows(
    x: Tensor,
    extent: Sequence[int],
    *,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
) -> Windows:
    """The windows over ``x`` that ONNX's attributes describe.

    Raises:
        UnsupportedValueError: The attributes do not fit the axes of ``x``.
    """
    axes = x.ndim - 2
    ends = list(pads or [0] * 2 * axes)
    placed = Windows(
        tuple(extent),
        tuple(strides or [1] * axes),
        tuple(dilations or [1] * axes),
        tuple(ends[:axes]),
        tuple(ends[axes:]),
    )
    lengths = {len(placed.extent), len(placed.stride), len(placed.dilation), len(placed.after)}
    if lengths != {axes}:
        raise UnsupportedValueError(f"its attributes do not fit an input of {x.ndim} axes")
    match auto_pad:
        case "NOTSET":
            return placed
        case "VALID":
            return replace(placed, before=(0,) * axes, after=(0,) * axes)
        case "SAME_UPPER" | "SAME_LOWER":
            return _same(placed, x.shape[2:], upper=auto_pad == "SAME_UPPER")
    raise UnsupportedValueError(f"auto_pad {auto_pad!r} is not supported")


def _same(placed: Windows, lengths: Sequence[int], *, upper: bool) -> Windows:
    """With the padding that gives one window for each stride; an odd one goes to one side."""
    less, more = [], []
    for length, span, stride in zip(lengths, placed.spans, placed.stride, strict=True):
        padding = max((-(-length // stride) - 1) * stride + span - length, 0)
        less.append(padding // 2)
        more.append(padding - padding // 2)
    before, after = (less, more) if upper else (more, less)
    return replace(placed, before=tuple(before), after=tuple(after))


def padded(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    """``x`` with its last axes padded, or cropped where a number is negative."""
    if not any((*before, *after)):
        return x
    pairs = zip(reversed(before), reversed(after), strict=True)
    return F.pad(x, [length for pair in pairs for length in pair], value=value)
