"""Real models, where they are at hand: FACETSCOPE_ASSETS, or shared/assets beside the checkout."""

import os
from pathlib import Path

import pytest

ASSETS = Path(os.environ.get("FACETSCOPE_ASSETS", Path(__file__).parents[2] / "shared" / "assets"))


def models(pattern):
    """The real models of that name, as parameters of a test that is skipped without them."""
    found = sorted((ASSETS / "models").glob(pattern))
    skip = pytest.mark.skip(reason=f"no {pattern} in {ASSETS}")
    marks = [pytest.mark.assets] if found else [pytest.mark.assets, skip]
    return [pytest.param(path, id=path.stem, marks=marks) for path in found or [ASSETS]]
