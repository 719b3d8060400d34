"""Constants are counted while they are computed, before they fill the machine."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import model
from torch import nn

from facetscope.domain.errors import OperatorUnsupportedError
from facetscope.models import memory, onnx, torchscript

IMAGES = torch.zeros(1, 3, 8, 8)


class Piecemeal(nn.Module):
    def forward(self, x):
        total = x
        for _ in range(10):
            total = total + torch.zeros(1 << 18).sum()
        return total


def piecemeal_onnx(count):
    nodes = [helper.make_node("Relu", ["x"], ["y0"])]
    for index in range(count):
        nodes += [
            helper.make_node("ConstantOfShape", ["size"], [f"c{index}"]),
            helper.make_node("ReduceSum", [f"c{index}"], [f"s{index}"], keepdims=0),
            helper.make_node("Add", [f"y{index}", f"s{index}"], [f"y{index + 1}"]),
        ]
    return model(*nodes, outputs=(f"y{count}",), stored={"size": np.array([1 << 18])})


def test_many_constants_are_as_much_as_a_large_one(tmp_path, monkeypatch):
    """The cap on one tensor is not a cap on fifty thousand of them."""
    torch.jit.script(Piecemeal()).save(str(tmp_path / "model.pt"))
    torchscript.translate(tmp_path / "model.pt", IMAGES)
    onnx.translate(piecemeal_onnx(10), IMAGES)
    monkeypatch.setattr(memory, "MOST_BYTES", 5 * 2**20)
    problem = r"its constants take \d+ bytes in all, more than 5242880"
    with pytest.raises(OperatorUnsupportedError, match=f"zeros.*{problem}"):
        torchscript.translate(tmp_path / "model.pt", IMAGES)
    with pytest.raises(OperatorUnsupportedError, match=rf"ConstantOfShape.*{problem}"):
        onnx.translate(piecemeal_onnx(10), IMAGES)


class Enormous(nn.Module):
    def forward(self, x):
        return x + torch.zeros(1000000000000).sum()


def test_one_enormous_constant_is_refused_with_its_size_and_the_cap(tmp_path):
    """A hundred bytes of file are enough to ask for terabytes."""
    torch.jit.script(Enormous()).save(str(tmp_path / "model.pt"))
    problem = "1000000000000 elements, more than 268435456"
    with pytest.raises(OperatorUnsupportedError, match=problem):
        torchscript.translate(tmp_path / "model.pt", IMAGES)
    file = model(
        helper.make_node("ConstantOfShape", ["size"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
        stored={"size": np.array([10**12])},
    )
    with pytest.raises(OperatorUnsupportedError, match=problem):
        onnx.translate(file, IMAGES)


class Spread(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1).expand(10**12))

    def forward(self, x):
        return x * self.scale[0]


def test_a_stored_tensor_that_claims_more_than_it_has_is_refused(tmp_path):
    """A stride of 0 makes a thousand billion elements of one."""
    torch.jit.script(Spread()).save(str(tmp_path / "model.pt"))
    with pytest.raises(OperatorUnsupportedError, match="claims 1000000000000 elements"):
        torchscript.translate(tmp_path / "model.pt", IMAGES)


def test_views_of_what_is_counted_cost_nothing():
    """Weights are transposed, sliced and reshaped many times."""
    counted, weights = memory.Memory(), torch.zeros(1000)
    assert counted.excess([weights + 1], [weights]) == ""
    assert counted.taken == 4000
    counted.excess([weights[:10], weights.reshape(10, 100).t()], [weights])
    assert counted.taken == 4000
    counted.excess([weights.expand(3, 1000)], [weights])
    assert counted.taken == 16000
