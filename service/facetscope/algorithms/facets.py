"""Facet discovery: which kinds of image excite a unit.

Algorithm 1 of Nguyen, Yosinski & Clune, "Multifaceted Feature Visualization" (2016),
arXiv:1602.03616: the images' codes are reduced by PCA, embedded in the plane by t-SNE and clustered
there by k-means; each cluster is a facet, shown by the mean of the images nearest its centroid.
Beside it stand clusterings of the codes themselves, and the search for the number of facets.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from threadpoolctl import threadpool_limits

from facetscope.algorithms.clustering import (
    NOISE,
    Cloud,
    Labels,
    dense_regions,
    nearest_region,
    partition,
    ward_within,
)
from facetscope.algorithms.counting import Counted, count
from facetscope.algorithms.embedding import (
    Codes,
    Embedding,
    embed,
    reduce,
    scaled,
    trustworthiness,
)
from facetscope.domain.discoveries import MOST_FACETS, Clustering, Discovery, FacetRange
from facetscope.domain.errors import InvalidFieldError, TooFewImagesError
from facetscope.domain.events import FacetCandidate, Verdict

NEIGHBOURS = 15
"""Nearest images by which the plane is judged, where there are enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """One kind of image.

    Attributes:
        members: Indices of its images, nearest to the centroid first; of equally near ones, the
            earlier image first.
        distances: From each member to the centroid: in the embedding where that was clustered,
            else between codes, whose largest value is 1.
        centroid: Mean place of the members in the embedding.
    """

    members: Int[np.ndarray, " member"]
    distances: Float64[np.ndarray, " member"]
    centroid: Float64[np.ndarray, "2"]


@dataclass(frozen=True, slots=True, eq=False)
class FacetMap:
    """All images in the plane, shared out among facets.

    Attributes:
        facets: Largest first; of equally large ones, the one with the earliest image first.
        embedding: Where each image lies.
        labels: Index into ``facets`` for each image.
        silhouettes: How much nearer each image is to its own facet than to the next, in [-1, 1],
            measured between codes: t-SNE exaggerates gaps. 0 for the only image of a facet, and
            for the images of an only facet.
        agreement: Adjusted Rand index between k-means in the plane and k-means between codes, for
            this number of facets: how far the plane distorts them.
        trustworthiness: Of the plane, in [0, 1].
        noise: How many images HDBSCAN found in no dense region; they are in the nearest facet.
        recoveries: How well each facet is found again in subsamples of the images, in [0, 1];
            ``None`` where their number was not sought.
        verdict: How their number came about.
        candidates: The numbers that were tried, ascending.
        p_value: How often codes of one kind fall apart as far; ``None`` where it was not tested.
    """

    facets: tuple[Facet, ...]
    embedding: Embedding
    labels: Labels
    silhouettes: Float64[np.ndarray, " image"]
    agreement: float
    trustworthiness: float
    noise: int
    recoveries: Float64[np.ndarray, " facet"] | None
    verdict: Verdict
    candidates: tuple[FacetCandidate, ...]
    p_value: float | None


def discover(codes: Codes, discovery: Discovery) -> FacetMap:
    """Share out images among facets.

    Images with equal codes lie in one place and in one facet. Equal arguments give equal bytes,
    however many cores there are: the sums of t-SNE depend on the number of threads, so it has one.

    Args:
        codes: Of the images; their origin does not matter, and neither does their scale but to a
            threshold of Ward's.
        discovery: How; which images are the unit's own has been decided.

    Raises:
        InvalidFieldError: Ward's threshold leaves too many facets.
        TooFewImagesError: Fewer images than facets are left when those with equal codes count once.
        ValueError: The codes hold NaN or infinity.
    """
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinity")
    random = np.random.RandomState(np.random.MT19937(discovery.seed))
    distinct, place_of, copies = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    unscaled, unit = scaled(distinct)
    with threadpool_limits(1):
        reduced = reduce(unscaled, discovery.components, discovery.whitening, random)
        cloud = Cloud(reduced, embed(reduced, discovery.perplexity, random), copies)
        counted = _counted(cloud, discovery, unit, random)
        labels, order = _numbered(counted.labels[place_of])
        return FacetMap(
            facets=_facets(labels, cloud, place_of, discovery),
            embedding=cloud.plane[place_of],
            labels=labels,
            silhouettes=_silhouettes(unscaled[place_of], labels),
            recoveries=None if counted.recoveries is None else counted.recoveries[order],
            verdict=counted.verdict,
            candidates=counted.candidates,
            p_value=counted.p_value,
            agreement=_agreement(cloud, len(order), random),
            trustworthiness=_trustworthiness(cloud),
            noise=counted.noise,
        )


