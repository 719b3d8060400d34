"""Gradients between layers are checked against finite differences, in double precision."""

import pytest
import torch
from tests.models.test_groups import translation
from torch import nn

from facetscope.models import torchscript
from facetscope.models.network import Network

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.manual_seed(0), dtype=torch.float64)
STEP = 1e-6


class Forked(nn.Module):
    """A code with two ways to the score, beside a way that has no part in it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.after = nn.Conv2d(4, 5, 3)
        self.side = nn.Conv2d(3, 5, 5)
        self.head = nn.Linear(5, 2)

    def tail(self, code):
        return torch.tanh(self.after(code)) + code[:, :1, 1:-1, 1:-1] ** 2

    def forward(self, images):
        code = torch.sigmoid(self.conv(images))
        return self.head((self.tail(code) * self.side(images)).mean((2, 3)))


@pytest.fixture(scope="module")
def module():
    return Forked().double().eval()


@pytest.fixture(scope="module")
def network(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pt"
    torch.jit.trace(module, IMAGES).save(str(path))
    return Network(torchscript.translate(path, IMAGES[:1]), torch.device("cpu"))


def named(network, kind):
    return next(layer.name for layer in network.layers if kind in layer.kind.lower())


def test_the_gradient_is_that_of_finite_differences(module, network):
    """All ways from the code to the score count, and those from the image past it do not."""
    logits = network.layers[-1].name
    attribution = network.attribution(named(network, "sigmoid"), logits)
    code, scores, gradients = attribution(IMAGES, lambda values: values[:, 1])
    torch.testing.assert_close(scores, module(IMAGES))
    side = module.side(IMAGES)

    def score(changed):
        return module.head((module.tail(changed) * side).mean((2, 3)))[:, 1]

    for at in [(0, 0, 0), (0, 3, 4), (2, 5, 1), (3, 2, 2)]:
        change = torch.zeros_like(code)
        change[:, *at] = STEP
        slope = (score(code + change) - score(code - change)) / (2 * STEP)
        torch.testing.assert_close(gradients[:, *at], slope, rtol=1e-6, atol=1e-9)


def test_behind_a_linear_head_it_is_the_weight(module, network):
    """What the paper of a reviewer would call the class's weights."""
    head = network.layers[-1].name
    source = network.code_layer().name
    _, _, gradients = network.attribution(source, head)(IMAGES, lambda values: values[:, 0])
    torch.testing.assert_close(gradients, module.head.weight[0].detach().expand(3, -1))


def test_a_layer_is_not_computed_from_a_later_one(network):
    """Nor from itself; nor are two ways that meet later."""
    first, last = named(network, "sigmoid"), network.layers[-1].name
    assert network.attribution(last, first) is None
    assert network.attribution(first, first) is None


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_graph_for_one_batch_size_takes_any_number(batch):
    """Groups are filled up, and each image has its own gradient: a mean's, over 36 positions."""
    network = Network(translation(batch), torch.device("cpu"))
    maps, scores, gradients = network.attribution("maps", "scores")(IMAGES, lambda s: s[:, 2])
    assert (len(maps), len(scores)) == (3, 3)
    expected = torch.zeros_like(maps)
    expected[:, 2] = 1 / 36
    torch.testing.assert_close(gradients, expected)
