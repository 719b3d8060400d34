"""Operators of ONNX Runtime's own domain that its optimizer writes in place of several of ONNX's.

Their definitions are in ``docs/ContribOperators.md`` of github.com/microsoft/onnxruntime.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.models.onnx.convolution import conv
from facetscope.models.onnx.linear import gemm
from facetscope.models.onnx.registry import UnsupportedValueError, operator

DOMAIN: Final = "com.microsoft"

ACTIVATIONS: Final[Mapping[str, Callable[..., Tensor]]] = {
    "": lambda x: x,
    "Clip": torch.clamp,
    "Elu": F.elu,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: torch.clamp(alpha * x + beta, 0, 1),
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
}
"""What may follow a fused product, called with its parameters in the file's order."""


@operator("FusedConv", domain=DOMAIN, ignored=("kernel_shape",))
def fused_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    added: Tensor | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    **placed: Any,
) -> Tensor:
    """A convolution, to which a tensor may be added before an activation."""
    y = conv(x, weight, bias, **placed)
    return _activated(y if added is None else y + added, activation, activation_params)


@operator("FusedGemm", domain=DOMAIN)
def fused_gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    **factors: Any,
) -> Tensor:
    """A Gemm before an activation."""
    given = [each for each in (activation_alpha, activation_beta) if each is not None]
    return _activated(gemm(a, b, c, **factors), activation, given)


@operator("FusedMatMul", domain=DOMAIN)
def fused_matmul(
    a: Tensor,
    b: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803 (ONNX Runtime's own name)
    transB: int = 0,  # noqa: N803
    transBatchA: int = 0,  # noqa: N803
    transBatchB: int = 0,  # noqa: N803
) -> Tensor:
    """A scaled product of matrices, of which either may be transposed."""
    if transBatchA or transBatchB:
        raise UnsupportedValueError("the first axis among those of the matrix is not supported")
    return alpha * torch.matmul(a.mT if transA else a, b.mT if transB else b)


@operator("Gelu", domain=DOMAIN)
def gelu(x: Tensor) -> Tensor:
    """Gaussian error linear unit: x · Φ(x)."""
    return F.gelu(x)


@operator("BiasGelu", domain=DOMAIN)
def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """Gelu of a sum."""
    return F.gelu(x + bias)


@operator("FastGelu", domain=DOMAIN)
def fast_gelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gelu of a sum, with Φ by way of a hyperbolic tangent."""
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=DOMAIN)
def quick_gelu(x: Tensor, *, alpha: float = 1.702) -> Tensor:
    """A cheaper Gelu: x · sigmoid(alpha · x)."""
    return x * torch.sigmoid(alpha * x)


@operator("BiasAdd", domain=DOMAIN)
def bias_add(x: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    """A sum of three."""
    return x + bias + skip


@operator("SkipLayerNormalization", domain=DOMAIN)
def skip_layer_normalization(
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Layer normalization of a sum, and the sum as fourth result.

    The second and third, mean and deviation, are those of the sum.
    """
    total = x + skip if bias is None else x + skip + bias
    normalized = F.layer_norm(total, scale.shape, scale, offset, epsilon)
    if outputs == 1:
        return normalized
    variance, mean = torch.var_mean(total, -1, correction=0, keepdim=True)
    return (normalized, mean, torch.rsqrt(variance + epsilon), total)[:outputs]


@operator("Attention", domain=DOMAIN, ignored=("mask_filter_value",))
def attention(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    *,
    num_heads: int,
    qkv_hidden_sizes: Sequence[int] | None = None,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> Tensor:
    """Self-attention of tokens, from the matrix that makes queries, keys and values of them."""
    packed = torch.matmul(x, weights)
    widths = qkv_hidden_sizes or [packed.shape[-1] // 3] * 3
    query, key, value = (packed if bias is None else packed + bias).split(list(widths), -1)
    return _attended(query, key, value, num_heads, scale=scale or None, causal=bool(unidirectional))


@operator("MultiHeadAttention", domain=DOMAIN, ignored=("mask_filter_value",))
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    _key_padding_mask: None = None,
    attention_bias: Tensor | None = None,
    *,
    num_heads: int,
    scale: float = 0.0,
    unidirectional: int = 0,
) -> Tensor:
    """Attention of queries [N, T, C] to keys and values of the same form."""
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise UnsupportedValueError("keys and values that are packed are not supported")
    if bias is not None:
        width = query.shape[-1]
        offsets = bias.split([width, width, bias.shape[0] - 2 * width])
        query, key, value = query + offsets[0], key + offsets[1], value + offsets[2]
    return _attended(
        query,
        key,
        value,
        num_heads,
        scale=scale or None,
        causal=bool(unidirectional),
        added=attention_bias,
    )


def _activated(x: Tensor, activation: str, parameters: Sequence[float]) -> Tensor:
    if activation not in ACTIVATIONS:
        raise UnsupportedValueError(f"activation {activation!r} is not supported")
    return ACTIVATIONS[activation](x, *parameters)


def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    *,
    scale: float | None,
    causal: bool,
    added: Tensor | None = None,
) -> Tensor:
    """Attention of several heads, side by side along the last axis."""
    found = F.scaled_dot_product_attention(
        _by_head(query, heads),
        _by_head(key, heads),
        _by_head(value, heads),
        added,
        is_causal=causal,
        scale=scale,
    )
    return found.transpose(1, 2).flatten(2)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """[N, T, heads · C] as [N, heads, T, C]."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).transpose(1, 2)
