"""Differences from ONNX Runtime are found and told by output."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import model

from facetscope.domain.errors import InputMismatchError, ModelUnreadableError
from facetscope.models.onnx import translate
from facetscope.models.parity import difference

node = helper.make_node
IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def two_outputs(shape=("n", 3, 8, 8)):
    return model(
        node("Relu", ["x"], ["y"]), node("Exp", ["x"], ["z"]), shape=shape, outputs=("y", "z")
    )


def outputs(file):
    translation = translate(file, IMAGES)
    return dict(zip(translation.outputs, translation.module(IMAGES), strict=True))


@pytest.mark.parametrize("batch", ["n", 1, 2, 3, 5])
def test_a_faithful_graph_differs_by_rounding(batch):
    """Files of a fixed batch size are run as often as needed, the last batch filled up."""
    file = two_outputs((batch, 3, 8, 8))
    parity = difference(file.SerializeToString(), IMAGES, outputs(file))
    assert parity.largest_relative < 1e-6
    assert parity.provider in {"CPUExecutionProvider", "CUDAExecutionProvider"}


def test_the_worst_output_is_named():
    """A reader of the report knows which output not to trust, and how little."""
    file = two_outputs()
    given = outputs(file)
    given["z"] = given["z"] + 0.5
    parity = difference(file.SerializeToString(), IMAGES, given)
    assert parity.output == "z"
    assert parity.largest_absolute == pytest.approx(0.5, abs=1e-5)
    assert parity.largest_relative == pytest.approx(0.5 / IMAGES.exp().max().item(), abs=1e-5)


def test_what_is_not_a_number_is_infinitely_wrong():
    """NaN must not pass for agreement."""
    file = two_outputs()
    given = outputs(file)
    given["y"] = given["y"] * torch.nan
    parity = difference(file.SerializeToString(), IMAGES, given)
    assert (parity.output, parity.largest_absolute) == ("y", np.inf)


def test_what_onnx_runtime_refuses_is_unreadable():
    """A graph without an oracle is reported as such."""
    with pytest.raises(ModelUnreadableError, match="ONNX Runtime"):
        difference(b"no model", IMAGES, {"y": IMAGES})


def test_a_batch_of_another_shape_is_a_mismatch():
    """The caller's mistake is told from the model's."""
    file = two_outputs().SerializeToString()
    with pytest.raises(InputMismatchError):
        difference(file, torch.zeros(1, 3, 9, 9), {"y": IMAGES})
