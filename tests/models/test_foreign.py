"""Whoever sends the wrong file is told what it is, and what to send."""

import io
import json
import struct

import pytest
import torch
from PIL import Image
from tests.models.onnx.samples import model
from tests.networks import zipped
from torch import nn

from facetscope.domain.errors import ModelUnreadableError
from facetscope.models.files import open_model


def picture(kind):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


def safetensors():
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def saved(value, *, zipped=True):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def training():
    """What training scripts write: weights, and the optimizer's."""
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    return {"epoch": 3, "model": layer.state_dict(), "optimizer": optimizer.state_dict()}


FILES = {
    "JPEG": (lambda: picture("jpeg"), "a JPEG picture: send the model"),
    "PNG": (lambda: picture("png"), "a PNG picture: send the model"),
    "GIF": (lambda: picture("gif"), "a GIF picture"),
    "WebP": (lambda: picture("webp"), "a WebP picture"),
    "TIFF": (lambda: picture("tiff"), "a TIFF picture"),
    "Keras .h5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), "Keras.*tf2onnx"),
    "Keras .keras": (
        lambda: zipped(**{"config.json": b"{}", "model.weights.h5": b"\x89HDF"}),
        "Keras.*tf2onnx",
    ),
    "TensorFlow Lite": (lambda: b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite.*tf2onnx"),
    "SavedModel": (
        lambda: zipped(**{"m/saved_model.pb": b"", "m/variables/variables.index": b""}),
        "SavedModel of TensorFlow.*tf2onnx",
    ),
    "OpenVINO": (
        lambda: b'<?xml version="1.0"?>\n<net name="m" version="11"></net>',
        "XML of OpenVINO.*ONNX file",
    ),
    "safetensors": (safetensors, r"safetensors file, weights without the graph.*torch\.jit\.trace"),
    "state dict": (lambda: saved(nn.Linear(2, 2).state_dict()), r"checkpoint.*torch\.jit\.trace"),
    "old state dict": (
        lambda: saved(nn.Linear(2, 2).state_dict(), zipped=False),
        r"checkpoint.*torch\.jit\.trace",
    ),
    "training checkpoint": (lambda: saved(training()), r"checkpoint.*torch\.jit\.trace"),
    "module": (lambda: saved(nn.Linear(2, 2)), r"pickled module.*Python code.*torch\.jit\.trace"),
    "old module": (
        lambda: saved(nn.Linear(2, 2), zipped=False),
        r"pickled module.*Python code.*torch\.jit\.trace",
    ),
    "mobile": (lambda: zipped(**{"m/bytecode.pkl": b"", "m/version": b"3"}), "mobile interpreter"),
    "ONNX in a zip": (
        lambda: zipped(**{"best/model.onnx": model().SerializeToString()}),
        "archive with an ONNX file in it: unpack it",
    ),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(99), "gzip: unpack it"),
    "tar": (lambda: bytes(257) + b"ustar\x0000" + bytes(248), "tar archive: unpack it"),
    "Git LFS": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "Git LFS.*git lfs pull",
    ),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "web page.*download"),
    "TensorRT": (lambda: b"ftrt" + bytes(99), "TensorRT.*ONNX that it was built from"),
    "Core ML": (lambda: zipped(**{"m.mlpackage/Manifest.json": b"{}"}), "Core ML"),
    "GGUF": (lambda: b"GGUF" + bytes(99), "GGUF"),
    "NumPy": (lambda: b"\x93NUMPY\x01\0" + bytes(99), "NumPy"),
    "nothing": (lambda: b"", "empty: send ONNX, TorchScript or .pt2"),
}


@pytest.mark.parametrize(("file", "words"), FILES.values(), ids=FILES)
def test_a_foreign_file_is_named(tmp_path, file, words):
    """The commonest failure of all has a way out."""
    path = tmp_path / "model"
    path.write_bytes(file())
    with pytest.raises(ModelUnreadableError, match=words):
        open_model(path)


class Leaks(nn.Module):
    def __reduce__(self):
        return (open, ("taken", "w"))


@pytest.mark.parametrize("zipped_format", [True, False])
def test_a_pickle_is_told_without_being_opened(tmp_path, monkeypatch, zipped_format):
    """Opening is running."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model"
    path.write_bytes(saved(Leaks(), zipped=zipped_format))
    with pytest.raises(ModelUnreadableError):
        open_model(path)
    assert not (tmp_path / "taken").exists()
