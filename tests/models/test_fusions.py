"""What exporters spell out is computed by one call, with the same outputs and gradients."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.fused import ROUNDED, assert_same, fused
from tests.models.onnx.samples import model
from torch.nn import functional

from facetscope.models.fusions import attention, linear, normalization
from facetscope.models.network import Network
from facetscope.models.onnx import translate

node = helper.make_node
RANDOM = np.random.default_rng(0)
IMAGES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()


def scalars(**numbers):
    return {name: np.array(value, np.float32) for name, value in numbers.items()}


def chain(steps):
    """Nodes of operators of x and of each other: ``"m = Mul x a; y = Add m b"``."""
    split = [step.split() for step in steps.split("; ")]
    return [node(kind, inputs, [name]) for name, _, kind, *inputs in split]


CONSTANTS = scalars(
    half=0.5,
    one=1,
    two=2,
    three=3,
    six=6,
    zero=0,
    root=np.sqrt(2),
    inverse_root=np.sqrt(0.5),
    a=np.sqrt(2 / np.pi),
    b=0.044715,
    ab=0.044715 * np.sqrt(2 / np.pi),
    sixth=1 / 6,
    minus_three=-3,
)

SPELLINGS = [
    ("gelu", "d = Div x root; e = Erf d; p = Add e one; m = Mul x p; y = Mul m half"),
    ("gelu", "d = Mul inverse_root x; e = Erf d; p = Add one e; h = Mul half x; y = Mul p h"),
    ("gelu", "d = Div x root; e = Erf d; p = Add e one; g = Mul half p; y = Mul x g"),
    ("gelu", "d = Div x root; e = Erf d; h = Mul e half; p = Add h half; y = Mul p x"),
    ("gelu", "d = Div x root; e = Erf d; p = Add e one; m = Mul x p; y = Div m two"),
    (
        "gelu",
        (
            "c = Pow x three; s = Mul c b; i = Add x s; u = Mul i a; t = Tanh u; p = Add t one; "
            "h = Mul x half; y = Mul h p"
        ),
    ),
    (
        "gelu",
        (
            "q = Mul x x; c = Mul q x; s = Mul b c; i = Add s x; u = Mul a i; t = Tanh u; "
            "p = Add one t; m = Mul p x; y = Mul half m"
        ),
    ),
    (
        "gelu",
        (
            "q = Mul x x; s = Mul q ab; f = Add s a; u = Mul f x; t = Tanh u; p = Add one t; "
            "m = Mul p x; y = Mul half m"
        ),
    ),
    ("silu", "s = Sigmoid x; y = Mul x s"),
    ("silu", "s = Sigmoid x; y = Mul s x"),
    ("hardswish", "s = Add x three; c = Clip s zero six; m = Mul x c; y = Div m six"),
    ("hardswish", "s = Sub x minus_three; c = Clip s zero six; g = Mul c sixth; y = Mul g x"),
    ("hardswish", "s = Mul x sixth; h = Add s half; c = Clip h zero one; y = Mul x c"),
]
"""What is to be called, and the operators that come to it."""

NORMALIZED = [
    (
        "m = Mean x; d = Sub x m; q = Pow d two; v = Mean q; e = Add v epsilon; s = Sqrt e; "
        "n = Div d s; w = Mul n scale; y = Add w bias"
    ),
    (
        "m = Mean x; d = Sub x m; q = Mul d d; v = Mean q; e = Add epsilon v; s = Sqrt e; "
        "i = Reciprocal s; n = Mul d i; w = Mul scale n; y = Add bias w"
    ),
    (
        "m = Mean x; d = Sub x m; f = Sub x m; q = Pow f two; v = Mean q; e = Add v epsilon; "
        "s = Pow e half; y = Div d s"
    ),
    (
        "m = Mean x; d = Sub x m; q = Pow d two; v = Mean q; e = Add v epsilon; s = Sqrt e; "
        "n = Div d s; y = Mul n scale"
    ),
]
"""Spellings of layer normalization, where Mean is over the last axis."""

SCORES = {
    "scaled after": "p = MatMul x k; s = Div p root",
    "scaled before": "r = Mul x half; s = MatMul r k",
    "both scaled": "r = Mul x half; l = Mul k half; s = MatMul r l",
    "masked": "p = MatMul x k; r = Mul p half; s = Add r mask",
    "masked twice": "r = Mul x half; p = MatMul r k; n = Add mask p; s = Add n other",
}
"""Spellings of what the softmax of attention is applied to; k is the transposed x."""


def translated(file):
    return translate(file, IMAGES[:1])


@pytest.mark.parametrize(("function", "steps"), SPELLINGS)
def test_an_activation_is_one_call(function, steps):
    """One function is spelled in many ways, and each comes to the same call."""
    translation = translated(model(*chain(steps), stored=CONSTANTS))
    calls, reading = fused(translation)
    assert calls == [getattr(functional, function)]
    assert_same(reading, translation.module, IMAGES, ROUNDED)


def test_a_hard_sigmoid_gate_is_a_hard_swish():
    """As torch's exporter writes MobileNetV3."""
    gate = node("HardSigmoid", ["x"], ["g"], alpha=1 / 6, beta=0.5)
    translation = translated(model(gate, node("Mul", ["x", "g"], ["y"])))
    calls, reading = fused(translation)
    assert calls == [functional.hardswish]
    assert_same(reading, translation.module, IMAGES, ROUNDED)


