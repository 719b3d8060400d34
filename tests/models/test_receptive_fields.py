"""Receptive fields are checked against what is reached by one pixel that is not a number."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from tests.models.onnx.samples import model
from torch import nn
from torch.nn import functional

from facetscope.domain.units import ReceptiveField
from facetscope.models import onnx, torchscript
from facetscope.models.receptive_fields import field_along, receptive_fields

node = helper.make_node
SIDE = 24
"""Height of the pictures; the width is one more, so that the two are told apart."""


def pictures(channels=3):
    shape = (1, channels, SIDE, SIDE + 1)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def traced(module, images, path):
    file = path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.jit.trace(module.double().eval(), images.expand(2, -1, -1, -1)).save(str(file))
    return torchscript.translate(file, images)


def field(translation, name, picture=(2, 3)):
    """The field of a layer, of which the picture's axes are the last or the middle two."""
    fields = receptive_fields(translation.module)[translation.values[name].node]
    return field_along(fields, picture, sorted(span.axis for span in fields.values())[-2:])


def reached(module, images, axis, *, at=None):
    """Which elements depend on which rows of pixels: NaN spreads just as far as dependence does.

    Args:
        axis: That the rows of pixels are counted along.
        at: The same axis in the module's output, where it is another.

    Returns:
        A matrix [element, pixel].
    """
    columns = []
    for pixel in range(images.shape[axis]):
        poisoned = images.clone()
        poisoned.select(axis, pixel).fill_(torch.nan)
        (output,) = module(poisoned)
        others = [other for other in range(output.dim()) if other != (axis if at is None else at)]
        columns.append(output.isnan().any(dim=tuple(others)))
    return torch.stack(columns, dim=1)


def check(found, matrix, at):
    """Every element depends on its field alone, and on both its ends where they are no padding."""
    size, stride, offset = found.size[at], found.stride[at], found.offset[at]
    pixels = matrix.shape[1]
    for element, row in enumerate(matrix):
        first = offset + element * stride - (size - 1) / 2
        assert first == int(first)
        seen = torch.nonzero(row).flatten().tolist()
        assert all(first <= pixel < first + size for pixel in seen)
        if first >= 0 and first + size <= pixels:
            assert (seen[0], seen[-1]) == (first, first + size - 1)


class Branches(nn.Module):
    """Paths that meet in a sum, or side by side."""

    def __init__(self, paths, *, joined):
        super().__init__()
        self.paths, self.joined = nn.ModuleList(paths), joined

    def forward(self, images):
        results = [path(images) for path in self.paths]
        return torch.cat(results, 1) if self.joined else sum(results)


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


class Pointwise(nn.Module):
    """A linear layer on channels that are at the end, as in ConvNeXt."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(channels), nn.Linear(channels, channels)

    def forward(self, images):
        return self.linear(self.norm(images.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


@st.composite
def parts(draw):
    """One part of a random network, from 4 channels to 4."""
    kind = draw(st.sampled_from(["conv", "depthwise", "max", "average", "branches", "function"]))
    extent = draw(st.integers(1, 4))
    stride = draw(st.integers(1, 2))
    padding = draw(st.integers(0, extent // 2))
    dilation = draw(st.integers(1, 2))
    match kind:
        case "conv":
            return nn.Conv2d(4, 4, extent, stride, padding, dilation)
        case "depthwise":
            return nn.Conv2d(4, 4, (extent, 1), (1, stride), (padding, 0), groups=4)
        case "max":
            ceil = draw(st.booleans())
            return nn.MaxPool2d(extent, stride, padding, dilation, ceil_mode=ceil)
        case "average":
            return nn.AvgPool2d(extent, stride, padding, ceil_mode=draw(st.booleans()))
        case "branches":
            wide = nn.Conv2d(4, 4, 2 * extent - 1, stride, extent - 1)
            narrow = nn.Conv2d(4, 4, 1, stride)
            joined = draw(st.booleans())
            union = Branches([wide, narrow], joined=joined)
            return nn.Sequential(union, nn.Conv2d(8, 4, 1)) if joined else union
    return draw(
        st.sampled_from(
            [
                nn.BatchNorm2d(4),
                nn.ReLU(),
                Pointwise(4),
                nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 4, 1)),
                Function(lambda x: functional.pad(x, (1, 2, 0, 3))),
                Function(lambda x: x[:, :, 1::2, ::2]),
                Function(lambda x: functional.softmax(x, 1) * 2 + x),
                Function(lambda x: torch.cat(x.chunk(2, 1), 1)),
            ]
        )
    )


def check_random_network(layers, path):
    """That the fields of a network of these parts are right, where it has any output."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), *layers)
    try:
        shape = network.double().eval()(pictures()).shape
    except RuntimeError:  # the picture is smaller than a window
        return
    if min(shape[2:]) == 0:
        return
    translation = traced(network, pictures(), path)
    found = field(translation, translation.outputs[0])
    for at, axis in enumerate((2, 3)):
        check(found, reached(translation.module, pictures(), axis), at)


