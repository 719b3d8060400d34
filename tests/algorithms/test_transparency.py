"""What matters in an image is checked against definitions written slowly, in float64."""

import math

import numpy as np
import pytest
import torch

from facetscope.algorithms.ascent import ascend
from facetscope.algorithms.transparency import Transparency, attribution, opacity
from facetscope.domain.schedules import Phase, Schedule
from facetscope.domain.units import Readout


def noise(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return 255 * torch.rand(shape, dtype=torch.float64, generator=random)


def waves(images):
    """An objective whose gradient is known: cos(x / 40)."""
    return 40 * (images / 40).sin().sum(dim=(1, 2, 3))


def centre(images):
    """An objective that sees the middle of an image only."""
    return waves(images[..., 8:16, 8:16])


def phases(*changes):
    usual = {"steps": 4, "step_size": (2.0, 2.0), "tv_weight": (1e6, 1e6)}
    return Schedule(tuple(Phase(**usual | change) for change in changes or ({},)))


def ascent(start, plan, **options):
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(start))]
    objectives = dict.fromkeys(Readout, waves)
    return list(ascend(objectives, start, schedule=plan, generators=generators, **options))


def slow_opacity(image):
    """A Gaussian of a 32nd of the shorter side, edges repeated; then the upper quantile is 1."""
    height, width = image.shape
    deviation = min(height, width) / 32
    reach = math.ceil(3 * deviation)
    smooth = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            total = weights = 0.0
            for down in range(-reach, reach + 1):
                for right in range(-reach, reach + 1):
                    weight = math.exp(-(down**2 + right**2) / (2 * deviation**2))
                    at = min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)
                    total += weight * image[at]
                    weights += weight
            smooth[row, column] = total / weights
    return np.minimum(smooth / np.quantile(smooth, 0.95), 1)


@pytest.mark.parametrize("size", [(9, 9), (40, 28), (24, 130)])
def test_opacity_is_its_definition(size):
    """Two short convolutions and the double loop agree."""
    maps = noise(2, *size)
    expected = np.stack([slow_opacity(image) for image in maps.numpy()])
    torch.testing.assert_close(opacity(maps), torch.tensor(expected))


def test_opacity_does_not_depend_on_the_scale():
    """Units differ in theirs by orders of magnitude, and their maps are looked at side by side."""
    maps = noise(1, 24, 24)
    torch.testing.assert_close(opacity(1e-6 * maps), opacity(maps))


def test_an_image_does_not_notice_its_batch():
    """Each is scaled by its own quantile."""
    maps = noise(3, 24, 24) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1)
    torch.testing.assert_close(opacity(maps)[1:2], opacity(maps[1:2]))


def test_where_nothing_matters_nothing_is_seen():
    """The map of a dead unit is no NaN, and makes no show of importance."""
    assert torch.equal(opacity(torch.zeros(1, 16, 16)), torch.zeros(1, 16, 16))


def test_a_single_pixel_can_matter():
    """A unit of an early layer sees less than the twentieth part that is opaque elsewhere."""
    maps = torch.zeros(1, 64, 64)
    maps[0, 20, 30] = 1e-3
    found = opacity(maps)[0]
    assert float(found[20, 30]) == 1
    assert int((found > 0).sum()) < 0.05 * 64 * 64


def test_attribution_is_the_gradient_times_the_difference_from_the_mean_colour():
    """The definition, with a gradient that is known on paper."""
    images = noise(2, 3, 16, 16)
    expected = torch.zeros(2, 16, 16, dtype=torch.float64)
    for index, image in enumerate(images):
        for channel in image:
            slope = (channel / 40).cos()
            expected[index] += (slope * (channel - channel.mean())).abs()
    torch.testing.assert_close(attribution(waves, images), opacity(expected))


def test_attribution_is_where_the_unit_looks():
    """What the unit does not see owes nothing to it."""
    found = attribution(centre, noise(1, 3, 24, 24))[0]
    assert float(found[8:16, 8:16].mean()) > 0.3
    assert not found[:5].any()
    assert not found[:, 19:].any()


def test_attribution_leaves_gradients_off():
    """Workers run with gradients off."""
    with torch.no_grad():
        assert not attribution(waves, noise(1, 1, 8, 8)).requires_grad


