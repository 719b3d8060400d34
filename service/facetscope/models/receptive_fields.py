"""Which part of the picture the elements of a layer depend on, found by following the graph.

Along an axis of the picture, element k of a layer depends on ``size`` pixels from the one at
``first + k * stride`` on, and on no others (Araujo, Norris & Sim 2019,
doi:10.23915/distill.00021). Convolutions and pooling widen the field, and branches that meet have
the union of theirs. What looks everywhere, or at places that are not evenly spaced, has none; nor
has what an operator without a rule here gives.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import getitem
from typing import Any, Final

import torch
from torch import fx

from facetscope.domain.units import ReceptiveField
from facetscope.models import normalizing
from facetscope.models.field_rules import (
    Fields,
    Rule,
    Span,
    Step,
    along_others,
    batch_normalized,
    blocked,
    convolved,
    mixing_channels,
    mixing_last,
    moved,
    multiplied,
    normalized,
    nowhere,
    padded,
    picked,
    pooled,
    pooled_evenly,
    reshaped,
    sliced,
    unbroken,
    united,
)
from facetscope.models.graph import shape_of
from facetscope.models.onnx import (
    casting,
    convolution,
    elementwise,
    indexing,
    integers,
    linear,
    microsoft,
    microsoft_quantized,
    normalization,
    pooling,
    quantization,
    reductions,
    shapes,
)

aten: Final = torch.ops.aten


def receptive_fields(module: fx.GraphModule) -> Mapping[fx.Node, Fields]:
    """The fields of each tensor that depends on the picture, by the node that computes it."""
    fields: dict[fx.Node, Fields] = {}
    for node in module.graph.nodes:
        if node.op == "placeholder":
            fields[node] = {axis: Span(axis) for axis in range(1, len(shape_of(node)))}
        elif node.op == "call_function" and "shape" in node.meta:
            (call, *_) = node.all_input_nodes if node.target is getitem else (node,)
            sources = [(shape_of(each), fields[each]) for each in _changing(call, fields)]
            if sources:
                fields[node] = _rule(call)(Step(call, shape_of(node), sources))
    return fields


def field_along(
    fields: Fields, picture: tuple[int, int], positions: Sequence[int]
) -> ReceptiveField | None:
    """The field of a layer's elements over height and width of the picture; None without one.

    Args:
        fields: Of the layer's tensor.
        picture: Axes of height and width in the network's input.
        positions: The layer's axes that are neither batch nor channel.
    """
    spans = [fields[axis] for axis in picture if axis in fields]
    if len(spans) != len(picture) or [span.axis for span in spans] != list(positions):
        return None
    height, width = spans
    return ReceptiveField(
        size=(height.size, width.size),
        stride=(height.stride, width.stride),
        offset=(height.first + (height.size - 1) / 2, width.first + (width.size - 1) / 2),
    )


def _changing(call: fx.Node, fields: Mapping[fx.Node, Fields]) -> list[fx.Node]:
    return [node for node in call.all_input_nodes if node in fields]


def _rule(call: fx.Node) -> Rule:
    return RULES.get(getattr(call.target, "overloadpacket", call.target), nowhere)


def _rules(rule: Rule, operators: Iterable[Callable[..., Any]]) -> dict[Callable[..., Any], Rule]:
    return dict.fromkeys(operators, rule)


def _aten(names: str) -> list[Callable[..., Any]]:
    return [getattr(aten, name) for name in names.split()]


RULES: Final[Mapping[Any, Rule]] = (
    _rules(
        united,
        [
            *_aten(
                "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid"
            ),
            *_aten(
                "mish prelu relu relu6 selu sigmoid silu softplus softshrink square tanh threshold"
            ),
            *_aten("dropout alpha_dropout feature_dropout feature_alpha_dropout"),
            *_aten(
                "abs acos add addcdiv addcmul asin atan atan2 ceil clamp clamp_max clamp_min clip"
            ),
            *_aten(
                "cos cosh div divide erf exp expm1 floor floor_divide fmod log log10 log1p log2"
            ),
            *_aten(
                "lerp maximum minimum mul multiply neg pow reciprocal remainder round rsqrt rsub"
            ),
            *_aten("sign sin sinh sqrt sub subtract tan true_divide trunc where masked_fill"),
            *_aten("__and__ __or__ __xor__ bitwise_and bitwise_not bitwise_or eq ge gt isnan le"),
            *_aten("logical_and logical_not logical_or logical_xor lt ne"),
            *_aten("alias broadcast_to cat clone concat contiguous detach expand expand_as repeat"),
            *_aten("tile to type_as"),
            *elementwise.UNARY.values(),
            *elementwise.BINARY.values(),
            casting.cast,
            casting.cast_like,
            elementwise.celu,
            elementwise.clip,
            elementwise.div,
            elementwise.dropout,
            elementwise.elu,
            elementwise.gelu,
            elementwise.hard_sigmoid,
            elementwise.identity,
            elementwise.is_inf,
            elementwise.leaky_relu,
            elementwise.maximum,
            elementwise.mean,
            elementwise.minimum,
            elementwise.mod,
            elementwise.power,
            elementwise.prelu,
            elementwise.selu,
            elementwise.swish,
            elementwise.total,
            elementwise.where,
            microsoft.bias_add,
            microsoft.bias_gelu,
            microsoft.fast_gelu,
            microsoft.gelu,
            microsoft.quick_gelu,
            microsoft_quantized.qlinear_add,
            microsoft_quantized.qlinear_concat,
            microsoft_quantized.qlinear_leaky_relu,
            microsoft_quantized.qlinear_mul,
            microsoft_quantized.qlinear_sigmoid,
            microsoft_quantized.qlinear_where,
            quantization.dequantize_linear,
            quantization.quantize_linear,
            shapes.concat,
            shapes.expand,
            shapes.tile,
        ],
    )
    | _rules(
        convolved,
        [
            *_aten("conv1d conv2d conv3d convolution"),
            convolution.conv,
            integers.conv_integer,
            integers.qlinear_conv,
            microsoft.fused_conv,
        ],
    )
    | _rules(
        pooled,
        [
            *_aten("avg_pool1d avg_pool2d max_pool1d max_pool2d max_pool2d_with_indices"),
            microsoft_quantized.qlinear_average_pool,
            pooling.average_pool,
            pooling.lp_pool,
            pooling.max_pool,
        ],
    )
    | _rules(pooled_evenly, _aten("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d"))
    | _rules(blocked, [*_aten("pixel_unshuffle"), shapes.space_to_depth])
    | _rules(padded, [*_aten("constant_pad_nd pad"), shapes.pad])
    | _rules(sliced, [*_aten("narrow slice"), indexing.slice_])
    | _rules(picked, [*_aten("index_select select unbind"), indexing.gather])
    | _rules(
        unbroken,
        [*_aten("chunk glu split split_with_sizes tensor_split"), shapes.split],
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
    | _rules(multiplied, [*_aten("matmul"), linear.matmul])
    | _rules(mixing_last, _aten("linear"))
    | _rules(
        mixing_channels, [*_aten("channel_shuffle"), normalization.local_response_normalization]
    )
    | _rules(
        normalized,
        [
            *_aten("layer_norm rms_norm"),
            normalization.layer_normalization,
            normalization.rms_normalization,
        ],
    )
    | _rules(
        along_others,
        [
            *_aten("log_softmax softmax"),
            normalization.log_softmax,
            normalization.lp_normalization,
            normalization.softmax,
        ],
    )
    | _rules(batch_normalized, [normalizing.batch_norm, normalization.batch_normalization])
)
"""The rules of operators by what the nodes of both translators call."""
