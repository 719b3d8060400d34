"""Where an image falls among the images of a unit."""

from math import dist, isnan, sqrt

import numpy as np
import pytest
import torch

from facetscope.algorithms.certificates.round_trips import NEIGHBOURS, USUAL, round_trips


def codes(*, seed, count=20, features=6):
    return torch.rand(count, features, generator=torch.Generator().manual_seed(seed))


def scaled(code):
    length = sqrt(sum(value**2 for value in code))
    return [value / length for value in code]


def slow_margin(code, members, facets, own):
    """Margin of one code, centroid by centroid."""
    distances = {}
    for facet in set(facets):
        rows = [scaled(m) for m, f in zip(members, facets, strict=True) if f == facet]
        centroid = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        distances[facet] = dist(scaled(code), centroid)
    rival = min(distance for facet, distance in distances.items() if facet != own)
    return (rival - distances[own]) / (rival + distances[own])


def slow_outlying(code, members):
    """Outlyingness of one code, member by member."""

    def mean_of_nearest(one, others):
        return sum(sorted(dist(scaled(one), scaled(o)) for o in others)[:NEIGHBOURS]) / NEIGHBOURS

    usual = [
        mean_of_nearest(member, members[:i] + members[i + 1 :]) for i, member in enumerate(members)
    ]
    return mean_of_nearest(code, members) / np.quantile(usual, USUAL)


@pytest.mark.parametrize("count", [2, 3])
def test_margins_are_their_definition(count):
    """Each image and facet, beside the loop over centroids."""
    members, facets = codes(seed=1), torch.arange(20) % count
    images = codes(seed=2, count=3)
    found = round_trips(images, members, facets)
    for image, row in zip(images.tolist(), found.margins, strict=True):
        slow = [slow_margin(image, members.tolist(), facets.tolist(), f) for f in range(count)]
        assert row.tolist() == pytest.approx(slow)
        assert max(slow) > 0
    assert found.nearest.tolist() == found.margins.argmax(dim=1).tolist()


def test_how_far_out_a_code_is_is_its_definition():
    """Beside the loop over members."""
    members, images = codes(seed=3), codes(seed=4, count=3)
    found = round_trips(images, members, torch.zeros(20, dtype=torch.long))
    slow = [slow_outlying(image, members.tolist()) for image in images.tolist()]
    assert found.outlyings.tolist() == pytest.approx(slow)


def test_the_length_of_a_code_does_not_matter():
    """A synthesized image excites everything more; that makes it no outlier."""
    members, images, facets = codes(seed=5), codes(seed=6, count=2), torch.arange(20) % 2
    short, long = (round_trips(scale * images, members, facets) for scale in (1, 50))
    torch.testing.assert_close(short.margins, long.margins)
    torch.testing.assert_close(short.outlyings, long.outlyings)


def test_one_facet_has_no_margin():
    """There is no other facet to be further from."""
    found = round_trips(codes(seed=1, count=1), codes(seed=2), torch.zeros(20, dtype=torch.long))
    assert found.nearest.tolist() == [0]
    assert isnan(found.margins.item())


def test_many_members_are_measured_by_a_part_of_them(monkeypatch):
    """Distances between all images of a set of millions would fill any memory."""
    members, images = codes(seed=7, count=25), codes(seed=8, count=2)
    of_one_kind = torch.zeros(25, dtype=torch.long)
    some = round_trips(images, members[::3], of_one_kind[::3]).outlyings
    monkeypatch.setattr("facetscope.algorithms.certificates.round_trips.MOST_MEMBERS", 10)
    torch.testing.assert_close(round_trips(images, members, of_one_kind).outlyings, some)


@pytest.mark.parametrize("members", [codes(seed=1, count=NEIGHBOURS), torch.ones(9, 4)])
def test_few_or_equal_members_know_no_outliers(members):
    """Where no distance is usual, none is unusual."""
    images = codes(seed=2, count=1, features=members.shape[1])
    found = round_trips(images, members, torch.zeros(len(members), dtype=torch.long))
    assert isnan(found.outlyings.item())


def test_a_silent_code_layer_is_survived():
    """Codes of zeros have no direction, and lie in one place."""
    zeros = torch.zeros(8, 4)
    found = round_trips(zeros[:1], zeros, torch.arange(8) % 2)
    assert found.margins.tolist() == [[0.0, 0.0]]
