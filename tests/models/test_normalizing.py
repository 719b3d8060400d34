"""Normalizations in every format, differentiated for one image and for two."""

import io

import onnx
import pytest
import torch
from onnx import helper
from tests.models.exported_program.samples import exported
from tests.models.onnx.samples import model
from torch import Tensor, nn

from facetscope.models import normalizing
from facetscope.models.files import open_model
from facetscope.models.onnx import translate as translate_onnx

STEP = 1e-6
CHANNELS = 3


class Tokens(nn.Module):
    """A normalization, its positions as tokens behind a class token, and all but that token."""

    def __init__(self, normalization):
        super().__init__()
        self.normalization = normalization
        self.token = nn.Parameter(torch.zeros(1, 1, CHANNELS))

    def forward(self, images):
        tokens = self.normalization(images).flatten(2).transpose(1, 2)
        joined = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1)
        return (joined * joined.sigmoid())[:, 1:]


NORMALIZATIONS = {
    "batch": lambda: nn.BatchNorm2d(CHANNELS),
    "batch, without weights": lambda: nn.BatchNorm2d(CHANNELS, affine=False),
    "instance": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "instance, by running statistics": lambda: nn.InstanceNorm2d(
        CHANNELS, affine=True, track_running_stats=True
    ),
    "group": lambda: nn.GroupNorm(1, CHANNELS),
}


def randomized(normalization):
    """``normalization`` with weights and statistics that are not 0 and 1, for inference."""
    torch.manual_seed(0)
    for tensor in normalization.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2)
    return Tokens(normalization).eval().requires_grad_(requires_grad=False).double()


def scripted(built):
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(built), stream)
    return stream.getvalue()


def as_exported_program(built):
    return exported(built, images(2))


def as_onnx():
    """Instance normalization before tokens, in ONNX's operators."""
    nodes = [
        helper.make_node("InstanceNormalization", ["x", "scale", "bias"], ["normal"]),
        helper.make_node("Reshape", ["normal", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["tokens"], ["gates"]),
        helper.make_node("Mul", ["tokens", "gates"], ["y"]),
    ]
    stored = {
        "scale": torch.linspace(0.5, 2, CHANNELS).numpy(),
        "bias": torch.linspace(1, -1, CHANNELS).numpy(),
        "shape": torch.tensor([0, CHANNELS, -1]).numpy(),
    }
    return model(*nodes, shape=("n", CHANNELS, 3, 3), stored=stored).SerializeToString()


def images(batch):
    generator = torch.Generator().manual_seed(batch)
    return torch.rand(batch, CHANNELS, 3, 3, dtype=torch.float64, generator=generator)


def by_differences(function, batch):
    """The gradient of ``function`` by its definition, one number at a time."""
    gradient = torch.zeros_like(batch)
    for at in range(batch.numel()):
        step = torch.zeros_like(batch)
        step.view(-1)[at] = STEP
        difference = function(batch + step) - function(batch - step)
        gradient.view(-1)[at] = difference / (2 * STEP)
    return gradient


def weighted(tokens: Tensor) -> Tensor:
    """A number in which each of the ``tokens`` has a weight of its own."""
    return (tokens * torch.arange(tokens.numel(), dtype=torch.float64).cos().view_as(tokens)).sum()


def assert_gradient_is_right(graph, batch):
    x = images(batch).requires_grad_()
    (found,) = torch.autograd.grad(weighted(graph(x)[0]), x)
    wanted = by_differences(lambda each: weighted(graph(each)[0]), images(batch))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("write", [scripted, as_exported_program])
@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_a_normalization_before_tokens_has_its_gradient(kind, write, batch, tmp_path):
    """A convolutional stem before attention: torch's own gradient is wrong for one image."""
    built = randomized(NORMALIZATIONS[kind]())
    path = tmp_path / "model"
    path.write_bytes(write(built))
    graph = open_model(path).translate(images(1)).module
    torch.testing.assert_close(graph(images(batch))[0], built(images(batch)))
    assert_gradient_is_right(graph, batch)


@pytest.mark.parametrize("batch", [1, 2])
def test_onnx_instance_normalization_has_its_gradient(batch):
    """The same in a file of another format."""
    graph = translate_onnx(onnx.load_from_string(as_onnx()), images(1)).module
    assert_gradient_is_right(graph, batch)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("batch_norm", (2, CHANNELS)),
        ("batch_norm", (2, CHANNELS, 4, 3)),
        ("instance_norm", (2, CHANNELS, 5)),
        ("instance_norm", (2, CHANNELS, 4, 3)),
    ],
)
def test_normalizations_compute_what_torch_does(name, shape, training):
    """By the statistics of training or of the batch, for every number of axes."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight, bias, mean, variance = torch.linspace(0.5, 1.5, 12).double().view(4, CHANNELS)
    statistics = (None, None) if training else (mean, variance)
    arguments = (x, weight, bias, *statistics, training, 0.1, 1e-5, False)
    wanted = getattr(torch, name)(*arguments)
    torch.testing.assert_close(getattr(normalizing, name)(*arguments), wanted)
