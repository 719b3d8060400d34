"""Fitting is checked against torchvision's reference transforms."""

import io

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from facetscope.domain.inputs import Fit, InputSpec, Interpolation
from facetscope.images.fitting import fit, read

MODES = {
    Interpolation.BILINEAR: InterpolationMode.BILINEAR,
    Interpolation.BICUBIC: InterpolationMode.BICUBIC,
}


def spec(height=28, width=28, channels=3, **options):
    return InputSpec(height=height, width=width, channels=channels, **options).resolved(())


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
@pytest.mark.parametrize("size", [(96, 64), (64, 96), (64, 64), (16, 16), (20, 16)])
def test_center_crop_is_resize_and_crop(size, interpolation, channels):
    """What networks are evaluated with, for sizes at which the reference need not round."""
    picture = photo(*size, channels)
    resized = reference.resize(
        pixels_of(picture), 32, interpolation=MODES[interpolation], antialias=True
    )
    expected = reference.center_crop(resized, 28)
    assert apart(fit(picture, spec(channels=channels, interpolation=interpolation)), expected) <= 1


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("size", [(97, 61), (20, 31), (28, 40)])
def test_stretch_is_resize(size, interpolation):
    """The whole picture is kept, whatever becomes of its proportions."""
    picture = photo(*size)
    expected = reference.resize(
        pixels_of(picture), [40, 28], interpolation=MODES[interpolation], antialias=True
    )
    fitted = fit(picture, spec(height=40, fit=Fit.STRETCH, interpolation=interpolation))
    assert apart(fitted, expected) <= 1


def test_a_picture_of_the_inputs_size_is_kept_where_all_of_it_is_wanted():
    """Pictures that are prepared already are not touched."""
    picture = photo(40, 28)
    assert torch.equal(
        fit(picture, spec(height=28, width=40, crop_fraction=1.0)), pixels_of(picture)
    )


def test_a_picture_of_the_inputs_size_is_cut_all_the_same():
    """The rule does not depend on the picture."""
    picture = photo(32, 32)
    expected = reference.resized_crop(pixels_of(picture), 8, 8, 16, 16, [32, 32], antialias=True)
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
    st.sampled_from(Fit),
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
