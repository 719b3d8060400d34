"""Normalizations, and softmax."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.normalizing import scaled_by_channel
from facetscope.models.onnx.registry import UnsupportedValueError, operator


@operator("BatchNormalization", ignored=("momentum",))
def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    spatial: int = 1,
    training_mode: int = 0,
) -> Tensor:
    """ONNX BatchNormalization-15, as it is outside of training."""
    if training_mode or not spatial:
        raise UnsupportedValueError("only inference with statistics by channel is supported")
    return scaled_by_channel(x, scale, bias, mean, variance, epsilon)


@operator("InstanceNormalization")
def instance_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5
) -> Tensor:
    """ONNX InstanceNormalization-22."""
    return torch.group_norm(x, x.shape[1], scale, bias, epsilon)


@operator("LayerNormalization", ignored=("stash_type",))
def layer_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """ONNX LayerNormalization-17 and, if asked for, the mean and the inverse deviation."""
    shape = x.shape[axis:]
    offset = None if bias is None else bias.expand(shape)
    normalized = F.layer_norm(x, shape, scale.expand(shape), offset, epsilon)
    if outputs == 1:
        return normalized
    axes = list(range(axis % x.ndim, x.ndim))
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return normalized, mean, torch.rsqrt(variance + epsilon)


@operator("RMSNormalization", ignored=("stash_type",))
def rms_normalization(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5) -> Tensor:
    """ONNX RMSNormalization-23."""
    shape = x.shape[axis:]
    return F.rms_norm(x, shape, scale.expand(shape), epsilon)


@operator("GroupNormalization", since=21, ignored=("stash_type",))
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """ONNX GroupNormalization-21: scale and bias by channel."""
    return F.group_norm(x, num_groups, scale, bias, epsilon)


@operator("GroupNormalization", since=18)
def group_normalization_by_group(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """ONNX GroupNormalization-18: scale and bias by group."""
    width = x.shape[1] // num_groups
    return F.group_norm(
        x, num_groups, scale.repeat_interleave(width), bias.repeat_interleave(width), epsilon
    )


@operator("LRN")
def local_response_normalization(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """ONNX LRN-13: an even window reaches one channel further up than down."""
    below = (size - 1) // 2
    spatial = [0, 0] * (x.ndim - 2)
    squares = F.pad(x.square(), [*spatial, below, size - 1 - below])
    neighbours = squares.unfold(1, size, 1).sum(-1)
    return x / (bias + alpha / size * neighbours) ** beta


@operator("LpNormalization")
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """ONNX LpNormalization-22: what has no length stays zero."""
    length = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / torch.where(length == 0, 1, length)


@operator("Softmax", since=13)
def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """ONNX Softmax-13."""
    return torch.softmax(x, axis)


@operator("Softmax")
def softmax_of_rows(x: Tensor, *, axis: int = 1) -> Tensor:
    """ONNX Softmax-11: over all axes from ``axis`` on."""
    return _of_rows(torch.softmax, x, axis)


@operator("LogSoftmax", since=13)
def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """ONNX LogSoftmax-13."""
    return torch.log_softmax(x, axis)


@operator("LogSoftmax")
def log_softmax_of_rows(x: Tensor, *, axis: int = 1) -> Tensor:
    """ONNX LogSoftmax-11: over all axes from ``axis`` on."""
    return _of_rows(torch.log_softmax, x, axis)


@operator("Hardmax", since=13)
def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """ONNX Hardmax-13: 1 at the first of the largest elements, and 0 elsewhere."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)


@operator("Hardmax")
def hardmax_of_rows(x: Tensor, *, axis: int = 1) -> Tensor:
    """ONNX Hardmax-11: over all axes from ``axis`` on."""
    return _of_rows(lambda rows, along: hardmax(rows, axis=along), x, axis)


def _of_rows(function: Callable[[Tensor, int], Tensor], x: Tensor, axis: int) -> Tensor:
    rows = x.reshape(*x.shape[:axis], math.prod(x.shape[axis:]))
    return function(rows, -1).reshape(x.shape)
