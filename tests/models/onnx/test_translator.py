"""A file becomes a graph that computes and differentiates what the file says."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from tests.assets import models
from tests.models.onnx.samples import SIDE, exported, model

from facetscope.models.onnx import load, translate

ARCHITECTURES = ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "densenet121"]
EXPORTERS = ["dynamo", "legacy"]

node = helper.make_node


def images(batch=3, side=SIDE, dtype=torch.float32):
    return torch.rand(batch, 3, side, side, dtype=dtype, generator=torch.Generator().manual_seed(1))


def reference(file, batch):
    """What ONNX Runtime gives for the first output."""
    session = onnxruntime.InferenceSession(
        file.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: batch.numpy()})[0])


def gradient(module, batch):
    """The gradient of a fixed weighting of the outputs."""
    given = batch.clone().requires_grad_()
    output = module(given)
    output = output[0] if isinstance(output, tuple) else output
    weights = torch.linspace(-1, 1, output.shape[1], dtype=output.dtype)
    return torch.autograd.grad((output * weights).sum(), given)[0]


def distance(given, expected):
    return ((given - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_keeps_its_outputs(export, architecture, exporter):
    """At a batch size other than the example's, as the module and ONNX Runtime both give them."""
    built, file = export(architecture, exporter)
    translation = translate(file, images(batch=2))
    (output,) = translation.module(images())
    assert distance(output, reference(file, images())) < 1e-5
    assert distance(output.double(), built(images().double())) < 1e-5


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_keeps_its_gradients(export, architecture, exporter):
    """To what the exporters round when they fold normalization into weights: 1e-7 of a weight.

    In single precision alone, ReLUs near zero flip and gradients differ by percents.
    """
    built, file = export(architecture, exporter)
    batch = images(dtype=torch.float64)
    translation = translate(file, batch[:1])
    assert distance(gradient(translation.module, batch), gradient(built, batch)) < 4e-7


@pytest.mark.parametrize("path", models("*.onnx"))
def test_a_real_file_agrees_with_onnx_runtime(path):
    """Real weights, stored in half precision, give the class scores that ONNX Runtime gives."""
    file = load(path)
    side = file.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    translation = translate(file, images(1, side))
    (scores,) = translation.module(images(2, side))
    assert distance(scores, reference(file, images(2, side))) < 1e-5
    assert "Cast" not in {value.kind for value in translation.values.values()}


@pytest.mark.parametrize("path", models("mobilenet*.onnx"))
def test_a_real_file_differentiates_as_its_differences(path):
    """The gradient is what small changes of the image do to a score."""
    batch = images(1, 128, torch.float64)
    module = translate(load(path), batch).module
    direction = gradient(module, batch)
    step = 1e-6 * direction / direction.norm()
    weights = torch.linspace(-1, 1, 1000, dtype=torch.float64)
    rise = ((module(batch + step)[0] - module(batch - step)[0]) * weights).sum() / 2e-6
    torch.testing.assert_close(rise, direction.norm(), rtol=1e-4, atol=0)


def test_every_value_can_be_addressed(export):
    """Each node on the way from the image has a value, of the shape that it computes."""
    _, file = export("resnet18", "dynamo")
    translation = translate(file, images())
    assert list(translation.values) == [step.output[0] for step in file.graph.node]
    value = translation.values["relu_2"]
    assert (value.kind, value.shape) == ("Relu", (-1, 64, 16, 16))
    assert value.node in translation.module.graph.nodes
    assert translation.outputs == (file.graph.output[0].name,)


@pytest.mark.parametrize(
    ("exporter", "path", "kind"),
    [("dynamo", "layer1.0.relu", "Relu"), ("legacy", "layer1.0.conv1", "Conv")],
)
def test_a_module_path_names_what_the_module_computed_last(export, exporter, path, kind):
    """Users know layers by the paths of their own code."""
    _, file = export("resnet18", exporter)
    values = translate(file, images()).values.values()
    (found,) = [value for value in values if path in value.aliases]
    assert found.kind == kind
    (block,) = [value for value in values if "layer1.0" in value.aliases]
    assert block.kind == "Relu"


