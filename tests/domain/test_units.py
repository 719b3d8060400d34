"""A unit is what its layer has."""

import pytest

from facetscope.domain.errors import ChannelOutOfRangeError, PositionOutOfRangeError
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
