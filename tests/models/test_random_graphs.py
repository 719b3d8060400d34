"""Whatever a module computes, its translations compute: small networks at random, in every form."""

import copy
import io
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from tests import random_networks
from tests.models.exported_program.samples import BATCH, exported
from torch import nn
from torch.onnx.errors import SymbolicValueError

from facetscope.models import exported_program, torchscript
from facetscope.models import onnx as onnx_models
from facetscope.models.groups import Groups

SHAPE = (3, random_networks.SIDE, random_networks.SIDE)
FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def images(batch):
    """The same random images at every call."""
    return torch.randn(
        batch, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )


def traced(network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.jit.trace(network, images(2), check_trace=False)


def frozen(network):
    return torch.jit.freeze(traced(network))


FORMS = {"traced": traced, "scripted": torch.jit.script, "frozen": frozen}


def from_torchscript(program, dtype=torch.float64):
    """The graph of an archive, which computes in ``dtype``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        program.save(str(path))
        return torchscript.translate(path, images(1).to(dtype))


def from_export(network, *, dynamic):
    """The graph of a program that was exported for any number of images, or for one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt2"
        shapes = BATCH if dynamic else None
        path.write_bytes(exported(network, images(1 + dynamic), dynamic_shapes=shapes))
        return exported_program.translate(path, exported_program.load(path), images(1))


class HardSigmoid(nn.Module):
    """What an ONNX file has of ``nn.Hardsigmoid``: its attributes are single precision."""

    def forward(self, x):
        return (x * float(np.float32(1 / 6)) + 0.5).clamp(0, 1)


def as_onnx_has_it(network):
    """``network`` with the constants that the file has."""
    network = copy.deepcopy(network)
    for part in network.modules():
        for name, child in part.named_children():
            if isinstance(child, nn.Hardsigmoid):
                setattr(part, name, HardSigmoid())
    return network


def from_onnx(network, *, dynamo, stored=torch.float64, dtype=torch.float64):
    """The graph, computing in ``dtype``, of what one of torch's exporters writes in ``stored``."""
    network = copy.deepcopy(network).to(stored)
    stream = io.BytesIO()
    options = {"opset_version": 17, "input_names": ["images"]}
    options["dynamic_axes"] = {"images": {0: "batch"}}
    if dynamo:
        shapes = ({0: torch.export.Dim("batch")},)
        options = {"dynamic_shapes": shapes, "opset_version": 18, "verbose": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (images(2).to(stored),),
                None if dynamo else stream,
                dynamo=dynamo,
                **options,
            )
    except SymbolicValueError as error:
        if "input size not accessible" in str(error):  # of adaptive pooling behind a padding
            reject()
        raise
    written = program.model_proto.SerializeToString() if dynamo else stream.getvalue()
    return onnx_models.translate(onnx.load_from_string(written), images(1).to(dtype))


def gradient(function, batch):
    """What moves a weighted sum of the outputs."""
    given_ = batch.clone().requires_grad_()
    outputs = function(given_)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    return torch.autograd.grad((outputs * weights).sum(), given_)[0]


def among_others(network):
    """``network`` in larger batches: of one image, torch differentiates normalization wrongly."""
    return lambda x: network(torch.cat([x, x]))[: len(x)]


def assert_equal(translation, network):
    """Same outputs and same gradients, for one image and for several."""
    size = translation.batch
    compute = translation.module if size is None else Groups(translation.module, size)
    for batch in (1, 4):
        torch.testing.assert_close(
            compute(images(batch))[0].detach(), network(images(batch)).detach()
        )
        torch.testing.assert_close(
            gradient(lambda x: compute(x)[0], images(batch)),
            gradient(among_others(network), images(batch)),
        )


def assert_layers_equal(translation, network):
    """Every module that was called has its value, as it was before anything overwrote it."""
    interpreter = torch.fx.Interpreter(translation.module, garbage_collect_values=False)
    batch = translation.batch or 2
    interpreter.run(images(batch))
    for name, value in captured(network, batch).items():
        found = translation.values[name].node
        torch.testing.assert_close(interpreter.env[found].detach(), value, msg=name)


def captured(network, batch):
    """What each module gave for so many images, by the name that a translation has for it."""
    values, calls = {}, Counter()

    def keep(name):
        def hook(_module, _inputs, output):
            number = calls[name]
            calls[name] += 1
            values[f"{name}#{number}" if number else name] = output.detach().clone()

        return hook

    handles = [
        part.register_forward_hook(keep(name)) for name, part in network.named_modules() if name
    ]
    network(images(batch))
    for handle in handles:
        handle.remove()
    return values


@pytest.mark.parametrize("form", FORMS)
@FEW
@given(network=random_networks.networks())
def test_torchscript_computes_what_the_module_computes(form, network):
    """Files are written by people who combine layers as they please."""
    translation = from_torchscript(FORMS[form](network))
    assert_equal(translation, network)
    if form != "frozen":
        assert_layers_equal(translation, network)


@FEW
@given(network=random_networks.networks())
def test_onnx_computes_what_the_module_computes(network):
    """By way of the exporter that most files come from."""
    assert_equal(from_onnx(network, dynamo=False), as_onnx_has_it(network))


@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
@given(network=random_networks.networks())
def test_onnx_of_the_newer_exporter_computes_what_the_module_computes(network):
    """It writes other operators for the same modules."""
    assert_equal(from_onnx(network, dynamo=True), as_onnx_has_it(network))


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "static"])
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
@given(network=random_networks.networks())
def test_an_exported_program_computes_what_the_module_computes(dynamic, network):
    """Its layers are found by what their steps compute and others read."""
    translation = from_export(network, dynamic=dynamic)
    assert_equal(translation, network)
    assert_layers_equal(translation, network)


@pytest.mark.slow
@pytest.mark.parametrize("form", [*FORMS, "onnx"])
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(network=random_networks.networks())
def test_hundreds_of_networks_are_computed_as_they_are(form, network):
    """Rare combinations are where translations go wrong."""
    if form == "onnx":
        assert_equal(from_onnx(network, dynamo=False), as_onnx_has_it(network))
    else:
        assert_equal(from_torchscript(FORMS[form](network)), network)
