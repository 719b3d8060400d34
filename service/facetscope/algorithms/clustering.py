"""What shares out images among facets: four ways, by one call."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning

from facetscope.algorithms.embedding import Codes, Embedding
from facetscope.domain.discoveries import Clustering

Labels = Int[np.ndarray, " image"]
"""The number of each image's facet."""

NOISE = -1
"""The label of an image that is in no dense region."""

SMALLEST_SHARE = 0.05
"""Part of the images that a dense region has at least."""

SMALLEST_REGION = 5
"""Images that a dense region has at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Unlike images, as clustering sees them.

    Attributes:
        codes: Their codes, reduced.
        plane: Their places in the plane.
        copies: How many images each stands for.
    """

    codes: Codes
    plane: Embedding
    copies: Int[np.ndarray, " image"]

    def __len__(self) -> int:
        return len(self.codes)

    def space(self, clustering: Clustering) -> Codes:
        """The points that ``clustering`` clusters."""
        return self.plane if clustering is Clustering.PLANE_K_MEANS else self.codes


def partition(
    cloud: Cloud, facets: int, clustering: Clustering, random: np.random.RandomState
) -> Labels:
    """Share out images among ``facets`` clusters, or fewer where fewer are unlike.

    ``clustering`` is one that takes a number: HDBSCAN does not.
    """
    points = cloud.space(clustering)
    if clustering is Clustering.WARD:
        return _ward(points, cloud.copies, facets=min(facets, len(cloud)))
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        k_means = KMeans(min(facets, len(cloud)), n_init=10, tol=0.0, random_state=random)
        labels: Labels = k_means.fit_predict(points, sample_weight=cloud.copies)
    return labels


def ward_within(cloud: Cloud, distance: float) -> Labels:
    """Merge clusters by Ward's criterion until all are ``distance`` or more apart."""
    return _ward(cloud.codes, cloud.copies, facets=None, distance=distance)


def dense_regions(cloud: Cloud) -> Labels:
    """The dense region of each image, by HDBSCAN (Campello et al. 2013); ``NOISE`` for none."""
    smallest = max(SMALLEST_REGION, round(SMALLEST_SHARE * len(cloud)))
    if len(cloud) <= smallest:
        return np.full(len(cloud), NOISE)
    labels: Labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(cloud.codes)
    return labels


def nearest_region(codes: Codes, regions: Labels) -> Labels:
    """The same regions, with noise given to the one whose mean is nearest; all one if none is."""
    found = np.unique(regions[regions != NOISE])
    if not len(found):
        return np.zeros_like(regions)
    means = np.stack([codes[regions == region].mean(axis=0) for region in found])
    distances = np.linalg.norm(codes[:, None] - means[None], axis=2)
    return np.where(regions == NOISE, found[distances.argmin(axis=1)], regions)


def _ward(
    points: Float[np.ndarray, "image axis"],
    copies: Int[np.ndarray, " image"],
    *,
    facets: int | None,
    distance: float | None = None,
) -> Labels:
    """Clusters of the points, each as often as it has copies."""
    if len(points) == 1:
        return np.zeros(1, dtype=np.int64)
    place_of = np.repeat(np.arange(len(points)), copies)
    ward = AgglomerativeClustering(facets, distance_threshold=distance)
    labels = ward.fit_predict(points[place_of])
    return np.asarray(labels[np.cumsum(copies) - 1])
