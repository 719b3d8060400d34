"""Small models as files, made without any exporter, and small sets of images."""

import io
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from facetscope.domain.units import Unit

SIZE = 16
CLASSES = 4
UNIT = Unit("logits", 1)


def tiny_onnx(*, seed=0, poison=None, channels=3, metadata=()):
    """A convolution, a ReLU, a global pool and a classifier for 16-pixel images.

    Args:
        channels: Of the images.
        metadata: What the file says of itself.
        poison: A value to put into a weight, for example NaN.
    """
    random = np.random.default_rng(seed)
    kernel = random.normal(size=(8, channels, 3, 3)).astype(np.float32)
    weights = random.normal(size=(CLASSES, 8)).astype(np.float32)
    if poison is not None:
        weights[0, 0] = poison
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["conv"], "conv_node", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"], "relu_node"),
            helper.make_node("GlobalAveragePool", ["relu"], ["pool"], "pool_node"),
            helper.make_node("Flatten", ["pool"], ["code"], "flatten_node"),
            helper.make_node("Gemm", ["code", "weights"], ["logits"], "gemm_node", transB=1),
        ],
        "tiny",
        [
            helper.make_tensor_value_info(
                "image", TensorProto.FLOAT, ["batch", channels, SIZE, SIZE]
            )
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()


def linear_onnx():
    """A convolution of one pixel that gives out the colours of 16-pixel images as they are."""
    kernel = np.eye(3, dtype=np.float32)[:, :, None, None]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["conv"], "conv_node")],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("conv", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def unsupported_onnx():
    """A model with an operator that nobody has heard of."""
    model = onnx.load_from_string(tiny_onnx())
    model.graph.node[1].op_type = "Levitate"
    return model.SerializeToString()


def picture(size=24, color="orange"):
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), color).save(file, "png")
    return file.getvalue()


def pictures(labels=("red", "green", "blue"), *, each=6, size=24, seed=0):
    """A zip of noisy pictures of one colour for each label, in folders named after the colour."""
    random = np.random.default_rng(seed)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as folder:
        for channel, label in enumerate(labels):
            for number in range(each):
                pixels = random.integers(0, 64, (size, size, 3))
                pixels[..., channel % 3] += 160
                file = io.BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(file, "png")
                folder.writestr(f"{label}/{number}.png", file.getvalue())
    return archive.getvalue()


def inline_pictures():
    """The files in ``pictures``."""
    with zipfile.ZipFile(io.BytesIO(pictures())) as folder:
        return [folder.read(name) for name in folder.namelist()]


def zipped(**files):
    """A zip of these files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as folder:
        for name, data in files.items():
            folder.writestr(name, data)
    return archive.getvalue()
