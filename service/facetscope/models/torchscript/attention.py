"""Attention as torch fuses it for inference, in parts that can be differentiated.

A trace or script that was made in evaluation mode has ``aten::_native_multi_head_attention`` and
``aten::_transformer_encoder_layer_fwd``, which have no gradient.
"""

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from facetscope.models.torchscript.calls import Call
from facetscope.models.torchscript.tape import Tape
from facetscope.models.torchscript.tracing import UntranslatableError

OF_TOKENS, OF_KEYS, WHOLE = range(3)
"""What a mask is of, as ``mask_type`` says: [query, key], [batch, key], or all four axes."""

PROJECTIONS: Final = ("qkv_weight", "qkv_bias", "proj_weight", "proj_bias")
LAYER: Final = (
    *("norm_weight_1", "norm_bias_1", "norm_weight_2", "norm_bias_2"),
    *("ffn_weight_1", "ffn_bias_1", "ffn_weight_2", "ffn_bias_2"),
)


def self_attention(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    heads: int,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """Multi-head attention of ``x``, [batch, token, channel], to itself.

    Args:
        x: Tokens.
        qkv_weight: Projections to queries, keys and values, one below the other.
        qkv_bias: Their biases.
        weight: Projection of what the heads give.
        bias: Its bias.
        heads: How many heads there are.
        mask: Nonzero where a query does not see a key.
        mask_type: ``OF_TOKENS``, ``OF_KEYS`` or ``WHOLE``.
    """
    query, key, value = _heads(x, qkv_weight, qkv_bias, heads)
    seen = None if mask is None else ~_hidden(mask, mask_type)
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    return functional.linear(attended.transpose(1, 2).flatten(2), weight, bias)


def attention_weights(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    *,
    heads: int,
    average: bool,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """How much each token of ``x`` attends to each, [batch, head, query, key] or their average."""
    query, key, _ = _heads(x, qkv_weight, qkv_bias, heads)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(_hidden(mask, mask_type), float("-inf"))
    weights: Tensor = scores.softmax(-1)
    return weights.mean(1) if average else weights


def encoder_layer(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    weight: Tensor,
    bias: Tensor,
    *layer: Tensor,
    heads: int,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """What ``torch.nn.TransformerEncoderLayer`` makes of ``x``, [batch, token, channel].

    Args:
        x: Tokens.
        qkv_weight: As of ``self_attention``, and so are the next three.
        qkv_bias: Likewise.
        weight: Likewise.
        bias: Likewise.
        *layer: Weights and biases of its two normalizations, then of its two linear maps.
        heads: How many heads there are.
        use_gelu: Whether GELU stands between the linear maps, and not ReLU.
        norm_first: Whether normalization comes before attention and linear maps.
        eps: What keeps normalization from dividing by zero.
        mask: As of ``self_attention``.
        mask_type: As of ``self_attention``.
    """
    scale_1, shift_1, scale_2, shift_2, widen, widen_bias, narrow, narrow_bias = layer
    activation = functional.gelu if use_gelu else functional.relu

    def attend(tokens: Tensor) -> Tensor:
        return self_attention(
            tokens,
            *(qkv_weight, qkv_bias, weight, bias),
            heads=heads,
            mask=mask,
            mask_type=mask_type,
        )

    def transform(tokens: Tensor) -> Tensor:
        wide = activation(functional.linear(tokens, widen, widen_bias))
        return functional.linear(wide, narrow, narrow_bias)

    def norm_1(tokens: Tensor) -> Tensor:
        return functional.layer_norm(tokens, scale_1.shape, scale_1, shift_1, eps)

    def norm_2(tokens: Tensor) -> Tensor:
        return functional.layer_norm(tokens, scale_2.shape, scale_2, shift_2, eps)

    if norm_first:
        x = x + attend(norm_1(x))
        return x + transform(norm_2(x))
    x = norm_1(x + attend(x))
    return norm_2(x + transform(x))


def record_attention(tape: Tape, call: Call) -> tuple[Any, Any]:
    """Write down ``aten::_native_multi_head_attention``: what it gives, and the weights if asked.

    Raises:
        UntranslatableError: It is not from tokens to themselves.
    """
    given = call.arguments
    if not given["query"] is given["key"] is given["value"]:
        raise UntranslatableError("only self-attention is translated")
    masked = {"heads": given["num_head"], **_mask(given)}
    positional = [given["query"], *(given[name] for name in PROJECTIONS)]
    result = _record(tape, call, self_attention, positional, masked)
    if not given["need_weights"]:
        return result, None
    average = {"average": given["average_attn_weights"]}
    return result, _record(tape, call, attention_weights, positional[:3], masked | average)


def record_encoder_layer(tape: Tape, call: Call) -> Any:
    """Write down ``aten::_transformer_encoder_layer_fwd``."""
    given = call.arguments
    options = {name: given[name] for name in ("use_gelu", "norm_first", "eps")}
    return _record(
        tape,
        call,
        encoder_layer,
        [given["src"], *(given[name] for name in (*PROJECTIONS, *LAYER))],
        {"heads": given["num_heads"], **options, **_mask(given)},
    )


def _record(
    tape: Tape, call: Call, function: Any, positional: list[Any], options: dict[str, Any]
) -> Any:
    kind = function.__name__
    name = tape.names.operator(call.path, kind)
    return tape.record(function, positional, options, name=name, kind=kind)


def _mask(given: dict[str, Any]) -> dict[str, Any]:
    if given["mask"] is None:
        return {}
    return {"mask": given["mask"], "mask_type": given["mask_type"]}


def _heads(x: Tensor, qkv_weight: Tensor, qkv_bias: Tensor, heads: int) -> Tensor:
    """Queries, keys and values, each [batch, head, token, channel of the head]."""
    qkv: Tensor = functional.linear(x, qkv_weight, qkv_bias).unflatten(-1, (3, heads, -1))
    return qkv.permute(2, 0, 3, 1, 4)


def _hidden(mask: Tensor, mask_type: int | None) -> Tensor:
    """Where a query does not see a key, for all [batch, head, query, key]."""
    hidden = mask.to(torch.bool)
    if mask_type == OF_KEYS:
        return hidden[:, None, None, :]
    return hidden
