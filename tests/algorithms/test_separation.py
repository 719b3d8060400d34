"""Valleys between facets, on lines that are drawn by hand and in clouds that are known."""

import numpy as np
import pytest

from facetscope.algorithms.separation import line_between, separation, valley


def seeded(seed=0):
    return np.random.RandomState(seed)


def cloud(images, features=20, at=0.0, seed=0):
    """A normal cloud of one kind."""
    return at + np.random.default_rng(seed).standard_normal((images, features))


@pytest.mark.parametrize(
    ("line", "depth"),
    [
        ([0, 0, 1, 1], 1),
        ([0, 0, 0.5, 1, 1], 0.5),
        ([0, 0, 0, 0, 0.5, 1, 1], 0.5),
        ([0, 0.5, 1], 0),
        ([0, 0.1, 0.45, 0.55, 0.9, 1], 0),
        ([0, 0.5, 0.5, 0.5, 0.5, 1], -1),
        ([0, 0.2, 0.3, 0.7, 0.8, 1], 1),
        ([0.2, 0.8], -1),
    ],
)
def test_a_valley_is_as_deep_as_it_lacks_images(line, depth):
    """1 less the images half-way, in those at the less peopled end."""
    assert valley(np.array(line, dtype=float)) == depth


def test_two_kinds_have_a_deep_valley_between_them():
    """What lies apart is told apart by images that the discriminant has not seen."""
    codes = np.concatenate([cloud(80), cloud(60, at=2.0, seed=1)])
    assert separation(codes, np.repeat([0, 1], [80, 60]), seeded()) > 0.9


def test_one_kind_cut_in_two_has_none():
    """However cleanly it is cut: with as many features as these a line parts any images it saw."""
    codes = cloud(120, features=60)
    assert separation(codes, (codes[:, 0] > 0).astype(int), seeded()) < 0.4
    at_random = np.random.default_rng(1).permutation(np.repeat([0, 1], 60))
    assert separation(codes, at_random, seeded()) < 0.4


def test_the_shallowest_valley_counts():
    """One kind that was cut in two is not excused by another that lies apart."""
    codes = np.concatenate([cloud(120), cloud(60, at=3.0, seed=1)])
    labels = np.concatenate([(codes[:120, 0] > 0).astype(int), np.full(60, 2)])
    assert separation(codes, labels, seeded()) < 0.5


def test_a_facet_of_few_images_tells_nothing():
    """Half of eight is the least that a line can be drawn by."""
    codes = np.concatenate([cloud(40), cloud(7, at=9.0)])
    assert separation(codes, np.repeat([0, 1], [40, 7]), seeded()) == -1


def test_the_medians_of_facets_are_the_ends_of_the_line():
    """So that half-way means the same between any two."""
    line = line_between(cloud(60), cloud(40, at=2.0, seed=1), seeded())
    assert np.median(line[:60]) == pytest.approx(0, abs=0.1)
    assert np.median(line[60:]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("change", [lambda codes: 1e3 * codes, lambda codes: codes + 5])
def test_scale_and_origin_do_not_matter(change):
    """A valley is a matter of who lies where between two facets."""
    codes, labels = cloud(90), np.arange(90) % 2
    codes[labels == 1] += 0.7
    expected = separation(codes, labels, seeded())
    assert separation(change(codes), labels, seeded()) == pytest.approx(expected, abs=0.05)
