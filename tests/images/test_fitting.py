"""Fitting is checked against torchvision's reference transforms."""

import io

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from facetscope.domain.inputs import Fit, InputSpec, Interpolation
from facetscope.images.decoding import UndecodableError
from facetscope.images.fitting import _LARGEST_RESIZED, fit, read

MODES = {
    Interpolation.BILINEAR: InterpolationMode.BILINEAR,
    Interpolation.BICUBIC: InterpolationMode.BICUBIC,
}


def spec(height=28, width=28, channels=3, **options):
    return InputSpec(height=height, width=width, channels=channels, **options).resolved()


def photo(width, height, channels=3):
    """Smooth shapes with noise on them, as photos have."""
    random = np.random.default_rng(0)
    coarse = random.integers(256, size=(6, 6, channels), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse.squeeze()).resize((width, height)))
    noisy = smooth + random.normal(scale=8, size=smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def pixels_of(picture):
    return torch.from_numpy(np.atleast_3d(np.array(picture))).permute(2, 0, 1)


def apart(pixels, others):
    return (pixels.int() - others.int()).abs().max().item()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("resize", [28, 32, 41])
@pytest.mark.parametrize("size", [(97, 61), (61, 97), (64, 64), (20, 31), (331, 30), (28, 28)])
def test_center_crop_is_torchvisions(size, resize, interpolation, channels):
    """Networks are trained and evaluated with exactly these pixels."""
    picture = photo(*size, channels)
    reference = transforms.Compose(
        [transforms.Resize(resize, MODES[interpolation]), transforms.CenterCrop(28)]
    )
    into = spec(channels=channels, interpolation=interpolation, resize=resize)
    assert torch.equal(fit(picture, into), pixels_of(reference(picture)))


def test_the_usual_center_crop_is_the_default():
    """Resize(256) and CenterCrop(224): nobody has to say so."""
    picture = photo(500, 375)
    reference = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    assert torch.equal(fit(picture, InputSpec().resolved()), pixels_of(reference(picture)))


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(8, 40),
    st.integers(0, 40),
    st.sampled_from(Interpolation),
)
def test_every_center_crop_is_torchvisions(size, side, margin, interpolation):
    """Rounding of sides and places is the reference's for every size."""
    picture = photo(*size)
    resize = side + margin
    reference = transforms.Compose(
        [transforms.Resize(resize, MODES[interpolation]), transforms.CenterCrop(side)]
    )
    into = spec(height=side, width=side, interpolation=interpolation, resize=resize)
    assert torch.equal(fit(picture, into), pixels_of(reference(picture)))


def test_a_picture_that_would_become_too_large_is_cut_first():
    """A strip of pixels could otherwise fill the memory; what is kept stays as it was."""
    strip = photo(9000, 15)
    into = spec(resize=180)
    whole = strip.resize((108_000, 180), Image.Resampling.BILINEAR)
    expected = whole.crop((53_986, 76, 54_014, 104))
    assert _LARGEST_RESIZED < 108_000 * 180
    assert apart(fit(strip, into), pixels_of(expected)) <= 1


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("size", [(97, 61), (20, 31), (28, 40)])
def test_stretch_is_resize(size, interpolation):
    """The whole picture is kept, whatever becomes of its proportions."""
    picture = photo(*size)
    expected = transforms.Resize([40, 28], MODES[interpolation])(picture)
    fitted = fit(picture, spec(height=40, fit=Fit.STRETCH, interpolation=interpolation))
    assert torch.equal(fitted, pixels_of(expected))


def test_caffes_usual_rule_is_stretch_and_cut():
    """Squashed to 256, of which the middle 227 are kept from row and column 14 on."""
    picture = photo(400, 300)
    expected = picture.resize((256, 256), Image.Resampling.BILINEAR).crop((14, 14, 241, 241))
    into = spec(height=227, width=227, fit=Fit.STRETCH, resize=256)
    assert torch.equal(fit(picture, into), pixels_of(expected))


