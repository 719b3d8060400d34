"""Convolutions, forward and transposed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from facetscope.models.convolving import convolution
from facetscope.models.onnx.registry import operator
from facetscope.models.onnx.windows import SAME, Windows, padded, windows

FORWARD: Final = False
TRANSPOSED: Final = True
"""The two directions of ``torch.convolution``."""


@operator("Conv", ignored=("kernel_shape",))
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX Conv-22."""
    placed = windows(
        x, weight.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    none = [0] * len(placed.extent)
    padding: Sequence[int] = placed.before
    if not placed.centred:
        x, padding = padded(x, placed.before, placed.after), none
    return convolution(
        x, weight, bias, placed.stride, padding, placed.dilation, FORWARD, none, group
    )


@operator("ConvTranspose", ignored=("kernel_shape",))
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX ConvTranspose-22."""
    explicit = "NOTSET" if auto_pad in SAME else auto_pad
    placed = windows(
        x, weight.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad=explicit
    )
    none = [0] * len(placed.extent)
    extra = list(output_padding or none)
    if auto_pad in SAME or output_shape is not None:
        placed = _cropped(placed, x.shape[2:], extra, output_shape, upper=auto_pad == "SAME_UPPER")
    if placed.centred and min(placed.before) >= 0:
        return convolution(
            x, weight, bias, placed.stride, placed.before, placed.dilation, TRANSPOSED, extra, group
        )
    whole = convolution(
        x, weight, None, placed.stride, none, placed.dilation, TRANSPOSED, extra, group
    )
    cropped = padded(whole, [-n for n in placed.before], [-n for n in placed.after])
    return cropped if bias is None else cropped + bias.reshape(-1, *[1] * len(none))


def _cropped(
    placed: Windows,
    lengths: Sequence[int],
    extra: Sequence[int],
    asked: Sequence[int] | None,
    *,
    upper: bool,
) -> Windows:
    """With the padding that gives the lengths asked for, or else a stride for each element."""
    whole = [
        (length - 1) * stride + span + more
        for length, stride, span, more in zip(
            lengths, placed.stride, placed.spans, extra, strict=True
        )
    ]
    if asked is None:
        asked = [n * stride for n, stride in zip(lengths, placed.stride, strict=True)]
    total = [n - wanted for n, wanted in zip(whole, asked[-len(whole) :], strict=True)]
    less = tuple(n // 2 for n in total)
    more = tuple(n - half for n, half in zip(total, less, strict=True))
    before, after = (less, more) if upper else (more, less)
    return replace(placed, before=before, after=after)


@operator("Col2Im", lists=("image_shape", "block_shape"))
def col2im(
    x: Tensor,
    image_shape: Sequence[int],
    block_shape: Sequence[int],
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX Col2Im-18: a transposed convolution that puts each element of a column in its place."""
    axes, block = len(image_shape), math.prod(block_shape)
    outline = x.new_empty((1, 1, *image_shape), device="meta")
    placed = windows(
        outline, block_shape, strides=strides, dilations=dilations, pads=pads, auto_pad="NOTSET"
    )
    counts = placed.counts(image_shape)
    channels = x.shape[1] // block
    one_hot = torch.eye(block, dtype=x.dtype, device=x.device).reshape(block, 1, *block_shape)
    image = conv_transpose(
        x.reshape(x.shape[0], x.shape[1], *counts),
        one_hot.repeat(channels, 1, *[1] * axes),
        dilations=placed.dilation,
        group=channels,
        strides=placed.stride,
    )
    ends = zip(image_shape, placed.before, image.shape[2:], strict=True)
    before = [-start for start in placed.before]
    return padded(image, before, [length + start - whole for length, start, whole in ends])
