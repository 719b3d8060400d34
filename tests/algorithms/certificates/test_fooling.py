"""A certificate can say no: to noise, and to a network that shows a false picture."""

from collections import Counter

import pytest
import torch
from tests import certifying, fooling

from facetscope.domain.certificates import Level, Measure

MORE_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4)]


@pytest.fixture(scope="module", params=[0, *MORE_SEEDS])
def trained(request):
    """A seed, digits to train with and others, an honest network and its manipulation."""
    threads, seed = torch.get_num_threads(), request.param
    torch.set_num_threads(1)
    known, unseen = fooling.digits(seed)
    honest = fooling.trained_honest(known, seed)
    manipulated = fooling.trained_manipulation(honest, known, seed)
    yield seed + 100, known, unseen, honest, manipulated
    torch.set_num_threads(threads)


def certificates(images, network, known):
    return images.certified(network, certifying.reference(network, known))


def test_the_manipulation_does_nothing_to_natural_images(trained):
    """Whoever tests the network on these sees its honest behaviour."""
    _, _, unseen, honest, manipulated = trained
    with torch.no_grad():
        changed = (manipulated.unit(unseen.pixels) - honest.unit(unseen.pixels)).abs() > 1e-3
        right = honest(unseen.pixels).argmax(dim=1) == unseen.classes
    assert changed.float().mean() < 0.01
    assert right.float().mean() > 0.92


def test_the_manipulation_shows_something_else(trained):
    """The network itself takes what it shows for another class, all but surely."""
    seed, known, _, honest, manipulated = trained
    shown = certifying.synthesized(manipulated, known, seed).pixels
    with torch.no_grad():
        assert (honest(shown).argmax(dim=1) == fooling.SHOWN).all()


def test_honest_images_are_green(trained):
    """Of every facet; with a margin for the measures that catch the false ones."""
    seed, known, _, honest, _ = trained
    found = certificates(certifying.synthesized(honest, known, seed), honest, known)
    assert [each.verdict for each in found] == [Level.GREEN] * 3
    assert [each.nearest_facet for each in found] == [0, 1, 2]
    assert max(each.outlying for each in found) < 0.95
    assert min(each.path_similarity for each in found) > 0.4


def test_false_images_are_red(trained):
    """They excite the unit more than any natural image, and are seen through all the same."""
    seed, known, _, _, manipulated = trained
    found = certificates(certifying.synthesized(manipulated, known, seed), manipulated, known)
    assert [each.verdict for each in found] == [Level.RED] * 3
    assert Measure.OUTLYING in {each.reasons[0].measure for each in found}


@pytest.mark.parametrize("which", ["honest", "manipulated"])
def test_noise_is_red(trained, which):
    """By several measures, so that no one of them has to be right."""
    seed, known, _, *networks = trained
    network = dict(zip(("honest", "manipulated"), networks, strict=True))[which]
    for each in certificates(certifying.white_noise(seed), network, known):
        assert each.verdict is Level.RED
        assert sum(reason.level is Level.RED for reason in each.reasons) >= 2


def test_natural_images_are_seldom_red(trained):
    """They were not made to excite the unit, and some are hardly digits."""
    _, known, unseen, honest, _ = trained
    found = certificates(certifying.natural(unseen), honest, known)
    levels = Counter(each.verdict for each in found)
    assert levels[Level.RED] <= len(found) / 10
