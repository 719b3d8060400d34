"""A file that cannot be translated is refused with the reason, and never gives a wrong number."""

import contextlib
import random

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from tests.models.onnx.samples import model

from facetscope.domain.errors import (
    InputMismatchError,
    InspectionError,
    ModelForbiddenError,
    ModelUnreadableError,
    OperatorUnsupportedError,
)
from facetscope.models.onnx import input_shape, load, translate

node = helper.make_node
IMAGES = torch.zeros(2, 3, 8, 8)
WEIGHTS = np.ones((4, 3, 3, 3), np.float32)


def refused(file, images=IMAGES):
    with pytest.raises(OperatorUnsupportedError) as caught:
        translate(file, images)
    return caught.value


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 an archive", "not ONNX"),
        (b"\x08\x07", "no graph"),
        (model(node("Relu", ["x"], ["y"]), outputs=()).SerializeToString(), "and outputs"),
    ],
)
def test_bytes_that_are_no_model_are_refused(tmp_path, stored, problem):
    """The message tells an empty upload from a file of another format."""
    path = tmp_path / "model.onnx"
    path.write_bytes(stored)
    with pytest.raises(ModelUnreadableError, match=problem):
        load(path)


def test_several_inputs_are_named():
    """A model of image and mask cannot be inspected, and the user learns which inputs there are."""
    file = model(node("Add", ["x", "mask"], ["y"]))
    file.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, None))
    with pytest.raises(ModelUnreadableError, match="x, mask"):
        translate(file, IMAGES)


def test_an_unknown_operator_is_named_with_its_node():
    """The user learns what to replace, and where."""
    error = refused(model(node("Foo", ["x"], ["y"], name="odd")))
    assert (error.node, error.operator) == ("odd", "ai.onnx::Foo-17")


def test_an_unknown_domain_is_named():
    """Operators of vendors have no public definition."""
    error = refused(model(node("Relu", ["x"], ["y"], domain="com.vendor")))
    assert (error.node, error.operator) == ("y", "com.vendor::Relu")


@pytest.mark.parametrize(
    "step",
    [
        node("Gelu", ["x"], ["y"], approximate="rough"),
        node("Relu", ["x"], ["y"], slope=2.0),
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SOMEHOW"),
        node("Reshape", ["x", "x"], ["y"]),
        node("Loop", ["x"], ["y"]),
        node("Conv", ["x", ""], ["y"]),
    ],
    ids=lambda step: step.op_type,
)
def test_an_unknown_setting_is_refused(step):
    """An attribute that is not understood is not passed over."""
    assert refused(model(step, opset=20)).node == "y"


@pytest.mark.parametrize("size", [2**30, 2**40])
def test_a_constant_that_would_fill_the_memory_is_refused(size):
    """A file of a hundred bytes may ask for terabytes."""
    file = model(
        node("ConstantOfShape", ["s"], ["huge"]),
        node("Add", ["x", "huge"], ["y"]),
        stored={"s": np.array([size])},
    )
    assert "elements" in refused(file).problem


def test_data_in_other_files_are_not_opened():
    """A path in a model must not read the server's files."""
    file = model(node("Conv", ["x", "w"], ["y"]), stored={"w": WEIGHTS})
    weights = file.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelForbiddenError):
        translate(file, IMAGES)


def test_a_wrong_image_is_told_from_a_wrong_model():
    """Four channels for a network of three is the caller's mistake."""
    file = model(node("Conv", ["x", "w"], ["y"]), stored={"w": WEIGHTS})
    with pytest.raises(InputMismatchError) as caught:
        translate(file, torch.zeros(2, 4, 8, 8))
    assert caught.value.asked == (2, 4, 8, 8)
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    "steps",
    [
        [node("Relu", ["nowhere"], ["y"])],
        [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])],
        [node("Relu", ["x"], ["z"])],
    ],
    ids=["unknown input", "same output twice", "output missing"],
)
def test_a_graph_that_contradicts_itself_is_refused(steps):
    """Such a file has no one meaning."""
    with pytest.raises(ModelUnreadableError):
        translate(model(*steps), IMAGES)


def test_a_function_that_calls_itself_is_refused():
    """Writing it out would not end."""
    own = helper.make_opsetid("own", 1)
    step = node("F", ["a"], ["b"], domain="own")
    file = model(
        node("F", ["x"], ["y"], domain="own"),
        functions=[helper.make_function("own", "F", ["a"], ["b"], [step], [own])],
        opset_imports=[helper.make_opsetid("", 17), own],
    )
    with pytest.raises(ModelUnreadableError, match="recursive"):
        translate(file, IMAGES)


@pytest.mark.parametrize("opset", [6, 99])
def test_an_operator_set_of_another_age_is_refused(opset):
    """The same names mean something else there."""
    with pytest.raises(ModelUnreadableError, match=str(opset)):
        translate(model(node("Relu", ["x"], ["y"]), opset=opset), IMAGES)


def test_what_a_file_declares_can_be_read():
    """Requests that leave the size out get the file's own."""
    assert input_shape(model(node("Relu", ["x"], ["y"]))) == (None, 3, 8, 8)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_refused_or_translated(tmp_path, seed):
    """Whatever bytes arrive, what is raised tells the caller what is wrong."""
    chance = random.Random(seed)
    file = model(
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "s"], ["y"]),
        stored={"w": WEIGHTS, "s": np.array([0, -1])},
    )
    stored = bytearray(file.SerializeToString())
    for _ in range(chance.choice([1, 3, 10])):
        stored[chance.choice([*range(200), *range(len(stored))]) % len(stored)] = chance.randrange(
            256
        )
    path = tmp_path / "model.onnx"
    path.write_bytes(stored[: chance.choice([len(stored), chance.randrange(len(stored))])])
    with contextlib.suppress(InspectionError):
        translate(load(path), IMAGES)
