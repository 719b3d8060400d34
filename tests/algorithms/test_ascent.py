"""Ascent is checked against problems whose answer is known on paper."""

from itertools import islice

import jaxtyping
import pytest
import torch

from facetscope.algorithms.ascent import ascend
from facetscope.algorithms.slopes import UnreachableError
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.units import Readout

UNSMOOTHED = 1e6
"""A weight at which denoising changes nothing that shows."""


def schedule(*phases):
    """Phases of three small, unsmoothed steps, but for what is given."""
    usual = {"steps": 3, "step_size": (2.0, 2.0), "tv_weight": (UNSMOOTHED, UNSMOOTHED)}
    return Schedule(tuple(Phase(**usual | changes) for changes in phases or ({},)))


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def climb(objective, start, plan=None, seeds=None, rescue=None):
    """An ascent of one objective, for both readouts."""
    return ascend(
        dict.fromkeys(Readout, objective),
        start,
        schedule=plan or schedule(),
        generators=generators(*(seeds or range(len(start)))),
        rescue=rescue and dict.fromkeys(Readout, rescue),
    )


def brightness(images):
    return images.mean(dim=(1, 2, 3))


def paraboloid(peak):
    """An objective with its only maximum at ``peak``."""
    return lambda images: -(images - peak).square().sum(dim=(1, 2, 3))


def texture(images):
    """An objective whose gradient differs from pixel to pixel and image to image."""
    return (images / 50).sin().sum(dim=(1, 2, 3)) + images.diff(dim=-1).square().mean(dim=(1, 2, 3))


