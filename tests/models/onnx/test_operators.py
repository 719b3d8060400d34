"""Every operator gives what the ONNX backend tests expect of it."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from facetscope.domain.errors import ModelError
from facetscope.models.onnx import translate
from facetscope.models.onnx.registry import OPERATORS

REFUSED = (
    "autopad_same",  # of a transposed convolution
    "batch_dim1",
    "batchnorm_epsilon_training_mode",
    "batchnorm_example_training_mode",
    "blocked",
    "convtranspose_kernel_shape",
    "convtranspose_output_shape",
    "empty_set",
    "not_larger",
    "not_smaller",
    "scatternd_m",
    "string",
    "tf_crop_and_resize",
    "uint16",
    "uint32",
    "uint64",
    "antialias",
)
"""Parts of the names of tests that may be refused; all others must be passed."""

DIFFERENT = {
    "test_celu_bfloat16",  # computed in single precision
    "test_resize_downsample_scales_cubic_align_corners",  # as ONNX Runtime and torch resize
    "test_resize_downsample_scales_linear_align_corners",
}
"""Tests that are not met on purpose."""

ONE_RESULT = {"Dropout", "LayerNormalization", "MaxPool"}
"""Operators of which the further results are not supported."""


def cases():
    """Tests of the registered operators whose inputs are tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    for case in collected:
        kinds = {(step.domain, step.op_type) for step in case.model.graph.node}
        opset = case.model.opset_import[0].version
        tensors = all(isinstance(value, np.ndarray) for value in case.data_sets[0][0])
        if kinds <= {("", name) for name in OPERATORS} and opset >= 7 and tensors:
            yield case


CASES = {case.name: case for case in cases() if case.name not in DIFFERENT}


def with_image(case):
    """The test's model, whose first input depends on an image without being changed by it."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, inputs = model.graph, case.data_sets[0][0]
    names, steps = [given.name for given in graph.input], list(graph.node)
    del graph.node[:], graph.input[:]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n"]))
    for name, value in zip(names, inputs, strict=False):
        graph.initializer.append(numpy_helper.from_array(value, name))
    if inputs and inputs[0].dtype == np.float32:
        graph.initializer[0].name += "_stored"
        graph.node.extend(nothing_of_the_image(names[0]))
    graph.node.extend(steps)
    if steps[0].op_type in ONE_RESULT:
        del graph.output[1:]
    return model


def nothing_of_the_image(name):
    """Nodes that add zero times the sum of the image to a stored tensor."""
    yield helper.make_node("Sub", ["image", "image"], ["zeros"])
    yield helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0)
    yield helper.make_node("Add", [f"{name}_stored", "zero"], [name])


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_operator_is_what_onnx_says_it_is(name):
    """Each result is right, or refused as a known gap; nothing is computed on a fixed device."""
    case = CASES[name]
    try:
        module = translate(with_image(case), torch.zeros(2)).module
    except ModelError:
        assert any(part in name for part in REFUSED)
        return
    for given, expected in zip(module(torch.ones(3)), case.data_sets[0][1], strict=False):
        assert given.shape == expected.shape
        atol = max(case.atol, 1e-6)
        np.testing.assert_allclose(
            given.numpy(), expected.astype(given.numpy().dtype), case.rtol, atol
        )
    module.to("meta")(torch.ones(3, device="meta"))
