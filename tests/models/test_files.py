"""Files are told apart by their bytes, and say what they declare before they are translated."""

from dataclasses import replace

import pytest
import torch
from onnx import helper
from tests.models.exported_program.samples import BATCH, exported
from tests.models.onnx.samples import model
from tests.networks import zipped
from torch import nn

from facetscope.domain.descriptions import InputTensor
from facetscope.domain.errors import (
    ModelForbiddenError,
    ModelUnreadableError,
)
from facetscope.domain.inputs import InputSpec
from facetscope.domain.units import Layer
from facetscope.models.files import example, open_model

RELU = helper.make_node("Relu", ["x"], ["y"])
IMAGES = example((2, 3, 8, 8))


@pytest.fixture
def stored(tmp_path):
    """Writes bytes to a file without a telling name."""

    def write(data):
        path = tmp_path / "model"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def archive(tmp_path):
    """A convolution as TorchScript."""
    path = tmp_path / "model"
    torch.jit.script(nn.Conv2d(3, 4, 3).eval()).save(str(path))
    return path


def test_an_onnx_file_declares_its_input(stored):
    """Requests that leave the size out get the file's own."""
    file = open_model(stored(model(RELU).SerializeToString()))
    assert file.format == "ONNX"
    assert InputSpec().resolved(file.guesses(None)).shape(1) == (1, 3, 8, 8)
    assert file.input_tensors == (InputTensor("x", (-1, 3, 8, 8)),)


def test_an_onnx_file_translates_and_has_a_session(stored):
    """What is translated is what ONNX Runtime runs; of other layers it knows nothing."""
    file = open_model(stored(model(RELU).SerializeToString()))
    (output,) = file.translate(IMAGES).module(IMAGES)
    layer = Layer("y", "Relu", (-1, 3, 8, 8), 1)
    (same,) = file.session([layer], torch.device("cpu"))(IMAGES)
    torch.testing.assert_close(output, same, rtol=0, atol=0)
    assert file.session([replace(layer, name="z")], torch.device("cpu")) is None


def test_a_torchscript_archive_declares_nothing(archive):
    """Its input's size is the caller's to know, and its module is never run."""
    file = open_model(archive)
    assert (file.format, file.metadata, file.input_tensors) == ("TorchScript", {}, ())
    assert file.translate(IMAGES).module(IMAGES)[0].shape == (2, 4, 6, 6)
    assert file.session([], torch.device("cpu")) is None


@pytest.mark.parametrize("data", [b"", b"no model", zipped(**{"a/b": b"c"}), b"PK\x03\x04torn"])
def test_what_is_no_model_is_unreadable(stored, data):
    """The sender of a wrong file is told so, before anything opens it."""
    with pytest.raises(ModelUnreadableError):
        open_model(stored(data))


def test_a_checkpoint_is_told_from_a_model(tmp_path):
    """It is the most common wrong file, and there is a way out."""
    for zipped_format in (True, False):
        path = tmp_path / "weights.pt"
        weights = nn.Conv2d(3, 4, 3).state_dict()
        torch.save(weights, path, _use_new_zipfile_serialization=zipped_format)
        with pytest.raises(ModelUnreadableError, match="checkpoint"):
            open_model(path)


@pytest.mark.parametrize(
    ("dynamic_shapes", "batch"), [(BATCH, None), (None, 1)], ids=["dynamic", "static"]
)
def test_an_exported_program_declares_its_input(stored, dynamic_shapes, batch):
    """Its sizes are part of it, and its program is never run."""
    images = IMAGES if dynamic_shapes else IMAGES[:1]
    data = exported(nn.Conv2d(3, 4, 3), images, dynamic_shapes=dynamic_shapes)
    file = open_model(stored(data))
    assert (file.format, file.metadata) == ("torch.export", {})
    assert InputSpec().resolved(file.guesses(None)).shape(1) == (1, 3, 8, 8)
    assert file.input_tensors == (InputTensor("input", (batch or -1, 3, 8, 8)),)
    assert file.translate(IMAGES).module(IMAGES)[0].shape == (2, 4, 6, 6)
    assert file.session([], torch.device("cpu")) is None


def test_weights_in_other_files_are_forbidden(stored):
    """A file names no other file of the server."""
    file = model(RELU)
    tensor = file.graph.initializer.add(name="w", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelForbiddenError):
        open_model(stored(file.SerializeToString()))


def test_examples_are_the_same_at_every_call():
    """Reports of one file can be compared."""
    torch.testing.assert_close(example((2, 3)), example((2, 3)), rtol=0, atol=0)
    assert not torch.equal(example((2, 3)), example((2, 3), seed=1))
