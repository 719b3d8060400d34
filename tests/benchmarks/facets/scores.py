"""How well found facets agree with true ones."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors


@dataclass(frozen=True, slots=True)
class Score:
    """Of one unit and one way to find facets.

    Attributes:
        rand: Adjusted Rand index, 1 where facets and sub-classes are the same.
        information: Normalized mutual information, in [0, 1].
        neighbours: Part of the images whose nearest other image, between codes, is of their true
            facet: what the codes know, whoever clusters them.
        purity: Part of the images that are of the sub-class that most of their facet are of.
        found: How many facets were found.
        true: How many there are.
        seconds: That it took.
    """

    rand: float
    information: float
    purity: float
    neighbours: float
    found: int
    true: int
    seconds: float


def score(codes, truth, labels, seconds):
    """Compare; images of a negative true facet are of none, and do not count."""
    counted = (truth >= 0) & (labels >= 0)
    return Score(
        rand=float(adjusted_rand_score(truth[counted], labels[counted])),
        information=float(normalized_mutual_info_score(truth[counted], labels[counted])),
        purity=purity(truth[counted], labels[counted]),
        neighbours=nearest_neighbour(codes[counted], truth[counted]),
        found=len(np.unique(labels[labels >= 0])),
        true=len(np.unique(truth[truth >= 0])),
        seconds=seconds,
    )


def purity(truth, labels):
    """Part of the images that are of the sub-class that most of their facet are of."""
    most = [np.unique(truth[labels == label], return_counts=True)[1].max() for label in set(labels)]
    return float(sum(most) / len(truth))


def nearest_neighbour(codes, truth):
    """Part of the images whose nearest other image, between codes, is of their true facet."""
    nearest = NearestNeighbors(n_neighbors=1).fit(codes).kneighbors(return_distance=False)
    return float((truth[nearest[:, 0]] == truth).mean())
