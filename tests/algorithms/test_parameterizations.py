"""Parameterizations are checked against their definitions, frequency by frequency."""

import cmath
import math

import pytest
import torch

from facetscope.algorithms import parameterizations as p
from facetscope.algorithms.parameterizations import parameters as begun
from facetscope.domain.recipes import Parameterization

PIXELS, FOURIER, MACO = Parameterization
SIZES = [(8, 8), (9, 12), (12, 9), (7, 5), (33, 40)]


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def pictures(*shape, seed=0):
    """Pictures that are nowhere black or white."""
    random = torch.rand(*shape, generator=generators(seed)[0], dtype=torch.float64)
    return 10 + 235 * random


def values(picture):
    return torch.logit(picture / 255)


def slow_frequency(row, column, height):
    """Cycles a pixel of one element of a half spectrum."""
    return row if row <= (height - 1) // 2 else row - height, column


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", Parameterization)
def test_a_picture_survives_the_way_there_and_back(kind, channels, size):
    """An inspection starts from the mean image of a facet, whatever is varied."""
    start = pictures(2, channels, *size)
    parameters = begun(kind, start)
    torch.testing.assert_close(parameters.picture(parameters.start), start)


@pytest.mark.parametrize("size", SIZES)
def test_a_fourier_picture_is_its_definition(size):
    """The sum over all frequencies, written out."""
    height, width = size
    made = begun(FOURIER, pictures(1, 1, *size), noise=generators(3))
    (draw,), found = made.start, values(made.picture(made.start))
    scale = p.energies(size)
    for y, x in [(0, 0), (3, 2), (height - 1, width - 1)]:
        total = 0.0
        for row in range(height):
            for column in range(width // 2 + 1):
                coefficient = complex(*draw[0, row, column].tolist()) * float(scale[row, column])
                turn = cmath.exp(2j * math.pi * (row * y / height + column * x / width))
                twice = 1 if column == 0 or (width % 2 == 0 and column == width // 2) else 2
                total += twice * (coefficient * turn).real
        assert float(found[0, 0, y, x]) == pytest.approx(total / height / width / 4, abs=1e-9)


@pytest.mark.parametrize("decay", [1.0, 1.5])
@pytest.mark.parametrize("size", SIZES)
def test_a_parameter_counts_by_its_frequency(size, decay):
    """Natural pictures have equal energy at all scales; white noise has not."""
    height, width = size
    found = p.energies(size, decay)
    for row in range(height):
        for column in range(width // 2 + 1):
            signed, across = slow_frequency(row, column, height)
            frequency = max(math.hypot(signed / height, across / width), 1 / max(size))
            steeper = (8 / max(size) / frequency) ** (decay - 1)
            expected = math.sqrt(height * width) / frequency * steeper
            if row * 2 != height:
                assert float(found[row, column]) == pytest.approx(expected)


def test_decorrelation_undoes_the_mixing_of_colours():
    """The matrices are each other's inverse, and only three channels are colours."""
    three, four = pictures(2, 3, 4, 5), pictures(2, 4, 4, 5)
    torch.testing.assert_close(p.decorrelated(p.mixed(three)), three)
    torch.testing.assert_close(p.mixed(p.decorrelated(three)), three)
    assert torch.equal(p.mixed(four), four)


def test_colours_are_mixed_by_the_published_matrix():
    """Lucid divides by the norm of the longest column."""
    longest = max(math.sqrt(sum(row[i] ** 2 for row in p.MIXING)) for i in range(3))
    pixel = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    expected = [sum(a * b for a, b in zip(row, pixel.tolist(), strict=True)) for row in p.MIXING]
    found = p.mixed(pixel.reshape(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64) / longest)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", SIZES)
def test_phases_leave_magnitudes_exactly_as_they_were(channels, size):
    """That is the constraint: only where things are may be varied, not how much of them."""
    magnitude = p.magnitudes(pictures(4, channels, *size))
    made = begun(MACO, pictures(2, channels, *size), noise=generators(1, 2), magnitude=magnitude)
    found = torch.fft.rfft2(p.decorrelated(values(made.picture(made.start))))
    torch.testing.assert_close(found.abs(), magnitude.abs().expand_as(found))
    torch.testing.assert_close(found.real[..., 0, 0], magnitude[:, 0, 0].expand(2, channels))


@pytest.mark.parametrize("size", SIZES)
def test_magnitudes_are_the_mean_over_pictures(size):
    """And each image may have a set of its own."""
    natural = pictures(3, 3, *size)
    spectra = torch.fft.fft2(p.decorrelated(values(natural)))[..., : size[1] // 2 + 1]
    signed = own_opposites(size)
    expected = torch.where(signed, spectra.real, spectra.abs()).mean(dim=0)
    torch.testing.assert_close(p.magnitudes(natural), expected)
    sets = torch.stack([p.magnitudes(each[None]) for each in natural])
    made = begun(MACO, natural, magnitude=sets)
    torch.testing.assert_close(made.picture(made.start), natural)


def own_opposites(size):
    """Frequencies that are their own opposite, which have a sign in place of a phase."""
    height, width = size
    rows, columns = torch.meshgrid(
        torch.arange(height), torch.arange(width // 2 + 1), indexing="ij"
    )
    return (2 * rows % height == 0) & (2 * columns % width == 0)


@pytest.mark.parametrize("size", [(4, 5), (5, 4)])
def test_gradients_are_those_of_the_definition(size):
    """Compared with differences of the pictures themselves."""
    start = pictures(1, 3, *size)
    for kind in Parameterization:
        made = begun(kind, start, noise=generators(0))
        assert torch.autograd.gradcheck(made.picture, (made.start.clone().requires_grad_(),))


@pytest.mark.parametrize("kind", Parameterization)
def test_neither_start_nor_picture_depends_on_its_batch(kind):
    """Each image draws from its own randomness."""
    like, magnitude = pictures(2, 3, 6, 8), p.magnitudes(pictures(3, 3, 6, 8))
    pair = begun(kind, like, noise=generators(5, 6), magnitude=magnitude)
    alone = begun(kind, like[1:], noise=generators(6), magnitude=magnitude)
    assert torch.equal(pair.start[1:], alone.start)
    torch.testing.assert_close(pair.picture(pair.start)[1:], alone.picture(alone.start))


def test_noise_is_each_parameterization_s_own():
    """Nearly grey spectra, phases of all angles; pixels begin at the noise that they are given."""
    like, randomness = pictures(1, 3, 64, 64), generators(5)
    grey, turned, same = (
        begun(kind, like, noise=randomness).start for kind in (FOURIER, MACO, PIXELS)
    )
    assert float(grey.std()) == pytest.approx(0.01, rel=0.05)
    assert 0 <= turned.min() < 0.1
    assert 6.2 < turned.max() < 2 * math.pi
    torch.testing.assert_close(same, torch.logit(like / 255))


def test_saturation_counts_black_and_white():
    """Beyond them a sigmoid has no gradient."""
    picture = torch.tensor([0.0, 0.4, 0.6, 254.6, 128.0, 255.0, 1.0, 9.0]).reshape(1, 1, 2, 4)
    assert float(p.saturation(picture)) == 0.5
