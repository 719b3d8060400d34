"""Ramps are checked at their ends, and the authors' against numbers worked out by hand."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from facetscope.algorithms.denoising import denoise
from facetscope.algorithms.schedules import margin_pixels, settings, tv_weight_for
from facetscope.domain.schedules import MEAN_IMAGE, Phase

FIRST = MEAN_IMAGE.phases[0]


def phase(**changes):
    return Phase(**{"steps": 5, "step_size": (1.0, 2.0), "tv_weight": (0.5, 2.5)} | changes)


def test_a_ramp_is_linear_from_the_first_step_to_the_last():
    """What the table of a schedule says is what happens."""
    ramp = list(settings(phase()))
    assert [now.step_size for now in ramp] == [1.0, 1.25, 1.5, 1.75, 2.0]
    assert [now.tv_weight for now in ramp] == [0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_phase_of_one_step_has_its_start():
    """There is no last step to ramp to."""
    (only,) = settings(phase(steps=1))
    assert (only.step_size, only.tv_weight) == (1.0, 0.5)


def test_the_authors_weight_ends_near_the_sum_of_its_ends():
    """Their constant 0.4 is 0.398 at first and 0.796 at last."""
    first, *_, last = settings(FIRST, authors_ramps=True)
    assert first.tv_weight == pytest.approx(0.4 * (1 - 1 / 190))
    assert last.tv_weight == pytest.approx(0.4 - 0.4 / 190 + 0.4 * 189 / 190)


def test_the_authors_whole_step_sizes_stay_whole():
    """Their ramp from 1 to 2 is an integer division, which never gets there."""
    assert {now.step_size for now in settings(FIRST, authors_ramps=True)} == {1.0}


def test_the_authors_falling_step_sizes_fall_at_once():
    """Their division rounds down, so a ramp from 6 to 3 loses its first whole at step two."""
    ramp = settings(phase(steps=10, step_size=(6.0, 3.0)), authors_ramps=True)
    assert [now.step_size for now in ramp] == [6, 5, 5, 5, 4, 4, 4, 3, 3, 3]


def test_the_authors_broken_step_sizes_ramp():
    """Only whole numbers were cut."""
    ramp = list(settings(phase(steps=2, step_size=(1.0, 1.5)), authors_ramps=True))
    assert [now.step_size for now in ramp] == [1.0, 1.25]


@pytest.mark.parametrize(("size", "pixels"), [(227, 50), (224, 49), (32, 7), (2, 0), (1, 0)])
def test_margins_grow_with_the_input(size, pixels):
    """The same share of the picture is updated, whatever the network's input."""
    assert margin_pixels(phase(margin=50.0), size) == pixels


@pytest.mark.parametrize("size", [1, 2, 3, 4, 227])
def test_margins_leave_something_to_update(size):
    """An ascent that changes nothing would look like a network without gradient."""
    assert size - 2 * margin_pixels(phase(margin=112.9), size) > 0


def test_a_weight_smooths_alike_at_every_size():
    """A schedule made for 227-pixel networks keeps its meaning for a digit classifier's."""
    place = torch.linspace(-1, 1, 64)
    disc = 255 * ((place[:, None] ** 2 + place**2) < 0.4).float()[None, None]
    small = avg_pool2d(disc, 2)
    smoothed = avg_pool2d(smooth(disc, tv_weight_for(0.002, 64, 64)), 2)
    alike = smooth(small, tv_weight_for(0.002, 32, 32))
    unscaled = smooth(small, tv_weight_for(0.002, 64, 64))
    assert distance(smoothed, alike) < 0.4 * distance(smoothed, unscaled)


def smooth(images, weight):
    return denoise(images, weight, iterations=2000, tolerance=0.0)


def distance(images, others):
    return (images - others).square().mean().sqrt()


def test_a_weight_is_itself_at_the_size_that_it_was_published_for():
    """The authors' schedule for the authors' network is left as it is."""
    assert tv_weight_for(0.4, 227, 227) == pytest.approx(0.4)
