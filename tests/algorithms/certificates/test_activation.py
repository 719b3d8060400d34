"""An activation beside natural ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facetscope.algorithms.certificates.activation import margin, percentile, ratio, retained

activations = st.floats(-100, 100, width=32)
several = st.lists(activations, min_size=2, max_size=30)


@given(activations, several)
def test_a_percentile_is_its_definition(value, natural):
    """It counts the images that excite the unit less, and no equal one."""
    slow = 100 * sum(other < value for other in natural) / len(natural)
    assert percentile(value, torch.tensor(natural)) == pytest.approx(slow)


@given(activations, several)
def test_a_margin_is_its_definition(value, own):
    """It counts standard deviations of a sample, or says that there is none."""
    found = margin(value, torch.tensor(own))
    if len(set(own)) == 1:
        assert found is None
    elif found is not None:
        slow = (value - np.mean(own, dtype=np.float64)) / np.std(own, ddof=1, dtype=np.float64)
        assert found == pytest.approx(slow, rel=1e-6, abs=1e-6)


def test_a_ratio_needs_a_largest_activation_above_0():
    """Logits may all be negative, and a ratio of these would turn the order around."""
    assert ratio(3.0, torch.tensor([1.0, 2.0])) == 1.5
    assert ratio(3.0, torch.tensor([-1.0, 0.0])) is None


def test_what_is_retained_is_counted_from_an_ordinary_image():
    """An activation that falls back to the median has lost all that it had."""
    natural = torch.tensor([1.0, 2.0, 3.0])
    assert retained(10.0, 10.0, natural) == 1
    assert retained(6.0, 10.0, natural) == 0.5
    assert retained(2.0, 10.0, natural) == 0
    assert retained(2.0, 2.0, natural) is None


@pytest.mark.parametrize("shift", [-50.0, 1000.0])
def test_a_margin_does_not_depend_on_where_zero_is(shift):
    """A logit and the same with a constant added are one measure."""
    own = torch.tensor([1.0, 2.0, 4.0])
    assert margin(5 + shift, own + shift) == pytest.approx(margin(5.0, own), rel=1e-4)


@pytest.mark.parametrize("own", [[3.0], [3.0, 3.0, 3.0]])
def test_a_margin_needs_natural_images_that_differ(own):
    """One image, or several that are the same to the unit, have no spread."""
    assert margin(5.0, torch.tensor(own)) is None
