"""What shares out images, where it is known how."""

import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from facetscope.algorithms.clustering import NOISE, nearest_region
from facetscope.algorithms.facets import discover
from facetscope.domain.discoveries import MOST_FACETS, Clustering, Discovery
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.events import Verdict


def found(codes, **options):
    return discover(codes.astype(np.float32), Discovery(**options))


def mixture(images=120, apart=20.0):
    """Three clouds, and the cloud of each image."""
    clouds = np.arange(images) % 3
    codes = np.random.default_rng(0).standard_normal((images, 6)) + apart * np.eye(6)[clouds]
    return codes, clouds


@pytest.mark.parametrize(
    "options",
    [
        {"facets": 3, "clustering": Clustering.PLANE_K_MEANS},
        {"facets": 3, "clustering": Clustering.K_MEANS},
        {"facets": 3, "clustering": Clustering.WARD},
        {"facets": None, "clustering": Clustering.WARD, "ward_threshold": 100.0},
        {"facets": None, "clustering": Clustering.HDBSCAN},
    ],
    ids=["plane", "k-means", "Ward", "Ward's threshold", "HDBSCAN"],
)
@pytest.mark.parametrize("whitening", [0.0, 0.5])
def test_every_clustering_tells_kinds_apart_that_lie_apart(options, whitening):
    """Where they disagree, it is for something in between."""
    codes, clouds = mixture()
    facet_map = found(codes, whitening=whitening, **options)
    assert adjusted_rand_score(clouds, facet_map.labels) == 1
    given = options["facets"] is not None
    assert facet_map.verdict is (Verdict.GIVEN if given else Verdict.CLUSTERING)
    assert (facet_map.agreement, facet_map.noise) == (1, 0)


def test_a_threshold_is_a_distance_between_codes():
    """Two images merge where Ward's distance, which is Euclid's for two, is below it."""
    codes = np.zeros((4, 3))
    codes[:, 0] = [0, 5, 100, 107]
    for threshold, facets in [(4.9, 4), (5.1, 3), (6.9, 3), (7.1, 2), (1e4, 1)]:
        options = {"clustering": Clustering.WARD, "ward_threshold": threshold}
        assert len(found(codes, facets=None, **options).facets) == facets


def test_a_threshold_that_leaves_too_many_facets_is_refused():
    """Each facet carries pictures; a thousand of them are a mistake."""
    with pytest.raises(InvalidFieldError, match="choose a larger one"):
        found(
            np.random.default_rng(0).standard_normal((MOST_FACETS + 1, 9)),
            facets=None,
            clustering=Clustering.WARD,
            ward_threshold=1e-6,
        )


def test_images_between_dense_regions_are_counted_and_go_to_the_nearest():
    """All images are in a facet, and a reader sees how many did not belong."""
    codes, _ = mixture()
    between = np.full((2, 6), 200.0)
    facet_map = found(
        np.concatenate([codes, between * [[1], [-1]]]), facets=None, clustering=Clustering.HDBSCAN
    )
    assert (len(facet_map.facets), facet_map.noise) == (3, 2)


def test_noise_goes_to_the_region_whose_mean_is_nearest():
    """By brute force."""
    random = np.random.default_rng(0)
    codes, regions = random.standard_normal((40, 3)), random.integers(NOISE, 3, 40)
    means = {region: codes[regions == region].mean(axis=0) for region in range(3)}
    for image, region in enumerate(nearest_region(codes, regions)):
        if regions[image] == NOISE:
            assert region == min(means, key=lambda each: math.dist(codes[image], means[each]))
        else:
            assert region == regions[image]


@pytest.mark.parametrize("images", [1, 2, 5, 30])
def test_without_dense_regions_there_is_one_facet(images):
    """A cloud as thin everywhere has no kinds."""
    codes = np.random.default_rng(0).uniform(size=(images, 30))
    facet_map = found(codes, facets=None, clustering=Clustering.HDBSCAN)
    assert (len(facet_map.facets), facet_map.noise) == (1, images)


@pytest.mark.parametrize("clustering", [Clustering.K_MEANS, Clustering.WARD, Clustering.HDBSCAN])
def test_images_with_equal_codes_are_in_one_facet(clustering):
    """Also where codes are clustered, and not places."""
    codes = np.repeat(np.random.default_rng(0).standard_normal((12, 20)), 10, axis=0)
    labels = found(
        codes, facets=None if clustering is Clustering.HDBSCAN else 5, clustering=clustering
    ).labels
    assert all(len(set(labels[start : start + 10])) == 1 for start in range(0, 120, 10))


@pytest.mark.parametrize("clustering", [Clustering.K_MEANS, Clustering.WARD])
def test_members_are_in_the_order_of_the_space_that_was_clustered(clustering):
    """The first ones stand for the facet, and the plane may have misplaced them."""
    codes, _ = mixture()
    (facet,) = found(codes, facets=1, clustering=clustering, whitening=0.0).facets
    distances = np.linalg.norm(codes - codes.mean(axis=0), axis=1)
    assert list(facet.members) == list(np.argsort(distances, kind="stable"))
