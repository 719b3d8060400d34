"""Whether facets would be found again: in subsamples of the images, with other seeds."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from facetscope.algorithms.clustering import Cloud, Labels, partition
from facetscope.algorithms.embedding import embed
from facetscope.domain.discoveries import Clustering, Discovery

SUBSAMPLE = 0.8
"""Part of the unlike images that a subsample has."""

Chosen = Int[np.ndarray, " chosen"]
"""One number for each image of a subsample."""

Again = tuple[Chosen, Chosen]
"""The images of a subsample, and the facet of each there."""


def repeated(
    cloud: Cloud, numbers: Sequence[int], discovery: Discovery, random: np.random.RandomState
) -> Iterator[tuple[Chosen, list[Chosen]]]:
    """Find facets again in subsamples, which are embedded anew where the plane is clustered.

    Yields:
        The images of a subsample, and the facet of each there, for each of ``numbers`` of facets.
    """
    size = max(2, round(SUBSAMPLE * len(cloud)))
    for _ in range(discovery.bootstraps):
        chosen = np.sort(random.choice(len(cloud), size, replace=False))
        codes, plane = cloud.codes[chosen], cloud.plane[chosen]
        if discovery.clustering is Clustering.PLANE_K_MEANS:
            plane = embed(codes, discovery.perplexity, random)
        part = Cloud(codes, plane, cloud.copies[chosen])
        yield chosen, [partition(part, each, discovery.clustering, random) for each in numbers]


def stability(labels: Labels, again: Sequence[Again]) -> float:
    """Mean adjusted Rand index between facets and those of subsamples, over the images of these."""
    return float(np.mean([adjusted_rand_score(labels[chosen], found) for chosen, found in again]))


def recovery(labels: Labels, again: Sequence[Again]) -> Float64[np.ndarray, " facet"]:
    """How well each facet is found again: its best Jaccard index in a subsample, on average.

    Hennig (2007). A facet without an image in a subsample was not found again there.
    """
    best = np.zeros((len(again), labels.max() + 1))
    for row, (chosen, found) in zip(best, again, strict=True):
        common = contingency_matrix(labels[chosen], found)
        either = common.sum(axis=1, keepdims=True) + common.sum(axis=0) - common
        row[np.unique(labels[chosen])] = (common / either).max(axis=1)
    return np.asarray(best.mean(axis=0))
