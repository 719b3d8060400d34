"""A second gradient wakes silent rectifiers, and changes nothing else."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests import networks
from torch import nn

from facetscope.models.files import example, open_model
from facetscope.models.network import Network
from facetscope.models.onnx import translate
from facetscope.models.redirecting import redirected

PIXEL = (5, 1, 1, 1)
LOW, HIGH = -20.0, 20.0


def onnx_of(activation, **constants):
    """A network of one pixel and two weights: ``activation(2 x)``."""
    values = {"weight": np.full((1, 1, 1, 1), 2, np.float32)}
    values |= {name: np.array(value, np.float32) for name, value in constants.items()}
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["image", "weight"], ["product"]),
            helper.make_node(activation, ["product", *constants], ["active"]),
        ],
        "silent",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 1, 1])],
        [helper.make_tensor_value_info("active", TensorProto.FLOAT, ["batch", 1, 1, 1])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return Network(translate(model, example(PIXEL)), torch.device("cpu"))


@pytest.fixture
def torchscript_of(tmp_path):
    """The same, of a module of torch."""

    def build(activation):
        module = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), activation).eval()
        nn.init.constant_(module[0].weight, 2.0)
        path = tmp_path / "model.pt"
        torch.jit.trace(module, example(PIXEL)).save(str(path))
        return Network(open_model(path).translate(example(PIXEL)), torch.device("cpu"))

    return build


def gradient(network, images, *, redirected, sign=1.0):
    """Of the network's only output, or of its opposite."""
    leaves = images.clone().requires_grad_()
    (values,) = network.reading(network.outputs, redirected=redirected)(leaves)
    (found,) = torch.autograd.grad(sign * values.sum(), leaves)
    return found


def check_wakes(network, *, ceiling):
    """On paper: the gradient is the weight, 2, where it leads back to life, and nowhere else."""
    silent = torch.full(PIXEL, LOW)
    assert not gradient(network, silent, redirected=False).any()
    assert (gradient(network, silent, redirected=True) == 2).all()
    assert not gradient(network, silent, redirected=True, sign=-1.0).any()
    loud = torch.full(PIXEL, HIGH)
    down = gradient(network, loud, redirected=True, sign=-1.0)
    assert (down == -2).all()
    assert gradient(network, loud, redirected=True).any() != ceiling


@pytest.mark.parametrize(
    ("activation", "constants", "ceiling"),
    [
        ("Relu", {}, False),
        ("Clip", {"min": 0.0}, False),
        ("Clip", {"min": 0.0, "max": 6.0}, True),
        ("HardSwish", {}, False),
        ("HardSigmoid", {}, True),
    ],
)
def test_a_silent_rectifier_of_onnx_is_woken(activation, constants, ceiling):
    """And one with a ceiling is calmed from above it."""
    check_wakes(onnx_of(activation, **constants), ceiling=ceiling)


@pytest.mark.parametrize(
    ("activation", "ceiling"),
    [
        (nn.ReLU(), False),
        (nn.ReLU(inplace=True), False),
        (nn.ReLU6(), True),
        (nn.Hardtanh(), True),
        (nn.Hardswish(), False),
        (nn.Hardsigmoid(), True),
    ],
)
def test_a_silent_rectifier_of_torch_is_woken(torchscript_of, activation, ceiling):
    """By whichever name the file calls it."""
    check_wakes(torchscript_of(activation), ceiling=ceiling)


class Clamped(nn.Module):
    """``clamp`` with one bound, which scripts write as an operator of its own."""

    def forward(self, x):
        return x.clamp_min(0.0)


def test_a_clamp_is_a_rectifier(torchscript_of):
    """Many hand-written models have no other."""
    check_wakes(torchscript_of(Clamped()), ceiling=False)


