"""Whether two facets are two kinds of image, or one kind cut in two.

A linear discriminant, fitted to one half of the images, puts the other half on a line. Where the
two facets are kinds of their own, few of these lie half-way between them; where they are one kind
cut in two, most do. Images that the discriminant was fitted to would not tell: with many features
it parts anything.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64, Int
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from facetscope.algorithms.clustering import Labels
from facetscope.algorithms.embedding import Codes

SPLITS = 2
"""How many times images are halved at random."""

FEWEST = 8
"""Images that a facet needs to be told apart from another."""

WINDOW = 0.15
"""How near to a place on the line images count as there; the two facets are 1 apart."""


def separation(codes: Codes, labels: Labels, random: np.random.RandomState) -> float:
    """The depth of the shallowest valley between two of the facets, at most 1.

    1 is a valley without any image; 0 one as densely peopled as the facets; it is negative where
    there is a hill instead, and -1 where a facet has too few images to tell.

    Args:
        codes: Of the images.
        labels: The facet of each, from 0; two facets or more.
        random: Of the halves.
    """
    facets = [codes[labels == facet] for facet in range(labels.max() + 1)]
    if min(map(len, facets)) < FEWEST:
        return -1.0
    return min(
        float(np.mean([valley(line_between(one, other, random)) for _ in range(SPLITS)]))
        for one, other in combinations(facets, 2)
    )


def line_between(
    one: Float[np.ndarray, "one feature"],
    other: Float[np.ndarray, "other feature"],
    random: np.random.RandomState,
) -> Float64[np.ndarray, " image"]:
    """Where the images of two facets, one after the other, lie; the medians are at 0 and 1.

    Each half of the images is placed by the discriminant of the other half.
    """
    codes = np.concatenate([one, other])
    of_other = np.arange(len(codes)) >= len(one)
    half = np.concatenate([_halved(len(one), random), _halved(len(other), random)])
    line = np.empty(len(codes))
    for fitted in (0, 1):
        seen, placed = half == fitted, half != fitted
        discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        values = discriminant.fit(codes[seen], of_other[seen]).decision_function(codes[placed])
        low = np.median(values[~of_other[placed]])
        high = np.median(values[of_other[placed]])
        line[placed] = (values - low) / ((high - low) or 1.0)
    return line


def valley(line: Float64[np.ndarray, " image"]) -> float:
    """1 less the number of images about the middle, in those about the less peopled end.

    It is -1 where that would be less, or where nothing is at an end.
    """
    left, middle, right = (int((np.abs(line - place) < WINDOW).sum()) for place in (0, 0.5, 1))
    ends = min(left, right)
    return max(-1.0, 1 - middle / ends) if ends else -1.0


def _halved(images: int, random: np.random.RandomState) -> Int[np.ndarray, " image"]:
    return random.permutation(images) % 2
