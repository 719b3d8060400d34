"""Where images lie: their codes in fewer dimensions, and in the plane.

PCA keeps the directions in which codes differ most; t-SNE (van der Maaten & Hinton 2008) keeps who
is near to whom, and little else.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances

Codes = Float[np.ndarray, "image feature"]
"""What images are compared by, one row for each."""

Embedding = Float64[np.ndarray, "image 2"]
"""Places in the plane, one for each image; only distances between near ones have a meaning."""

NARROWEST = 1e-5
"""Width of a component, relative to the widest, that is more than rounding."""

STEPS = 750
"""Of t-SNE: 1000, as scikit-learn has it, take a third longer and find facets no better."""

ROWS = 256
"""Images whose distances to all others are held at once."""


def scaled(codes: Codes) -> tuple[Float32[np.ndarray, "image feature"], float]:
    """Codes about their mean with a largest value of 1, safe to square however large they were.

    Returns:
        These, and the length in units of the codes that is 1 among them.
    """
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    unit = float(np.abs(centred).max()) or 1.0
    return np.asarray(centred / unit, dtype=np.float32), unit


def reduce(
    codes: Codes, components: int, whitening: float, random: np.random.RandomState
) -> Float32[np.ndarray, "image component"]:
    """The first principal components, fewer where there are fewer images or features.

    Whitening narrows the wide ones: what tells classes apart is wide in a network's last layers,
    and hides what tells the images of one class apart.

    Args:
        codes: Of the images, no two rows equal.
        components: How many to keep at most.
        whitening: Power of its standard deviation, relative to the largest, that each component is
            divided by: 0 leaves them as they are, 1 makes all equally wide.
        random: Of the search for components where there are many.
    """
    if len(codes) == 1:
        return np.zeros((1, 1), dtype=np.float32)
    pca = PCA(min(components, *codes.shape), random_state=random)
    reduced = np.asarray(pca.fit_transform(codes), dtype=np.float32)
    widths = reduced.std(axis=0)
    kept = widths > NARROWEST * widths[0]
    return np.ascontiguousarray(reduced[:, kept] / (widths[kept] / widths[0]) ** whitening)


def embed(reduced: Codes, perplexity: float, random: np.random.RandomState) -> Embedding:
    """Places in the plane; on one thread, equal arguments give equal bytes.

    Args:
        reduced: Principal components of the codes, no two rows equal.
        perplexity: Roughly the neighbours that an image is near to; at most a third of the images,
            and at least 1.
        random: Of the jitter at the start.
    """
    images = len(reduced)
    if images == 1:
        return np.zeros((1, 2))
    tsne = TSNE(
        perplexity=max(1.0, min(perplexity, (images - 1) / 3)),
        init=_start(reduced, random),
        max_iter=STEPS,
        random_state=random,
    )
    return np.asarray(tsne.fit_transform(reduced), dtype=np.float64)


def trustworthiness(codes: Codes, embedding: Embedding, neighbours: int) -> float:
    """How far images that are near in the plane are near in code space, in [0, 1].

    Venna & Kaski (2001): each of an image's nearest in the plane that is not among its nearest
    codes costs the ranks by which it misses them; 1 is no cost, and the largest cost gives 0.

    Args:
        codes: Of the images.
        embedding: Their places in the plane.
        neighbours: How many nearest images count; fewer than half of the images.
    """
    images, cost = len(codes), 0
    for first in range(0, images, ROWS):
        rows = slice(first, first + ROWS)
        near = _nearest(pairwise_distances(embedding[rows], embedding), first)[:, :neighbours]
        order = _nearest(pairwise_distances(codes[rows], codes), first)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(1, images + 1)[None], axis=1)
        missed = np.take_along_axis(ranks, near, axis=1) - neighbours
        cost += int(missed.clip(min=0).sum())
    largest = images * neighbours * (2 * images - 3 * neighbours - 1) / 2
    return 1 - cost / largest


def _nearest(
    distances: Float[np.ndarray, "row image"], first: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The images of each row, nearest first, and the row's own image last."""
    rows = np.arange(len(distances))
    distances[rows, first + rows] = np.inf
    return np.argsort(distances, axis=1, kind="stable")


def _start(reduced: Codes, random: np.random.RandomState) -> Float32[np.ndarray, "image 2"]:
    """The first two principal components as t-SNE wants them: small.

    The jitter lets images pass one another where all codes lie on a line.
    """
    start = random.normal(scale=1e-5, size=(len(reduced), 2))
    start[:, : reduced.shape[1]] += reduced[:, :2] / reduced[:, 0].std() * 1e-4
    return start.astype(np.float32)
