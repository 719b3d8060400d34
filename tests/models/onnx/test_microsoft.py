"""Operators that ONNX Runtime writes into files are what ONNX Runtime computes for them."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from tests.models.onnx.quantized import by_runtime
from tests.models.onnx.samples import model

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.channels import channel_axes
from facetscope.models.onnx import translate

RNG = np.random.default_rng(0)
IMAGE, TOKENS, ROWS = (2, 4, 6, 6), (2, 5, 8), (2, 8)


def node(kind, inputs, outputs=("y",), **settings):
    return helper.make_node(kind, inputs, list(outputs), domain="com.microsoft", **settings)


def real(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def levels(*shape, dtype=np.int8):
    return RNG.integers(-100, 100, shape).astype(dtype)


STORED = {
    "kernel": real(3, 4, 3, 3),
    "three": real(3),
    "matrix": real(8, 3),
    "turned": real(3, 8),
    "scale": np.abs(real(8)),
    "eight": real(8),
    "qkv": real(8, 24),
    "by head": real(24),
    "scores": real(1, 2, 5, 5),
    "tokens": real(1, 5, 8),
    "levels": levels(8, 3),
    "turned levels": levels(3, 8),
    "levels of three": levels(3, dtype=np.int32),
    "image levels": levels(1, 4, 6, 6),
    "mask": RNG.random((1, 4, 6, 6)) > 0.5,
    "s1": np.float32(0.03),
    "s2": np.float32(0.02),
    "s3": np.float32(0.041),
    "by column": np.array([0.01, 0.02, 0.015], np.float32),
    "z1": np.int8(3),
    "z2": np.int8(-5),
    "z3": np.int8(7),
    "s256": np.float32(1 / 256),
    "z128": np.int8(-128),
    "none": np.zeros(3, np.int8),
}
X, X2 = ("q", "s1", "z1"), ("q", "s2", "z2")
Y, Z = ("image levels", "s2", "z2"), ("s3", "z3")

REAL = {
    "a convolution": (IMAGE, node("FusedConv", ["x", "kernel", "three"], activation="Relu")),
    "a convolution and its shortcut": (
        IMAGE,
        node("FusedConv", ["x", "kernel"], ["z"]),
        node("FusedConv", ["x", "kernel", "three", "z"], activation="Relu", strides=[1, 1]),
    ),
    "a clipped convolution": (
        IMAGE,
        node("FusedConv", ["x", "kernel"], activation="Clip", activation_params=[-0.5, 2.0]),
    ),
    "a leaky convolution": (
        IMAGE,
        node("FusedConv", ["x", "kernel"], activation="LeakyRelu", activation_params=[0.2]),
    ),
    "a matrix and an activation": (
        ROWS,
        node("FusedGemm", ["x", "matrix", "three"], activation="LeakyRelu", activation_alpha=0.2),
    ),
    "a scaled matrix": (TOKENS, node("FusedMatMul", ["x", "turned"], transB=1, alpha=0.5)),
    "Gelu": (TOKENS, node("Gelu", ["x"])),
    "Gelu of a sum": (TOKENS, node("BiasGelu", ["x", "eight"])),
    "fast Gelu": (TOKENS, node("FastGelu", ["x"])),
    "fast Gelu of a sum": (TOKENS, node("FastGelu", ["x", "eight"])),
    "quick Gelu": (TOKENS, node("QuickGelu", ["x"], alpha=1.5)),
    "a normalized sum": (
        TOKENS,
        node("SkipLayerNormalization", ["x", "tokens", "scale", "eight"], epsilon=1e-5),
    ),
    "a normalized sum of three": (
        TOKENS,
        node("SkipLayerNormalization", ["x", "tokens", "scale", "", "eight"], epsilon=1e-5),
    ),
    "self-attention": (TOKENS, node("Attention", ["x", "qkv", "by head"], num_heads=2)),
    "causal self-attention": (
        TOKENS,
        node("Attention", ["x", "qkv", "by head"], num_heads=2, unidirectional=1),
    ),
    "attention": (
        TOKENS,
        node("MultiHeadAttention", ["x", "x", "x", "by head"], num_heads=2, scale=0.3),
    ),
    "attention with a bias of positions": (
        TOKENS,
        node("MultiHeadAttention", ["x", "x", "x", "", "", "scores"], num_heads=2),
    ),
}

QUANTIZED = {
    "a sum": (IMAGE, node("QLinearAdd", [*X, *Y, *Z])),
    "a product": (IMAGE, node("QLinearMul", [*X, *Y, *Z])),
    "Sigmoid": (IMAGE, node("QLinearSigmoid", [*X, *Z])),
    "LeakyRelu": (IMAGE, node("QLinearLeakyRelu", [*X, *Z], alpha=0.2)),
    "Softmax": (IMAGE, node("QLinearSoftmax", [*X, "s256", "z128"], axis=1, opset=13)),
    "Softmax of rows": (IMAGE, node("QLinearSoftmax", [*X, "s256", "z128"], axis=1, opset=12)),
    "the mean": (IMAGE, node("QLinearGlobalAveragePool", [*X, *Z])),
    "means of windows": (
        IMAGE,
        node("QLinearAveragePool", [*X, *Z], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    ),
    "a concatenation": (IMAGE, node("QLinearConcat", [*Z, *X, *X2], axis=1)),
    "a choice": (IMAGE, node("QLinearWhere", ["mask", *X, *Y, *Z])),
    "a matrix": (ROWS, node("QGemm", [*X, "levels", "s2", "z2", "levels of three", *Z])),
    "a matrix by column": (
        ROWS,
        node(
            "QGemm",
            [*X, "turned levels", "by column", "none", "levels of three", *Z],
            transB=1,
        ),
    ),
    "a matrix to real numbers": (ROWS, node("QGemm", [*X, "levels", "s2", "z2"])),
    "a product of matrices": (
        ROWS,
        node("MatMulIntegerToFloat", ["q", "levels", "s1", "by column", "z1", "", "three"]),
    ),
}


def translated(shape, *steps, outputs=("y",)):
    file = model(*steps, shape=("n", *shape[1:]), stored=STORED, outputs=outputs)
    del file.graph.output[:]
    file.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    file.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return file, translate(file, torch.zeros(shape))


def quantized_image():
    return helper.make_node("QuantizeLinear", ["x", "s1", "z1"], ["q"])


def image(shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", REAL)
def test_a_fused_operator_is_what_onnx_runtime_computes(name):
    """Files that its optimizer saved are read like those that were exported."""
    shape, *steps = REAL[name]
    file, translation = translated(shape, *steps)
    (given,) = translation.module(image(shape))
    torch.testing.assert_close(given, *by_runtime(file, image(shape)), rtol=1e-3, atol=1e-3)
    if "fast Gelu" not in name:
        torch.testing.assert_close(given, *by_runtime(file, image(shape)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", QUANTIZED)
def test_a_quantized_operator_is_what_onnx_runtime_computes(name):
    """To one level, of which most are equal."""
    shape, step = QUANTIZED[name]
    file, translation = translated(shape, quantized_image(), step)
    (given,) = translation.module(image(shape))
    (expected,) = by_runtime(file, image(shape))
    if expected.is_floating_point():
        torch.testing.assert_close(given, expected)
        return
    apart = (given - expected.float()).abs()
    assert apart.max() <= 1
    assert apart.mean() < 0.02
    assert expected.unique().numel() > 3


def test_a_sum_that_is_normalized_is_itself_a_result():
    """Transformers go on from it."""
    outputs = ["y", "", "", "sum"]
    step = node("SkipLayerNormalization", ["x", "tokens", "scale"], outputs, epsilon=1e-5)
    file, translation = translated(TOKENS, step, outputs=("y", "sum"))
    given = translation.module(image(TOKENS))
    torch.testing.assert_close(list(given), by_runtime(file, image(TOKENS)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "steps", "axis"),
    [
        (IMAGE, [REAL["a convolution"][1]], 1),
        (TOKENS, [REAL["a scaled matrix"][1]], 2),
        (TOKENS, [REAL["self-attention"][1]], 2),
        (IMAGE, [quantized_image(), QUANTIZED["a concatenation"][1]], 1),
        (IMAGE, [quantized_image(), QUANTIZED["the mean"][1]], 1),
        (ROWS, [quantized_image(), QUANTIZED["a matrix"][1]], 1),
    ],
)
def test_their_channels_are_found(shape, steps, axis):
    """Units are counted along the axis that the operator writes them to."""
    _, translation = translated(shape, *steps)
    assert channel_axes(translation.module.graph)[translation.values["y"].node] == axis


@pytest.mark.parametrize(
    ("step", "operator"),
    [
        (node("NhwcFusedConv", ["x", "kernel"]), "com.microsoft::NhwcFusedConv"),
        (node("FusedConv", ["x", "kernel"], activation="Sine"), "com.microsoft::FusedConv"),
        (node("QLinearSigmoid", [*X, *Z], alpha=1), "com.microsoft::QLinearSigmoid"),
        (
            node("QLinearGlobalAveragePool", [*X, *Z], channels_last=1),
            "com.microsoft::QLinearGlobalAveragePool",
        ),
        (
            helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft.nchwc"),
            "com.microsoft.nchwc::Relu",
        ),
    ],
)
def test_what_is_not_translated_is_refused_by_name(step, operator):
    """An operator of ONNX is not taken for one of another domain that has its name."""
    with pytest.raises(OperatorUnsupportedError) as caught:
        translated(IMAGE, quantized_image(), step)
    assert caught.value.operator == operator