@pytest.mark.parametrize(
    "steps",
    [
        "d = Div x root; e = Erf d; p = Add e one; m = Mul x p; y = Mul m one",
        "d = Div x two; e = Erf d; p = Add e one; m = Mul x p; y = Mul m half",
        "d = Neg x; s = Sigmoid d; y = Mul x s",
        "s = Add x two; c = Clip s zero six; m = Mul x c; y = Div m six",
    ],
)
def test_what_only_looks_alike_is_left_alone(steps):
    """Another constant is another function."""
    translation = translated(model(*chain(steps), stored=CONSTANTS))
    calls, reading = fused(translation)
    assert len(calls) == len(chain(steps))
    assert_same(reading, translation.module, IMAGES, 1e-12)


@pytest.mark.parametrize("steps", NORMALIZED)
def test_a_layer_normalization_is_one_call(steps):
    """Files below operator set 17 have no operator of that name."""
    nodes = chain(steps.replace("Mean", "ReduceMean"))
    for each in nodes:
        if each.op_type == "ReduceMean":
            each.attribute.append(helper.make_attribute("axes", [-1]))
    stored = CONSTANTS | scalars(epsilon=1e-5)
    stored |= {name: RANDOM.normal(size=8).astype(np.float32) for name in ("scale", "bias")}
    translation = translated(model(*nodes, stored=stored))
    calls, reading = fused(translation)
    assert calls == [normalization.normalize]
    assert_same(reading, translation.module, IMAGES, 1e-12)


@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES)
def test_attention_is_one_call(scores):
    """Its scores are never held for all tokens at once, and its scale may be anywhere."""
    stored = CONSTANTS | {
        "mask": RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32),
        "other": RANDOM.normal(size=(8, 8)).astype(np.float32),
    }
    file = model(
        node("Transpose", ["x"], ["k"], perm=[0, 1, 3, 2]),
        *chain(scores),
        node("Softmax", ["s"], ["w"], axis=-1),
        node("MatMul", ["w", "x"], ["y"]),
        stored=stored,
    )
    translation = translated(file)
    calls, reading = fused(translation)
    assert calls[1:] == [attention.attend]
    assert_same(reading, translation.module, IMAGES, 1e-12)


