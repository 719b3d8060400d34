"""Whether facets are found again, against definitions written slowly."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetscope.algorithms.clustering import Cloud
from facetscope.algorithms.stability import recovery, repeated, stability
from facetscope.domain.discoveries import Clustering, Discovery


def labels_of(images):
    return st.lists(st.integers(0, 2), min_size=images, max_size=images).map(np.array)


def slow_adjusted_rand(one, other):
    """Hubert & Arabie's definition, pair by pair."""
    pairs = list(combinations(range(len(one)), 2))
    same_one = {pair for pair in pairs if one[pair[0]] == one[pair[1]]}
    same_other = {pair for pair in pairs if other[pair[0]] == other[pair[1]]}
    by_chance = len(same_one) * len(same_other) / len(pairs)
    largest = (len(same_one) + len(same_other)) / 2
    if largest == by_chance:
        return 1.0
    return (len(same_one & same_other) - by_chance) / (largest - by_chance)


def slow_jaccard(one, other):
    return len(one & other) / len(one | other)


@given(labels_of(12), labels_of(8), labels_of(8))
@settings(deadline=None)
def test_stability_is_its_definition(labels, first, second):
    """Mean adjusted Rand index over the images that a subsample has."""
    chosen = np.arange(2, 10)
    slow = [slow_adjusted_rand(labels[chosen], found) for found in (first, second)]
    again = [(chosen, first), (chosen, second)]
    assert stability(labels, again) == pytest.approx(np.mean(slow))


@given(labels_of(12).filter(lambda labels: len(set(labels)) == 3), labels_of(8))
@settings(deadline=None)
def test_recovery_is_its_definition(labels, found):
    """A facet is found again as far as one of a subsample has its images, and no others."""
    chosen = np.arange(2, 10)
    (_, *same) = (recovery(labels, [(chosen, found)] * times) for times in (1, 1, 2))
    for facet, value in enumerate(same[0]):
        own = {image for image in chosen if labels[image] == facet}
        sets = [{chosen[i] for i in range(8) if found[i] == other} for other in set(found)]
        assert value == pytest.approx(max(slow_jaccard(own, other) for other in sets))
    np.testing.assert_allclose(*same)


def test_facets_that_lie_apart_are_always_found_again():
    """1 is what a reader may rely on."""
    labels = np.arange(60) % 3
    codes = np.random.default_rng(0).standard_normal((60, 4)) + 30 * np.eye(4)[labels]
    cloud = Cloud(codes, codes[:, :2], np.ones(60, dtype=np.int64))
    discovery = Discovery(clustering=Clustering.K_MEANS, bootstraps=4)
    again = [
        (chosen, found)
        for chosen, (found,) in repeated(cloud, [3], discovery, np.random.RandomState(0))
    ]
    assert [len(chosen) for chosen, _ in again] == [48] * 4
    assert stability(labels, again) == 1
    np.testing.assert_array_equal(recovery(labels, again), 1)
