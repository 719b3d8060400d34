"""Units as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetscope_client import Unit, parse_unit, unit_name

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


@pytest.mark.parametrize(
    "text", ["fc", "fc:", ":3", "fc:x", "fc:3@", "fc:3@1,", "fc:3~", "fc:3~1@2"]
)
def test_what_is_not_a_unit_is_refused(text):
    """A typing error is not taken for another unit."""
    with pytest.raises(ValueError, match="LAYER:CHANNEL"):
        parse_unit(text)
