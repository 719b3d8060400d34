"""Whether layers are in a state that natural images bring about."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from facetscope.algorithms.certificates.paths import (
    LEAST_SCALE,
    chosen_layers,
    path_similarities,
    rank_correlations,
)
from facetscope.domain.units import Layer


def layers(*channels):
    return [Layer(str(index), "Relu", (-1, count, 4, 4), 1) for index, count in enumerate(channels)]


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0, -3.0, 7.0]), min_size=8, max_size=8),
        min_size=2,
        max_size=4,
    )
)
def test_rank_correlations_are_spearmans(rows):
    """Ties included: half of a layer behind a rectifier is zero."""
    values = torch.tensor(rows)
    found = rank_correlations(values, values)
    for i, left in enumerate(rows):
        for j, right in enumerate(rows):
            constant = (len(set(left)) == 1) + (len(set(right)) == 1)
            expected = {0: None, 1: 0.0, 2: 1.0}[constant]
            if expected is None:
                expected = spearmanr(left, right).statistic
            assert float(found[i, j]) == pytest.approx(expected, abs=1e-6)


def slow_similarity(image, kin, strangers):
    """Path similarity of one image, number by number."""
    rest = [[s for j, s in enumerate(row) if j != i] for i, row in enumerate(kin)]
    means = [sum(row) / len(row) for row in rest]
    same = sum(means) / len(means)
    spread = (sum((mean - same) ** 2 for mean in means) / (len(means) - 1)) ** 0.5
    every = [value for row in strangers for value in row]
    scale = max(same - sum(every) / len(every), spread, LEAST_SCALE)
    return min(max(1 - (same - sum(image) / len(image)) / scale, -1), 1)


def random_similarities(seed, witnesses):
    random = torch.Generator().manual_seed(seed)
    kin = torch.rand(witnesses, witnesses, generator=random, dtype=torch.float64)
    kin = ((kin + kin.T) / 2).fill_diagonal_(1)
    images, strangers = torch.rand(2, 5, witnesses, generator=random, dtype=torch.float64)
    return images, kin, strangers / 2


@pytest.mark.parametrize("seed", range(4))
def test_a_path_similarity_is_its_definition(seed):
    """Beside the sums, number by number."""
    images, kin, strangers = random_similarities(seed, witnesses=4)
    found = path_similarities(images, kin, strangers)
    slow = [slow_similarity(row, kin.tolist(), strangers.tolist()) for row in images.tolist()]
    assert found.tolist() == pytest.approx(slow)


def test_kin_is_1_and_strangers_are_0():
    """The ends of the scale are natural images."""
    kin = torch.full((4, 4), 0.8, dtype=torch.float64).fill_diagonal_(1)
    strangers = torch.full((3, 4), 0.3, dtype=torch.float64)
    images = torch.tensor([[0.8] * 4, [0.3] * 4, [0.55] * 4], dtype=torch.float64)
    found = path_similarities(images, kin, strangers)
    assert found.tolist() == pytest.approx([1, 0, 0.5])


def test_a_layer_that_tells_no_kinds_apart_does_not_decide_by_a_hair():
    """It says the same for all natural images; an image that agrees passes, another does not."""
    kin, strangers = torch.ones(4, 4), torch.ones(3, 4)
    found = path_similarities(torch.tensor([[1.0] * 4, [0.99] * 4, [0.0] * 4]), kin, strangers)
    assert found.tolist() == pytest.approx([1, 0.5, -1], abs=1e-4)


def test_a_path_that_natural_images_never_take_is_seen():
    """A channel that is silent for all of them, and wakes up for an image, is a circuit to fool."""
    natural, image = torch.zeros(7, 8), torch.rand(1, 8)
    kin = rank_correlations(natural[:4], natural[:4])
    strangers = rank_correlations(natural[4:], natural[:4])
    assert path_similarities(rank_correlations(image, natural[:4]), kin, strangers).tolist() == [-1]


@pytest.mark.parametrize(
    ("most", "names"), [(8, "0123456789"), (10, "0123456789"), (1, "9"), (2, "09"), (4, "0369")]
)
def test_layers_are_spread_from_first_to_last(most, names):
    """The last is the nearest to the unit, and always among them."""
    found = [layer.name for layer in chosen_layers(layers(*[8] * 10), most)]
    if most >= 10 or len(names) == most:
        assert found == list(names)
    assert len(found) == most
    assert (found[0], found[-1]) == ("9" if most == 1 else "0", "9")
    assert found == sorted(set(found))


def test_layers_with_few_channels_have_no_say():
    """The ranks of three channels, such as the colors of the picture, are hardly an order."""
    assert [layer.name for layer in chosen_layers(layers(3, 8, 1, 64), 8)] == ["1", "3"]
    assert chosen_layers(layers(3, 1), 8) == ()
