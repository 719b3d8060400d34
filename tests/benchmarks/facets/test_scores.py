"""Scores are what their definitions say, written slowly."""

import numpy as np
import pytest
from tests.benchmarks.facets.planted import SIZES, partition
from tests.benchmarks.facets.scores import nearest_neighbour, purity, score


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_purity_is_its_definition(random):
    """Each facet votes for one sub-class, and its images are right or wrong by that."""
    truth, labels = random.integers(0, 3, 40), random.integers(0, 4, 40)
    right = 0
    for facet in range(4):
        members = truth[labels == facet].tolist()
        right += max(members.count(each) for each in range(3))
    assert purity(truth, labels) == pytest.approx(right / 40)


def test_the_nearest_neighbour_is_its_definition(random):
    """An image is not its own neighbour, and every other one is considered."""
    codes, truth = random.normal(size=(30, 4)), random.integers(0, 3, 30)
    right = 0
    for image in range(30):
        others = [other for other in range(30) if other != image]
        nearest = min(others, key=lambda other: np.linalg.norm(codes[image] - codes[other]))
        right += truth[nearest] == truth[image]
    assert nearest_neighbour(codes, truth) == pytest.approx(right / 30)


def test_the_rand_index_is_its_definition(random):
    """Pairs that both keep together, beyond chance."""
    truth, labels = random.integers(0, 3, 24), random.integers(0, 3, 24)
    pairs = [(i, j) for i in range(24) for j in range(i)]
    same = {
        name: [values[i] == values[j] for i, j in pairs]
        for name, values in (("truth", truth), ("labels", labels))
    }
    both = sum(a and b for a, b in zip(same["truth"], same["labels"], strict=True))
    chance = sum(same["truth"]) * sum(same["labels"]) / len(pairs)
    most = (sum(same["truth"]) + sum(same["labels"])) / 2
    found = score(random.normal(size=(24, 2)), truth, labels, seconds=0.0)
    assert found.rand == pytest.approx((both - chance) / (most - chance))


def test_images_of_no_true_facet_do_not_count(random):
    """A wrongly predicted image has no right facet, so no answer can be wrong about it."""
    truth = np.array([0, 0, 1, 1, -1])
    found = score(random.normal(size=(5, 2)), truth, np.array([0, 0, 1, 1, 2]), seconds=0.0)
    assert (found.rand, found.purity, found.true) == (1.0, 1.0, 2)


@pytest.mark.parametrize("number", range(4))
def test_a_partition_gives_every_class_to_one_union(number):
    """A class in two unions would make the truth of both wrong."""
    unions = partition(number)
    assert tuple(map(len, unions)) == SIZES
    assert sorted(sum(unions, ())) == list(range(10))