def test_steps_tell_where_their_gradients_were():
    """A step's slope is the gradient of the canvas before it, and NaN beyond its crop."""
    start = noise(2, 3, 12, 16)
    steps = ascent(start, phases({}, {"scale": 1.5}), slopes=True)
    before = [start, *(step.canvas for step in steps[:-1])]
    for canvas, step in zip(before, steps, strict=True):
        if step.phase == 0:
            expected = (canvas / 40).cos().abs().sum(dim=1)
            torch.testing.assert_close(step.slope, expected)
            continue
        assert step.slope.shape == (2, 18, 24)
        assert [int(slope.isfinite().sum()) for slope in step.slope] == [12 * 16] * 2
    last, canvas = steps[-1].slope, steps[-2].canvas
    expected = (canvas / 40).cos().abs().sum(dim=1)
    torch.testing.assert_close(last[last.isfinite()], expected[last.isfinite()])


def test_slopes_are_made_only_where_they_are_asked_for():
    """They cost memory and time at each step."""
    assert [step.slope for step in ascent(noise(1, 1, 8, 8), phases())] == [None] * 4


def test_slopes_leave_the_images_as_they_are():
    """A map is looked at beside an image, and must not be another image's."""
    start, plan = noise(2, 3, 12, 12), phases({}, {"scale": 1.5})
    (*_, plain), (*_, traced) = ascent(start, plan), ascent(start, plan, slopes=True)
    assert torch.equal(plain.canvas, traced.canvas)


def test_transparency_is_the_mean_over_the_steps_that_looked():
    """The definition, with every step's map kept, pixel by pixel."""
    steps = ascent(noise(2, 3, 24, 24), phases({"scale": 1.5, "steps": 9}), slopes=True)
    transparency = Transparency()
    for step in steps:
        transparency.add(step.slope)
    expected = torch.zeros(2, 36, 36, dtype=torch.float64)
    for image, row, column in np.ndindex(2, 36, 36):
        seen = [float(step.slope[image, row, column]) for step in steps]
        looked = [value for value in seen if not math.isnan(value)]
        expected[image, row, column] = sum(looked) / len(looked) if looked else 0
    torch.testing.assert_close(transparency.maps((36, 36)), opacity(expected))


def test_an_even_gradient_is_even_transparency():
    """Crops are cut around the centre, which is no reason for the centre to matter more."""
    start = torch.full((1, 1, 24, 24), 20.0, dtype=torch.float64)
    transparency = Transparency()
    generators = [torch.Generator().manual_seed(0)]
    objectives = dict.fromkeys(Readout, lambda images: images.sum(dim=(1, 2, 3)))
    plan = phases({"scale": 1.2, "steps": 60, "window": 1.0})
    for step in ascend(objectives, start, schedule=plan, generators=generators, slopes=True):
        transparency.add(step.slope)
    found = transparency.maps((24, 24))
    torch.testing.assert_close(found, torch.ones_like(found))


def test_transparency_follows_a_growing_canvas():
    """What an earlier phase drew at the left remains at the left."""
    transparency = Transparency()
    small, large = torch.zeros(1, 16, 16), torch.zeros(1, 32, 32)
    small[:, :, :8] = 1
    large[:, :16] = 1
    transparency.add(small)
    transparency.add(large)
    found = transparency.maps((16, 16))[0]
    corners = [round(float(found[row, column]), 2) for row in (0, 15) for column in (0, 15)]
    assert corners == [1, 0.5, 0.5, 0]


def test_transparency_keeps_what_it_was_given():
    """A step remains what it was after it was counted."""
    transparency, slope = Transparency(), torch.ones(1, 8, 8)
    transparency.add(slope)
    transparency.add(slope)
    assert torch.equal(slope, torch.ones(1, 8, 8))


def test_there_is_no_transparency_before_the_first_step():
    """A schedule has one step at least, so this is a mistake of the caller."""
    with pytest.raises(ValueError, match="first step"):
        Transparency().maps((8, 8))


@pytest.mark.gpu
def test_maps_are_made_on_a_gpu():
    """They are the CPU's, and nothing in them is left to the order of threads."""
    maps = noise(2, 40, 28)
    torch.testing.assert_close(opacity(maps.cuda()).cpu(), opacity(maps))
    transparency = Transparency()
    for slope in (noise(1, 16, 16), noise(1, 20, 20)):
        transparency.add(slope.cuda())
    assert torch.equal(transparency.maps((16, 16)), transparency.maps((16, 16)))
