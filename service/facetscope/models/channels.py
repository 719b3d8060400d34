"""Which axis of a layer counts its channels, found by following the graph from the image.

Some operators define the axis (a convolution writes its channels behind the batch), some move it,
and most hand it on. Where none of them tells, the usual order of axes decides.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from operator import getitem
from typing import Any, Final

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from facetscope.models import normalizing
from facetscope.models.graph import shape_of
from facetscope.models.onnx import (
    convolution,
    indexing,
    integers,
    linear,
    microsoft,
    microsoft_quantized,
    normalization,
    pooling,
    reductions,
    sampling,
    shapes,
)
from facetscope.models.torchscript.attention import encoder_layer, self_attention

aten: Final = torch.ops.aten

USUAL: Final[Mapping[int, int]] = {2: 1, 3: 2, 4: 1}
"""The channel axis by rank: [N, C], tokens [N, T, C], [N, C, H, W]."""

LABEL: Final = 8
"""Length of the first axis of a tensor whose axes are told apart by their lengths."""


@dataclass(frozen=True, slots=True)
class Step:
    """The making of one tensor.

    Attributes:
        call: The node that calls the operator.
        shape: Shape of the tensor.
        axes: Channel axes of the tensors before it, where they are known.
    """

    call: fx.Node
    shape: tuple[int, ...]
    axes: Mapping[fx.Node, int]

    @property
    def sources(self) -> list[tuple[tuple[int, ...], int]]:
        """Shape and channel axis of each input whose axis is known."""
        known = [node for node in self.call.all_input_nodes if node in self.axes]
        return [(shape_of(node), self.axes[node]) for node in known]


Rule = Callable[[Step], int | None]
"""Where an operator puts the channels; None where it does not tell."""


def channel_axes(graph: fx.Graph) -> Mapping[fx.Node, int]:
    """The channel axis of each tensor of 2 to 4 axes, by the node that computes it."""
    tensors = [node for node in graph.nodes if "shape" in node.meta]
    axes: dict[fx.Node, int] = {}
    for node in tensors:
        axis = _axis(node, axes) if node.op == "call_function" else None
        if axis is not None:
            axes[node] = axis
    ranks = {node: len(shape_of(node)) for node in tensors}
    return {node: axes.get(node, USUAL[rank]) for node, rank in ranks.items() if rank in USUAL}


def _axis(node: fx.Node, axes: Mapping[fx.Node, int]) -> int | None:
    """Where the operator that ``node`` is a result of puts the channels."""
    (call, *_) = node.all_input_nodes if node.target is getitem else (node,)
    operator = getattr(call.target, "overloadpacket", call.target)
    return RULES.get(operator, handed_on)(Step(call, shape_of(node), axes))


def first(_: Step) -> int:
    """Behind the batch, as in images."""
    return 1


def last(step: Step) -> int:
    """At the end, as in the rows that a matrix is applied to."""
    return len(step.shape) - 1


def unknown(_: Step) -> None:
    """Not told."""


def handed_on(step: Step) -> int | None:
    """Where an input has as many channels: the rule of all operators without one of their own."""
    for shape, axis in step.sources:
        if len(shape) == len(step.shape) and shape[axis] == step.shape[axis]:
            return axis
    return None


def resized(step: Step) -> int | None:
    """Where an input has channels, though of another number perhaps."""
    return next((axis for shape, axis in step.sources if len(shape) == len(step.shape)), None)


def reshaped(step: Step) -> int | None:
    """Where there are as many channels, with as many elements from one to the next."""
    for shape, axis in step.sources:
        for at in range(1, len(step.shape)):
            distances = prod(shape[axis + 1 :]), prod(step.shape[at + 1 :])
            if shape[axis] == step.shape[at] and distances[0] == distances[1]:
                return at
    return None


def moved(step: Step) -> int | None:
    """Where the operator itself moves the axis, of a tensor with another length along each axis."""
    if len(step.call.all_input_nodes) != 1 or not step.sources:
        return handed_on(step)
    ((shape, axis),) = step.sources
    labels = torch.empty([LABEL + at for at in range(len(shape))], device="meta")
    operator: Any = step.call.target
    args: Any
    kwargs: Any
    args, kwargs = map_arg((step.call.args, step.call.kwargs), lambda _: labels)
    results = tree_leaves(operator(*args, **kwargs))
    lengths = list(results[0].shape)
    if LABEL + axis in lengths:
        return lengths.index(LABEL + axis)
    return axis if len(lengths) == len(shape) else None


def picked(step: Step) -> int | None:
    """One axis further to the front where one before it is gone, of which an element is taken."""
    at = step.call.kwargs.get("axis", step.call.args[1])
    for shape, axis in step.sources:
        if len(shape) == len(step.shape):
            return axis
        if isinstance(at, int) and at % len(shape) != axis:
            return axis - (at % len(shape) < axis)
    return None


def multiplied(step: Step) -> int | None:
    """Where the right matrix has it along its rows, or the left one along its columns.

    Of weights, both are channels.
    """
    left, right, *_ = step.call.args
    return _of_product(step, left, right)


def multiplied_levels(step: Step) -> int | None:
    """The same, of matrices that are each followed by scale and zero point."""
    left, _, _, right, *_ = step.call.args
    return _of_product(step, left, right)


def _of_product(step: Step, left: Any, right: Any) -> int | None:
    if _has_channels(right, -1, step.axes):
        return len(step.shape) - 1
    return len(step.shape) - 2 if _has_channels(left, -2, step.axes) else None


def _has_channels(matrix: Any, at: int, axes: Mapping[fx.Node, int]) -> bool:
    if matrix.op == "get_attr":
        return True
    return matrix in axes and axes[matrix] == len(shape_of(matrix)) + at


def normalized(step: Step) -> int | None:
    """At the end if just the last axis is normalized, and otherwise as before."""
    lengths: Any = step.call.args[1]
    axis: Any = step.call.kwargs.get("axis", -1)
    axes = len(lengths) if isinstance(lengths, list) else -axis % len(step.shape)
    return last(step) if axes == 1 else handed_on(step)


def _rules(rule: Rule, operators: Iterable[Callable[..., Any]]) -> dict[Callable[..., Any], Rule]:
    return dict.fromkeys(operators, rule)


def _aten(names: str) -> list[Callable[..., Any]]:
    return [getattr(aten, name) for name in names.split()]


RULES: Final[Mapping[Any, Rule]] = (
    _rules(
        first,
        [
            *_aten("conv1d conv2d conv3d conv_transpose1d conv_transpose2d convolution"),
            *_aten("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d"),
            *_aten("avg_pool1d avg_pool2d max_pool1d max_pool2d max_pool2d_with_indices"),
            *_aten("group_norm"),
            *_aten("channel_shuffle pixel_shuffle pixel_unshuffle im2col col2im grid_sampler"),
            convolution.col2im,
            convolution.conv,
            convolution.conv_transpose,
            integers.conv_integer,
            integers.qlinear_conv,
            microsoft.fused_conv,
            microsoft_quantized.qlinear_average_pool,
            microsoft_quantized.qlinear_global_average_pool,
            normalizing.batch_norm,
            normalizing.instance_norm,
            normalization.batch_normalization,
            normalization.group_normalization,
            normalization.group_normalization_by_group,
            normalization.instance_normalization,
            normalization.local_response_normalization,
            pooling.average_pool,
            pooling.global_average_pool,
            pooling.global_lp_pool,
            pooling.global_max_pool,
            pooling.lp_pool,
            pooling.max_pool,
            pooling.max_unpool,
            sampling.deform_conv,
            sampling.grid_sample,
            sampling.roi_align,
            sampling.roi_align_from_corners,
            shapes.depth_to_space,
            shapes.space_to_depth,
        ],
    )
    | _rules(
        last,
        [
            *_aten("addmm bilinear linear"),
            linear.gemm,
            microsoft.attention,
            microsoft.fused_gemm,
            microsoft.multi_head_attention,
            microsoft.skip_layer_normalization,
            microsoft_quantized.qgemm,
            encoder_layer,
            self_attention,
        ],
    )
    | _rules(
        multiplied,
        [
            *_aten("bmm matmul mm"),
            integers.matmul_integer,
            linear.matmul,
            microsoft.fused_matmul,
            microsoft_quantized.matmul_integer_to_float,
        ],
    )
    | _rules(multiplied_levels, [integers.qlinear_matmul])
    | _rules(
        normalized,
        [
            *_aten("layer_norm rms_norm"),
            normalization.layer_normalization,
            normalization.rms_normalization,
        ],
    )
    | _rules(
        moved,
        [
            *_aten("movedim permute swapaxes swapdims t transpose"),
            *_aten("all amax amin any argmax argmin frobenius_norm linalg_vector_norm logsumexp"),
            *_aten("max mean median min norm prod std std_mean sum var var_mean"),
            reductions.arg_max,
            reductions.arg_min,
            reductions.reduce_l1,
            reductions.reduce_l2,
            reductions.reduce_log_sum,
            reductions.reduce_log_sum_exp,
            reductions.reduce_max,
            reductions.reduce_mean,
            reductions.reduce_min,
            reductions.reduce_prod,
            reductions.reduce_sum,
            reductions.reduce_sum_square,
            shapes.transpose,
        ],
    )
    | _rules(
        reshaped,
        [
            *_aten("flatten reshape reshape_as squeeze unflatten unsqueeze view view_as"),
            shapes.flatten,
            shapes.reshape,
            shapes.squeeze,
            shapes.unsqueeze,
        ],
    )
    | _rules(picked, [*_aten("select unbind"), indexing.gather])
    | _rules(
        resized,
        [
            *_aten("cat chunk concat hstack split split_with_sizes tensor_split vstack"),
            *_aten("constant_pad_nd glu index_select narrow pad repeat slice tile topk"),
            indexing.compress,
            indexing.slice_,
            microsoft_quantized.qlinear_concat,
            reductions.top_k,
            shapes.concat,
            shapes.pad,
            shapes.split,
            shapes.tile,
        ],
    )
    | _rules(
        unknown,
        [*_aten("baddbmm einsum"), indexing.gather_nd, indexing.one_hot, linear.einsum],
    )
)
"""The rules of operators by what the nodes of both translators call."""
