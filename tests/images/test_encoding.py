"""Encoded pictures are decoded again, by Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from facetscope.domain.syntheses import Encoding
from facetscope.images.encoding import THUMBNAIL_SIDE, delivered, encoded, png, thumbnail


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


def between_levels(channels=3, height=24, width=40):
    """A smooth picture, as synthesized ones are, whose values are no whole grey levels."""
    random = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand((1, channels, 6, 10), generator=random)
    return interpolate(coarse, (height, width), mode="bilinear")[0]


def ramp(height=24, width=40):
    return torch.linspace(0, 1, width).expand(height, width).clone()


def decoded(picture):
    """What a client finds: [channel, height, width], read with nothing of ours."""
    match picture.media_type:
        case "application/octet-stream":
            assert picture.element_type == "float32"
            values = np.frombuffer(picture.data, "<f4").reshape(picture.shape)
        case "application/x-npy":
            values = np.load(io.BytesIO(picture.data), allow_pickle=False)
            assert (values.shape, values.dtype.name) == (picture.shape, picture.element_type)
        case _:
            assert (picture.shape, picture.element_type) == ((), "")
            values = np.atleast_3d(opened(picture)).transpose(2, 0, 1)
    assert values.shape[1:] == (picture.height, picture.width)
    return torch.tensor(values)


@pytest.mark.parametrize("encoding", Encoding)
def test_what_is_said_to_be_delivered_is_what_is_decoded(encoding):
    """Figures of an image are those of what its receiver holds, lossy or not."""
    pixels = between_levels()
    found = decoded(encoded(pixels, encoding))
    torch.testing.assert_close(delivered(pixels, encoding), found.float(), atol=0, rtol=0)


@pytest.mark.parametrize("encoding", [each for each in Encoding if each is not Encoding.JPEG])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_alpha_channel_comes_last(encoding, channels):
    """It fades out what does not matter, and colours that nobody sees remain what they are."""
    pixels, alpha = between_levels(channels), ramp()
    picture = encoded(pixels, encoding, alpha)
    assert picture.alpha
    *_, shown = found = decoded(picture)
    whole = encoding in (Encoding.PNG, Encoding.WEBP)
    torch.testing.assert_close(shown.float(), 255 * alpha, atol=0.5 if whole else 1e-4, rtol=0)
    colours = delivered(pixels, encoding, alpha)
    if encoding is Encoding.WEBP and channels == 1:
        picture = opened(picture).convert("RGB").convert("L")
        found = torch.tensor(np.array(picture))[None]
    torch.testing.assert_close(colours, found[:channels].float(), atol=0, rtol=0)
    assert (colours - delivered(pixels, encoding)).abs().mean() < 2


@pytest.mark.parametrize("encoding", [Encoding.FLOAT32, Encoding.NPY])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 64])
def test_tensors_carry_every_channel_unrounded(encoding, channels):
    """A model of satellite images has more to show than red, green and blue."""
    pixels = between_levels(channels)
    picture = encoded(pixels, encoding)
    assert picture.shape == (channels, 24, 40)
    assert not picture.alpha
    assert torch.equal(decoded(picture), pixels)
    assert torch.equal(delivered(pixels, encoding), pixels)


@pytest.mark.parametrize("encoding", Encoding)
def test_values_out_of_range_are_clipped(encoding):
    """A receiver may rely on [0, 255] whatever drew the picture."""
    pixels = torch.tensor([-3.0, 300.0]).repeat(8, 4)[None]
    assert (delivered(pixels, encoding).min(), delivered(pixels, encoding).max()) == (0, 255)
    assert (decoded(encoded(pixels, encoding)).float().amin(),) == (0,)


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.JPEG, Encoding.WEBP])
def test_false_colours_do_not_change_what_is_measured(encoding):
    """A picture shows a part of such an image, and its figures are those of the whole."""
    pixels = between_levels(5)
    assert torch.equal(delivered(pixels, encoding), pixels.round())
    assert decoded(encoded(pixels, encoding)).shape == (3, 24, 40)


def test_lossy_pictures_are_close():
    """Whoever saves bytes does not pay with another picture: about one grey level, or some."""
    pixels = between_levels(height=224, width=224)
    off = {
        encoding: float((delivered(pixels, encoding) - pixels).abs().mean())
        for encoding in (Encoding.PNG, Encoding.JPEG, Encoding.WEBP)
    }
    assert off[Encoding.PNG] < off[Encoding.JPEG] < off[Encoding.WEBP] < 3
    assert off[Encoding.JPEG] < 1


@pytest.mark.parametrize("encoding", Encoding)
def test_equal_images_are_encoded_equally(encoding):
    """Results are compared by their bytes."""
    pixels = between_levels()
    assert encoded(pixels, encoding) == encoded(pixels.clone().requires_grad_(), encoding)


@pytest.mark.parametrize("encoding", Encoding)
def test_what_is_delivered_keeps_its_type(encoding):
    """A model in double precision goes on in double precision."""
    assert delivered(between_levels().double(), encoding).dtype is torch.float64


@pytest.mark.gpu
@pytest.mark.parametrize("encoding", Encoding)
def test_pictures_on_a_gpu_are_sent_alike(encoding):
    """Where an image was made does not show in its bytes."""
    pixels = between_levels()
    alpha = None if encoding is Encoding.JPEG else ramp()
    there = None if alpha is None else alpha.cuda()
    assert encoded(pixels.cuda(), encoding, there) == encoded(pixels, encoding, alpha)
    found = delivered(pixels.cuda(), encoding, there)
    assert found.is_cuda
    assert torch.equal(found.cpu(), delivered(pixels, encoding, alpha))
