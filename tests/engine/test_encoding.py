"""Codes that depend on the unit, against their definitions on a network of a few weights."""

import io
from dataclasses import replace

import pytest
import torch
from tests import hostile_onnx, networks
from torch import nn

from facetscope.algorithms.codes import codes_of
from facetscope.domain.computing import Precision, Runtime
from facetscope.domain.discoveries import PAPER, CodePooling, CodeWeighting, Discovery, View
from facetscope.domain.errors import AttributionUndefinedError, OperatorUnsupportedError
from facetscope.domain.inputs import InputSpec
from facetscope.domain.units import Unit
from facetscope.engine.encoding import Encoder
from facetscope.engine.opened import OpenModel

IMAGES = torch.randint(0, 256, (18, 3, 16, 16), generator=torch.manual_seed(0)).float()
ATTRIBUTION = Discovery(code_weighting=CodeWeighting.ATTRIBUTION)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens these bytes as a model, which computes in double precision unless told."""

    def open_(data, precision=Precision.FLOAT64):
        path = tmp_path_factory.mktemp("model") / "model"
        path.write_bytes(data)
        return OpenModel("", path, InputSpec(), precision, torch.device("cpu"))

    return open_


@pytest.fixture(scope="module")
def model(opened):
    return opened(networks.tiny_onnx())


@pytest.fixture(scope="module")
def layers(model):
    """Activations by layer."""
    names = ["conv", "relu", "code", "logits"]
    return dict(zip(names, model.network.reading(names)(model.preprocessing(IMAGES)), strict=True))


@pytest.fixture(scope="module")
def weights(layers):
    """Of the classifier: 8 images and more tell them."""
    return torch.linalg.lstsq(layers["code"], layers["logits"]).solution.T


def encoder(model, unit, discovery, code_layer=""):
    made = Encoder(
        model.target(unit), model.code_layer(code_layer), replace(discovery, code_layer=code_layer)
    )
    made.check()
    return made


def encoded(*asked):
    encoding = encoder(*asked).encode(iter(IMAGES), len(IMAGES))
    while True:
        try:
            progress = next(encoding)
        except StopIteration as end:
            return end.value
        assert progress.total == len(IMAGES)


def test_behind_a_linear_head_a_code_is_weight_times_activation(model, layers, weights):
    """And it adds up to the logit, which has no other part."""
    codes = encoded(model, Unit("logits", 2), ATTRIBUTION)
    expected = layers["code"] * weights[2]
    torch.testing.assert_close(codes, expected.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(codes.sum(1), layers["logits"][:, 2].float(), rtol=1e-5, atol=1e-5)


def test_brain_floats_are_right_to_two_digits(opened, model):
    """The gradient ends at the code itself, and not at its copy in another precision."""
    unit = Unit("logits", 2)
    exact = encoded(model, unit, ATTRIBUTION)
    codes = encoded(opened(networks.tiny_onnx(), Precision.BFLOAT16), unit, ATTRIBUTION)
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes, exact, rtol=0.05, atol=0.05)


def test_two_units_have_codes_of_their_own(model, layers, weights):
    """What one class makes of a channel is not what the other does."""
    for channel in (0, 3):
        codes = encoded(model, Unit("logits", channel), ATTRIBUTION)
        torch.testing.assert_close(codes, (layers["code"] * weights[channel]).float())


@pytest.mark.parametrize("pooling", CodePooling)
def test_attributions_at_positions_are_pooled_as_asked(model, layers, weights, pooling):
    """Each of 256 positions has its part of the mean: summed, at the largest, or at the peak."""
    discovery = replace(ATTRIBUTION, code_pooling=pooling)
    codes = encoded(model, Unit("logits", 1), discovery, "relu")
    parts = layers["relu"].flatten(2) * weights[1][:, None] / 256
    expected = []
    for image in parts:
        at = int(image.sum(0).argmax())
        choices = {
            CodePooling.MEAN: image.sum(1),
            CodePooling.MAX: image.max(1).values,
            CodePooling.AT_MAXIMUM: image[:, at],
        }
        expected.append(choices[pooling])
    torch.testing.assert_close(codes, torch.stack(expected).float(), rtol=1e-4, atol=1e-6)


def test_codes_at_a_maximum_are_read_where_the_unit_has_it(model, layers):
    """Unit and code layer share the grid of 16 x 16 here."""
    codes = encoded(model, Unit("conv", 5), Discovery(code_pooling=CodePooling.AT_MAXIMUM), "relu")
    for code, conv, relu in zip(codes, layers["conv"], layers["relu"], strict=True):
        row, column = divmod(int(conv[5].argmax()), 16)
        torch.testing.assert_close(code, relu[:, row, column].float())


def test_codes_of_a_direction_are_weighted_by_its_own_gradient(model, layers, weights):
    """One class against another: behind a linear head, by the difference of their weights."""
    unit = Unit("logits", 0, weights=((2, 1.0), (0, -0.5)))
    codes = encoded(model, unit, ATTRIBUTION)
    expected = layers["code"] * (weights[2] - 0.5 * weights[0])
    torch.testing.assert_close(codes, expected.float(), rtol=1e-5, atol=1e-6)


def test_codes_of_a_direction_are_read_where_its_own_map_peaks(model, layers):
    """Neither of its channels need have its maximum there."""
    unit = Unit("conv", 0, weights=((5, 1.0), (2, -2.0)))
    codes = encoded(model, unit, Discovery(code_pooling=CodePooling.AT_MAXIMUM), "relu")
    summed = (layers["conv"][:, 5] - 2 * layers["conv"][:, 2]).flatten(1)
    for code, image, own in zip(codes, layers["relu"].flatten(2), summed, strict=True):
        torch.testing.assert_close(code, image[:, int(own.argmax())].float())


def test_codes_of_a_neuron_are_read_at_its_position(model, layers):
    """Its maximum is where it is."""
    discovery = Discovery(code_pooling=CodePooling.AT_MAXIMUM)
    codes = encoded(model, Unit("conv", 5, (3, 7)), discovery, "relu")
    torch.testing.assert_close(codes, layers["relu"][:, :, 3, 7].float())


def test_codes_that_are_the_same_for_all_units_are_not_computed_again(model):
    """The pass over all images has them."""
    logit, hidden = Unit("logits", 0), Unit("conv", 0)
    at_maximum = Discovery(code_pooling=CodePooling.AT_MAXIMUM)
    assert not encoder(model, logit, Discovery()).is_needed
    assert not encoder(model, logit, at_maximum, "relu").is_needed
    assert not encoder(model, hidden, at_maximum, "code").is_needed
    assert encoder(model, hidden, at_maximum, "relu").is_needed
    assert encoder(model, hidden, Discovery(view=View.RECEPTIVE_FIELD)).is_needed


def test_codes_of_crops_are_those_of_what_is_seen(model, layers):
    """The encoder takes what it is shown."""
    codes = encoded(model, Unit("conv", 1), Discovery(view=View.RECEPTIVE_FIELD))
    torch.testing.assert_close(codes, codes_of(layers["code"], 1))


def test_the_way_from_code_to_unit_must_have_a_gradient(opened):
    """An argmax in between tells nothing of what its input contributes."""
    model = opened(hostile_onnx.troubled())
    with pytest.raises(AttributionUndefinedError, match="no gradient passes"):
        encoder(model, Unit("winner", 0), ATTRIBUTION)


def test_what_only_onnx_runtime_computes_has_no_codes_of_its_own(opened):
    """The graph is needed for them, and it says what it lacks."""
    model = opened(hostile_onnx.recurrent_tail())
    with pytest.raises(OperatorUnsupportedError, match="LSTM"):
        encoder(model, Unit("logits", 0), ATTRIBUTION, model.network.layers[0].name)
    assert not encoder(model, Unit("logits", 0), Discovery(runtime=Runtime.AUTO)).is_needed


def test_the_papers_code_layer_is_the_last_hidden_one(opened):
    """Who asks for the paper's pipeline gets its codes, where the default has others."""
    features = [nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    network = nn.Sequential(*features, nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 5))
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(network, IMAGES[:2]), file)
    model = opened(file.getvalue(), Precision.FLOAT32)
    assert model.code_layer(Discovery().code_layer).name == "2"
    assert model.code_layer(PAPER.code_layer).name == "4"
    assert model.code_layer("0").name == "0"
