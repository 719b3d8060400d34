"""ONNX's own backend tests of the operators that models of images use."""

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from facetscope.models.onnx import translate
from facetscope.models.onnx.files import OLDEST_OPSET

HERE = Path(__file__).parent

OPERATORS = {
    name
    for line in (HERE / "vision_operators.txt").read_text().splitlines()
    if not line.startswith("#")
    for name in line.split()
}
"""The operators of models of images."""

NONCONFORMING = json.loads((HERE / "nonconforming.json").read_text())
"""Tests of outputs, and of gradients, that are not passed, with the reasons."""

FLOATS = (np.float32, np.float16)
"""Types that are computed in the type of the image."""


ROUNDING = {"float16": 2**-9, "bfloat16": 2**-6}
"""Two units in the last place of expected values that were computed in fewer bits."""


def steps_of(graph):
    """The nodes of a graph and of the graphs inside it."""
    for step in graph.node:
        yield step
        for attribute in step.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from steps_of(attribute.g)


def cases():
    """The tests in which nothing but such operators is used, on tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    for case in collected:
        used = {(step.domain, step.op_type) for step in steps_of(case.model.graph)}
        values = [*case.data_sets[0][0], *case.data_sets[0][1]]
        if used <= {("", name) for name in OPERATORS} and all(
            isinstance(value, (np.ndarray, np.generic, TensorProto)) for value in values
        ):
            yield case


def raised(case):
    """A test whose operators did not change up to the oldest supported operator set, at that."""
    version = case.model.opset_import[0]
    version.version = max(version.version, OLDEST_OPSET)
    return case


CASES = {case.name: raised(case) for case in cases()}


def inputs_of(case):
    """The values of a test's inputs."""
    return [array_from(value) for value in case.data_sets[0][0]]


def outputs_of(case):
    """The values that a test expects."""
    return [array_from(value) for value in case.data_sets[0][1]]


def is_like_an_image(value):
    """Whether a value can depend on an image: it is of floats, and has axes."""
    return value.dtype in FLOATS and value.ndim > 0


def array_from(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def with_image(case, which=0):
    """The test's model, whose input number ``which``, if of floats, is the first image of a batch.

    All other inputs are stored in the file.
    """
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, steps = model.graph, list(model.graph.node)
    names = [given.name for given in graph.input]
    del graph.node[:], graph.input[:]
    for at, (name, value) in enumerate(zip(names, inputs_of(case), strict=True)):
        if at == which and is_like_an_image(value):
            shape = ["n", *value.shape]
            graph.node.append(helper.make_node("Gather", ["image", "first"], [name], axis=0))
            graph.initializer.append(numpy_helper.from_array(np.array(0), "first"))
        else:
            graph.initializer.append(numpy_helper.from_array(value, name))
    if not graph.node:
        shape = ["n"]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))
    graph.node.extend(steps)
    return model


def image_of(case, which=0, dtype=torch.float32):
    """A batch of one image: what ``with_image`` takes to give what the test expects."""
    inputs = inputs_of(case)
    if len(inputs) <= which or not is_like_an_image(inputs[which]):
        return torch.zeros(1, dtype=dtype)
    return torch.from_numpy(inputs[which].copy()).to(dtype)[None]


def check(case):
    """Compare the outputs of the translated test with what the test expects."""
    image = image_of(case)
    module = translate(with_image(case), image).module
    for given, expected in zip(module(image), outputs_of(case), strict=True):
        assert given.shape == expected.shape
        np.testing.assert_allclose(
            given.numpy(),
            expected.astype(given.numpy().dtype),
            max(case.rtol, ROUNDING.get(expected.dtype.name, 0)),
            max(case.atol, 1e-6),
        )
    module.to("meta")(image.to("meta"))
