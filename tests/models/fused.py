"""What a translated graph computes after its parts were fused, against the graph as it is."""

import torch

from facetscope.models.network import Network

ROUNDED = 2e-7
"""Relative distance that constants of single precision, such as √2, make."""


def fused(translation):
    """Functions that the reading of the outputs calls, and the reading."""
    found = Network(translation, torch.device("cpu"))
    reading = found.reading(translation.outputs)
    calls = [each.target for each in reading.part.graph.nodes if each.op == "call_function"]
    return calls, reading


def assert_same(one, other, images, tolerance):
    """Outputs and gradients agree, in double precision."""
    results = []
    for module in (one, other):
        leaves = images.clone().requires_grad_()
        output = module(leaves)[0]
        weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
        results.append((output, torch.autograd.grad((output * weights).sum(), leaves)[0]))
    for given, wanted in zip(*results, strict=True):
        assert wanted.norm() > 0
        assert (given - wanted).norm() / wanted.norm() < tolerance
