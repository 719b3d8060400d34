"""The slope of a spectrum, and how unlike natural images' it is."""

import cmath
from math import hypot, log, pi, sin

import numpy as np
import pytest
import torch

from facetscope.algorithms.certificates.spectra import deviation_of, luminance, slopes


def slow_slope(grey):
    """The slope of one plane, by sums over all pixels."""
    height, width = len(grey), len(grey[0])
    shorter = min(height, width)
    mean = sum(map(sum, grey)) / (height * width)
    rings = {}
    for v in range(height):
        for u in range(width):
            total = sum(
                (grey[y][x] - mean)
                * sin(pi * (y + 0.5) / height) ** 2
                * sin(pi * (x + 0.5) / width) ** 2
                * cmath.exp(-2j * pi * (v * y / height + u * x / width))
                for y in range(height)
                for x in range(width)
            )
            down, across = (min(v, height - v) / height, min(u, width - u) / width)
            rings.setdefault(round(hypot(down, across) * shorter), []).append(abs(total) ** 2)
    kept = range(1, shorter // 2 + 1)
    powers = [log(sum(rings[r]) / len(rings[r])) for r in kept]
    return np.polyfit([log(r) for r in kept], powers, 1)[0]


@pytest.mark.parametrize("size", [(9, 9), (8, 11)])
def test_a_slope_is_its_definition(size):
    """The transform and the sums over all pixels agree, for pictures of any form."""
    grey = torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (fast,) = slopes(grey[None, None])
    assert float(fast) == pytest.approx(slow_slope(grey.tolist()))


@pytest.mark.parametrize("exponent", [0.0, -2.0, -3.0])
def test_the_slope_of_a_made_spectrum_is_found(exponent):
    """Noise whose power falls as f to some power has that slope."""
    random = torch.Generator().manual_seed(2)
    frequencies = torch.fft.fftfreq(128, dtype=torch.float64)
    radius = torch.hypot(frequencies[:, None], frequencies).clamp(min=1 / 128)
    white = torch.randn(8, 128, 128, dtype=torch.float64, generator=random)
    made = torch.fft.ifft2(torch.fft.fft2(white) * radius ** (exponent / 2)).real
    assert float(slopes(made[:, None]).mean()) == pytest.approx(exponent, abs=0.15)


def test_brightness_and_contrast_do_not_change_a_slope():
    """A slope is a matter of detail."""
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(slopes(images), slopes(3 * images + 20))


@pytest.mark.parametrize("images", [torch.full((1, 3, 16, 16), 9.0), torch.rand(1, 1, 5, 5)])
def test_a_slope_may_be_undefined(images):
    """One grey level has no spectrum, and few pixels have no line through it."""
    assert slopes(images).isnan().all()


def test_luminance_weighs_red_green_and_blue():
    """And takes the mean of channels that are not these."""
    colors = torch.eye(3).reshape(3, 3, 1, 1)
    assert luminance(colors).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
    assert float(luminance(torch.tensor([1.0, 4.0]).reshape(1, 2, 1, 1))) == 2.5


def test_a_deviation_counts_standard_deviations():
    """Of the natural slopes that are known."""
    natural = torch.tensor([-3.0, -2.0, -4.0, torch.nan])
    assert deviation_of(-1.0, natural) == pytest.approx(2)
    assert deviation_of(-1.0, torch.tensor([-3.0, torch.nan])) is None
