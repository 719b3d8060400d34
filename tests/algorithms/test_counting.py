"""How many facets are found where it is known how many there are."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from facetscope.algorithms.facets import discover
from facetscope.domain.discoveries import Clustering, Discovery, FacetRange
from facetscope.domain.errors import TooFewImagesError
from facetscope.domain.events import Verdict

IMAGES, FEATURES = 120, 12


def found(codes, sought, **options):
    asked = {"clustering": Clustering.K_MEANS, "bootstraps": 2, **options}
    return discover(codes.astype(np.float32), Discovery(facets=sought, **asked))


def noise(images=IMAGES, seed=0):
    return np.random.default_rng(seed).standard_normal((images, FEATURES))


def mixture(kinds, images=IMAGES):
    """Normal clouds that lie apart, and the cloud of each image."""
    clouds = np.arange(images) % kinds
    return noise(images) + 8 * np.eye(FEATURES)[clouds], clouds


def skewed():
    """One kind, most of which is near one end."""
    return np.exp(0.7 * noise())


def ring():
    """One kind that has no middle."""
    angle = np.linspace(0, 2 * np.pi, IMAGES, endpoint=False)
    codes = 0.2 * noise()
    codes[:, :2] += 3 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return codes


@pytest.mark.parametrize("clustering", [Clustering.K_MEANS, Clustering.WARD])
@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_as_many_facets_are_found_as_there_are_kinds(kinds, clustering):
    """A reviewer need not know what to look for."""
    codes, clouds = mixture(kinds)
    facet_map = found(codes, FacetRange(1, 6), clustering=clustering)
    assert facet_map.verdict is Verdict.SEVERAL_FACETS
    assert adjusted_rand_score(clouds, facet_map.labels) == 1
    assert facet_map.p_value == 1 / 40
    assert [each.facets for each in facet_map.candidates] == [2, 3, 4, 5, 6]
    chosen = facet_map.candidates[kinds - 2]
    assert (chosen.stability, chosen.separation) == (1, 1)
    np.testing.assert_array_equal(facet_map.recoveries, 1)


def test_kinds_are_found_in_the_plane():
    """The paper's clustering can be asked how many facets there are, too."""
    codes, clouds = mixture(3)
    facet_map = found(codes, FacetRange(1, 4), clustering=Clustering.PLANE_K_MEANS)
    assert adjusted_rand_score(clouds, facet_map.labels) == 1


@pytest.mark.parametrize("codes", [noise, skewed, ring])
def test_one_kind_is_one_facet(codes):
    """A method that always finds several tells nothing when it does."""
    facet_map = found(codes(), FacetRange(1, 5))
    assert facet_map.verdict is Verdict.ONE_FACET
    assert len(facet_map.facets) == 1
    assert facet_map.recoveries is None


def test_one_kind_is_shared_out_where_the_request_has_it_so():
    """The smallest number that was asked for stands, and the verdict says what it is worth."""
    facet_map = found(noise(), FacetRange(3, 5))
    assert (facet_map.verdict, len(facet_map.facets)) == (Verdict.ONE_FACET, 3)


def test_at_a_stricter_significance_there_is_one_facet():
    """39 references cannot give a p-value below 1/40."""
    facet_map = found(mixture(3)[0], FacetRange(1, 4), significance=0.01)
    assert facet_map.verdict is Verdict.ONE_FACET


@pytest.mark.parametrize("change", [lambda codes: 1e20 * codes, lambda codes: codes + 100])
def test_scale_and_origin_of_codes_do_not_matter(change):
    """Networks differ in both."""
    codes, _ = mixture(3)
    ours, theirs = (found(each, FacetRange(1, 5)) for each in (codes, change(codes)))
    assert adjusted_rand_score(ours.labels, theirs.labels) == 1


def test_the_order_of_images_does_not_matter():
    """Rows are sorted by their codes before anything is drawn."""
    codes, _ = mixture(3)
    order = np.random.default_rng(1).permutation(len(codes))
    ours, theirs = (found(each, FacetRange(1, 5)) for each in (codes, codes[order]))
    assert adjusted_rand_score(ours.labels[order], theirs.labels) == 1
    assert ours.candidates == theirs.candidates
    assert ours.p_value == theirs.p_value


def test_equal_seeds_give_equal_counts_on_any_number_of_threads():
    """The count is part of what is cached under a job."""
    with threadpool_limits(1):
        alone = found(noise(), FacetRange(1, 4), seed=7)
    with threadpool_limits(2):
        again = found(noise(), FacetRange(1, 4), seed=7)
    assert (again.candidates, again.p_value) == (alone.candidates, alone.p_value)


@pytest.mark.parametrize(
    ("codes", "facets"),
    [(noise(1), 1), (noise(2), 1), (noise(15), 2), (np.ones((40, 3)), 1)],
    ids=["one image", "two", "few", "constant"],
)
def test_too_few_images_to_tell_are_the_fewest_facets(codes, facets):
    """No number is made up of images that cannot bear it."""
    facet_map = found(codes, FacetRange(facets, 9))
    assert facet_map.verdict is Verdict.TOO_FEW_IMAGES
    assert len(facet_map.facets) == facets
    assert facet_map.p_value is None


def test_numbers_for_which_there_are_too_few_images_are_not_tried():
    """A facet needs eight images to be told apart, however far the range goes."""
    facet_map = found(mixture(2, images=30)[0], FacetRange(1, 100))
    assert [each.facets for each in facet_map.candidates] == [2, 3]
    assert len(facet_map.facets) == 2


@pytest.mark.parametrize("number", [1, 3])
def test_a_range_of_one_number_is_that_number(number):
    """There is nothing to find, and no time is spent on it."""
    facet_map = found(noise(), FacetRange(number, number))
    assert (facet_map.verdict, len(facet_map.facets)) == (Verdict.GIVEN, number)


def test_fewer_images_than_the_fewest_facets_are_refused():
    """As they are where the number is given."""
    with pytest.raises(TooFewImagesError) as caught:
        found(np.ones((40, 3)), FacetRange(2, 9))
    assert (caught.value.images, caught.value.needed) == (1, 2)
