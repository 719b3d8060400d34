"""Levels that a network expects are found in what it does first."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import model
from torch import nn

from facetscope.models import onnx, torchscript
from facetscope.models.scaling import from_graph

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
node = helper.make_node


class Scaled(nn.Module):
    """A network that scales its pictures itself."""

    def __init__(self, function):
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(self.function(images))


class Normalized(nn.Module):
    """A batch normalization that has seen pictures of such levels."""

    def __init__(self, mean, variance):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)
        self.norm.running_mean.fill_(mean)
        self.norm.running_var.fill_(variance)
        nn.init.normal_(self.norm.bias, 5)

    def forward(self, images):
        return self.conv(self.norm(images))


def high(translation):
    guesses = from_graph(translation.module)
    assert all(guess.values["low"] == 0 and guess.evidence for guess in guesses)
    return guesses[0].values["high"] if guesses else None


def high_of(module, path):
    torch.jit.trace(module.eval(), IMAGES).save(str(path / "model.pt"))
    return high(torchscript.translate(path / "model.pt", IMAGES))


@pytest.mark.parametrize(
    ("function", "white"),
    [
        pytest.param(lambda x: (x - MEAN) / STD, 1.0, id="torchvision"),
        pytest.param(lambda x: (x / 255 - MEAN) / STD, 255.0, id="torchvision-of-levels"),
        pytest.param(lambda x: x * 2 - 1, 1.0, id="tensorflow"),
        pytest.param(lambda x: x / 127.5 - 1, 255.0, id="tensorflow-of-levels"),
        pytest.param(lambda x: x - 255 * MEAN, 255.0, id="caffe"),
        pytest.param(lambda x: x / 255, 255.0, id="divided"),
        pytest.param(lambda x: (x / 255).to(torch.float32).mul_(1.0), 255.0, id="in-place"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).sub(128).permute(0, 3, 1, 2), 255.0),
        pytest.param(lambda x: x, None, id="nothing"),
        pytest.param(lambda x: x * 2, None, id="doubled"),
        pytest.param(lambda x: x * 0.5 + 0.1, None, id="of-normalized"),
        pytest.param(lambda x: (x - MEAN) / STD + x, None, id="beside-itself"),
        pytest.param(lambda x: x * 0, None, id="nought"),
        pytest.param(lambda x: x.abs() - 128, None, id="bent-before"),
    ],
)
def test_levels_of_traced_networks(tmp_path, function, white):
    """A second normalization on top of the network's own would show it what it never saw."""
    assert high_of(Scaled(function), tmp_path) == white


@pytest.mark.parametrize(
    ("mean", "variance", "white"),
    [(120.0, 4000.0, 255.0), (0.45, 0.06, 1.0), (0.0, 1.0, None), (0.1, 1.0, None)],
)
def test_statistics_of_training_say_what_training_saw(tmp_path, mean, variance, white):
    """Scale and offset behind them are learned, and say nothing of pictures."""
    assert high_of(Normalized(mean, variance), tmp_path) == white


@pytest.mark.parametrize(
    ("nodes", "stored", "white"),
    [
        ([node("Sub", ["x", "m"], ["a"])], {"m": 255 * MEAN}, 255.0),
        (
            [node("Sub", ["x", "m"], ["b"]), node("Div", ["b", "s"], ["a"])],
            {"m": MEAN, "s": STD},
            1.0,
        ),
        ([node("Cast", ["x"], ["b"], to=1), node("Mul", ["b", "s"], ["a"])], {"s": 1 / 255}, 255.0),
        (
            [node("BatchNormalization", ["x", "g", "o", "m", "v"], ["a"])],
            {"g": [2] * 3, "o": [9] * 3, "m": [0.4] * 3, "v": [0.05] * 3},
            1.0,
        ),
        ([node("Relu", ["x"], ["a"])], {}, None),
    ],
)
def test_levels_of_onnx_files(nodes, stored, white):
    """The same is found in the operators of the other format."""
    tensors = {name: np.asarray(value, np.float32) for name, value in stored.items()}
    file = model(*nodes, node("Relu", ["a"], ["y"]), stored=tensors)
    assert high(onnx.translate(file, IMAGES)) == white