@settings(max_examples=10)
@given(st.lists(parts(), min_size=1, max_size=4))
def test_fields_of_random_networks(tmp_path_factory, layers):
    """Whoever cuts the field out of a picture has all that the unit saw, and no more."""
    check_random_network(layers, tmp_path_factory.mktemp("nets"))


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(parts(), min_size=1, max_size=6))
def test_fields_of_many_random_networks(tmp_path_factory, layers):
    """The same, deeper."""
    check_random_network(layers, tmp_path_factory.mktemp("nets"))


@pytest.mark.parametrize(
    ("function", "defined"),
    [
        pytest.param(lambda x: functional.avg_pool2d(x, 3), True, id="pooled"),
        pytest.param(lambda x: functional.adaptive_avg_pool2d(x, (8, 5)), True, id="evenly"),
        pytest.param(lambda x: functional.adaptive_avg_pool2d(x, (7, 7)), False, id="unevenly"),
        pytest.param(lambda x: functional.adaptive_avg_pool2d(x, 1), False, id="global"),
        pytest.param(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), False, id="squeeze"),
        pytest.param(lambda x: functional.interpolate(x, scale_factor=2.0), False, id="upsampled"),
        pytest.param(lambda x: functional.group_norm(x, 1), False, id="group-norm"),
        pytest.param(lambda x: functional.layer_norm(x, x.shape[1:]), False, id="layer-norm"),
        pytest.param(lambda x: x.softmax(3), False, id="softmax-over-positions"),
        pytest.param(lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"), False, id="mirror"),
        pytest.param(lambda x: x.flip(3), False, id="flipped"),
        pytest.param(lambda x: x.cumsum(2), False, id="running-sum"),
        pytest.param(lambda x: torch.cat([x, x], 3), False, id="side-by-side"),
        pytest.param(lambda x: x.transpose(2, 3).reshape(x.shape), False, id="scrambled"),
        pytest.param(lambda x: x + x.transpose(2, 3)[..., :1, :1], False, id="other-places"),
        pytest.param(lambda x: x[:, :, [3, 1, 2]], False, id="picked"),
        pytest.param(lambda x: x.unsqueeze(2).squeeze(2), True, id="reshaped"),
        pytest.param(lambda x: x.unflatten(1, (2, 2)).amax(2), True, id="maxout"),
        pytest.param(lambda x: torch.ones(5, 24, dtype=x.dtype) @ x, False, id="rows-mixed"),
        pytest.param(lambda x: 1 + torch.ones(25, dtype=x.dtype) * x, True, id="constants"),
    ],
)
def test_fields_are_undefined_where_an_element_has_none(tmp_path, function, defined):
    """A field that is not there would be taken for what the unit sees."""
    translation = traced(Function(function), pictures(4), tmp_path)
    found = field(translation, translation.outputs[0])
    assert (found is not None) == defined
    if defined:
        for at, axis in enumerate((2, 3)):
            check(found, reached(translation.module, pictures(4), axis), at)


KERNEL = np.ones((4, 3, 3, 3))
CONV = node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1])
HWC = node("Transpose", ["c"], ["h"], perm=[0, 2, 3, 1])


