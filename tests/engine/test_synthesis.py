"""Images of many units and seeds are made in batches, and each as if it were alone."""

import resource
from dataclasses import replace
from io import BytesIO
from itertools import count

import pytest
import torch
from tests import networks

from facetscope.domain.computing import Precision
from facetscope.domain.errors import BudgetExceededError
from facetscope.domain.events import Preview, Progress, SynthesizedImage
from facetscope.domain.inputs import InputSpec
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.syntheses import Synthesis
from facetscope.domain.units import Unit
from facetscope.engine.aims import Aim, noise
from facetscope.engine.batching import free_bytes
from facetscope.engine.opened import OpenModel
from facetscope.engine.synthesis import Studio

CPU = torch.device("cpu")
SHORT = Synthesis(method=Schedule((Phase(3, (2.0, 2.0), (0.4, 0.4), scale=1.2),)))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens these bytes as a model."""

    def open_(data, spec=None):
        path = tmp_path_factory.mktemp("model") / "model"
        path.write_bytes(data)
        return OpenModel("", path, spec or InputSpec(), Precision.FLOAT32, CPU)

    return open_


@pytest.fixture(scope="module")
def model(opened):
    return opened(networks.tiny_onnx())


def aims(model, channels, synthesis, starts=2):
    targets = [model.target(Unit("logits", channel)) for channel in channels]
    return [
        Aim(target, index, seed, noise(target, synthesis, index, seed), None)
        for target in targets
        for index in range(starts)
        for seed in range(synthesis.images_per_start)
    ]


def made(wanted, synthesis, **options):
    """All events, and the studio that gave them."""
    studio = Studio(synthesis, expected=len(wanted), **options)
    return [*studio.make(wanted), *studio.finish()], studio


def images_of(events):
    return {
        (event.unit, event.index, event.seed_index): event
        for event in events
        if isinstance(event, SynthesizedImage)
    }


@pytest.mark.parametrize("largest", [1, 2, 5])
def test_an_image_does_not_depend_on_its_company(model, largest):
    """Units, facets and seeds share a batch, and whoever asks for one of them gets the same."""
    synthesis = replace(SHORT, images_per_start=2)
    together, studio = made(aims(model, [0, 2], synthesis), synthesis)
    assert studio.largest_batch == 8
    apart, studio = made(aims(model, [0, 2], synthesis), replace(synthesis, largest_batch=largest))
    assert studio.largest_batch == largest
    found, expected = images_of(apart), images_of(together)
    assert {key: each.picture for key, each in found.items()} == {
        key: each.picture for key, each in expected.items()
    }
    assert {key: each.activation for key, each in found.items()} == pytest.approx(
        {key: each.activation for key, each in expected.items()}, rel=1e-5
    )
    assert len({image.picture for image in images_of(apart).values()}) == 8


def test_batches_do_not_mix_layers(model):
    """A unit of a layer before is not read from the one behind it."""
    studio = Studio(SHORT, expected=4)
    convolution = model.target(Unit("conv", 1))
    earlier = Aim(convolution, 0, 0, noise(convolution, SHORT, 0, 0), None)
    events = [*studio.make([earlier]), *studio.make(aims(model, [1], SHORT)), *studio.finish()]
    assert [unit for unit, *_ in images_of(events)] == [convolution.unit, *[Unit("logits", 1)] * 2]
    assert studio.largest_batch == 2


def test_a_batch_that_does_not_fit_is_halved(opened):
    """Whoever asks for more than memory holds at once waits longer, and gets it."""
    wide = torch.nn.Sequential(
        torch.nn.Conv2d(3, 256, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)
    )
    file = BytesIO()
    torch.jit.save(torch.jit.trace(wide.eval(), torch.zeros(1, 3, 64, 64)), file)
    model = opened(file.getvalue(), InputSpec(height=64, width=64))
    target = model.target(Unit(model.network.layers[-1].name, 3))
    wanted = [Aim(target, index, 0, noise(target, SHORT, index, 0), None) for index in range(24)]
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (2**40, hard))
    taken = 2**40 - free_bytes(CPU)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + 250 * 2**20, hard))
    try:
        events, studio = made(wanted, SHORT, free=lambda _: 10**12)
        predicted = free_bytes(CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert len(images_of(events)) == 24
    assert studio.largest_batch < 24
    assert predicted <= 250 * 2**20


def test_when_time_is_up_images_are_sent_as_they_are(model):
    """A reviewer with a minute has pictures after a minute, and sees that they are not done."""
    ticks = count()
    synthesis = replace(SHORT, time_limit_s=6.0, largest_batch=2)
    events, _ = made(aims(model, [1], synthesis, starts=4), synthesis, clock=lambda: next(ticks))
    found = [(image.steps, image.stopped_early) for image in images_of(events).values()]
    assert found == [(2, True)] * 2 + [(1, True)] * 2
    done, _ = made(aims(model, [1], SHORT), SHORT)
    assert [(each.steps, each.stopped_early) for each in images_of(done).values()] == [
        (3, False),
        (3, False),
    ]


def test_progress_tells_each_image_as_often_as_asked(model):
    """Ten thousand steps of a hundred images are more than a dashboard draws."""
    synthesis = replace(SHORT, progress_interval=2, largest_batch=2, preview_interval=3)
    events, _ = made(aims(model, [1], synthesis, starts=4), synthesis)
    told = [event for event in events if isinstance(event, Progress)]
    assert [(event.done, event.total) for event in told] == [
        (0, 6),
        (2, 6),
        (3, 6),
        (3, 6),
        (5, 6),
        (6, 6),
    ]
    assert [each.index for each in told[-1].objectives] == [2, 3]
    assert told[-1].objective == pytest.approx(
        sum(each.objective for each in told[-1].objectives) / 2
    )
    previews = [event for event in events if isinstance(event, Preview)]
    assert [(each.index, each.step) for each in previews] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_costs_too_much_is_refused(model):
    """An operator's machine is not spent on one request, and its sender learns the price."""
    with pytest.raises(BudgetExceededError, match=r"1.54e\+03, more than the 1.5e\+03"):
        made(aims(model, [1], SHORT), SHORT, budget=1500)