def noise(*shape):
    return 175 + 8 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_it_reaches_the_peak_of_a_concave_objective():
    """The maximum of a paraboloid is known, so the ascent must walk to it."""
    peak = torch.tensor([60.0, 120.0, 200.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    plan = schedule({"steps": 300, "step_size": (4.0, 0.1), "tv_weight": (0.5, 2.0)})
    *_, last = climb(paraboloid(peak), noise(2, 3, 8, 8), plan)
    torch.testing.assert_close(last.images, peak, atol=1.0, rtol=0)


def test_a_step_changes_pixels_by_its_size():
    """Step sizes are grey levels, whatever the scale of the objective."""
    start = torch.full((2, 3, 4, 4), 100.0)
    step = next(climb(lambda images: 1e-6 * brightness(images), start))
    torch.testing.assert_close(step.images, start + 2)
    torch.testing.assert_close(step.scores, torch.full((2,), 1e-4))


def test_pixels_stay_in_range():
    """A picture has no colours beyond white."""
    *_, last = climb(brightness, torch.full((1, 3, 4, 4), 254.0))
    torch.testing.assert_close(last.images, torch.full((1, 3, 4, 4), 255.0))


def test_a_margin_is_left_alone():
    """Center-biased phases draw in the middle only."""
    start = torch.full((1, 1, 10, 20), 100.0)
    (step,) = climb(brightness, start, schedule({"steps": 1, "margin": 50.0}))
    changed = (step.images[0, 0] - 100).abs() > 1
    assert changed[2:-2, 4:-4].all()
    assert int(changed.sum()) == 6 * 12


def test_every_step_is_denoised():
    """Denoising is what keeps high frequencies from winning."""
    start = noise(1, 3, 16, 16)
    (step,) = climb(brightness, start, schedule({"steps": 1, "tv_weight": (0.004, 0.004)}))
    assert float(step.images.std()) < float(start.std()) / 2


def test_a_phase_may_enlarge_the_canvas():
    """Larger canvases are drawn crop by crop, and shown whole."""
    *_, last = climb(texture, noise(2, 3, 10, 15), schedule({}, {"scale": 1.2}, {"scale": 2.0}))
    assert last.canvas.shape == (2, 3, 24, 36)
    assert last.images.shape == (2, 3, 10, 15)
    assert (last.index, last.phase) == (9, 2)


def test_a_phase_reads_the_unit_its_own_way():
    """Center-biased schedules climb a probability first and then a logit."""
    plan = schedule({"readout": Readout.PROBABILITY}, {})
    objectives = {Readout.PROBABILITY: brightness, Readout.ACTIVATION: lambda x: -brightness(x)}
    steps = ascend(objectives, noise(1, 1, 4, 4), schedule=plan, generators=generators(0))
    signs = [float(step.scores.sign()) for step in steps]
    assert signs == [1, 1, 1, -1, -1, -1]


def test_an_image_does_not_notice_its_batch():
    """A request's result must not depend on what it was computed with."""
    start, plan = noise(3, 3, 12, 12), schedule({"tv_weight": (0.4, 0.8)}, {"scale": 1.5})
    *_, together = climb(texture, start, plan, seeds=(5, 6, 7))
    *_, alone = climb(texture, start[1:2], plan, seeds=(6,))
    torch.testing.assert_close(together.canvas[1:2], alone.canvas, atol=1e-3, rtol=0)


def test_the_same_seed_gives_the_same_bytes():
    """A job names its result."""
    plan = schedule({"scale": 1.5, "tv_weight": (0.4, 0.8)})
    *_, one = climb(texture, noise(2, 3, 8, 8), plan)
    *_, other = climb(texture, noise(2, 3, 8, 8), plan)
    assert torch.equal(one.canvas, other.canvas)


def test_an_image_without_gradient_stays():
    """A dead unit is a finding; it must not become NaN, nor harm its neighbours."""
    start = torch.full((2, 1, 4, 4), 100.0)
    alive = torch.tensor([0.0, 1.0])
    step = next(climb(lambda images: brightness(images) * alive, start))
    torch.testing.assert_close(step.images, start + 2 * alive.view(2, 1, 1, 1))


def test_a_silent_image_is_rescued_and_the_others_are_not_touched():
    """Bit by bit: the rescue is for images that would stay grey for ever."""
    start, alive = noise(2, 1, 6, 6), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    silenced = lambda images: texture(images * alive)  # noqa: E731
    *_, rescued = climb(silenced, start, rescue=texture)
    *_, alone = climb(silenced, start)
    *_, awake = climb(texture, start)
    assert torch.equal(rescued.canvas[1], alone.canvas[1])
    assert torch.equal(rescued.canvas[0], awake.canvas[0])


def test_an_image_that_cannot_be_climbed_is_told():
    """With the last step of a rescue, before the others are wasted."""
    start, alive = noise(2, 1, 4, 4), torch.tensor([1.0, 0.0])
    silent = lambda images: brightness(images) * alive  # noqa: E731
    steps = climb(silent, start, schedule({"steps": 30}), rescue=silent)
    assert [next(steps).index for _ in range(15)] == list(range(1, 16))
    with pytest.raises(UnreachableError) as caught:
        next(steps)
    assert caught.value.image == 1


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_broken_score_is_told_with_its_image(broken):
    """NaN would spread silently over all that follows."""
    factor = torch.tensor([1.0, broken])
    with pytest.raises(FloatingPointError, match="image 1"):
        next(climb(lambda images: brightness(images) * factor, noise(2, 1, 4, 4)))


def test_it_does_no_work_that_nobody_asks_for():
    """Steps are taken one at a time, so a cancelled call costs at most one more."""
    seen = []
    steps = climb(lambda images: (seen.append(images), brightness(images))[1], noise(1, 3, 4, 4))
    next(steps)
    steps.close()
    assert len(seen) == 1


def test_steps_stay_as_they_were():
    """A preview may be encoded while the ascent goes on."""
    steps = list(islice(climb(brightness, torch.full((1, 1, 4, 4), 100.0)), 3))
    assert [round(float(step.images.mean())) for step in steps] == [102, 104, 106]


def test_it_leaves_the_start_as_it_was():
    """The caller may use its start images again."""
    start = torch.full((1, 3, 4, 4), 100.0)
    list(climb(brightness, start))
    assert torch.equal(start, torch.full((1, 3, 4, 4), 100.0))


def test_it_climbs_where_gradients_are_off():
    """Workers run with gradients off, and only ascents need them."""
    with torch.no_grad():
        step = next(climb(brightness, torch.full((1, 1, 4, 4), 100.0)))
    assert not step.canvas.requires_grad


def test_a_missing_batch_axis_is_caught_at_the_door():
    """Under test, jaxtyping and beartype check every annotated shape."""
    with pytest.raises(jaxtyping.TypeCheckError, match="start"):
        climb(brightness, torch.zeros(3, 2, 2))
