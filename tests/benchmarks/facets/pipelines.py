"""The ways to find facets that are compared."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facetscope.algorithms.facets import discover


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way to find facets.

    Attributes:
        name: In the table.
        codes: Which codes it takes.
        find: From codes and the true number of facets to each image's facet.
        counts: Whether it finds the number itself.
    """

    name: str
    codes: str
    find: Callable[[np.ndarray, int], np.ndarray]
    counts: bool


def _paper(codes, facets):
    return discover(codes, facets=facets, components=50, perplexity=30.0, seed=0).labels


PIPELINES = (Pipeline("paper, k given", "default", _paper, counts=False),)
