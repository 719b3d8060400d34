"""How many facets: numbers that are tried, and a test of whether there is more than one.

Each number is scored by the silhouette of its facets, by their stability, which is how far facets
of subsamples agree with them, and by their separation: facets that are kinds of their own have
valleys between them. A number is an answer only if each two of its facets have one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from sklearn.metrics import silhouette_score

from facetscope.algorithms.clustering import Cloud, Labels, partition
from facetscope.algorithms.embedding import Codes
from facetscope.algorithms.nulls import p_value, unimodal
from facetscope.algorithms.separation import FEWEST, separation
from facetscope.algorithms.stability import recovery, repeated, stability
from facetscope.domain.discoveries import Clustering, Discovery, FacetRange
from facetscope.domain.events import FacetCandidate, Verdict

REFERENCES = 39
"""Sets of codes of one kind of image that the test draws."""

SEPARATED = 0.65
"""Depth of a valley between facets that are kinds of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Facets, and how their number came about.

    Attributes:
        labels: The facet of each unlike image.
        verdict: How their number came about.
        candidates: The numbers that were tried, ascending.
        p_value: How often codes of one kind fall apart as far; ``None`` where it was not tested.
        recoveries: How well each facet is found again in subsamples, in [0, 1], by the numbers of
            ``labels``; ``None`` where that was not tried.
        noise: How many images are in no dense region.
    """

    labels: Labels
    verdict: Verdict
    candidates: tuple[FacetCandidate, ...] = ()
    p_value: float | None = None
    recoveries: Float64[np.ndarray, " facet"] | None = None
    noise: int = 0


def count(
    cloud: Cloud, sought: FacetRange, discovery: Discovery, random: np.random.RandomState
) -> Counted:
    """Share out images among as many facets of ``sought`` as there are kinds of image.

    The number is the largest of which each two facets have a valley between them. It is the
    smallest that was sought if none has, or if codes of one kind fall apart as far too often.
    Numbers for which there are too few unlike images are not tried.
    """
    if sought.minimum == sought.maximum:
        return Counted(_fewest(cloud, sought, discovery, random), Verdict.GIVEN)
    numbers = range(max(2, sought.minimum), min(sought.maximum, len(cloud) // FEWEST) + 1)
    if not numbers:
        return Counted(_fewest(cloud, sought, discovery, random), Verdict.TOO_FEW_IMAGES)
    tried = _tried(cloud, numbers, discovery, random)
    falls_apart = test(cloud.codes, random)
    several = falls_apart <= discovery.significance
    kept = [each for each in tried if several and each.candidate.separation >= SEPARATED]
    candidates = tuple(each.candidate for each in tried)
    if not kept:
        labels = _fewest(cloud, sought, discovery, random)
        return Counted(labels, Verdict.ONE_FACET, candidates, falls_apart)
    chosen = kept[-1]
    return Counted(
        chosen.labels, Verdict.SEVERAL_FACETS, candidates, falls_apart, chosen.recoveries
    )


def test(codes: Codes, random: np.random.RandomState) -> float:
    """How often codes of one kind fall apart as far as ``codes``: a p-value.

    How far is the deeper valley of two cuts in two, by k-means and by Ward.
    """
    observed = _apart(codes, random)
    drawn = [_apart(unimodal(codes, random), random) for _ in range(REFERENCES)]
    return p_value(observed, drawn)


def _apart(codes: Codes, random: np.random.RandomState) -> float:
    cloud = Cloud(codes, np.zeros((len(codes), 2)), np.ones(len(codes), dtype=np.int64))
    cuts = [partition(cloud, 2, cut, random) for cut in (Clustering.K_MEANS, Clustering.WARD)]
    return max(separation(codes, labels, random) for labels in cuts)


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Facets of one number, and its scores."""

    labels: Labels
    candidate: FacetCandidate
    recoveries: Float64[np.ndarray, " facet"]


def _tried(
    cloud: Cloud, numbers: range, discovery: Discovery, random: np.random.RandomState
) -> list[_Tried]:
    found = [partition(cloud, number, discovery.clustering, random) for number in numbers]
    parts = list(repeated(cloud, numbers, discovery, random))
    tried = []
    for place, (number, labels) in enumerate(zip(numbers, found, strict=True)):
        again = [(chosen, labels_again[place]) for chosen, labels_again in parts]
        candidate = FacetCandidate(
            facets=number,
            silhouette=float(silhouette_score(cloud.codes, labels)),
            stability=stability(labels, again),
            separation=separation(cloud.codes, labels, random),
        )
        tried.append(_Tried(labels, candidate, recovery(labels, again)))
    return tried


def _fewest(
    cloud: Cloud, sought: FacetRange, discovery: Discovery, random: np.random.RandomState
) -> Labels:
    return partition(cloud, sought.minimum, discovery.clustering, random)
