"""Files made for one batch size: what they compute for each image, for any number of images."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from tests.models.onnx.samples import model

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models.network import Network
from facetscope.models.onnx import input_shape, translate

node = helper.make_node
RNG = np.random.default_rng(0)
STORED = {
    "kernel": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "token": RNG.normal(size=(1, 1, 36)).astype(np.float32),
    "tokens": RNG.normal(size=(2, 1, 36)).astype(np.float32),
    "weights": RNG.normal(size=(4, 6)).astype(np.float32),
    "1": np.array([1]),
    "2": np.array([2]),
    "0": np.array([0]),
    "one": np.array([1.0], np.float32),
    "first": np.array(0),
    "zeroth": np.array(0),
    "1 4 36": np.array([1, 4, 36]),
    "2 4 36": np.array([2, 4, 36]),
}
CONV = node("Conv", ["x", "kernel"], ["conv"])
ROWS = node("Reshape", ["conv", "1 4 36"], ["rows"])
MEANS = node("ReduceMean", ["conv"], ["means"], axes=[2, 3], keepdims=0)
SCALED = node("Mul", ["s", "conv"], ["y"])
BOUND = {
    "a stored token joins the one image": [
        CONV,
        ROWS,
        node("Concat", ["token", "rows"], ["y"], axis=1),
    ],
    "the one image is picked": [
        CONV,
        node("Gather", ["conv", "first"], ["picked"], axis=0),
        node("Unsqueeze", ["picked", "0"], ["y"]),
    ],
    "the one image is cut out": [CONV, node("Slice", ["conv", "0", "1"], ["y"])],
    "the mean over the one image": [CONV, node("ReduceMean", ["conv"], ["y"], axes=[0])],
    "the one image loses its axis": [
        CONV,
        node("Squeeze", ["conv", "0"], ["picked"]),
        node("Unsqueeze", ["picked", "0"], ["y"]),
    ],
    "scaled by the greatest number": [
        CONV,
        node("ReduceMax", ["conv"], ["greatest"]),
        node("Div", ["conv", "greatest"], ["y"]),
    ],
    "a softmax along the one image": [CONV, node("Softmax", ["conv"], ["s"], axis=0), SCALED],
    "normalized with the one image": [CONV, node("MeanVarianceNormalization", ["conv"], ["y"])],
    "a running sum": [CONV, node("CumSum", ["conv", "zeroth"], ["y"])],
}


def network(file, images):
    return Network(translate(file, images), torch.device("cpu"))


def images(count=3, dtype=torch.float32):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=dtype)


def by_runtime(file, batches):
    """What ONNX Runtime gives for each batch, one after another."""
    session = onnxruntime.InferenceSession(
        file.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return torch.cat([torch.from_numpy(session.run(None, {name: b.numpy()})[0]) for b in batches])


@pytest.mark.parametrize("steps", BOUND.values(), ids=BOUND)
def test_a_file_for_one_image_takes_any_number(steps):
    """Each image is computed on its own, as it would be in deployment."""
    file = model(*steps, shape=(1, 3, 8, 8), stored=STORED)
    assert translate(file, images()).batch == 1
    (given,) = network(file, images()).reading(["y"])(images())
    torch.testing.assert_close(given, by_runtime(file, images().split(1)))


@pytest.mark.parametrize("steps", BOUND.values(), ids=BOUND)
def test_a_file_for_one_image_has_the_gradient_of_each(steps):
    """An image that is improved beside others is not disturbed by them."""
    file = model(*steps, shape=(1, 3, 8, 8), stored=STORED)
    batch = images(dtype=torch.float64).requires_grad_()
    reading = network(file, batch).reading(["y"])
    alone = translate(file, batch).module
    (given,) = torch.autograd.grad(reading(batch)[0].square().sum(), batch)
    sums = torch.stack([alone(each)[0].square().sum() for each in batch.split(1)])
    torch.testing.assert_close(given, *torch.autograd.grad(sums.sum(), batch))


def test_layers_of_a_file_for_one_image_are_layers():
    """Inner activations, channel axes and the code layer are as in any other file."""
    steps = [*BOUND["the mean over the one image"], MEANS]
    gemm = node("Gemm", ["means", "weights"], ["logits"])
    file = model(*steps, gemm, shape=(1, 3, 8, 8), stored=STORED, outputs=("logits", "y"))
    found = network(file, images())
    assert [(layer.name, layer.shape) for layer in found.layers] == [
        ("conv", (-1, 4, 6, 6)),
        ("y", (-1, 4, 6, 6)),
        ("means", (-1, 4)),
        ("logits", (-1, 6)),
    ]
    assert found.code_layer() == found.layer("means")
    conv, means = found.reading(["conv", "means"])(images())
    torch.testing.assert_close(means, conv.mean((2, 3)))


def test_a_file_for_one_image_stays_free_where_it_can():
    """One pass over many images is quicker than one pass each."""
    file = model(CONV, ROWS, node("Relu", ["rows"], ["y"]), shape=(1, 3, 8, 8), stored=STORED)
    assert translate(file, images()).batch is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_for_two_images_is_filled_up(count):
    """The last pair is made of the first image again, whose second result is dropped."""
    steps = [CONV, node("Reshape", ["conv", "2 4 36"], ["rows"])]
    joined = node("Concat", ["tokens", "rows"], ["y"], axis=1)
    file = model(*steps, joined, shape=(2, 3, 8, 8), stored=STORED)
    batch = images(count)
    assert translate(file, batch).batch == 2
    (given,) = network(file, batch).reading(["y"])(batch)
    pairs = images(count)[torch.arange(count + count % 2) % count].split(2)
    torch.testing.assert_close(given, by_runtime(file, pairs)[:count])


def test_a_file_that_only_claims_to_take_any_batch_takes_images_one_by_one():
    """Exporters that name the batch axis may still write its length into the graph."""
    file = model(CONV, ROWS, node("Concat", ["token", "rows"], ["y"], axis=1), stored=STORED)
    assert translate(file, images()).batch == 1
    (given,) = network(file, images()).reading(["y"])(images())
    torch.testing.assert_close(given, by_runtime(file, images().split(1)))


def test_what_fails_for_one_image_too_is_named():
    """The user is not told to change the batch size where that is not what is wrong."""
    steps = [*BOUND["the one image is picked"][:-1], node("Foo", ["picked"], ["y"], name="odd")]
    with pytest.raises(OperatorUnsupportedError) as caught:
        translate(model(*steps, shape=(1, 3, 8, 8), stored=STORED), images())
    assert (caught.value.node, caught.value.problem) == ("odd", "Foo is not supported")


LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
QUICK = {"light_shufflenet", "light_squeezenet"}


def filled(file):
    """A file whose weights are all alike, with random ones: only their shapes are stored."""
    rng = np.random.default_rng(0)
    shapes = {stored.name: numpy_helper.to_array(stored) for stored in file.graph.initializer}
    variances = {step.input[4] for step in file.graph.node if step.op_type == "BatchNormalization"}
    steps = list(file.graph.node)
    del file.graph.node[:]
    for step in steps:
        if step.op_type != "ConstantOfShape":
            file.graph.node.append(step)
            continue
        shape, name = shapes[step.input[0]], step.output[0]
        spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights = rng.uniform(0.5, 2, shape) if name in variances else rng.normal(0, spread, shape)
        file.graph.initializer.append(numpy_helper.from_array(np.float32(weights), name))
    return file


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow)
        for path in sorted(LIGHT.glob("*.onnx"))
    ],
)
def test_a_light_model_of_onnx_agrees_with_onnx_runtime(path):
    """They spell a batch of one out in their classifiers, and are freed or bound."""
    file = filled(onnx.load(path))
    shape = input_shape(file)
    batch = torch.randn(2, *shape[1:], generator=torch.Generator().manual_seed(0))
    found = network(file, batch)
    with torch.inference_mode():
        (given,) = found.reading(found.outputs)(batch)
    expected = by_runtime(file, batch.split(shape[0]))
    assert (given - expected).abs().max() < 2e-5 * expected.abs().max()
    batch = batch.double().requires_grad_()
    exact = network(file, batch)
    (gradient,) = torch.autograd.grad(exact.reading(exact.outputs)(batch)[0].max(), batch)
    assert gradient.isfinite().all()
    assert gradient.flatten(1).abs().amax(1).gt(0).any()
