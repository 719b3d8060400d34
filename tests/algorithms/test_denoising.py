"""Denoising is checked against the published algorithm, and against what any denoising keeps."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.sparse import eye_array, lil_array
from scipy.sparse.linalg import factorized
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_tv_bregman
from skimage.transform import resize
from sklearn.datasets import load_sample_image

from facetscope.algorithms import denoising
from facetscope.algorithms.denoising import denoise

SIZE = 48


def photo():
    """A photograph of a building, small."""
    image = load_sample_image("china.jpg")[:, 100:527].astype(np.float64)
    return resize(image, (SIZE, SIZE), preserve_range=True, anti_aliasing=True)[..., 1]


def noise():
    """What a center-biased ascent starts from, and wilder."""
    return np.random.default_rng(0).normal(175, 40, (SIZE, SIZE)).clip(0, 255)


IMAGES = {"photo": photo(), "noise": noise()}


def gradient_matrix(height, width):
    """Forward differences to the right and down, as a matrix; none across the edges."""
    matrix = lil_array((2 * height * width, height * width))
    for row in range(height):
        for column in range(width):
            pixel = row * width + column
            for axis, there, inside in (
                (0, pixel + 1, column + 1 < width),
                (1, pixel + width, row + 1 < height),
            ):
                if inside:
                    matrix[axis * height * width + pixel, pixel] = -1
                    matrix[axis * height * width + pixel, there] = 1
    return matrix.tocsc()


def split_bregman(image, weight, iterations):
    """Goldstein & Osher (2009), with scikit-image's shrinkage and every equation solved exactly."""
    rate, gradient = 2 * weight, gradient_matrix(*image.shape)
    solve = factorized((weight * eye_array(image.size) + rate * gradient.T @ gradient).tocsc())
    shrunk = multiplier = np.zeros(2 * image.size)
    for _ in range(iterations):
        smooth = solve(weight * image.ravel() + rate * gradient.T @ (shrunk - multiplier))
        there = gradient @ smooth + multiplier
        length = np.tile(np.hypot(*there.reshape(2, -1)), 2)
        shrunk = there * length * rate / (length * rate + 1)
        multiplier = there - shrunk
    return smooth.reshape(image.shape)


@cache
def exact(name, weight):
    """What denoising one of the images comes to, to a hundredth of a grey level."""
    return split_bregman(IMAGES[name], weight, iterations=200)


def denoised(image, weight, **options):
    batch = torch.as_tensor(image)[None, None]
    return denoise(batch, weight, **options)[0, 0].numpy()


def distance(one, other):
    return np.sqrt(np.mean((one - other) ** 2))


def total_variation(image):
    across, down = np.diff(image, axis=1)[:-1], np.diff(image, axis=0)[:, :-1]
    return np.hypot(across, down).sum()


@pytest.mark.parametrize("weight", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("shape", [(9, 8), (1, 7), (7, 1)])
def test_it_solves_the_published_problem(weight, shape):
    """Another algorithm for the same minimum is the strictest judge."""
    image = np.random.default_rng(1).uniform(0, 255, shape)
    expected = split_bregman(image, weight, iterations=1000)
    result = denoised(image, weight, iterations=5000, tolerance=0.0)
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.4, 0.8, 2.0])
@pytest.mark.parametrize("name", IMAGES)
def test_the_tolerance_bounds_the_error(name, weight):
    """A tenth of a grey level is what no eye sees, so the default stops there."""
    result = denoised(IMAGES[name].astype(np.float32), weight)
    assert distance(result, exact(name, weight)) < 0.15


@pytest.mark.parametrize("weight", [0.05, 0.1, 0.4, 0.8, 2.0])
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_it_agrees_with_scikit_image(image, weight):
    """The published schedules give their weights to that function."""
    expected = denoise_tv_bregman(image, weight=weight, max_num_iter=100, eps=1e-3)
    result = denoised(image, weight)
    inside = np.s_[4:-4, 4:-4]  # scikit-image ties the edges to a frame of old pixels
    assert peak_signal_noise_ratio(expected[inside], result[inside], data_range=255) > 45


@pytest.mark.parametrize("weight", [0.001, 0.01])
@pytest.mark.parametrize("name", IMAGES)
def test_it_is_as_near_as_scikit_image_where_that_does_not_converge(name, weight):
    """Small weights need more iterations than either takes, and center-biased phases use them."""
    image, expected = IMAGES[name], exact(name, weight)
    theirs = denoise_tv_bregman(image, weight=weight, max_num_iter=100, eps=1e-3)
    assert distance(denoised(image, weight), expected) <= distance(theirs, expected)


@pytest.mark.parametrize("weight", [0.01, 0.4, 2.0])
def test_it_keeps_the_mean(weight):
    """Nothing flows across the edges, so an ascent does not darken as it goes."""
    image = IMAGES["photo"]
    assert denoised(image, weight).mean() == pytest.approx(image.mean(), abs=1e-6)


def test_it_leaves_a_constant_image_as_it_is():
    """There is no variation to take away."""
    image = torch.full((2, 3, 5, 7), 175.0)
    torch.testing.assert_close(denoise(image, 0.01), image)


def test_a_smaller_weight_smooths_more():
    """That is what the weights of a schedule mean."""
    weights = (0.01, 0.1, 0.4, 2.0, 100.0)
    results = [denoised(IMAGES["photo"], weight) for weight in weights]
    variations = [*map(total_variation, results), total_variation(IMAGES["photo"])]
    assert variations == sorted(variations)


def test_an_image_does_not_notice_its_batch():
    """A request's result must not depend on what it was computed with."""
    images = torch.as_tensor(np.stack([*IMAGES.values(), np.zeros((SIZE, SIZE))])).float()[:, None]
    weights = torch.tensor([0.05, 2.0, 0.4])
    together = denoise(images, weights)
    alone = [
        denoise(image[None], float(weight)) for image, weight in zip(images, weights, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)


def test_channels_are_denoised_one_by_one():
    """Colours do not run into each other."""
    channels = torch.as_tensor(np.stack([*IMAGES.values()]))
    together = denoise(channels[None], 0.4)
    apart = denoise(channels[:, None], 0.4)
    torch.testing.assert_close(together[0], apart[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(SIZE, SIZE), (SIZE, 7), (1, SIZE), (SIZE, 1)])
@pytest.mark.parametrize("weight", [0.001, 0.05, 0.4, 2.0])
def test_both_forms_of_the_solver_are_one(dtype, shape, weight):
    """A processor runs the compiled loop, a GPU the tensor operations."""
    height, width = shape
    planes = torch.as_tensor(np.stack([*IMAGES.values()]))[:, :height, :width].to(dtype)
    scale = torch.full((len(planes),), weight / 2, dtype=dtype)
    ways = denoising._solved_plane_by_plane, denoising._solved_together
    one, other = (way(planes, scale, rounds=20, tolerance=0.1) for way in ways)
    torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


def test_it_leaves_its_input_as_it_was():
    """The ascent still needs it."""
    image = torch.as_tensor(IMAGES["photo"])[None, None]
    before = image.clone()
    denoise(image, 0.4)
    assert torch.equal(image, before)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_images():
    """Where an ascent runs must not show in its images."""
    images = torch.as_tensor(np.stack([*IMAGES.values()])).float()[:, None]
    torch.testing.assert_close(
        denoise(images.cuda(), 0.4).cpu(), denoise(images, 0.4), atol=1e-2, rtol=0
    )
