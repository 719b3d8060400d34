"""Files that people send by mistake, and files that are sent to break things."""

import io
import random
import zipfile

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import Tensor, nn

from tests import networks

node = helper.make_node


class Endless(nn.Module):
    def forward(self, x):
        while True:
            pass
        return x


class Prints(nn.Module):
    def forward(self, x):
        print("seen")  # noqa: T201
        return x + 1


class Wakes(nn.Module):
    """Prints while it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        print("awake")  # noqa: T201
        self.training = state[1]

    def forward(self, x):
        return x


def jpeg():
    """A picture where a model belongs."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "jpeg")
    return file.getvalue()


def noise():
    """Bytes without any order."""
    return random.Random(0).randbytes(4096)


def scripted(module):
    """A TorchScript archive."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), file)
    return file.getvalue()


def checkpoint(*, zipped=True):
    """What people save while they train: weights without the model, in torch's new or old way."""
    file = io.BytesIO()
    state = {"state_dict": nn.Linear(2, 2).state_dict()}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def exported_program():
    """The beginnings of a ``.pt2`` file."""
    return networks.zipped(**{"model/archive_format": b"pt2"})


def external_onnx():
    """A model that asks for a file of the server."""
    model = onnx.load_from_string(networks.tiny_onnx())
    kernel = model.graph.initializer[0]
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def two_input_onnx():
    """A model of an image and a mask."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch"]))
    return model.SerializeToString()


def vector_onnx():
    """One number for each image: a unit, but no channel."""
    return _onnx(node("ReduceMean", ["image"], ["y"], axes=[1, 2, 3], keepdims=0))


def scalar_onnx():
    """One number for all images together."""
    return _onnx(node("Relu", ["image"], ["relu"]), node("ReduceMean", ["relu"], ["y"], keepdims=0))


def bomb_onnx():
    """A hundred bytes that claim a constant of 400 MB four times over."""
    return _onnx(
        node("ConstantOfShape", ["size"], ["huge"], "bomb"),
        node("Add", ["image", "huge"], ["y"]),
        size=np.array([4, 100 * 2**20]),
    )


def swelling_onnx():
    """A model whose activations would take a petabyte."""
    return _onnx(
        node("Tile", ["image", "times"], ["swollen"], "swell"),
        node("ReduceMean", ["swollen"], ["y"], axes=[2, 3]),
        times=np.array([1, 1, 2**20, 2**18]),
    )


def dense_onnx():
    """A classifier of all pixels, which fits images of 16 pixels alone and declares none."""
    return _onnx(
        node("Flatten", ["image"], ["flat"]),
        node("Gemm", ["flat", "weights"], ["logits"], "classifier"),
        sides=("height", "width"),
        weights=np.ones((3 * networks.SIZE**2, networks.CLASSES), np.float32),
    )


def troubled_onnx():
    """``networks.tiny_onnx`` with layers that a unit cannot well be taken from.

    ``winner`` is an argmax, ``still`` the same for all images, ``sick`` NaN, ``largest`` without
    channels; ``loud`` is finite for noise, and infinite for pictures that are brighter by a bit.
    """
    model = onnx.load_from_string(networks.tiny_onnx())
    constants = {"nan": np.float32(np.nan), "eighty": np.float32(80), "four": np.array([4])}
    model.graph.initializer.extend(_tensors(constants))
    model.graph.node.extend(
        [
            node("ArgMax", ["logits"], ["winner"], axis=1),
            node("Shape", ["image"], ["batch"], end=1),
            node("Concat", ["batch", "four"], ["shape"], axis=0),
            node("ConstantOfShape", ["shape"], ["still"]),
            node("Mul", ["logits", "nan"], ["sick"], "sick_node"),
            node("ReduceMax", ["logits"], ["largest"], axes=[1], keepdims=0),
            node("ReduceMean", ["image"], ["brightness"], axes=[1, 2, 3]),
            node("Mul", ["brightness", "eighty"], ["exponent"]),
            node("Exp", ["exponent"], ["loud"]),
        ]
    )
    model.graph.output.append(_value("still", None))
    return model.SerializeToString()


def half_spoiled_pictures():
    """Pictures as ``networks.pictures`` makes them, and two that cannot be decoded."""
    with zipfile.ZipFile(io.BytesIO(networks.pictures())) as folder:
        files = {name: folder.read(name) for name in folder.namelist()}
    return networks.zipped(**files, **{"red/text.png": b"no picture", "red/cut.jpg": jpeg()[:200]})


def copies_of_one_picture():
    """Five files, and one picture."""
    return networks.zipped(**{f"red/{number}.jpg": jpeg() for number in range(5)})


def _onnx(*nodes, sides=(networks.SIZE, networks.SIZE), **stored):
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [_value("image", ["batch", 3, *sides])],
        [_value(nodes[-1].output[0], None)],
        _tensors(stored),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def _value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _tensors(arrays):
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]
