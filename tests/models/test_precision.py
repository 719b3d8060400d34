"""The same network in single, brain and double precision."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from tests import random_networks
from tests.models import test_random_graphs as graphs

from facetscope.models.network import Network

CPU = torch.device("cpu")


def activations(translation, dtype, *, autocast=False):
    """Every layer's activation, and the gradient of the last one's sum, in double precision."""
    network = Network(translation, CPU, autocast=autocast)
    images = graphs.images(2).to(dtype).requires_grad_()
    names = [layer.name for layer in network.layers]
    values = network.reading(names)(images)
    assert {value.dtype for value in values if value.is_floating_point()} == {dtype}
    (gradient,) = torch.autograd.grad(values[-1].square().sum(), images)
    return dict(zip(names, (value.detach().double() for value in values), strict=True)), gradient


def distance(one, other):
    """How far apart, for each unit of length; what is nothing but rounding counts as zero."""
    return ((one - other).norm() / max(other.norm(), other.numel() ** 0.5)).item()


@pytest.mark.parametrize("form", ["traced", "onnx"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(network=random_networks.networks())
def test_all_precisions_compute_the_same_network(form, network):
    """To four digits in single precision, and to two in brain floats; and all have a gradient."""

    def translated(dtype):
        if form == "onnx":
            return graphs.from_onnx(network, dynamo=False, stored=torch.float32, dtype=dtype)
        return graphs.from_torchscript(graphs.traced(network), dtype=dtype)

    exact, _ = activations(translated(torch.float64), torch.float64)
    single, slope = activations(translated(torch.float32), torch.float32)
    brain, brain_slope = activations(translated(torch.float32), torch.float32, autocast=True)
    for name, wanted in exact.items():
        assert distance(single[name], wanted) < 1e-4, name
        assert distance(brain[name], wanted) < 2e-2, name
    assert slope.isfinite().all()
    assert brain_slope.isfinite().all()
