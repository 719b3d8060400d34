"""Quantized files compute what ONNX Runtime computes, and pass gradients as if not rounded."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tests.models.onnx.definitions import Definition
from tests.models.onnx.quantized import STATIC, Residual, batch, by_runtime, quantized
from tests.models.onnx.samples import SIDE, exported, model
from torch.fx.node import map_arg
from torch.nn import functional as F  # noqa: N812 (its usual name)

from facetscope.domain.units import ReceptiveField
from facetscope.models.network import Network
from facetscope.models.onnx import translate

node = helper.make_node
RNG = np.random.default_rng(0)
FILES = {**STATIC, "with ranges of each batch": {}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            made[name] = quantized(tmp_path_factory.mktemp("q"), Residual(), **FILES[name])
        return made[name]

    return make


def steps_apart(given, expected):
    """The largest difference of levels, and how many of them differ."""
    apart = (given - expected.to(given.dtype)).abs()
    return round(apart.max().item()), int((apart > 0.5).sum())


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("optimized", [False, True], ids=["as it is", "optimized"])
def test_each_operator_is_within_a_step_of_onnx_runtime(files, name, optimized):
    """Given the same inputs: half a level and a rounding error may go to either side."""
    file, images = files(name), batch(3, 0)
    translation = translate(file, images)
    runtime = by_runtime(file, images, list(translation.values), optimized=optimized)
    known = {
        value.node: right for value, right in zip(translation.values.values(), runtime, strict=True)
    }
    image = next(iter(translation.module.graph.nodes))

    def computed(source):
        if source is image:
            return images
        if source.op == "get_attr":
            return translation.module.get_buffer(source.target)
        return known[source].float() if source in known else again(source)

    def again(source):
        args, kwargs = map_arg((source.args, source.kwargs), computed)
        return source.target(*args, **kwargs)

    counted = 0
    for node_, right in known.items():
        given = again(node_)
        if right.is_floating_point():
            torch.testing.assert_close(given, right, rtol=1e-4, atol=1e-4)
        else:
            most, off = steps_apart(given, right)
            assert most <= 1
            assert off <= 1 + 0.001 * right.numel()
            counted += 1
    assert counted > 4


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("optimized", [False, True], ids=["as it is", "optimized"])
def test_a_quantized_file_gives_the_scores_of_onnx_runtime(files, name, optimized):
    """Through all layers, to one step of the scores; each is a 255th of their range or less."""
    file, images = files(name), batch(3, 0)
    translation = translate(file, images)
    (scores,) = translation.module(images)
    (expected,) = by_runtime(file, images, optimized=optimized)
    step = (expected.max() - expected.min()) / 255
    assert (scores - expected).abs().max() < 1.1 * step
    assert expected.std() > 10 * step


@pytest.mark.parametrize(
    "name",
    [
        "QDQ",
        "QDQ in 16 bits",
        "QDQ of ONNX Runtime's domain",
        "QOperator",
        "QOperator by channel, signed",
    ],
)
def test_the_gradient_is_that_of_the_slow_definition(files, name):
    """Rounding passes gradients on as they are, clipping only within the range."""
    images = (1.5 * batch(2, 0, torch.float64)).requires_grad_()
    weights = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(2, 10)
    scores = translate(files(name), images).module(images)[0]
    expected = Definition(files(name))(images)
    torch.testing.assert_close(scores, expected)
    (given,) = torch.autograd.grad((scores * weights).sum(), images)
    (right,) = torch.autograd.grad((expected * weights).sum(), images)
    torch.testing.assert_close(given, right)
    assert given.abs().flatten(1).amax(1).gt(1e-4).all()


def test_the_gradient_of_ranges_of_each_batch_is_that_of_their_definition():
    """The scale follows the largest and the least number, and its zero point counts as fixed."""
    weights = RNG.integers(-100, 100, (3, 4)).astype(np.int8)
    file = model(
        node("ReduceMean", ["x"], ["rows"], axes=[2, 3], keepdims=0),
        node("DynamicQuantizeLinear", ["rows"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "weights", "z"], ["sums"]),
        node("Cast", ["sums"], ["real"], to=TensorProto.FLOAT),
        node("Mul", ["real", "s"], ["y"]),
        stored={"weights": weights},
    )
    images = batch(4, 0, torch.float64)[..., :8, :8].requires_grad_()
    rows = images.mean((2, 3))
    least, largest = rows.min().clamp(max=0), rows.max().clamp(min=0)
    scale = (largest - least) / 255
    zero = torch.round(-least / scale).detach()
    scaled = rows / scale
    levels = scaled + (scaled.round() - scaled).detach()
    expected = levels.clamp(-zero, 255 - zero) @ torch.from_numpy(weights).double() * scale
    (given,) = translate(file, images.detach()).module(images)
    assert_same_gradient(given, expected, images)


@pytest.mark.parametrize(
    ("domain", "blocks", "along"),
    [("", 4, {"axis": 0, "block_size": 16}), ("com.microsoft", 1, {"axis": 1})],
    ids=["in blocks", "of ONNX Runtime's domain, by column"],
)
@pytest.mark.parametrize(
    ("kind", "limits"), [(TensorProto.INT4, (-8, 7)), (TensorProto.UINT4, (0, 15))]
)
def test_levels_of_four_bits_are_what_they_stand_for(kind, limits, domain, blocks, along):
    """As weights of large models are stored, beside an image on levels of the same type."""
    levels = RNG.integers(*limits, (64, 5), endpoint=True)
    scales = RNG.uniform(0.01, 0.1, (blocks, 5)).astype(np.float32)
    zeros = RNG.integers(*limits, (blocks, 5), endpoint=True)
    shape = scales.shape if blocks > 1 else (5,)
    file = model(
        node("ReduceMean", ["x", "channels"], ["m"], keepdims=0),
        node("Flatten", ["m"], ["rows"]),
        node("QuantizeLinear", ["rows", "scale", "zero"], ["q"], domain=domain),
        node("DequantizeLinear", ["q", "scale", "zero"], ["r"], domain=domain),
        node("DequantizeLinear", ["w", "ws", "wz"], ["v"], domain=domain, **along),
        node("MatMul", ["r", "v"], ["y"]),
        stored={"scale": np.float32(0.08), "ws": scales.reshape(shape), "channels": np.array([1])},
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )
    zero = sum(limits) // 2
    for name, stored in {"w": levels, "wz": zeros.reshape(shape), "zero": np.array(zero)}.items():
        file.graph.initializer.append(
            helper.make_tensor(name, kind, stored.shape, stored.flatten().tolist())
        )
    images = batch(2, 0, torch.float64)[..., :8, :8].requires_grad_()
    real = levels - zeros.repeat(64 // blocks, 0)
    real = real * scales.astype(np.float64).repeat(64 // blocks, 0)
    rows = torch.fake_quantize_per_tensor_affine(
        images.mean(1).flatten(1), float(np.float32(0.08)), zero, *limits
    )
    (given,) = translate(file, images.detach()).module(images)
    assert_same_gradient(given, rows @ torch.from_numpy(real), images)
    (runtime,) = by_runtime(file, images.detach().float())
    torch.testing.assert_close(given.detach().float(), runtime)


def assert_same_gradient(given, expected, images):
    """In outputs, too; and there is one."""
    torch.testing.assert_close(given, expected)
    weights = torch.linspace(-1, 1, given.numel(), dtype=given.dtype).reshape(given.shape)
    found, wanted = (
        torch.autograd.grad((each * weights).sum(), images)[0] for each in (given, expected)
    )
    torch.testing.assert_close(found, wanted)
    assert wanted.abs().max() > 0


@pytest.mark.parametrize("name", ["QDQ", "QOperator"])
def test_units_see_what_they_see_in_the_real_network(files, name):
    """Levels are computed from the same pixels as the numbers that they stand for."""

    def fields(file):
        network = Network(translate(file, batch(1, 0)), torch.device("cpu"))
        return {layer.receptive_field for layer in network.layers}

    real = onnx.load_model_from_string(exported(Residual().eval(), dynamo=False))
    pixel = ReceptiveField((1, 1), (1, 1), (0.0, 0.0))
    assert fields(files(name)) == fields(real) | {pixel}
    assert len(fields(real)) > 4


@pytest.mark.parametrize("optimized", [False, True], ids=["as it is", "optimized"])
def test_only_what_lies_between_two_levels_may_differ(optimized):
    """The mean of four levels often does, and rounding errors decide: no bound but a step holds."""
    file = model(
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["r"]),
        node("AveragePool", ["r"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        node("QuantizeLinear", ["m", "scale", "zero"], ["y"]),
        stored={"scale": np.float32(0.0113), "zero": np.uint8(119)},
        shape=("n", 3, SIDE, SIDE),
    )
    file.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    images = batch(3, 0)
    (given,) = translate(file, images).module(images)
    levels, expected = by_runtime(file, images, ["q", "y"], optimized=optimized)
    halfway = (F.avg_pool2d(levels.float(), 2) * 4) % 4 == 2
    apart = (given - expected.float()).abs()
    assert apart.max() <= 1
    assert not apart[~halfway].any()
    assert halfway.float().mean() > 0.1
