"""Units as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetscope_client import ChannelWeight, Unit, parse_unit, unit_name

INDEX = st.integers(0, 2**32 - 1)


@given(
    st.text(min_size=1).filter(lambda text: "\n" not in text),
    INDEX,
    st.lists(INDEX),
    st.none() | INDEX,
)
def test_a_unit_reads_back_as_it_was_written(layer, channel, position, axis):
    """Reports name units so that they can be asked for again."""
    unit = Unit(layer=layer, channel=channel, position=position, channel_axis=axis)
    assert parse_unit(unit_name(unit)) == unit


@given(
    st.dictionaries(
        st.integers(0, 99), st.floats(allow_nan=False, allow_infinity=False), max_size=8
    ).filter(lambda weights: any(weights.values())),
    st.lists(INDEX, max_size=2),
)
def test_a_direction_reads_back_as_it_was_written(weights, position):
    """To the last bit of every weight, in the one form that the server gives back."""
    ordered = [(channel, weight) for channel, weight in sorted(weights.items()) if weight]
    unit = with_weights(*ordered, position=position)
    assert parse_unit(unit_name(unit)) == unit


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("fc:3-8", [(3, 1), (8, -1)]),
        ("fc:-3", [(3, -1)]),
        ("fc:0.5*3+2*11", [(3, 0.5), (11, 2)]),
        ("fc:1*3", [(3, 1)]),
        ("fc:-1e-3*0+2.*1", [(0, -0.001), (1, 2)]),
    ],
)
def test_a_sum_of_channels_is_a_direction(text, weights):
    """What people write on a command line, and on one line of a report."""
    assert parse_unit(text) == with_weights(*weights)


def test_long_directions_have_short_names_of_their_own():
    """A concept vector of 2048 numbers fits no title, and no two of them share a folder."""
    vector = [(channel, 0.5 + channel) for channel in range(2048)]
    names = {unit_name(with_weights(*vector)), unit_name(with_weights(*vector[:-1]))}
    assert len(names) == 2
    assert max(map(len, names)) < 40
    assert unit_name(with_weights(*vector)) == unit_name(with_weights(*vector[::-1]))


def with_weights(*weights, **more):
    terms = [ChannelWeight(channel=channel, weight=weight) for channel, weight in weights]
    return Unit(layer="fc", weights=terms, **more)


@pytest.mark.parametrize(
    "text",
    [
        "fc:3+",
        "fc:+3",
        "fc:3--8",
        "fc:*3",
        "fc:0.5*",
        "fc:3*x",
        "fc",
        "fc:",
        ":3",
        "fc:x",
        "fc:3@",
        "fc:3@1,",
        "fc:3~",
        "fc:3~1@2",
    ],
)
def test_what_is_not_a_unit_is_refused(text):
    """A typing error is not taken for another unit."""
    with pytest.raises(ValueError, match="LAYER:CHANNEL"):
        parse_unit(text)
