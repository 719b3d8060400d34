"""Many images pass through the graph or through ONNX Runtime, by a rule, with the same result."""

import numpy as np
import onnx
import pytest
import torch
from tests import hostile_files, hostile_onnx, networks

from facetscope.domain.computing import Precision, Runtime
from facetscope.domain.errors import InvalidFieldError, OperatorUnsupportedError
from facetscope.domain.inputs import InputSpec
from facetscope.engine.opened import OpenModel

IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LAYERS = ("relu", "logits")


@pytest.fixture
def opened(tmp_path):
    """Opens these bytes as a model."""

    def open_(data, precision=Precision.FLOAT32, **spec):
        path = tmp_path / "model"
        path.write_bytes(data)
        return OpenModel("", path, InputSpec(**spec), precision, torch.device("cpu"))

    return open_


def passed(model, asked, names=LAYERS):
    """Activations, and what computed them."""
    with model.passes([model.network.layer(name) for name in names], asked) as passes:
        images = IMAGES.to(model.preprocessing.scale.dtype)
        return [values.clone() for values in passes.read(images)], passes.by


def fixed(batch):
    """``networks.tiny_onnx`` for batches of one size."""
    model = onnx.load_from_string(networks.tiny_onnx())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    return model.SerializeToString()


@pytest.mark.parametrize("batch", [None, 1, 2, 7])
def test_both_runtimes_give_the_same_layers(opened, batch):
    """Codes do not depend on what computed them; a file for one batch size is filled up."""
    model = opened(fixed(batch) if batch else networks.tiny_onnx())
    by_torch, torch_itself = passed(model, Runtime.TORCH)
    by_onnx, onnx_itself = passed(model, Runtime.ONNX_RUNTIME)
    for one, other in zip(by_torch, by_onnx, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert (torch_itself.runtime, torch_itself.provider) == (Runtime.TORCH, "cpu")
    assert onnx_itself.runtime is Runtime.ONNX_RUNTIME
    assert onnx_itself.provider == "CPUExecutionProvider"


def test_an_onnx_file_goes_to_onnx_runtime_on_a_cpu(opened):
    """The faster one, without a race that would change the bytes of a result."""
    _, by = passed(opened(networks.tiny_onnx()), Runtime.AUTO)
    assert by.runtime is Runtime.ONNX_RUNTIME


def test_a_size_that_the_file_does_not_take_goes_to_the_graph(opened):
    """The graph is translated for the size that was asked for; the file is as it is."""
    model = opened(networks.tiny_onnx(), height=24, width=24)
    _, by = passed(model, Runtime.AUTO)
    assert by.runtime is Runtime.TORCH


def test_another_precision_than_the_file_s_goes_to_the_graph(opened):
    """Whoever asks for more digits gets them in every figure."""
    model = opened(networks.tiny_onnx(), Precision.FLOAT64)
    (relu, _), by = passed(model, Runtime.AUTO)
    assert (relu.dtype, by.runtime) == (torch.float64, Runtime.TORCH)


def test_torchscript_goes_to_the_graph(opened):
    """Nothing else may run it, and whoever asks for that is told."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    model = opened(hostile_files.scripted(module), height=16, width=16)
    _, by = passed(model, Runtime.AUTO, ["0"])
    assert by.runtime is Runtime.TORCH
    with pytest.raises(InvalidFieldError, match="TorchScript"):
        passed(model, Runtime.ONNX_RUNTIME, ["0"])


def test_layers_behind_a_node_without_a_translation_come_from_onnx_runtime(opened):
    """Facets of such a model can be found; PyTorch, asked for, says what it lacks."""
    model = opened(hostile_onnx.recurrent_tail())
    (logits,), by = passed(model, Runtime.AUTO, ["logits"])
    assert logits.shape == (5, 4)
    assert logits.isfinite().all()
    assert by.runtime is Runtime.ONNX_RUNTIME
    with pytest.raises(OperatorUnsupportedError, match="LSTM"):
        passed(model, Runtime.TORCH, ["logits"])


def test_an_argmax_is_read_as_it_is(opened):
    """Layers of integers are layers, too."""
    model = opened(hostile_onnx.troubled())
    (by_torch,), _ = passed(model, Runtime.TORCH, ["winner"])
    (by_onnx,), _ = passed(model, Runtime.ONNX_RUNTIME, ["winner"])
    np.testing.assert_array_equal(by_torch, by_onnx)


@pytest.mark.gpu
def test_on_a_gpu_tensors_stay_there(tmp_path):
    """No activation is copied to the host and back."""
    path = tmp_path / "model"
    path.write_bytes(networks.tiny_onnx())
    device = torch.device("cuda", 0)
    model = OpenModel("", path, InputSpec(), Precision.FLOAT32, device)
    layers = [model.network.layer(name) for name in LAYERS]
    with model.passes(layers, Runtime.ONNX_RUNTIME) as passes:
        values = passes.read(IMAGES.to(device))
    assert passes.by.provider == "CUDAExecutionProvider"
    assert {each.device.type for each in values} == {"cuda"}
    with model.passes(layers, Runtime.TORCH) as passes:
        for one, other in zip(passes.read(IMAGES.to(device)), values, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
