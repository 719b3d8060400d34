"""A unit is what its layer has."""

from math import inf, nan

import pytest

from facetscope.domain.errors import (
    ChannelOutOfRangeError,
    InvalidFieldError,
    PositionOutOfRangeError,
)
from facetscope.domain.units import Layer, Unit

CONVOLUTION = Layer("conv", "Conv", (-1, 8, 5, 6), 1)
CLASSES = Layer("fc", "Gemm", (-1, 10), 1)


@pytest.mark.parametrize("unit", [Unit("conv", 0), Unit("conv", 7), Unit("conv", 7, (4, 5))])
def test_a_unit_of_its_layer_is_itself(unit):
    """What was asked for is what is inspected."""
    assert unit.within(CONVOLUTION) is unit


def test_a_channel_beyond_the_last_is_told_the_range():
    """Class indices off by one are the commonest mistake."""
    with pytest.raises(ChannelOutOfRangeError, match="channels 0 to 9, not 10"):
        Unit("fc", 10).within(CLASSES)


@pytest.mark.parametrize("position", [(5, 0), (0, 6), (1,), (0, 0, 0)])
def test_a_position_outside_is_refused(position):
    """A neuron that does not exist must not become another one."""
    with pytest.raises(PositionOutOfRangeError):
        Unit("conv", 0, position).within(CONVOLUTION)


def test_a_class_unit_has_no_positions():
    """The message says to leave it out, not that it is out of range of nothing."""
    with pytest.raises(PositionOutOfRangeError, match="leave the position out"):
        Unit("fc", 0, (0, 0)).within(CLASSES)


def test_it_is_written_as_people_write_it():
    """The same text form is used on the command line and in file names."""
    assert str(Unit("layer4.1", 42, (3, 4))) == "layer4.1:42@3,4"


def direction(*weights, **more):
    return Unit("conv", 0, weights=weights, **more)


def test_equal_directions_are_equal_units():
    """The order of the weights, and weights of 0, make no other unit, nor other bytes."""
    one = direction((3, 1), (1, -2.0), (5, 0.0))
    other = direction((1, -2.0), (3, 1.0))
    assert one == other
    assert hash(one) == hash(other)
    assert one.weights == ((1, -2.0), (3, 1.0))


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        pytest.param(((3, 1.0), (3, 2.0)), "channel 3 has more than one", id="twice"),
        pytest.param(((3, 0.0),), "all are 0", id="nowhere"),
        pytest.param(((1, 1.0), (3, nan)), "channel 3 is not finite", id="not a number"),
        pytest.param(((3, inf),), "channel 3 is not finite", id="infinite"),
    ],
)
def test_what_is_no_direction_is_refused(weights, problem):
    """Each of these would be another unit than the caller has in mind."""
    with pytest.raises(InvalidFieldError, match=problem) as caught:
        direction(*weights)
    assert caught.value.field == "unit.weights"


def test_a_channel_beside_weights_is_refused():
    """It would be left out silently."""
    with pytest.raises(InvalidFieldError, match="5 stands beside weights") as caught:
        Unit("conv", 5, weights=((3, 1.0),))
    assert caught.value.field == "unit.channel"


def test_every_channel_of_a_direction_must_be_there():
    """A concept vector of another layer is told the range."""
    with pytest.raises(ChannelOutOfRangeError, match="channels 0 to 7, not 8"):
        direction((0, 1.0), (8, 0.5)).within(CONVOLUTION)
    unit = direction((0, 1.0), (7, 0.5), position=(4, 5))
    assert unit.within(CONVOLUTION) is unit


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (direction((3, 1), (8, -1)), "conv:3-8"),
        (direction((3, -1)), "conv:-3"),
        (direction((3, 1)), "conv:1*3"),
        (direction((3, 0.5), (11, 2), position=(4, 5)), "conv:0.5*3+2*11@4,5"),
        (direction((3, 1e-20), channel_axis=2), "conv:1e-20*3~2"),
    ],
)
def test_a_direction_is_written_as_a_sum(unit, text):
    """Reports and errors name it, and it can be asked for by that name."""
    assert str(unit) == text


def test_a_long_direction_has_a_short_name_of_its_own():
    """Seeds are drawn by it, so no two may share one; messages have it, so it must be short."""
    vector = [(channel, 0.25 + channel) for channel in range(512)]
    one = str(direction(*vector))
    other = str(direction(*vector[:-1], (511, 0.25)))
    assert one != other
    assert max(len(one), len(other)) < 40