def test_attention_in_windows_is_one_call():
    """Swin masks scores by window, between two reshapes."""
    file = model(
        node("Reshape", ["x", "windows"], ["q"]),
        node("Transpose", ["q"], ["k"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "k"], ["p"]),
        node("Add", ["p", "bias"], ["b"]),
        node("Reshape", ["b", "unfolded"], ["u"]),
        node("Add", ["u", "mask"], ["m"]),
        node("Reshape", ["m", "folded"], ["s"]),
        node("Softmax", ["s"], ["w"], axis=-1),
        node("MatMul", ["w", "q"], ["a"]),
        node("Reshape", ["a", "image"], ["y"]),
        stored={
            "image": np.array([-1, 3, 8, 8]),
            "windows": np.array([-1, 3, 4, 4]),
            "unfolded": np.array([-1, 4, 3, 4, 4]),
            "folded": np.array([-1, 3, 4, 4]),
            "bias": RANDOM.normal(size=(1, 3, 4, 4)).astype(np.float32),
            "mask": RANDOM.normal(size=(1, 4, 1, 4, 4)).astype(np.float32),
        },
    )
    translation = translated(file)
    calls, reading = fused(translation)
    assert attention.attend in calls
    assert len(calls) == 4
    assert_same(reading, translation.module, IMAGES, 1e-12)


def test_a_token_that_attends_to_nothing_keeps_its_meaning():
    """A softmax of nothing is no number; the fused call would make it a zero."""
    mask = np.zeros((8, 8), np.float32)
    mask[0] = -np.inf
    file = model(
        node("Transpose", ["x"], ["k"], perm=[0, 1, 3, 2]),
        *chain("p = MatMul x k; s = Add p mask"),
        node("Softmax", ["s"], ["w"], axis=-1),
        node("MatMul", ["w", "x"], ["y"]),
        stored={"mask": mask},
    )
    _, reading = fused(translated(file))
    assert reading(IMAGES)[0][:, :, 0].isnan().all()


@pytest.mark.parametrize("order", [["m", "bias"], ["bias", "m"]])
def test_a_product_and_a_sum_are_a_linear_layer(order):
    """Exporters write them apart where the rows have more than one axis."""
    stored = {
        "weights": RANDOM.normal(size=(8, 5)).astype(np.float32),
        "bias": RANDOM.normal(size=5).astype(np.float32),
    }
    file = model(*chain("m = MatMul x weights"), node("Add", order, ["y"]), stored=stored)
    translation = translated(file)
    calls, reading = fused(translation)
    assert calls == [linear.apply_columns]
    assert_same(reading, translation.module, IMAGES, 1e-12)


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({"transB": 1}, functional.linear),
        ({}, linear.apply_columns),
        ({"transB": 1, "alpha": 2.0}, None),
    ],
)
def test_a_gemm_is_a_linear_layer(options, function):
    """Unless it scales."""
    shape = (5, 192) if "transB" in options else (192, 5)
    stored = {
        "weights": RANDOM.normal(size=shape).astype(np.float32),
        "bias": RANDOM.normal(size=5).astype(np.float32),
    }
    file = model(
        node("Flatten", ["x"], ["f"]),
        node("Gemm", ["f", "weights", "bias"], ["y"], **options),
        stored=stored,
    )
    translation = translated(file)
    calls, reading = fused(translation)
    assert (function in calls) is (function is not None)
    assert_same(reading, translation.module, IMAGES, 1e-12)


def test_picking_one_element_makes_a_view():
    """Queries, keys and values are three picks from one tensor."""
    file = model(node("Gather", ["x", "at"], ["y"], axis=1), stored={"at": np.array(-1)})
    translation = translated(file)
    calls, reading = fused(translation)
    assert calls == [torch.select]
    assert_same(reading, translation.module, IMAGES, 1e-12)


