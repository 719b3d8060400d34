"""Slopes of a unit that is silent, on paper: a rectified sum of a few pixels."""

import pytest
import torch

from facetscope.algorithms.slopes import RESCUE_STEPS, Slopes, UnreachableError


def unit(images):
    """``relu(x - 50)`` of the sum ``x`` of the pixels: silent below 50."""
    return torch.relu(images.sum(dim=(1, 2, 3)) - 50)


def woken(images):
    """The unit with a gradient of 2 where it has none of its own."""
    total = images.sum(dim=(1, 2, 3)) - 50
    return torch.relu(total) + torch.where(total < 0, 2 * (total - total.detach()), 0)


def constant(images):
    return 0 * images.sum(dim=(1, 2, 3))


def images(*levels):
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_an_image_without_a_gradient_has_that_of_the_rescue():
    """The others keep their own, and the scores are those of the objective."""
    scores, gradient = Slopes(9)(unit, images(10.0, 20.0, 5.0), woken)
    assert scores.tolist() == [0, 30, 0]
    assert gradient[:, 0, 0, 0].tolist() == [2, 1, 2]


def test_without_a_rescue_it_keeps_none():
    """Which is no error: others of the batch may climb."""
    slopes = Slopes(2)
    for _ in range(2):
        _, gradient = slopes(unit, images(10.0, 20.0), None)
        assert gradient[:, 0, 0, 0].tolist() == [0, 1]


def test_the_rescue_ends_after_its_steps():
    """Later on a silent image stays: it has been where the unit fires, and left."""
    slopes = Slopes(100)
    for _ in range(RESCUE_STEPS):
        _, gradient = slopes(unit, images(10.0), woken)
        assert gradient.any()
    _, gradient = slopes(unit, images(10.0), woken)
    assert not gradient.any()


@pytest.mark.parametrize(("steps", "due"), [(100, RESCUE_STEPS), (3, 3)])
def test_an_image_that_never_had_a_gradient_is_told(steps, due):
    """With the last step of a rescue, or of an ascent that is shorter."""
    slopes, alive = Slopes(steps), torch.tensor([1.0, 0.0])
    for _ in range(due - 1):
        slopes(lambda x: unit(x) * alive, images(20.0, 20.0), constant)
    with pytest.raises(UnreachableError) as caught:
        slopes(lambda x: unit(x) * alive, images(20.0, 20.0), constant)
    assert (caught.value.image, caught.value.steps) == (1, due)


def test_an_image_that_once_had_a_gradient_is_not_told():
    """It was climbed: that it stands still at the end is no error."""
    slopes = Slopes(3)
    for objective in (unit, constant, constant):
        slopes(objective, images(20.0), constant)
    assert not slopes(constant, images(20.0), constant)[1].any()


def test_a_broken_gradient_is_no_silence():
    """NaN is for the caller to tell."""
    _, gradient = Slopes(1)(lambda x: unit(x) * float("nan"), images(20.0), constant)
    assert gradient.isnan().all()