@pytest.mark.parametrize(
    ("nodes", "stored"),
    [
        pytest.param([node("Conv", ["c", "w"], ["y"], auto_pad="SAME_UPPER")], {}, id="same"),
        pytest.param([node("Conv", ["c", "w"], ["y"], pads=[0, 1, 2, 0], strides=[2, 1])], {}),
        pytest.param([node("Conv", ["c", "w"], ["y"], dilations=[3, 2], group=2)], {"w": (4, 2)}),
        pytest.param(
            [node("MaxPool", ["c"], ["y"], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)], {}
        ),
        pytest.param([node("AveragePool", ["c"], ["y"], kernel_shape=[4, 4], pads=[2] * 4)], {}),
        pytest.param([node("Pad", ["c", "p"], ["y"])], {"p": [0, 0, 1, 2, 0, 0, 3, 0]}, id="pad"),
        pytest.param(
            [node("Slice", ["c", "s", "e", "a"], ["y"])], {"s": [3], "e": [-2], "a": [-1]}
        ),
        pytest.param([node("Concat", ["c", "x"], ["y"], axis=1)], {}, id="concat"),
        pytest.param([node("LRN", ["c"], ["y"], size=3)], {}, id="lrn"),
        pytest.param(
            [
                node("QuantizeLinear", ["c", "q"], ["b"]),
                node("DequantizeLinear", ["b", "q"], ["y"]),
            ],
            {"q": np.float32(0.1)},
            id="quantized",
        ),
        pytest.param([HWC, node("MatMul", ["h", "m"], ["y"])], {"m": np.ones((4, 5))}, id="rows"),
        pytest.param([HWC, node("Softmax", ["h"], ["y"], axis=3)], {}, id="softmax"),
        pytest.param([node("ReduceMax", ["c"], ["y"], axes=[1])], {}, id="channels"),
        pytest.param([node("Gather", ["c", "i"], ["y"], axis=1)], {"i": 2}, id="gather"),
    ],
)
def test_fields_of_onnx_values(nodes, stored):
    """The same rules hold for the operators of the other format."""
    stored = {"k": KERNEL, "w": np.ones((4, 4, 3, 3))} | {
        name: np.ones((*value, 3, 3)) if isinstance(value, tuple) else np.array(value)
        for name, value in stored.items()
    }
    file = model(CONV, *nodes, shape=("n", 3, SIDE, SIDE + 1), stored=stored)
    translation = onnx.translate(file, pictures())
    fields = receptive_fields(translation.module)[translation.values["y"].node]
    axes = fields[2].axis, fields[3].axis
    found = field_along(fields, (2, 3), axes)
    for index, at in enumerate(axes):
        check(found, reached(translation.module, pictures(), 2 + index, at=at), index)


def test_an_input_with_channels_at_the_end_has_fields_too():
    """TensorFlow's files take pictures so, and turn them before their first convolution."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "k"], ["y"], strides=[2, 2]),
    ]
    images = pictures().permute(0, 2, 3, 1)
    file = model(*nodes, shape=("n", SIDE, SIDE + 1, 3), stored={"k": KERNEL})
    found = field(onnx.translate(file, images), "y", picture=(1, 2))
    assert found == ReceptiveField(size=(3, 3), stride=(2, 2), offset=(1.0, 1.0))


def vgg16():
    """The convolutions of VGG-16, narrow."""
    from torchvision.models.vgg import cfgs, make_layers

    return make_layers([size if size == "M" else 4 for size in cfgs["D"]])


def resnet18():
    """ResNet-18 without its classifier."""
    from torchvision.models import resnet18

    return nn.Sequential(*list(resnet18().children())[:-2])


@pytest.mark.parametrize(("build", "size"), [(vgg16, 212), (resnet18, 435)])
def test_fields_of_known_networks(tmp_path, build, size):
    """Published figures: https://distill.pub/2019/computing-receptive-fields."""
    translation = traced(build(), torch.rand(1, 3, 64, 64, dtype=torch.float64), tmp_path)
    found = field(translation, translation.outputs[0])
    assert (found.size, found.stride) == ((size, size), (32, 32))
