"""Optimization by recipe is checked against problems whose answer is known on paper."""

from dataclasses import replace

import pytest
import torch

from facetscope.algorithms import parameterizations as p
from facetscope.algorithms import regularizers
from facetscope.algorithms.optimization import DivergedError, optimize
from facetscope.algorithms.slopes import UnreachableError
from facetscope.domain.recipes import FOURIER, Parameterization, Penalties, Recipe, Transforms

PLAIN = Recipe(parameterization=Parameterization.PIXELS, steps=200, learning_rate=0.05)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def grey(*shape, level=100.0):
    return torch.full(shape, level)


def brightness(images):
    return images.mean(dim=(1, 2, 3)) / 255


def climb(objective, parameters, recipe, **options):
    randomness = generators(*range(len(parameters.start)))
    return optimize(objective, parameters, recipe=recipe, generators=randomness, **options)


def texture(images):
    return (images / 30).sin().mean(dim=(1, 2, 3)) + images.diff(dim=-1).abs().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("make", [p.pixels, p.fourier])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_it_reaches_the_peak_of_a_concave_objective(make, channels):
    """The maximum of a paraboloid is known, so the optimizer must walk to it."""
    peak = 60 + 100 * torch.rand(1, channels, 6, 9, generator=generators(0)[0])
    objective = lambda images: -((images - peak) / 255).square().sum(dim=(1, 2, 3))  # noqa: E731
    *_, last = climb(
        objective, make(grey(2, channels, 6, 9)), replace(PLAIN, steps=300, learning_rate=0.1)
    )
    torch.testing.assert_close(last.images, peak.expand(2, -1, -1, -1), atol=2.0, rtol=0)


def test_a_step_is_that_of_adam():
    """The first step of Adam is the learning rate, whatever the scale of the gradient."""
    start = p.pixels(grey(2, 1, 3, 3))
    step = next(climb(lambda x: 1e-3 * brightness(x), start, PLAIN))
    expected = start.picture(start.start + PLAIN.learning_rate)
    torch.testing.assert_close(step.images, expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("term", ["total_variation", "l2", "blur"])
def test_a_penalty_is_paid(term):
    """A heavy penalty wins over the objective."""
    start = p.pixels(255 * torch.rand(1, 3, 8, 8, generator=generators(1)[0]))
    cost = getattr(regularizers, term)
    heavy = replace(PLAIN, penalties=Penalties(**{term: 1000.0}))
    *_, free = climb(texture, start, PLAIN)
    *_, held = climb(texture, start, heavy)
    assert float(cost(held.images)) < float(cost(free.images)) / 2


def test_an_image_does_not_notice_its_batch():
    """A request's result must not depend on what it was computed with."""
    recipe = replace(FOURIER, steps=5)
    like = grey(1, 3, 12, 10)
    trio = p.fourier_noise(like, generators(7, 8, 9))
    *_, together = optimize(texture, trio, recipe=recipe, generators=generators(1, 2, 3))
    one = p.fourier_noise(like, generators(8))
    *_, alone = optimize(texture, one, recipe=recipe, generators=generators(2))
    torch.testing.assert_close(together.images[1:2], alone.images, atol=1e-2, rtol=0)


def test_the_same_seed_gives_the_same_bytes():
    """A job names its result."""
    recipe, start = replace(FOURIER, steps=5), p.fourier(grey(2, 3, 9, 8))
    *_, one = climb(texture, start, recipe)
    *_, other = climb(texture, start, recipe)
    assert torch.equal(one.images, other.images)


def test_it_leaves_the_start_and_earlier_steps_as_they_were():
    """A preview may be encoded while the ascent goes on."""
    start = p.pixels(grey(1, 1, 4, 4))
    before = start.start.clone()
    steps = climb(brightness, start, PLAIN)
    first = next(steps)
    shown = first.images.clone()
    next(steps)
    assert torch.equal(start.start, before)
    assert torch.equal(first.images, shown)
    assert not shown.requires_grad


def test_it_climbs_where_gradients_are_off():
    """Workers run with gradients off, and only ascents need them."""
    with torch.no_grad():
        step = next(climb(brightness, p.pixels(grey(1, 1, 4, 4)), PLAIN))
    assert float(step.images.mean()) > 100


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_broken_score_is_told_with_its_image(broken):
    """NaN would spread silently over all that follows."""
    factor = torch.tensor([1.0, broken])
    with pytest.raises(FloatingPointError, match="image 1"):
        next(climb(lambda x: brightness(x) * factor, p.pixels(grey(2, 1, 4, 4)), PLAIN))


def test_a_learning_rate_that_diverges_is_told():
    """Black and white have no gradient: all further steps would be wasted."""
    with pytest.raises(DivergedError) as caught:
        list(climb(brightness, p.pixels(grey(1, 1, 4, 4)), replace(PLAIN, learning_rate=100.0)))
    assert (caught.value.image, caught.value.step) == (0, 1)


def test_a_start_that_is_black_is_no_divergence():
    """A model of silhouettes may be given one."""
    start = p.Parameters(torch.full((1, 1, 4, 4), -9.0), p.pixels(grey(1, 1, 4, 4)).picture)
    assert next(climb(brightness, start, PLAIN)).index == 1


@pytest.mark.parametrize("size", [(8, 8), (8, 21), (512, 512)])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_every_size_and_number_of_channels_is_taken(size, channels):
    """From thumbnails to photographs, grey to multispectral."""
    moves = Transforms(jitter=0.1, scale=(0.9, 1.2), rotation=15.0)
    recipe = replace(FOURIER, steps=2, transforms=moves)
    like = grey(1, channels, *size)
    *_, last = climb(texture, p.fourier_noise(like, generators(0)), recipe)
    assert last.images.shape == like.shape
    assert last.images.isfinite().all()


def test_a_penalty_and_the_objective_are_climbed_together():
    """The first step of plain gradients, on paper: Adam goes by the sign of the sum alone."""
    start = p.pixels(grey(1, 1, 2, 2, level=200.0))
    weak, strong = (replace(PLAIN, penalties=Penalties(l2=weight)) for weight in (0.1, 10.0))
    assert next(climb(brightness, start, weak)).images.min() > 200
    assert next(climb(brightness, start, strong)).images.max() < 200


def test_a_silent_image_is_rescued_and_the_others_are_not_touched():
    """Bit by bit: the rescue is for images that would stay grey for ever."""
    alive = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    start, recipe = p.fourier(grey(2, 3, 6, 6)), replace(FOURIER, steps=4)
    silenced = lambda images: texture(images * alive)  # noqa: E731
    *_, rescued = climb(silenced, start, recipe, rescue=texture)
    *_, alone = climb(silenced, start, recipe)
    assert torch.equal(rescued.images[1], alone.images[1])
    torch.testing.assert_close(alone.images[0], torch.full((3, 6, 6), 100.0), atol=1e-3, rtol=0)
    assert (rescued.images[0] - 100).abs().max() > 1


def test_a_picture_that_cannot_be_climbed_is_told():
    """When the steps of the rescue are over, and before all others are wasted."""
    constant = lambda images: 0 * images.sum(dim=(1, 2, 3)) + 3  # noqa: E731
    steps = climb(constant, p.pixels(grey(2, 1, 4, 4)), PLAIN, rescue=constant)
    assert [next(steps).index for _ in range(15)] == list(range(1, 16))
    with pytest.raises(UnreachableError) as caught:
        next(steps)
    assert (caught.value.image, caught.value.steps) == (0, 16)
