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


@pytest.mark.parametrize("name", ["QDQ", "QOperator", "QOperator by channel, signed"])
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
