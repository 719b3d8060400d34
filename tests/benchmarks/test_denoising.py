"""How long denoising holds up an ascent, beside the function that it replaces."""

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_bregman
from skimage.transform import resize
from sklearn.datasets import load_sample_image

from facetscope.algorithms.denoising import denoise

SIZE = 224


@pytest.fixture(scope="module")
def photo():
    """One photograph at the input size of most networks, [channel, height, width]."""
    image = load_sample_image("china.jpg").astype(np.float32)
    return resize(image, (SIZE, SIZE), preserve_range=True).transpose(2, 0, 1)


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.4, 0.8, 2.0])
def test_ten_images(benchmark, photo, weight):
    """What every step of an ascent of ten facets pays."""
    images = torch.as_tensor(photo).float().repeat(10, 1, 1, 1)
    result = benchmark(denoise, images, weight)
    assert result.shape == images.shape


@pytest.mark.parametrize("weight", [0.4])
def test_one_image_by_scikit_image(benchmark, photo, weight):
    """The yardstick: what one of the ten costs there."""
    channels = np.ascontiguousarray(photo.transpose(1, 2, 0), dtype=np.float32)
    result = benchmark(denoise_tv_bregman, channels, weight=weight, channel_axis=-1)
    assert result.shape == channels.shape
