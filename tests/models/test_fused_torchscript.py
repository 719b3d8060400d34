"""TorchScript whose author wrote functions out is fused, and differentiated as the module is."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from facetscope.models.fusions import attention, normalization
from facetscope.models.network import Network
from facetscope.models.torchscript import translate

SIDE, WIDTH = 8, 12


class Written(nn.Module):
    """A convolutional stem, and a block of attention in arithmetic."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.inward = nn.Linear(WIDTH, 3 * WIDTH)
        self.outward = nn.Linear(WIDTH, 5)
        self.scale = nn.Parameter(torch.rand(WIDTH) + 0.5)
        self.bias = nn.Parameter(torch.randn(WIDTH))

    def forward(self, images):
        maps = torch.relu_(self.norm(self.stem(images)))
        tokens = maps.flatten(2).transpose(1, 2)
        apart = tokens - tokens.mean(-1, keepdim=True)
        deviation = torch.sqrt((apart * apart).mean(-1, keepdim=True) + 1e-5)
        normal = apart / deviation * self.scale + self.bias
        query, key, value = self.inward(normal).chunk(3, -1)
        scores = query @ key.transpose(-2, -1) / math.sqrt(12.0)
        tokens = tokens + scores.softmax(-1) @ value
        active = 0.5 * tokens * (1 + torch.erf(tokens / math.sqrt(2.0)))
        gated = active * torch.sigmoid(active)
        return self.outward(gated.mean(1))


FORMS = {
    "traced": torch.jit.trace,
    "scripted": lambda built, _: torch.jit.script(built),
    "frozen": lambda built, images: torch.jit.freeze(torch.jit.trace(built, images)),
}
CALLS = [
    torch.relu_,
    normalization.normalize,
    attention.attend,
    functional.gelu,
    functional.silu,
]


def images(batch):
    generator = torch.Generator().manual_seed(7)
    return torch.rand(batch, 3, SIDE, SIDE, dtype=torch.float64, generator=generator)


def gradient(function, batch):
    """What moves a weighted sum of the outputs, and these."""
    batch = batch.clone().requires_grad_()
    outputs = function(batch)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    return outputs.detach(), torch.autograd.grad((outputs * weights).sum(), batch)[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_fused_reading_has_the_gradient_of_the_module(form, tmp_path):
    """The fused calls have backward formulas of their own; double precision tells them apart."""
    built = Written().double().eval()
    path = tmp_path / "model.pt"
    FORMS[form](built, images(2)).save(str(path))
    translation = translate(path, images(1))
    reading = Network(translation, torch.device("cpu")).reading(translation.outputs)
    called = [each.target for each in reading.part.graph.nodes if each.op == "call_function"]
    assert [call for call in called if call in CALLS] == CALLS
    for batch in (2, 3):
        found = gradient(lambda given: reading(given)[0], images(batch))
        torch.testing.assert_close(found, gradient(built, images(batch)))