def letterboxed(picture, side):
    """Ultralytics' LetterBox, step by step, with antialiasing."""
    ratio = min(side / picture.height, side / picture.width)
    width, height = round(picture.width * ratio), round(picture.height * ratio)
    resized = pixels_of(picture.resize((width, height), Image.Resampling.BILINEAR))
    across, down = (side - width) / 2, (side - height) / 2
    padding = [round(end) for end in (across - 0.1, across + 0.1, down - 0.1, down + 0.1)]
    return torch.nn.functional.pad(resized, padding, value=114)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(97, 61), (61, 97), (64, 64), (20, 33), (331, 30)])
def test_letterbox_is_the_whole_picture_on_grey(size, channels):
    """Detectors are trained on pictures that are not cut."""
    picture = photo(*size, channels)
    into = spec(height=40, width=40, channels=channels, fit=Fit.LETTERBOX)
    assert torch.equal(fit(picture, into), letterboxed(picture, 40))


def test_a_picture_of_the_inputs_size_is_kept_where_all_of_it_is_wanted():
    """Pictures that are prepared already are not touched."""
    picture = photo(40, 28)
    assert torch.equal(
        fit(picture, spec(height=28, width=40, crop_fraction=1.0)), pixels_of(picture)
    )


def test_a_picture_of_the_inputs_size_is_cut_all_the_same():
    """The rule does not depend on the picture."""
    picture = photo(32, 32)
    expected = functional.resized_crop(pixels_of(picture), 8, 8, 16, 16, [32, 32], antialias=True)
    cut = fit(picture, spec(height=32, width=32, crop_fraction=0.5))
    assert apart(cut[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1]) <= 1


def test_the_window_has_the_proportions_of_the_input():
    """An oblong network sees the middle of a square picture, not a squeezed whole."""
    levels = np.zeros((80, 80), dtype=np.uint8)
    levels[20:60] = 255
    fitted = fit(Image.fromarray(levels), spec(height=20, width=40, channels=1, crop_fraction=1.0))
    assert fitted[:, 1:-1].unique().tolist() == [255]


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(8, 40), st.integers(8, 40)),
    st.floats(0.01, 1),
    st.sampled_from([Fit.CENTER_CROP, Fit.STRETCH]),
)
@example((3, 3), (187, 187), 1.0, Fit.CENTER_CROP)  # 3 / 187 * 187 is more than 3
def test_every_picture_fits_every_input(size, wanted, crop_fraction, rule):
    """Window edges fall between pixels, and rounding may not push them out of the picture."""
    height, width = wanted
    into = spec(height=height, width=width, crop_fraction=crop_fraction, fit=rule)
    fitted = fit(Image.new("RGB", size, (1, 2, 3)), into)
    assert fitted.shape == (3, height, width)
    assert fitted.flatten(1).unique(dim=1).flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize("channels", [1, 3])
def test_large_photos_lose_nothing_visible_by_being_decoded_reduced(channels):
    """Reading is several times as fast so, and its results stay within 2 grey levels."""
    file = io.BytesIO()
    photo(1600, 1200, channels).save(file, "JPEG", quality=95)
    into = spec(height=128, width=128, channels=channels)
    whole = fit(Image.open(file), into)
    assert apart(read(file.getvalue(), into), whole) <= 2


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 5, 64])
def test_arrays_have_any_number_of_channels(channels):
    """Each channel is fitted as a grey picture is."""
    array = np.random.default_rng(0).integers(256, size=(50, 40, channels), dtype=np.uint8)
    pixels = read(saved(array), spec(channels=channels))
    assert pixels.shape == (channels, 28, 28)
    last = fit(Image.fromarray(array[..., -1]), spec(channels=1))
    assert torch.equal(pixels[-1:], last)


def test_a_picture_has_no_other_number_of_channels():
    """Grey repeated would be a picture that nobody took."""
    file = io.BytesIO()
    photo(30, 30).save(file, "PNG")
    with pytest.raises(UndecodableError, match="no 5 channels"):
        read(file.getvalue(), spec(channels=5))
