"""Where images lie, against definitions written slowly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetscope.algorithms.embedding import embed, reduce, scaled, trustworthiness


def noise(images, features, seed=0):
    return np.random.default_rng(seed).standard_normal((images, features), dtype=np.float32)


def seeded(seed=0):
    return np.random.RandomState(seed)


def slow_trustworthiness(codes, places, neighbours):
    """Venna & Kaski's definition, image by image."""
    images = range(len(codes))

    def order(points, image):
        others = [other for other in images if other != image]
        return sorted(others, key=lambda other: math.dist(points[image], points[other]))

    cost = 0
    for image in images:
        among_codes = order(codes, image)
        for other in order(places, image)[:neighbours]:
            cost += max(0, among_codes.index(other) + 1 - neighbours)
    count = len(codes)
    return 1 - 2 / (count * neighbours * (2 * count - 3 * neighbours - 1)) * cost


@given(st.integers(5, 30), st.integers(1, 2), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_trustworthiness_is_its_definition(images, neighbours, seed):
    """A reader compares the figure with other people's."""
    codes, places = noise(images, 6, seed), noise(images, 2, seed + 1).astype(float)
    expected = slow_trustworthiness(codes.astype(float), places, neighbours)
    assert trustworthiness(codes, places, neighbours) == pytest.approx(expected)


def test_trustworthiness_does_not_depend_on_how_many_rows_are_held(monkeypatch):
    """Large sets are taken in parts, of which no one sees the borders."""
    codes, places = noise(90, 6), noise(90, 2, 1).astype(float)
    whole = trustworthiness(codes, places, 7)
    monkeypatch.setattr("facetscope.algorithms.embedding.ROWS", 7)
    assert trustworthiness(codes, places, 7) == whole


def test_a_plane_that_keeps_distances_is_trustworthy():
    """1 means that nothing was brought together that is apart."""
    places = noise(40, 2).astype(float)
    assert trustworthiness(places, 3 * places, 5) == 1


@pytest.mark.parametrize(("whitening", "expected"), [(0.0, 25), (0.5, 5), (1.0, 1)])
def test_whitening_narrows_wide_components(whitening, expected):
    """At 1 all are equally wide, at 0 they are what PCA gives, and between them it is a power."""
    codes = noise(4000, 2) * np.array([25, 1], np.float32)
    widths = reduce(codes, 2, whitening, seeded()).std(axis=0)
    assert widths[0] / widths[1] == pytest.approx(expected, rel=0.1)
    assert widths[0] == pytest.approx(25, rel=0.1)


def test_components_that_are_rounding_are_left_out():
    """Whitening would blow them up to the size of what images differ in."""
    line = np.outer(np.arange(30), np.ones(5)).astype(np.float32)
    assert reduce(line, 5, 1.0, seeded()).shape == (30, 1)


def test_codes_are_scaled_about_their_mean():
    """Squares of codes as large as float32 goes are not numbers any more."""
    codes = 1e30 * noise(20, 3)
    result, unit = scaled(codes)
    assert np.abs(result).max() == pytest.approx(1)
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(result * unit + codes.mean(axis=0), codes, rtol=1e-4, atol=1e25)


def test_near_codes_are_near_in_the_plane():
    """The plane is what a reader looks at."""
    codes = noise(60, 10) + 20 * np.eye(10, dtype=np.float32)[np.arange(60) % 3]
    assert trustworthiness(codes, embed(codes, 10.0, seeded()), 5) > 0.85