def test_weights_and_constants_are_buffers(export):
    """Moving the module moves everything that it computes with."""
    _, file = export("mobilenet_v3_small", "legacy")
    module = translate(file, images()).module.to("meta")
    assert not list(module.parameters())
    (output,) = module(torch.empty(3, 3, SIDE, SIDE, device="meta"))
    assert output.is_meta


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_file_for_single_images_takes_batches(export, exporter):
    """A Reshape that spells the exported batch size out does not bind the graph to it."""
    built, _ = export("squeezenet1_1", exporter)
    file = onnx.load_model_from_string(
        exported(built.float(), dynamo=exporter == "dynamo", dynamic=False)
    )
    expected = built(images())
    built.double()
    (output,) = translate(file, images()).module(images())
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_a_literal_batch_in_a_reshape_is_freed():
    """The shape [1, 192] of a file for one image means one row for each image."""
    file = model(node("Reshape", ["x", "s"], ["y"]), shape=(1, 3, 8, 8), stored={"s": rows(1, 192)})
    (output,) = translate(file, images(side=8)).module(images(side=8))
    assert output.shape == (3, 192)


def rows(*numbers):
    return np.array(numbers, np.int64)


def test_sizes_follow_the_batch():
    """Shape arithmetic of a file holds for batches of any size, one included."""
    file = model(
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["y"]),
        stored={"zero": rows(0), "rest": rows(64, -1)},
    )
    module = translate(file, images(side=8)).module
    assert [module(images(n, side=8))[0].shape for n in (1, 4)] == [(1, 64, 3), (4, 64, 3)]


def test_a_constant_may_grow_with_the_batch():
    """Class tokens are expanded to the batch size before they meet the image."""
    file = model(
        node("Shape", ["x"], ["n"], end=1),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Expand", ["token", "to"], ["tokens"]),
        node("Concat", ["x", "tokens"], ["y"], axis=1),
        stored={"rest": rows(1, 8, 8), "token": np.ones((1, 1, 8, 8), np.float32)},
    )
    (output,) = translate(file, images(side=8)).module(images(4, side=8))
    assert output.shape == (4, 4, 8, 8)
    assert output[:, 3].eq(1).all()


def test_a_squeeze_of_all_axes_keeps_a_batch_of_one():
    """Only axes that have length 1 for every batch go."""
    file = model(node("Squeeze", ["x"], ["y"]), shape=("n", 3, 1, 1), opset=13)
    module = translate(file, images(side=1)).module
    assert module(images(1, side=1))[0].shape == (1, 3)


def test_a_squeeze_of_axes_in_an_attribute_is_free():
    """Before operator set 13 the axes were no input."""
    file = model(node("Squeeze", ["x"], ["y"], axes=[2]), shape=("n", 3, 1, 8), opset=11)
    translation = translate(file, torch.zeros(2, 3, 1, 8))
    assert (translation.batch, translation.values["y"].shape) == (None, (-1, 3, 8))


def test_single_precision_in_the_file_is_the_type_computed_in():
    """A cast on the way from the image does not make gradients coarser than was asked for."""
    file = model(node("Cast", ["x"], ["y"], to=TensorProto.FLOAT))
    (output,) = translate(file, images(side=8, dtype=torch.float64)).module(
        images(side=8, dtype=torch.float64)
    )
    assert output.dtype == torch.float64


@pytest.mark.parametrize("negative", [False, True])
def test_a_branch_that_every_image_takes_is_followed(negative):
    """Exporters leave conditions on sizes behind."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["x"], [kind])], name, [], [helper.make_empty_tensor_value_info(kind)]
        )
        for name, kind in (("then", "Neg"), ("else", "Relu"))
    }
    file = model(node("If", ["c"], ["y"], **branches), stored={"c": np.array(negative)})
    batch = images(side=8) - 0.5
    (output,) = translate(file, batch).module(batch)
    assert torch.equal(output, -batch if negative else batch.relu())


def test_functions_of_onnx_and_of_the_file_are_written_out():
    """Operators defined by others need no translation of their own."""
    twice = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 22)],
    )
    file = model(
        node("Twice", ["x"], ["t"], domain="own"),
        node("Shrink", ["t"], ["s"], lambd=1.0),
        node("ThresholdedRelu", ["s"], ["y"], alpha=1.5),
        functions=[twice],
        opset_imports=[helper.make_opsetid("", 22), helper.make_opsetid("own", 1)],
    )
    batch = images(side=8)
    translation = translate(file, batch)
    expected = torch.where(batch > 0.75, batch * 2, 0)
    assert torch.equal(translation.module(batch)[0], expected)
    assert translation.values["y"].kind == "ThresholdedRelu"


def test_an_output_that_no_pixel_changes_is_addressable_too():
    """Outputs are always among the values."""
    file = model(node("Relu", ["x"], ["y"]), outputs=("y", "c", "x"), stored={"c": rows(3)})
    translation = translate(file, images(side=8))
    assert set(translation.outputs) <= set(translation.values)
    assert torch.equal(translation.module(images(side=8))[1], torch.tensor([3]))
