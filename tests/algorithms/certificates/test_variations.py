"""Variations of an image show the same, and are the same in any batch."""

from math import exp

import pytest
import torch

from facetscope.algorithms.certificates.variations import BLUR, CROP, SHIFT, resampling, variation


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def slow_resampling(pixels, scale, shift, sigma):
    """An axis, pixel by pixel."""
    side, result = len(pixels), []
    for index in range(side):
        place = (index - (side - 1) / 2) * scale + (side - 1) / 2 + shift
        place = min(max(place, 0), side - 1)
        weights = [exp(-((other - place) ** 2) / (2 * sigma**2)) for other in range(side)]
        total = sum(w * p for w, p in zip(weights, pixels, strict=True))
        result.append(total / sum(weights))
    return result


@pytest.mark.parametrize(
    ("scale", "shift", "sigma"), [(1.0, 0.0, 0.4), (0.9, 2.5, 0.8), (0.95, -9.0, 1.0)]
)
def test_a_resampling_is_its_definition(scale, shift, sigma):
    """The matrix and the loop over pixels agree, beyond the edges too."""
    pixels = torch.rand(11, dtype=torch.float64, generator=generators(3)[0])
    fast = resampling(11, scale=scale, shift=shift, sigma=sigma) @ pixels
    slow = torch.tensor(slow_resampling(pixels.tolist(), scale, shift, sigma), dtype=fast.dtype)
    torch.testing.assert_close(fast, slow)


def test_a_variation_is_two_resamplings():
    """Rows and columns are resampled apart, by the numbers that the generator gives."""
    image = torch.rand(1, 3, 8, 14, dtype=torch.float64)
    (varied,) = variation(image, generators(5))
    numbers = torch.rand(4, generator=generators(5)[0], dtype=torch.float64)
    down, across, crop, blur = numbers.tolist()
    shared = {"scale": CROP + (1 - CROP) * crop, "sigma": BLUR[0] + (BLUR[1] - BLUR[0]) * blur}
    rows = resampling(8, shift=SHIFT * 8 * (2 * down - 1), **shared)
    columns = resampling(14, shift=SHIFT * 14 * (2 * across - 1), **shared)
    expected = torch.einsum("ir,crk,jk->cij", rows, image[0], columns)
    torch.testing.assert_close(varied, expected)


def test_a_variation_does_not_depend_on_its_batch():
    """A certificate is the same whatever shared the batch of its image."""
    images = torch.rand(3, 3, 16, 12)
    together = variation(images, generators(1, 2, 3))
    for index, seed in enumerate((1, 2, 3)):
        (alone,) = variation(images[index : index + 1], generators(seed))
        assert torch.equal(alone, together[index])


def test_a_uniform_image_stays_as_it_is():
    """Nothing dark comes in over the edges."""
    images = torch.full((1, 1, 9, 9), 77.0)
    torch.testing.assert_close(variation(images, generators(0)), images)


def test_a_generator_goes_on():
    """A second variation is another one."""
    images, same = torch.rand(1, 1, 32, 32), generators(4)
    assert not torch.allclose(variation(images, same), variation(images, same))


@pytest.mark.gpu
def test_variations_are_the_same_on_a_gpu():
    """Twice the same bytes there, and the CPU's numbers but for rounding."""
    images = torch.rand(2, 3, 24, 24)
    first, second = (variation(images.cuda(), generators(1, 2)) for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first.cpu(), variation(images, generators(1, 2)))
