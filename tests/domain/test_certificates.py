"""Thresholds, and what is on which side of them."""

from math import inf, nan

import pytest

from facetscope.domain.certificates import THRESHOLDS, Certification, Level, Measure, Threshold
from facetscope.domain.errors import InvalidFieldError


@pytest.mark.parametrize(
    ("measure", "green", "red", "value", "level"),
    [
        (Measure.PATH, 0.5, 0.0, 0.5, Level.GREEN),
        (Measure.PATH, 0.5, 0.0, 0.49, Level.AMBER),
        (Measure.PATH, 0.5, 0.0, 0.0, Level.AMBER),
        (Measure.PATH, 0.5, 0.0, -0.01, Level.RED),
        (Measure.PATH, 0.5, 0.5, 0.49, Level.RED),
        (Measure.OUTLYING, 1.0, 2.0, 1.0, Level.GREEN),
        (Measure.OUTLYING, 1.0, 2.0, 2.0, Level.AMBER),
        (Measure.OUTLYING, 1.0, 2.0, 2.01, Level.RED),
        (Measure.PERCENTILE, 95.0, -inf, 0.0, Level.AMBER),
        (Measure.START_EXCESS, 0.5, inf, 2.0, Level.AMBER),
    ],
)
def test_a_bound_belongs_to_its_better_side(measure, green, red, value, level):
    """A value that is just what is asked for has passed."""
    assert Threshold(measure, green, red).level(value) is level


@pytest.mark.parametrize(
    ("measure", "green", "red"),
    [
        (Measure.PATH, 0.0, 0.5),
        (Measure.OUTLYING, 2.0, 1.0),
        (Measure.PATH, inf, 0.0),
        (Measure.PATH, 0.0, nan),
        (Measure.PATH, nan, 0.0),
    ],
)
def test_thresholds_without_an_order_are_refused(measure, green, red):
    """They would make an image RED for being better than GREEN."""
    with pytest.raises(InvalidFieldError, match=measure.name):
        Threshold(measure, green, red)


def test_every_measure_has_its_threshold():
    """None is left out of a verdict, or counted twice."""
    with pytest.raises(InvalidFieldError, match="thresholds"):
        Certification(thresholds=THRESHOLDS[1:])
    with pytest.raises(InvalidFieldError, match="thresholds"):
        Certification(thresholds=(*THRESHOLDS, THRESHOLDS[0]))
