"""Encoded pictures are decoded again, by Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from facetscope.images.encoding import THUMBNAIL_SIDE, png, thumbnail


def levels(channels=3, height=20, width=30):
    random = torch.Generator().manual_seed(0)
    return torch.randint(256, (channels, height, width), dtype=torch.uint8, generator=random)


def opened(picture):
    image = Image.open(io.BytesIO(picture.data))
    assert Image.MIME[image.format] == picture.media_type
    assert image.size == (picture.width, picture.height)
    return image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_png_loses_nothing(channels, dtype):
    """A client can give the picture back to a network and find the same activation."""
    pixels = levels(channels)
    image = opened(png(pixels.to(dtype)))
    assert image.mode == {1: "L", 3: "RGB"}[channels]
    assert np.array_equal(np.atleast_3d(image), pixels.permute(1, 2, 0))


def test_values_between_grey_levels_are_rounded_to_even_and_clipped():
    """Halves do not all go up, which would brighten the picture."""
    pixels = torch.tensor([[[0.5, 1.5, 2.4, 2.6, -3.0, 300.0]]])
    assert np.asarray(opened(png(pixels))).tolist() == [[0, 2, 2, 3, 0, 255]]


def test_equal_pixels_give_equal_bytes():
    """Results are cached and compared by their bytes."""
    assert png(levels()) == png(levels().clone())
    assert thumbnail(levels(height=200)) == thumbnail(levels(height=200).clone())


def test_pictures_that_are_being_synthesized_can_be_sent():
    """A preview does not disturb the gradient."""
    assert png(levels().float().requires_grad_()) == png(levels())


@pytest.mark.parametrize("size", [(200, 300), (300, 200), (97, 1)])
def test_thumbnails_are_small_jpegs(size):
    """Dozens of them travel with each facet."""
    small = thumbnail(levels(3, *size))
    assert small.media_type == "image/jpeg"
    assert max(opened(small).size) == THUMBNAIL_SIDE


def test_pictures_no_larger_than_a_thumbnail_are_sent_whole():
    """A digit of 28 pixels would be spoiled by JPEG, and is small enough."""
    pixels = levels(1, 28, THUMBNAIL_SIDE)
    assert thumbnail(pixels) == png(pixels)


@pytest.mark.parametrize("channels", [2, 5, 64])
def test_other_channels_are_shown_in_false_colours(channels):
    """The first three are red, green and blue; one that is not there is black."""
    pixels = levels(channels)
    shown = np.asarray(opened(png(pixels)))
    assert shown.shape == (20, 30, 3)
    for at in range(3):
        expected = pixels[at].numpy() if at < channels else 0
        assert (shown[..., at] == expected).all()
