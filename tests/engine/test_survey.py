"""One pass for any number of units gives what a pass for each would."""

import torch
from tests import networks

from facetscope.algorithms.codes import codes_of
from facetscope.algorithms.objectives import unit_activation
from facetscope.domain.computing import Runtime
from facetscope.domain.discoveries import CodePooling, PredictedImages, QuantileImages, TopImages
from facetscope.domain.events import Forward
from facetscope.domain.inputs import InputSpec
from facetscope.domain.units import Layer, Unit
from facetscope.engine.forward import Passes
from facetscope.engine.survey import Surveyor
from facetscope.images.loading import Batch
from facetscope.images.preprocessing import Preprocessing

IMAGES = 11
SPEC = InputSpec(height=networks.SIZE, width=networks.SIZE).resolved()
MAPS = Layer("maps", "Conv", (-1, 5, 3, 4), 1)
TOKENS = Layer("tokens", "Add", (-1, 6, 7), 2)
SCORES = Layer("scores", "Gemm", (-1, 4), 1)
VALUES = {
    layer: torch.randn(IMAGES, *layer.shape[1:], generator=torch.manual_seed(index))
    for index, layer in enumerate((MAPS, TOKENS, SCORES))
}
UNITS = {
    Unit("maps", 3): MAPS,
    Unit("tokens", 1): TOKENS,
    Unit("maps", 0): MAPS,
    Unit("maps", 3, (2, 1)): MAPS,
    Unit("tokens", 2, (5,)): TOKENS,
    Unit("scores", 1): SCORES,
    Unit("maps", 0, weights=((3, 0.5), (1, -2.0))): MAPS,
    Unit("maps", 0, weights=((0, -1.0),)): MAPS,
    Unit("maps", 0, (2, 1), weights=((0, -1.0), (4, 3.0))): MAPS,
    Unit("tokens", 0, weights=tuple((channel, 1.0 + channel) for channel in range(7))): TOKENS,
}


def surveyed(**asked):
    """A survey of images that come in batches of 4, whose activations are ``VALUES``."""
    passed = []

    def read(images):
        first = sum(passed)
        passed.append(len(images))
        return [VALUES[layer][first : first + len(images)] for layer in VALUES]

    passes = Passes(tuple(VALUES), read, Forward(Runtime.TORCH, "cpu"))
    surveyor = Surveyor(passes, Preprocessing(SPEC), UNITS, MAPS, **asked)
    survey = surveyor.survey(batches())
    while True:
        try:
            next(survey)
        except StopIteration as end:
            assert sum(passed) == IMAGES
            return end.value


def batches():
    for first in range(0, IMAGES, 4):
        places = tuple(range(first, min(first + 4, IMAGES)))
        names = tuple(map(str, places))
        pixels = torch.zeros(len(places), 3, networks.SIZE, networks.SIZE, dtype=torch.uint8)
        yield Batch(places, names, ("",) * len(places), pixels, ())


def test_each_unit_has_its_own_activations():
    """Channels, neurons and scores are what they are when they are read alone."""
    survey = surveyed()
    assert set(survey.activations) == set(UNITS)
    for unit, layer in UNITS.items():
        expected = unit_activation(VALUES[layer], unit.terms, layer.channel_axis, unit.position)
        torch.testing.assert_close(survey.activations[unit], expected)


def test_a_peak_is_where_the_largest_activation_is():
    """Found in the same pass; a neuron's is its own place, and nobody is told it."""
    survey = surveyed(peaks=True)
    assert set(survey.peaks) == {unit for unit in UNITS if unit.position is None}
    for image, place in enumerate(survey.peaks[Unit("maps", 3)].tolist()):
        channel = VALUES[MAPS][image, 3]
        assert channel[divmod(place, 4)] == channel.max()
    for image, place in enumerate(survey.peaks[Unit("tokens", 1)].tolist()):
        assert VALUES[TOKENS][image, place, 1] == VALUES[TOKENS][image, :, 1].max()


def test_a_peak_of_a_direction_is_that_of_its_own_map():
    """Where one of its channels is largest, the sum need not be."""
    survey = surveyed(peaks=True)
    unit = Unit("maps", 0, weights=((3, 0.5), (1, -2.0)))
    for image, place in enumerate(survey.peaks[unit].tolist()):
        summed = 0.5 * VALUES[MAPS][image, 3] - 2 * VALUES[MAPS][image, 1]
        assert summed[divmod(place, 4)] == summed.max()


def test_winners_are_found_once_for_a_layer():
    """All units of a layer share one tensor, and only on demand."""
    assert surveyed().winners == {}
    survey = surveyed(predictions=True)
    winners = survey.winners[Unit("maps", 3)]
    assert winners is survey.winners[Unit("maps", 0)]
    assert torch.equal(winners, VALUES[MAPS].mean((2, 3)).argmax(dim=1))
    own = survey.select(Unit("scores", 1), PredictedImages())
    assert own.tolist() == [i for i in range(IMAGES) if VALUES[SCORES][i].argmax() == 1]


def test_codes_are_pooled_as_asked():
    """The same for all units, so that they are computed once."""
    for pooling in CodePooling:
        survey = surveyed(pooling=pooling)
        torch.testing.assert_close(survey.codes, codes_of(VALUES[MAPS], 1, pooling))


def test_images_of_a_quantile_are_the_upper_part():
    """Half of eleven images is six of them: the one in the middle is at the quantile."""
    survey = surveyed()
    unit = Unit("scores", 1)
    assert torch.equal(survey.select(unit, QuantileImages(0.5)), survey.select(unit, TopImages(6)))
