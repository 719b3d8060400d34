"""A recipe that exists can be followed."""

from dataclasses import replace
from math import inf, nan

import pytest

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.recipes import FOURIER, Penalties, Transforms


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("steps", lambda: replace(FOURIER, steps=0)),
        ("steps", lambda: replace(FOURIER, steps=10_001)),
        ("learning_rate", lambda: replace(FOURIER, learning_rate=0.0)),
        ("learning_rate", lambda: replace(FOURIER, learning_rate=-1.0)),
        ("learning_rate", lambda: replace(FOURIER, learning_rate=inf)),
        ("learning_rate", lambda: replace(FOURIER, learning_rate=nan)),
        ("decay", lambda: replace(FOURIER, decay=3.5)),
        ("jitter", lambda: Transforms(jitter=0.6)),
        ("scale_low", lambda: Transforms(scale=(0.01, 1.0))),
        ("scale_high", lambda: Transforms(scale=(1.2, 1.1))),
        ("rotation", lambda: Transforms(rotation=181.0)),
        ("noise", lambda: Transforms(noise=1.5)),
        ("total_variation", lambda: Penalties(total_variation=-1.0)),
        ("l2", lambda: Penalties(l2=nan)),
        ("blur", lambda: Penalties(blur=1e7)),
    ],
)
def test_a_value_out_of_range_is_named(field, make):
    """A caller learns which number to change, before any work is done."""
    with pytest.raises(InvalidFieldError) as caught:
        make()
    assert caught.value.field == f"recipe.{field}"
