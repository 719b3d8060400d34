"""How much of an image was there before the ascent."""

import numpy as np
import pytest
import torch

from facetscope.algorithms.certificates.spectra import luminance
from facetscope.algorithms.certificates.starts import excess, likenesses, shortfall


def test_likenesses_are_pearsons():
    """Beside numpy's, for every pair."""
    random = torch.Generator().manual_seed(1)
    images, starts = torch.rand(2, 3, 5, 7, generator=random), torch.rand(3, 3, 5, 7)
    found = likenesses(images, starts)
    for i, image in enumerate(luminance(images)):
        for j, start in enumerate(luminance(starts)):
            slow = np.corrcoef(image.flatten(), start.flatten())[0, 1]
            assert float(found[i, j]) == pytest.approx(slow)


def test_one_grey_level_is_like_nothing():
    """It has no contrast to correlate."""
    grey = torch.full((1, 1, 4, 4), 100.0)
    assert likenesses(torch.rand(1, 1, 4, 4), grey).isnan().all()


def test_a_shortfall_is_0_where_any_start_does_as_well():
    """And 1 where the ascent gets nowhere without this one."""
    assert shortfall(10.0, 10.0, ordinary=2.0) == 0
    assert shortfall(2.0, 10.0, ordinary=2.0) == 1
    assert shortfall(14.0, 10.0, ordinary=2.0) == -0.5
    assert shortfall(2.0, 2.0, ordinary=2.0) is None


def test_an_excess_is_beyond_the_most_alike_of_the_others():
    """Starts of one unit are alike; only what is the own one's alone is a bias."""
    likeness = torch.tensor([0.5, 0.9, 0.3, torch.nan])
    assert excess(likeness, 1) == pytest.approx(0.4)
    assert excess(likeness, 2) == pytest.approx(-0.6)


@pytest.mark.parametrize("likeness", [[0.5], [0.5, torch.nan], [torch.nan, 0.5]])
def test_an_excess_needs_two_starts(likeness):
    """Each with some contrast."""
    assert excess(torch.tensor(likeness), 0) is None