def test_nothing_is_let_through_where_anything_comes_through():
    """Lucid's condition, image by image: one live element of a node, and it is an ordinary one."""
    inputs = torch.tensor([[-1.0, 2.0], [-1.0, -2.0], [-1.0, 0.0]])
    wanted = torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]])
    leaves = inputs.requires_grad_()
    given = redirected(leaves, leaves.relu(), low=0.0, high=9.0, closed=False, axis=0)
    assert torch.equal(given, inputs.relu())
    (found,) = torch.autograd.grad(given, leaves, wanted)
    assert found.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_images_are_told_apart_along_the_axis_of_the_batch():
    """Tokens may come first."""
    inputs = torch.tensor([[-1.0, -1.0], [2.0, -2.0]]).requires_grad_()
    given = redirected(inputs, inputs.relu(), low=0.0, high=9.0, closed=False, axis=1)
    (found,) = torch.autograd.grad(given, inputs, torch.ones(2, 2))
    assert found.tolist() == [[0, 1], [1, 1]]


def test_images_of_one_number_each_are_told_apart():
    """A unit may have been picked out before it is rectified."""
    inputs = torch.tensor([-1.0, 2.0]).requires_grad_()
    given = redirected(inputs, inputs.relu(), low=0.0, high=9.0, closed=False, axis=0)
    (found,) = torch.autograd.grad(given, inputs, torch.ones(2))
    assert found.tolist() == [1, 1]


def test_groups_of_images_are_woken_alike():
    """Files that were made for one batch size are computed group by group."""
    inputs = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)) - 1
    options = {"low": 0.0, "high": 9.0, "closed": False, "axis": 0}

    def slopes(values, apply):
        leaves = values.clone().requires_grad_()
        return torch.autograd.grad(apply(leaves).sum(), leaves)[0]

    def one(values):
        return redirected(values, values.relu(), **options)

    together = slopes(inputs, torch.vmap(one))
    assert torch.equal(together, torch.stack([slopes(group, one) for group in inputs]))
    assert (together != slopes(inputs, torch.relu)).any()


def test_a_network_computes_the_same_and_live_images_have_the_same_gradient():
    """Bit by bit: what is not silent is not touched, whatever shares its batch."""
    model = onnx.load_from_string(networks.tiny_onnx())
    shape = (5, 3, networks.SIZE, networks.SIZE)
    network = Network(translate(model, example(shape)), torch.device("cpu"))
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    images[2] = 0.0
    names = [layer.name for layer in network.layers]
    for one, other in zip(
        network.reading(names)(images), network.reading(names, redirected=True)(images), strict=True
    ):
        assert torch.equal(one, other)
    plain, second = (gradient(network, images, redirected=each) for each in (False, True))
    live = [0, 1, 3, 4]
    assert torch.equal(plain[live], second[live])
    assert not plain[2].any()
    assert second[2].any()


def test_weights_are_shared_and_a_reading_is_made_once():
    """A second reading costs no second model."""
    network = onnx_of("Relu")
    one, other = (network.reading(["active"], redirected=each) for each in (False, True))
    assert one is not other
    assert network.reading(["active"], redirected=True) is other
    pointers = [{each.data_ptr() for each in reading.buffers()} for reading in (one, other)]
    assert pointers[0] == pointers[1] != set()


def test_fused_networks_compute_the_same(tmp_path):
    """Hard swish, its gates and rectifiers in place, as fusions leave them."""
    from torchvision import models

    torch.manual_seed(0)
    module = models.mobilenet_v3_small(weights=None).eval()
    path, images = tmp_path / "model.pt", example((2, 3, 48, 48))
    torch.jit.trace(module, images).save(str(path))
    network = Network(open_model(path).translate(images), torch.device("cpu"))
    one, other = (network.reading(network.outputs, redirected=each) for each in (False, True))
    assert torch.equal(one(images)[0], other(images)[0])
    plain, second = (gradient(network, images, redirected=each) for each in (False, True))
    assert plain.any()
    torch.testing.assert_close(plain, second, rtol=0, atol=0)
