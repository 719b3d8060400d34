"""Facet discovery: which kinds of image excite a unit.

Algorithm 1 of Nguyen, Yosinski & Clune, "Multifaceted Feature Visualization" (2016),
arXiv:1602.03616: the images' codes are reduced by PCA, embedded in the plane by t-SNE and clustered
there by k-means; each cluster is a facet, shown by the mean of the images nearest its centroid.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

from facetscope.domain.errors import TooFewImagesError

Codes = Float[np.ndarray, "image feature"]
"""What images are compared by, one row for each."""

Embedding = Float64[np.ndarray, "image 2"]
"""Places in the plane, one for each image; only distances between near ones have a meaning."""

Labels = Int[np.ndarray, " image"]
"""The number of each image's facet."""


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """One kind of image.

    Attributes:
        members: Indices of its images, nearest to the centroid first; of equally near ones, the
            earlier image first.
        distances: From each member to the centroid, in the embedding.
        centroid: Mean place of the members.
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
    """

    facets: tuple[Facet, ...]
    embedding: Embedding
    labels: Labels
    silhouettes: Float64[np.ndarray, " image"]


def discover(
    codes: Codes, *, facets: int, components: int, perplexity: float, seed: int
) -> FacetMap:
    """Share out images among ``facets`` facets.

    Images with equal codes lie in one place and in one facet. Equal arguments give equal bytes,
    however many cores there are: the sums of t-SNE depend on the number of threads, so it has one.

    Args:
        codes: Of the images; neither their scale nor their origin matters.
        facets: How many to find, at least 1.
        components: Dimensions that PCA keeps; fewer where there are fewer images or features.
        perplexity: Of t-SNE, roughly the neighbours that an image is near to; at most a third of
            the images, and at least 1.
        seed: Of every random choice, at least 0.

    Raises:
        TooFewImagesError: Fewer images than facets are left when those with equal codes count once.
        ValueError: The codes hold NaN or infinity.
    """
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinity")
    random = np.random.RandomState(np.random.MT19937(seed))
    distinct, place_of, copies = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    scaled = _scaled(distinct)
    with threadpool_limits(1):
        places = _embed(scaled, components, perplexity, random)
        clusters = _cluster(places, copies, facets, random)
        labels = _numbered(clusters[place_of])
        silhouettes = _silhouettes(scaled[place_of], labels)
    embedding = places[place_of]
    found = tuple(_facet(np.flatnonzero(labels == index), embedding) for index in range(facets))
    return FacetMap(found, embedding, labels, silhouettes)


def _scaled(codes: Codes) -> Float32[np.ndarray, "image feature"]:
    """Codes about their mean with a largest value of 1, safe to square however large they were."""
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    scaled = centred / (np.abs(centred).max() or 1.0)
    return np.asarray(scaled, dtype=np.float32)


def _embed(
    codes: Codes, components: int, perplexity: float, random: np.random.RandomState
) -> Embedding:
    images = len(codes)
    if images == 1:
        return np.zeros((1, 2))
    reduced = PCA(min(components, *codes.shape), random_state=random).fit_transform(codes)
    tsne = TSNE(
        perplexity=max(1.0, min(perplexity, (images - 1) / 3)),
        init=_start(reduced, random),
        random_state=random,
    )
    return np.asarray(tsne.fit_transform(reduced), dtype=np.float64)


def _start(reduced: Codes, random: np.random.RandomState) -> Float32[np.ndarray, "image 2"]:
    """The first two principal components as t-SNE wants them: small.

    The jitter lets images pass one another where all codes lie on a line.
    """
    start = random.normal(scale=1e-5, size=(len(reduced), 2))
    start[:, : reduced.shape[1]] += reduced[:, :2] / reduced[:, 0].std() * 1e-4
    return start.astype(np.float32)


def _cluster(
    places: Embedding, copies: Int[np.ndarray, " image"], facets: int, random: np.random.RandomState
) -> Labels:
    """The cluster of each place, which counts as often as it has copies."""
    found = min(facets, len(places))
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        k_means = KMeans(found, n_init=10, tol=0.0, random_state=random)
        labels: Labels = k_means.fit_predict(places, sample_weight=copies)
    if len(np.unique(labels)) < facets:
        purpose = f"finding {facets} facets, where images with equal codes count as one,"
        raise TooFewImagesError(len(np.unique(labels)), facets, purpose)
    return labels


def _numbered(clusters: Labels) -> Labels:
    """The same clusters with other numbers: by size, then by their earliest image."""
    _, earliest, sizes = np.unique(clusters, return_index=True, return_counts=True)
    order = np.lexsort((earliest, -sizes))
    numbers: Labels = np.argsort(order)[clusters]
    return numbers


def _silhouettes(codes: Codes, labels: Labels) -> Float64[np.ndarray, " image"]:
    if not 0 < labels.max() < len(labels) - 1:
        return np.zeros(len(labels))
    return np.asarray(silhouette_samples(codes, labels), dtype=np.float64)


def _facet(members: Int[np.ndarray, " member"], embedding: Embedding) -> Facet:
    centroid = embedding[members].mean(axis=0)
    distances = np.linalg.norm(embedding[members] - centroid, axis=1)
    nearest = np.argsort(distances, kind="stable")
    return Facet(members[nearest], distances[nearest], centroid)
