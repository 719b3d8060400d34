"""Convolutions, forward and transposed."""

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from facetscope.models.convolving import convolution
from facetscope.models.onnx.registry import UnsupportedValueError, operator
from facetscope.models.onnx.windows import padded, windows

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
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """ONNX ConvTranspose-22, with explicit padding."""
    if auto_pad not in {"NOTSET", "VALID"}:
        raise UnsupportedValueError(f"auto_pad {auto_pad!r} is not supported")
    placed = windows(
        x, weight.shape[2:], strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad
    )
    none = [0] * len(placed.extent)
    extra = list(output_padding or none)
    if placed.centred:
        return convolution(
            x, weight, bias, placed.stride, placed.before, placed.dilation, TRANSPOSED, extra, group
        )
    whole = convolution(
        x, weight, bias, placed.stride, none, placed.dilation, TRANSPOSED, extra, group
    )
    return padded(whole, [-n for n in placed.before], [-n for n in placed.after])
