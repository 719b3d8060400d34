"""What files say of their pictures, as exporters write it."""

import json

import pytest
import torch
from onnx import TensorProto, helper
from tests.models.onnx.samples import model
from torch import nn

from facetscope.domain.inputs import ColorOrder, Fit, Gamma, InputSpec, Layout, Source
from facetscope.models.files import open_model
from facetscope.models.guesses import from_kernel, from_metadata, from_shape

RELU = helper.make_node("Relu", ["x"], ["y"])


@pytest.fixture
def told(tmp_path):
    """The input that a file is taken to have, and who says each value."""

    def told(data, layout=None):
        path = tmp_path / "model"
        path.write_bytes(data.SerializeToString())
        guesses = open_model(path).guesses(layout)
        spec = InputSpec(layout=layout)
        origins = {origin.field: origin for origin in spec.origins(guesses)}
        return spec.resolved(guesses), origins

    return told


@pytest.fixture
def saved(tmp_path):
    """The input that a TorchScript archive is taken to have, and who says each value."""

    def saved(module, **extras):
        path = tmp_path / "model"
        torch.jit.save(module, str(path), _extra_files=extras)
        guesses = open_model(path).guesses(None)
        origins = {origin.field: origin for origin in InputSpec().origins(guesses)}
        return InputSpec().resolved(guesses), origins

    return saved


def test_a_shape_says_size_and_channels(told):
    """Most files are exported with the sizes that they are made for."""
    chosen, origins = told(model(RELU, shape=("n", 1, 28, 32)))
    assert chosen.shape(1) == (1, 1, 28, 32)
    assert origins["height"].source is Source.SIGNATURE
    assert origins["height"].evidence == "input 'x' [n, 1, 28, 32]"


def test_a_shape_with_few_channels_at_the_end_is_read_so(told):
    """TensorFlow's exports are, and nobody should have to say it."""
    chosen, origins = told(model(RELU, shape=("n", 160, 192, 3)))
    assert chosen.shape(1) == (1, 160, 192, 3)
    assert (chosen.layout, origins["layout"].source) == (Layout.NHWC, Source.SIGNATURE)


def test_the_request_decides_how_a_shape_is_read(told):
    """A file whose axes deceive can be inspected all the same."""
    chosen, origins = told(model(RELU, shape=("n", 16, 32, 48)), Layout.NHWC)
    assert (chosen.channels, chosen.height, chosen.width) == (48, 16, 32)
    assert origins["layout"].source is Source.REQUEST


def test_a_denoted_axis_says_the_layout(told):
    """ONNX has words for what an axis means."""
    file = model(RELU, shape=("n", 16, 16, 16))
    file.graph.input[0].type.tensor_type.shape.dim[3].denotation = "DATA_CHANNEL"
    chosen, origins = told(file)
    assert (chosen.layout, chosen.channels) == (Layout.NHWC, 16)
    assert origins["layout"].source is Source.METADATA


def test_bytes_are_levels_up_to_255(told):
    """A network of bytes that got parts of 1 would see black."""
    file = model(RELU)
    file.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    chosen, origins = told(file)
    assert (chosen.low, chosen.high, set(chosen.mean)) == (0.0, 255.0, {0.0})
    assert origins["high"].source is Source.SIGNATURE
    assert "uint8" in origins["high"].evidence


