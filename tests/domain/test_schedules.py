"""A schedule that exists can be followed."""

from dataclasses import replace
from math import inf, nan

import pytest

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.schedules import AUTHORS_CODE, CENTER_BIASED, MEAN_IMAGE, Phase, Schedule

PHASE = Phase(10, (1.0, 2.0), (0.4, 0.4))


def test_the_presets_have_the_steps_of_the_published_code():
    """What is compared with the paper must be as long as in the paper."""
    assert (MEAN_IMAGE.steps, CENTER_BIASED.steps, AUTHORS_CODE.steps) == (370, 530, 370)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("steps", 4097),
        ("step_size", (0.0, 1.0)),
        ("step_size", (1.0, nan)),
        ("tv_weight", (0.4, 0.0)),
        ("tv_weight", (inf, 1.0)),
        ("window", -0.1),
        ("margin", -1.0),
        ("margin", 113.0),
        ("scale", 0.2),
        ("scale", 5.0),
        ("scale", nan),
    ],
)
def test_a_value_out_of_range_is_named(field, value):
    """A caller learns which number to change, before any work is done."""
    with pytest.raises(InvalidFieldError) as caught:
        replace(PHASE, **{field: value})
    assert caught.value.field == f"phase.{field}"


@pytest.mark.parametrize(
    "phases",
    [
        pytest.param((), id="none"),
        pytest.param((PHASE,) * 33, id="too many phases"),
        pytest.param((replace(PHASE, steps=4000),) * 3, id="too many steps"),
    ],
)
def test_a_schedule_has_a_length_that_can_be_waited_for(phases):
    """One call must not hold a worker for days."""
    with pytest.raises(InvalidFieldError, match="phases"):
        Schedule(phases)


def test_a_canvas_that_grows_without_end_is_refused():
    """Scales multiply, and memory goes with their square."""
    with pytest.raises(InvalidFieldError, match="canvas"):
        Schedule((replace(PHASE, scale=4.0),) * 2)


def test_shrinking_below_the_input_does_not_count():
    """The canvas stops at the input's size, and grows from there."""
    assert Schedule((replace(PHASE, scale=0.25), replace(PHASE, scale=4.0)))
