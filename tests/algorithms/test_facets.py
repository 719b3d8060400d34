"""Facets are checked against planted ones, slow definitions, and sets too small for them."""

import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from facetscope.algorithms.facets import discover
from facetscope.domain.discoveries import Discovery
from facetscope.domain.errors import InvalidFieldError, TooFewImagesError


def found(codes, facets, *, seed=0, **options):
    return discover(codes, Discovery(facets=facets, seed=seed, **options))


def noise(images, features, seed=0):
    return np.random.default_rng(seed).standard_normal((images, features), dtype=np.float32)


def planted(sizes, features=64):
    """Codes in well separated clusters of these sizes, shuffled, and the cluster of each."""
    random = np.random.default_rng(0)
    clusters = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 10 * random.standard_normal((len(sizes), features))
    codes = centres[clusters] + random.standard_normal((len(clusters), features))
    return codes.astype(np.float32), clusters


def contents(facet_map):
    """Everything that a map holds, as bytes."""
    arrays = [facet_map.embedding, facet_map.labels, facet_map.silhouettes]
    arrays += [
        array
        for facet in facet_map.facets
        for array in (facet.members, facet.distances, facet.centroid)
    ]
    return [array.tobytes() for array in arrays]


def slow_silhouette(codes, labels, image):
    """Rousseeuw's definition, pair by pair."""

    def mean_distance(label):
        others = [o for o in range(len(codes)) if labels[o] == label and o != image]
        return sum(math.dist(codes[image], codes[other]) for other in others) / len(others)

    if list(labels).count(labels[image]) == 1:
        return 0.0
    own = mean_distance(labels[image])
    next_ = min(mean_distance(label) for label in set(labels) - {labels[image]})
    return (next_ - own) / max(own, next_)


@pytest.mark.parametrize("features", [1, 2, 64])
def test_planted_facets_are_recovered(features):
    """Kinds of image that lie apart in code space are told apart, with as few as one feature."""
    clusters = np.arange(48) % 3
    codes = (20 * clusters[:, None] + noise(48, features)).astype(np.float32)
    assert adjusted_rand_score(clusters, found(codes, 3).labels) == 1


def test_facets_are_numbered_by_size():
    """The first facet is the unit's main one, whatever order k-means found it in."""
    codes, clusters = planted([10, 40, 25])
    facets = found(codes, 3).facets
    assert [len(facet.members) for facet in facets] == [40, 25, 10]
    assert [set(clusters[facet.members]) for facet in facets] == [{1}, {2}, {0}]


def test_equally_large_facets_are_numbered_by_their_earliest_image():
    """Ties are broken by something that a reader can see."""
    codes, _ = planted([12, 12, 12])
    earliest = [facet.members.min() for facet in found(codes, 3).facets]
    assert earliest == sorted(earliest)


def test_members_are_those_with_the_facets_label_nearest_to_its_centroid_first():
    """The first members stand for the facet, so their order is checked by brute force."""
    found_map = found(noise(40, 8), 4)
    for index, facet in enumerate(found_map.facets):
        members = [image for image in range(40) if found_map.labels[image] == index]
        centroid = sum(found_map.embedding[image] for image in members) / len(members)
        distances = {image: math.dist(found_map.embedding[image], centroid) for image in members}
        assert list(facet.members) == sorted(members, key=lambda image: distances[image])
        np.testing.assert_allclose(facet.centroid, centroid)
        np.testing.assert_allclose(facet.distances, sorted(distances.values()))


def test_silhouettes_are_their_definition_in_code_space():
    """The figure that says whether facets are real is not measured where t-SNE exaggerates."""
    codes = noise(30, 5)
    facet_map = found(codes, 4)
    slow = [slow_silhouette(codes.astype(float), facet_map.labels, image) for image in range(30)]
    np.testing.assert_allclose(facet_map.silhouettes, slow, atol=1e-6)


def test_a_single_facet_has_silhouettes_of_0():
    """There is no next facet to be nearer to."""
    assert not found(noise(9, 5), 1).silhouettes.any()


@pytest.mark.parametrize("images", range(1, 13))
def test_few_images_are_enough(images):
    """PCA, t-SNE and k-means are held to what so few images allow, down to one."""
    facet_map = found(noise(images, 100), images)
    assert sorted(facet.members.tolist() for facet in facet_map.facets) == [
        [image] for image in range(images)
    ]
    assert np.isfinite(facet_map.embedding).all()
    assert not facet_map.silhouettes.any()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_codes_does_not_matter(scale):
    """Networks without normalization have codes whose squares are not numbers any more."""
    codes, clusters = planted([12, 12, 12])
    assert adjusted_rand_score(clusters, found(codes * np.float32(scale), 3).labels) == 1


def test_images_with_equal_codes_are_in_one_place():
    """An image that was sent a hundred times is no facet's border."""
    codes = np.repeat(noise(12, 20), 10, axis=0)
    facet_map = found(codes, 5)
    assert len(np.unique(facet_map.embedding, axis=0)) == 12
    assert all(len(set(facet_map.labels[start : start + 10])) == 1 for start in range(0, 120, 10))


def test_the_order_of_images_does_not_matter():
    """The same archive packed in another order has the same facets."""
    codes = noise(60, 20)
    order = np.random.default_rng(1).permutation(60)
    assert adjusted_rand_score(found(codes, 4).labels[order], found(codes[order], 4).labels) == 1


def test_equal_seeds_give_equal_bytes_on_any_number_of_threads():
    """A result is cached under its job, so a server with more cores must not find another."""
    codes = noise(150, 30)
    with threadpool_limits(1):
        alone = contents(found(codes, 5, seed=7))
    with threadpool_limits(2):
        assert contents(found(codes, 5, seed=7)) == alone


def test_seeds_may_be_as_large_as_the_contract_has_them():
    """Seeds are 64 bits wide, twice what scikit-learn takes."""
    codes = noise(20, 5)
    first, last = (found(codes, 2, seed=seed) for seed in (0, 2**64 - 1))
    assert not np.array_equal(first.embedding, last.embedding)


@pytest.mark.parametrize(
    ("codes", "images"),
    [(noise(3, 5), 3), (np.ones((9, 5), np.float32), 1), (np.repeat(noise(2, 5), 4, axis=0), 2)],
    ids=["few", "constant", "repeated"],
)
def test_fewer_unlike_images_than_facets_are_refused(codes, images):
    """Facets without a kind of image of their own would be made up."""
    with pytest.raises(TooFewImagesError) as caught:
        found(codes, 4)
    assert (caught.value.images, caught.value.needed) == (images, 4)


def test_constant_codes_are_one_facet():
    """A dead layer has nothing to tell images apart by, and that is no failure."""
    (facet,) = found(np.ones((5, 3), np.float32), 1).facets
    assert list(facet.members) == [0, 1, 2, 3, 4]
    assert not facet.distances.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_codes_that_are_no_numbers_are_refused(value):
    """One NaN would otherwise spread to every image's place."""
    codes = noise(9, 5)
    codes[3, 2] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        found(codes, 2)


def test_a_number_of_facets_may_be_numpys():
    """It often comes out of an array, and is a number like any other."""
    codes = np.random.default_rng(0).normal(size=(30, 4))
    asked = Discovery(facets=np.int64(3))
    assert (type(asked.facets), asked) == (int, Discovery(facets=3))
    assert len(discover(codes, asked).facets) == 3
    with pytest.raises(InvalidFieldError):
        Discovery(facets=np.int64(0))