def _counted(
    cloud: Cloud, discovery: Discovery, unit: float, random: np.random.RandomState
) -> Counted:
    """Facets as the discovery has them; ``unit`` is the length in units of codes that is 1 here."""
    if len(cloud) < discovery.fewest:
        raise _too_few(len(cloud), discovery.fewest)
    match discovery.facets:
        case int(facets):
            labels = partition(cloud, facets, discovery.clustering, random)
            counted = Counted(labels, Verdict.GIVEN)
        case FacetRange() as sought:
            counted = count(cloud, sought, discovery, random)
        case None if discovery.clustering is Clustering.HDBSCAN:
            regions = dense_regions(cloud)
            labels = nearest_region(cloud.codes, regions)
            noise = int(cloud.copies[regions == NOISE].sum())
            counted = Counted(labels, Verdict.CLUSTERING, noise=noise)
        case None:
            labels = ward_within(cloud, discovery.ward_threshold / unit)
            counted = Counted(_limited(labels, discovery), Verdict.CLUSTERING)
    if (found := len(np.unique(counted.labels))) < discovery.fewest:
        raise _too_few(found, discovery.fewest)
    return counted


def _too_few(images: int, facets: int) -> TooFewImagesError:
    purpose = f"finding {facets} facets, where images with equal codes count as one,"
    return TooFewImagesError(images, facets, purpose)


def _limited(labels: Labels, discovery: Discovery) -> Labels:
    found = int(labels.max()) + 1
    if found > MOST_FACETS:
        problem = (
            f"{discovery.ward_threshold:g} leaves {found} facets; at most {MOST_FACETS} may be"
        )
        raise InvalidFieldError("discovery.ward_threshold", f"{problem}: choose a larger one")
    return labels


def _numbered(clusters: Labels) -> tuple[Labels, Int[np.ndarray, " facet"]]:
    """The same clusters with other numbers: by size, then by their earliest image.

    Returns:
        The new number of each image's cluster, and the old number of each new one.
    """
    old, earliest, sizes = np.unique(clusters, return_index=True, return_counts=True)
    order = np.lexsort((earliest, -sizes))
    numbers: Labels = np.argsort(order)[np.searchsorted(old, clusters)]
    return numbers, old[order]


def _silhouettes(codes: Codes, labels: Labels) -> Float64[np.ndarray, " image"]:
    if not 0 < labels.max() < len(labels) - 1:
        return np.zeros(len(labels))
    return np.asarray(silhouette_samples(codes, labels), dtype=np.float64)


def _agreement(cloud: Cloud, facets: int, random: np.random.RandomState) -> float:
    ways = (Clustering.PLANE_K_MEANS, Clustering.K_MEANS)
    in_plane, between_codes = (partition(cloud, facets, way, random) for way in ways)
    every = np.repeat(np.arange(len(cloud)), cloud.copies)
    return float(adjusted_rand_score(in_plane[every], between_codes[every]))


def _trustworthiness(cloud: Cloud) -> float:
    neighbours = min(NEIGHBOURS, (len(cloud) - 1) // 2)
    return trustworthiness(cloud.codes, cloud.plane, neighbours) if neighbours else 1.0


def _facets(
    labels: Labels, cloud: Cloud, place_of: Int[np.ndarray, " image"], discovery: Discovery
) -> tuple[Facet, ...]:
    points = cloud.space(discovery.clustering)[place_of].astype(np.float64)
    embedding = cloud.plane[place_of]
    return tuple(
        _facet(np.flatnonzero(labels == index), points, embedding)
        for index in range(labels.max() + 1)
    )


def _facet(members: Int[np.ndarray, " member"], points: Codes, embedding: Embedding) -> Facet:
    distances = np.linalg.norm(points[members] - points[members].mean(axis=0), axis=1)
    nearest = np.argsort(distances, kind="stable")
    return Facet(members[nearest], distances[nearest], embedding[members].mean(axis=0))
