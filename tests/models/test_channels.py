"""The channel axis is found in graphs of both formats, whatever the order of axes."""

import numpy as np
import pytest
import torch
from onnx import helper
from tests.models.onnx.samples import exported, model
from torch import nn
from torch.nn import functional

from facetscope.models import onnx, torchscript
from facetscope.models.channels import channel_axes
from facetscope.models.graph import shape_of

node = helper.make_node
TRACE_WARNS = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
"""Tracing warns of what torchvision's own modules do."""

IMAGES = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
KERNEL = np.zeros((12, 3, 3, 3), np.float32)
CONV = node("Conv", ["x", "k"], ["conv"])


def axes_of(translation):
    """Channel axis of each value of a translation, by name."""
    axes = channel_axes(translation.module.graph)
    return {name: axes.get(value.node) for name, value in translation.values.items()}


def onnx_axis(*nodes, opset=17, **stored):
    """The axis of ``y``, in a file of ``nodes`` after a convolution to 12 channels of 6 by 6."""
    stored = {"k": KERNEL} | {name: np.array(value) for name, value in stored.items()}
    return axes_of(onnx.translate(model(CONV, *nodes, stored=stored, opset=opset), IMAGES))["y"]


class Convolved(nn.Module):
    """A convolution to 12 channels of 6 by 6, and a function of it."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 12, 3), function

    def forward(self, images):
        return self.function(self.conv(images))


@pytest.fixture
def torchscript_axes(tmp_path):
    """The axes of a module that is traced and saved."""

    def axes(module, images=IMAGES):
        path = tmp_path / "model.pt"
        torch.jit.trace(module.eval(), images.expand(2, -1, -1, -1)).save(str(path))
        return axes_of(torchscript.translate(path, images))

    return axes


@pytest.mark.parametrize(
    ("function", "axis"),
    [
        pytest.param(lambda x: x.permute(0, 2, 3, 1), 3, id="permute"),
        pytest.param(lambda x: x.transpose(1, 3).relu(), 3, id="transpose"),
        pytest.param(lambda x: x.movedim(1, 2), 2, id="movedim"),
        pytest.param(lambda x: x.flatten(2), 1, id="flatten-keeps"),
        pytest.param(lambda x: x.flatten(1), 1, id="flatten-merges"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).flatten(1, 2), 2, id="tokens"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).mean((1, 2)), 1, id="mean"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).amax(1), 2, id="amax"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).max(1, keepdim=True)[0], 3, id="max-keepdim"),
        pytest.param(lambda x: torch.max(*[x.permute(0, 2, 3, 1)] * 2), 3, id="max-of-two"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).argmax(3, keepdim=True), 3, id="argmax"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1)[:, 0], 2, id="select"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).unbind(1)[1], 2, id="unbind"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).chunk(2, 3)[1], 3, id="chunk"),
        pytest.param(lambda x: x.permute(0, 2, 3, 1).unsqueeze(1)[:, 0], 3, id="unsqueeze"),
        pytest.param(lambda x: torch.cat([x.permute(0, 2, 3, 1)] * 2, 3), 3, id="cat"),
        pytest.param(lambda x: functional.pad(x.permute(0, 2, 3, 1), (0, 4)), 3, id="pad"),
        pytest.param(lambda x: 1 + x.permute(0, 2, 3, 1) * torch.ones(12), 3, id="elementwise"),
        pytest.param(lambda x: torch.maximum(x.permute(0, 3, 2, 1), x.sum()), 3, id="maximum"),
        pytest.param(lambda x: functional.layer_norm(x, (6,)), 3, id="layer-norm"),
        pytest.param(lambda x: functional.layer_norm(x, (12, 6, 6)), 1, id="layer-norm-of-all"),
        pytest.param(lambda x: functional.linear(x, torch.ones(5, 6)), 3, id="linear"),
        pytest.param(lambda x: x @ torch.ones(6, 5), 3, id="weights-right"),
        pytest.param(lambda x: torch.ones(5, 12) @ x.flatten(2), 1, id="weights-left"),
        pytest.param(
            lambda x: x.flatten(2) @ (x.flatten(2).transpose(1, 2) @ x.flatten(2)).softmax(-1),
            1,
            id="attention-to-columns",
        ),
        pytest.param(lambda x: functional.avg_pool1d(x.flatten(2), 2), 1, id="pool"),
        pytest.param(lambda x: functional.pixel_shuffle(x, 2), 1, id="pixel-shuffle"),
        pytest.param(lambda x: torch.einsum("nchw->nhwc", x), 1, id="unknown"),
    ],
)
def test_the_axis_of_torchscript_values(torchscript_axes, function, axis):
    """Channels-last code is common; an axis guessed from the rank shows rows as units."""
    assert list(torchscript_axes(Convolved(function)).values())[-1] == axis


HWC = node("Transpose", ["conv"], ["h"], perm=[0, 2, 3, 1])


@pytest.mark.parametrize(
    ("nodes", "stored", "axis"),
    [
        pytest.param([node("Transpose", ["conv"], ["y"], perm=[0, 2, 3, 1])], {}, 3, id="perm"),
        pytest.param([HWC, node("Relu", ["h"], ["y"])], {}, 3, id="relu"),
        pytest.param([HWC, node("Add", ["h", "b"], ["y"])], {"b": np.ones(12)}, 3, id="add"),
        pytest.param([HWC, node("ReduceMean", ["h"], ["y"], axes=[1, 2], keepdims=0)], {}, 1),
        pytest.param([HWC, node("ReduceMax", ["h"], ["y"], axes=[-1])], {}, 3, id="keepdims"),
        pytest.param([HWC, node("ArgMax", ["h"], ["y"], axis=1, keepdims=0)], {}, 2, id="argmax"),
        pytest.param([HWC, node("Reshape", ["h", "s"], ["y"])], {"s": [0, -1, 12]}, 2, id="shape"),
        pytest.param([HWC, node("Flatten", ["h"], ["y"])], {}, 1, id="flatten"),
        pytest.param([HWC, node("Gather", ["h", "i"], ["y"], axis=1)], {"i": 0}, 2, id="gather"),
        pytest.param([HWC, node("Gather", ["h", "i"], ["y"], axis=1)], {"i": [0, 2]}, 3),
        pytest.param([HWC, node("Split", ["h"], ["z", "y"], axis=3)], {}, 3, id="split"),
        pytest.param([HWC, node("Concat", ["h", "h"], ["y"], axis=3)], {}, 3, id="concat"),
        pytest.param([HWC, node("MatMul", ["h", "w"], ["y"])], {"w": np.ones((12, 5))}, 3),
        pytest.param([node("MatMul", ["w", "conv"], ["y"])], {"w": np.ones((5, 6))}, 2),
        pytest.param(
            [node("LayerNormalization", ["conv", "w"], ["y"], axis=3)], {"w": np.ones(6)}, 3
        ),
        pytest.param([node("GlobalAveragePool", ["conv"], ["y"])], {}, 1, id="pool"),
        pytest.param([HWC, node("LpPool", ["h"], ["y"], kernel_shape=[2, 2])], {}, 1, id="lp"),
        pytest.param(
            [
                node("MaxPool", ["conv"], ["p", "i"], kernel_shape=[2, 2], strides=[2, 2]),
                node("MaxUnpool", ["p", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
            ],
            {},
            1,
            id="unpool",
        ),
        pytest.param(
            [
                node("Reshape", ["conv", "s"], ["r"]),
                node("Col2Im", ["r", "image", "block"], ["y"]),
            ],
            {"s": [0, 12, -1], "image": [7, 7], "block": [2, 2]},
            1,
            id="col2im",
        ),
        pytest.param([HWC, node("CumSum", ["h", "a"], ["y"])], {"a": 1}, 3, id="cumulated"),
        pytest.param([HWC, node("Resize", ["h", "", "r"], ["y"])], {"r": [1.0, 2, 2, 1]}, 3),
        pytest.param(
            [HWC, node("Dropout", ["h"], ["y", "mask"]), node("Not", ["mask"], ["n"])], {}, 3
        ),
        pytest.param([HWC, node("ThresholdedRelu", ["h"], ["y"])], {}, 3, id="written-out"),
        pytest.param([node("Einsum", ["conv"], ["y"], equation="nchw->nhwc")], {}, 1, id="unknown"),
    ],
)
def test_the_axis_of_onnx_values(nodes, stored, axis):
    """The same rules hold for the operators of the other format."""
    typed = {
        name: np.asarray(value, np.float32 if np.asarray(value).dtype.kind == "f" else np.int64)
        for name, value in stored.items()
    }
    assert onnx_axis(*nodes, **typed) == axis


def test_rows_that_are_not_images_are_told_by_their_shape():
    """Windows of an image are a batch of their own: they must not pass for images."""
    stored = {"s": np.array([-1, 12, 9]), "k": KERNEL}
    file = model(CONV, node("Reshape", ["conv", "s"], ["y"]), stored=stored)
    assert onnx.translate(file, IMAGES).values["y"].shape == (-4, 12, 9)


def convnext():
    """Two stages of ConvNeXt as torchvision builds them, narrow and shallow."""
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(12, 20, 1), CNBlockConfig(20, None, 1)], num_classes=7).eval()


def swin():
    """Two stages of a Swin transformer as torchvision builds them, narrow and shallow."""
    from torchvision.models.swin_transformer import SwinTransformer

    return SwinTransformer([4, 4], 12, [2, 2], [3, 3], [2, 2], num_classes=7).eval()


BLOCKS = {
    "convnext": (
        convnext,
        {
            "features.0.0": 12,
            "features.1.0.block.1": 12,
            "features.1.0.block.2": 12,
            "features.1.0.block.3": 48,
            "features.1.0.block.4": 48,
            "features.1.0.block.6": 12,
            "features.1.0": 12,
            "features.2.0": 12,
            "features.3.0.block.3": 80,
            "classifier.2": 7,
        },
    ),
    "swin": (
        swin,
        {
            "features.0": 12,
            "features.1.0.norm1": 12,
            "features.1.0.attn": 12,
            "features.1.1.mlp.0": 48,
            "features.1.1.mlp.1": 48,
            "features.1.1": 12,
            "features.2.reduction": 24,
            "features.3.0": 24,
            "permute": 24,
            "head": 7,
        },
    ),
}
"""Networks with channels-last blocks, and how many channels some of their layers have."""


@TRACE_WARNS
@pytest.mark.parametrize("architecture", BLOCKS)
def test_channels_last_blocks_of_traced_networks(tmp_path, architecture):
    """These are the networks in which most layers have their channels at the end."""
    build, channels = BLOCKS[architecture]
    images = torch.rand(2, 3, 64, 64)
    path = tmp_path / "model.pt"
    torch.jit.trace(build(), images).save(str(path))
    translation = torchscript.translate(path, images)
    axes = axes_of(translation)
    values = {name: translation.values[name] for name in channels}
    assert {name: value.shape[axes[name]] for name, value in values.items()} == channels


@TRACE_WARNS
@pytest.mark.parametrize(
    ("architecture", "exporter"),
    [("convnext", "dynamo"), ("convnext", "legacy"), ("swin", "legacy")],
)
def test_channels_last_blocks_of_exported_networks(architecture, exporter):
    """What an exporter makes of the blocks differs, their channels do not."""
    import onnx as files

    build, channels = BLOCKS[architecture]
    file = files.load_model_from_string(exported(build(), dynamo=exporter == "dynamo"))
    translation = onnx.translate(file, torch.rand(2, 3, 64, 64))
    axes = channel_axes(translation.module.graph)
    found = {
        name: shape_of(value.node)[axes[value.node]]
        for value in translation.values.values()
        for name in value.aliases
        if name in channels
    }
    assert found == channels