def test_identities_and_idle_casts_are_gone():
    """They hide what is around them from all other patterns."""
    file = model(
        node("Identity", ["x"], ["i"]),
        node("Cast", ["i"], ["c"], to=1),
        node("Sigmoid", ["c"], ["s"]),
        node("Dropout", ["s"], ["d"]),
        node("Mul", ["c", "d"], ["y"]),
    )
    translation = translated(file)
    calls, reading = fused(translation)
    assert calls == [functional.silu]
    assert_same(reading, translation.module, IMAGES, 1e-12)


def test_a_dropout_that_gives_its_mask_too_stays():
    """Of two outputs the first is taken, and of an image it would be its first row."""
    file = model(
        node("Dropout", ["x"], ["d", "mask"]),
        node("Sigmoid", ["d"], ["y"]),
    )
    translation = translated(file)
    _, reading = fused(translation)
    assert_same(reading, translation.module, IMAGES, 1e-12)


@pytest.mark.parametrize("name", ["d", "e", "p", "m"])
def test_an_inner_value_can_still_be_read(name):
    """A layer that a fusion would swallow is computed where it is asked for."""
    file = model(*chain(SPELLINGS[0][1]), stored=CONSTANTS, outputs=("y", name))
    translation = translated(file)
    calls, reading = fused(translation)
    assert functional.gelu not in calls
    for given, wanted in zip(reading(IMAGES), translation.module(IMAGES), strict=True):
        torch.testing.assert_close(given, wanted)


def test_an_inner_value_with_another_reader_is_computed_once():
    """Computing it again, within the fused call, would cost more than it saves."""
    steps = "s = Sigmoid x; z = Mul x s; y = Add z s"
    calls, _ = fused(translated(model(*chain(steps))))
    assert functional.silu not in calls


def test_a_relu_overwrites_what_nothing_else_reads():
    """As the original does; both values in memory would cost time."""
    kernels = {name: RANDOM.normal(size=(3, 3, 3, 3)).astype(np.float32) for name in ("k", "l")}
    nodes = chain("c = Conv x k; r = Relu c; f = Conv r l; y = Relu f")
    translation = translated(model(*nodes, stored=kernels, outputs=("y", "c")))
    found = Network(translation, torch.device("cpu"))
    last, both = found.reading(["y"]), found.reading(["y", "c"])
    assert_same(last, translation.module, IMAGES, 1e-12)
    for reading, count in ((last, 2), (both, 1)):
        assert [each.target for each in reading.part.graph.nodes].count(torch.relu_) == count
    torch.testing.assert_close(both(IMAGES), translation.module(IMAGES))


def masked_attention(shape=("n", 3, 8, 8)):
    return model(
        node("Transpose", ["x"], ["k"], perm=[0, 1, 3, 2]),
        *chain(SCORES["masked"]),
        node("Softmax", ["s"], ["w"], axis=-1),
        node("MatMul", ["w", "x"], ["y"]),
        shape=shape,
        stored=CONSTANTS | {"mask": RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32)},
    )


def test_a_fused_graph_computes_in_brain_floats():
    """What is fused follows autocast as its parts do, masks in single precision included."""
    images = IMAGES.float().requires_grad_()
    translation = translate(masked_attention(), images[:1].detach())
    found = Network(translation, torch.device("cpu"), autocast=True)
    (output,) = found.reading(translation.outputs)(images)
    (gradient,) = torch.autograd.grad(output.sum(), images)
    assert gradient.isfinite().all()
    (wanted,) = translation.module(images)
    assert 0 < (output - wanted).norm() / wanted.norm() < 0.05


def test_a_fused_graph_is_computed_group_by_group():
    """Files of one batch size are read by ``torch.vmap``, fused or not."""
    translation = translated(masked_attention(shape=(1, 3, 8, 8)))
    found = Network(translation, torch.device("cpu"))
    assert_same(
        found.reading(translation.outputs),
        lambda images: [torch.cat([translation.module(image[None])[0] for image in images])],
        IMAGES,
        1e-12,
    )