@pytest.mark.parametrize("groups", [1, 5])
def test_the_first_kernel_says_the_channels_that_a_shape_leaves_open(told, groups):
    """Satellites' pictures are not of three channels, and nobody should have to count."""
    import numpy as np

    conv = helper.make_node("Conv", ["x", "k"], ["y"], group=groups)
    stored = {"k": np.zeros((10, 5 // groups, 3, 3), np.float32)}
    chosen, origins = told(model(conv, shape=("n", "c", "h", "w"), stored=stored))
    assert chosen.channels == 5
    assert origins["channels"].evidence == "first kernel [10, 5, 3, 3]"


@pytest.mark.parametrize(
    ("metadata", "field", "value"),
    [
        ({"Image.BitmapPixelFormat": "Gray8"}, "channels", 1),
        ({"Image.BitmapPixelFormat": "Bgr8"}, "color_order", ColorOrder.BGR),
        ({"image.bitmappixelformat": "RGB8"}, "color_order", ColorOrder.RGB),
        ({"Image.NominalPixelRange": "NominalRange_0_255"}, "high", 255.0),
        ({"Image.NominalPixelRange": "Normalized_1_1"}, "low", -1.0),
        ({"Image.NominalPixelRange": "NominalRange_16_235"}, "low", 16.0),
        ({"Image.ColorSpaceGamma": "Linear"}, "gamma", Gamma.LINEAR),
        ({"imgsz": "[320, 640]"}, "width", 640),
        ({"imgsz": "[320, 640]"}, "height", 320),
        ({"imgsz": "512"}, "height", 512),
        ({"author": "Ultralytics", "task": "detect"}, "fit", Fit.LETTERBOX),
        ({"author": "Ultralytics", "task": "classify"}, "resize", 224),
        ({"author": "Ultralytics", "task": "classify"}, "high", 1.0),
    ],
)
def test_metadata_says_what_shapes_cannot(told, metadata, field, value):
    """ONNX's image metadata, and what the exporter of the most used detectors writes."""
    file = model(RELU, shape=("n", None, None, None))
    helper.set_model_props(file, metadata)
    chosen, origins = told(file)
    assert getattr(chosen, field) == value
    assert origins[field].source is Source.METADATA
    assert next(iter(metadata)) in origins[field].evidence


@pytest.mark.parametrize("text", ["", "[0, 0]", "large", "[640]", "9" * 5000, "[" * 500, "{1: 2}"])
def test_words_that_say_nothing_are_passed_over(text):
    """Metadata are anybody's text; a model is not refused for them."""
    assert from_metadata({"imgsz": text, "Image.BitmapPixelFormat": text}) == ()


def test_evidence_is_short():
    """A file may hold megabytes of text, which nobody wants in an answer."""
    (guess,) = from_metadata({"author": "Ultralytics", "task": "x" * 10**6})
    assert len(guess.evidence) <= 200


@pytest.mark.parametrize("shape", [(), (None, 10), (1, 3, 4, 8, 8)])
def test_a_shape_that_is_not_of_pictures_says_nothing(shape):
    """Its axes have other meanings."""
    assert from_shape(shape, None, evidence="x") == ()


@pytest.mark.parametrize("kernel", [(), (8, 3, 3), (8, 12, 3, 3), (8, 256, 1, 1)])
def test_a_kernel_that_may_not_be_of_pictures_says_nothing(kernel):
    """Before it, blocks of pixels may have become channels."""
    assert from_kernel(kernel, evidence="x") == ()


@pytest.mark.parametrize("make", ["script", "trace", "freeze"])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_an_archive_says_its_channels_by_its_first_kernel(saved, make, channels):
    """An archive declares no shape, and most of its weights lie in the order of their use."""
    module = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()
    if make == "trace":
        module = torch.jit.trace(module, torch.zeros(1, channels, 8, 8))
    else:
        module = torch.jit.script(module)
    chosen, origins = saved(torch.jit.freeze(module) if make == "freeze" else module)
    assert chosen.channels == channels
    assert origins["channels"].evidence == f"first kernel [8, {channels}, 3, 3]"


def test_an_archive_of_no_kernels_says_nothing(saved):
    """A network of tokens alone has none."""
    chosen, origins = saved(torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(12, 4))))
    assert (chosen.channels, origins["channels"].source) == (3, Source.DEFAULT)


def test_an_archive_has_words_in_the_files_beside_it(saved):
    """Ultralytics writes there what it writes into the metadata of ONNX."""
    config = {"author": "Ultralytics", "task": "detect", "imgsz": [320, 320], "names": {"0": "a"}}
    module = torch.jit.script(nn.Conv2d(3, 4, 3).eval())
    chosen, origins = saved(module, **{"config.txt": json.dumps(config)})
    assert (chosen.height, chosen.fit) == (320, Fit.LETTERBOX)
    assert origins["height"].source is Source.METADATA
