"""Units of every kind, for inputs of every shape, can be maximized; checked by the module itself.

Each network is traced and saved as people deploy it, and an image that was synthesized through it
is shown to the module that it was made of.
"""

from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.architectures import traced
from torch import nn
from torchvision.models import VisionTransformer

from facetscope.domain.errors import ReadoutUndefinedError
from facetscope.domain.events import Box, SynthesizedImage
from facetscope.domain.inputs import InputSpec
from facetscope.domain.jobs import MaximizeActivation
from facetscope.domain.schedules import CENTER_BIASED, Phase, Schedule
from facetscope.domain.syntheses import Start, Synthesis
from facetscope.domain.units import Readout, Unit
from facetscope.engine.inspection import Inspector

STEPS = Phase(12, (6.0, 3.0), (2.0, 2.0))
TOKENS = "encoder.layers.encoder_layer_0.mlp.0"


class Mixed(nn.Module):
    """A convolution, a layer with its channels last, two fully connected layers, for any size."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, stride=2, padding=1)
        self.wide = nn.Linear(6, 10)
        self.hidden = nn.Linear(10, 8)
        self.classes = nn.Linear(8, 4)

    def forward(self, images):
        channels_last = self.conv(images).relu().permute(0, 2, 3, 1)
        code = self.wide(channels_last).relu().mean((1, 2))
        return self.classes(self.hidden(code).relu())


def mixed(channels=3):
    torch.manual_seed(0)
    return Mixed(channels).eval()


def transformer():
    torch.manual_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16, "num_classes": 4}
    network = VisionTransformer(16, 8, **sizes).eval()
    nn.init.normal_(network.heads.head.weight)
    return network


@pytest.fixture(scope="module")
def inspector():
    return Inspector(device="cpu", threads=1)


@pytest.fixture
def maximize(inspector, tmp_path):
    """The image that is synthesized for a unit of a module, saved as TorchScript."""

    def run(module, unit, shape=(3, 16, 16), plan=Schedule((STEPS,))):  # noqa: B008
        path = tmp_path / "model.pt"
        traced(module, torch.rand(2, *shape)).save(str(path))
        digest = sha256(path.read_bytes()).hexdigest()
        channels, height, width = shape
        colours = InputSpec(
            channels=channels,
            height=height,
            width=width,
            low=0.0,
            high=1.0,
            mean=(0.0,),
            std=(1.0,),
        )
        synthesis = Synthesis(start=Start.NOISE, method=plan)
        job = MaximizeActivation(model=digest, unit=unit, input=colours, synthesis=synthesis)
        events = inspector.run(job, {digest: path})
        (image,) = [event for event in events if isinstance(event, SynthesizedImage)]
        return image

    return run


def shown(module, layer, image):
    """What a layer of the module itself gives for the picture that was sent."""
    levels = np.array(Image.open(BytesIO(image.picture.data)))
    pixels = torch.from_numpy(levels).float().div(255)
    batch = pixels[None, None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)[None]
    found = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda *passed: found.append(passed[2])
    )
    with torch.no_grad():
        module(batch)
    hook.remove()
    return found[0][0]


@pytest.mark.parametrize(
    ("unit", "read"),
    [
        pytest.param(Unit("hidden", 5), lambda code: code[5], id="fully connected"),
        pytest.param(Unit("classes", 2), lambda logits: logits[2], id="class"),
        pytest.param(Unit("conv", 4), lambda maps: maps[4].mean(), id="channel"),
        pytest.param(Unit("conv", 4, (3, 6)), lambda maps: maps[4, 3, 6], id="neuron"),
        pytest.param(Unit("wide", 7), lambda maps: maps[..., 7].mean(), id="channels last"),
        pytest.param(
            Unit("wide", 7, (2, 5)), lambda maps: maps[2, 5, 7], id="neuron, channels last"
        ),
        pytest.param(
            Unit("wide", 0, weights=((7, -1.0),)), lambda maps: -maps[..., 7].mean(), id="negative"
        ),
    ],
)
def test_a_unit_of_any_layer_is_maximized(maximize, unit, read):
    """Layers that people ask for: before, in and behind what pools; in either layout."""
    module = mixed()
    image = maximize(module, unit)
    assert image.activation > image.start_activation
    assert image.activation == pytest.approx(
        float(read(shown(module, unit.layer, image))), rel=1e-4
    )
    assert (image.probability is not None) == (unit.layer == "classes")


@pytest.mark.parametrize(
    ("unit", "read"),
    [
        pytest.param(Unit(TOKENS, 9), lambda tokens: tokens[:, 9].mean(), id="all tokens"),
        pytest.param(Unit(TOKENS, 9, (3,)), lambda tokens: tokens[3, 9], id="one token"),
        pytest.param(Unit("heads.head", 1), lambda logits: logits[1], id="class"),
    ],
)
def test_a_unit_of_a_transformer_is_maximized(maximize, unit, read):
    """Its layers are [batch, token, channel], and the first token is no place of the picture."""
    module = transformer()
    image = maximize(module, unit)
    assert image.activation > image.start_activation
    assert image.activation == pytest.approx(
        float(read(shown(module, unit.layer, image))), rel=1e-4
    )
    assert image.field is None


@pytest.mark.parametrize(
    "shape",
    [(1, 16, 16), (3, 8, 8), (3, 24, 40), (3, 512, 512)],
    ids=["grey", "8 pixels", "not square", "512 pixels"],
)
@pytest.mark.parametrize("unit", [Unit("conv", 1, (0, 3)), Unit("classes", 2)], ids=str)
def test_an_input_of_any_shape_is_drawn(maximize, shape, unit):
    """From digits to pictures of a camera, as large as the network takes them."""
    module = mixed(channels=shape[0])
    steps = replace(STEPS, steps=12 if shape[-1] < 512 else 2)
    image = maximize(module, unit, shape, Schedule((steps,)))
    values = shown(module, unit.layer, image)
    expected = values[1, 0, 3] if unit.position else values[2]
    assert (image.picture.height, image.picture.width) == shape[1:]
    assert image.activation > image.start_activation
    assert image.activation == pytest.approx(float(expected), rel=1e-4)


def test_an_input_of_many_channels_is_drawn(maximize):
    """A picture shows three of them only; the activation is that of all."""
    image = maximize(mixed(channels=7), Unit("classes", 2), (7, 16, 16))
    assert image.activation > image.start_activation


@pytest.mark.parametrize("readout", Readout)
def test_a_class_is_climbed_by_either_number(maximize, readout):
    """The paper begins with the one and ends with the other; both are told of every image."""
    module = mixed()
    image = maximize(module, Unit("classes", 2), plan=Schedule((replace(STEPS, readout=readout),)))
    logits = shown(module, "classes", image)
    assert image.activation > image.start_activation
    assert image.probability == pytest.approx(float(logits.softmax(dim=0)[2]), rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "field"),
    [
        (Unit("conv", 4, (3, 6)), Box(left=11, top=5, width=3, height=3)),
        (Unit("conv", 4, (0, 0)), Box(left=0, top=0, width=2, height=2)),
        (Unit("wide", 7, (2, 5)), Box(left=9, top=3, width=3, height=3)),
        (Unit("conv", 0, (7, 7), weights=((1, 1.0), (2, -1.0))), Box(13, 13, 3, 3)),
        (Unit("conv", 4), None),
        (Unit("hidden", 4), None),
    ],
    ids=str,
)
def test_what_a_neuron_sees_is_told(maximize, unit, field):
    """Worked out on paper: windows of three pixels, two apart, that begin outside the picture."""
    assert maximize(mixed(), unit).field == field


def test_what_a_neuron_does_not_see_does_not_count(maximize):
    """Black outside of its field, the picture excites the unit as much."""
    module, unit = mixed(), Unit("conv", 4, (3, 6))
    image = maximize(module, unit)
    levels = np.array(Image.open(BytesIO(image.picture.data)))
    box = image.field
    part = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    alone = np.zeros_like(levels)
    alone[part] = levels[part]
    file = BytesIO()
    Image.fromarray(alone).save(file, "png")
    cut = replace(image, picture=replace(image.picture, data=file.getvalue()))
    found = float(shown(module, "conv", cut)[4, 3, 6])
    assert found == pytest.approx(image.activation, rel=1e-5)


def test_hidden_units_are_drawn_by_the_center_biased_schedule(maximize):
    """It begins with probabilities, which they do not have, and reads their activations instead."""
    plan = Schedule(tuple(replace(phase, steps=2) for phase in CENTER_BIASED.phases))
    with pytest.raises(ReadoutUndefinedError, match="read this one's activation"):
        maximize(mixed(), Unit("hidden", 5), plan=plan)
    image = maximize(mixed(), Unit("hidden", 5), plan=CENTER_BIASED)
    assert image.activation > image.start_activation
