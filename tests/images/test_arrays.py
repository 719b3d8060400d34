"""Arrays become grey pictures, one for each channel, whatever the file claims to be."""

import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetscope.images.arrays import bands
from facetscope.images.decoding import UndecodableError

LEVELS = np.random.default_rng(0).integers(256, size=(7, 9, 5), dtype=np.uint8)


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def levels_of(pictures):
    return np.stack([np.asarray(picture) for picture in pictures], axis=2)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(LEVELS, id="uint8"),
        pytest.param(np.asfortranarray(LEVELS), id="columns-first"),
        pytest.param(LEVELS.astype(np.uint16) * 256 + 255, id="uint16"),
        pytest.param((LEVELS.astype(np.uint16) * 256).astype(">u2"), id="big-endian"),
        pytest.param(LEVELS / 255, id="float64"),
        pytest.param((LEVELS / 255).astype(np.float32), id="float32"),
    ],
)
def test_levels_are_kept(array):
    """The same picture in any type has the same pixels."""
    assert np.array_equal(levels_of(bands(saved(array), 5)), LEVELS)


def test_a_matrix_is_one_channel():
    """Most tools save grey pictures so."""
    (picture,) = bands(saved(LEVELS[..., 0]), 1)
    assert np.array_equal(picture, LEVELS[..., 0])


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (LEVELS[..., :4], "4"),
        (LEVELS[0, 0], "is needed"),
        (LEVELS[:0], "or none"),
        (LEVELS.astype(np.int64), "int64"),
        (LEVELS.astype(np.float32), "fractions"),
        (np.full((4, 4, 5), np.nan), "fractions"),
        (np.full((4, 4, 5), "a"), "uint8"),
    ],
)
def test_what_is_no_picture_is_undecodable(array, told):
    """A guess at the scale or the order of axes would be a wrong picture."""
    with pytest.raises(UndecodableError, match=told):
        bands(saved(array), 5)


def test_objects_are_never_made():
    """An array of objects is a pickle, which runs code."""
    with pytest.raises(UndecodableError):
        bands(saved(np.array([[[print]]], dtype=object), allow_pickle=True), 1)


def test_a_header_that_claims_too_much_costs_nothing():
    """A file of 200 bytes cannot ask for a terabyte."""
    data = saved(LEVELS).replace(b"(7, 9, 5)", b"(9999999, 99999, 5)")
    with pytest.raises(UndecodableError):
        bands(data, 5)


@given(st.data())
def test_damage_is_undecodable_or_harmless(draw):
    """Whatever bytes are changed, one bad array never ends the job of all others."""
    data = bytearray(saved(LEVELS))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(UndecodableError):
        bands(bytes(data), 5)
