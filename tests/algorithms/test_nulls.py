"""References of one kind, and how often they do as well."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetscope.algorithms.nulls import p_value, unimodal

WHOLE = st.integers(-3, 3).map(float)
"""Few values, so that there are ties."""


@given(WHOLE, st.lists(WHOLE, min_size=1, max_size=20))
@settings(deadline=None)
def test_a_p_value_is_its_definition(observed, references):
    """The place of the observed one among all, ties against it: never 0, whatever was drawn."""
    ranked = [value for value in [observed, *references] if value >= observed]
    assert p_value(observed, references) == float(Fraction(len(ranked), 1 + len(references)))


def test_a_reference_has_the_shape_and_covariance_of_the_codes():
    """Only what a covariance does not say tells codes from it."""
    codes = np.random.default_rng(0).exponential(size=(4000, 2)) * [3, 1]
    codes -= codes.mean(axis=0)
    drawn = unimodal(codes, np.random.RandomState(0))
    assert drawn.shape == codes.shape
    np.testing.assert_allclose(np.cov(drawn.T), np.diag([9, 1]), atol=0.6)
    assert abs(float((drawn[:, 0] ** 3).mean())) / 27 == pytest.approx(0, abs=0.2)
