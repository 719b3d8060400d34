"""The ways to find facets that are compared."""

from dataclasses import dataclass

from facetscope.algorithms.facets import discover
from facetscope.domain.jobs import Clustering, Discovery, FacetRange

SOUGHT = FacetRange(1, 8)
"""Where the number of facets is looked for."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way to find facets.

    Attributes:
        name: In the table.
        clustering: What shares out images.
        counts: Whether the number of facets is sought, or given.
        whitening: See ``Discovery``.
    """

    name: str
    clustering: Clustering
    counts: bool
    whitening: float = 0.0

    def __str__(self):
        return f"{self.name}, k {'sought' if self.counts else 'given'}"

    def find(self, codes, facets):
        """The facet of each image; ``facets`` is their true number, for those that do not count."""
        discovery = Discovery(
            facets=self._asked(facets), clustering=self.clustering, whitening=self.whitening
        )
        return discover(codes, discovery).labels

    def _asked(self, facets):
        if self.clustering is Clustering.HDBSCAN:
            return None
        return SOUGHT if self.counts else facets


PIPELINES = (
    Pipeline("paper", Clustering.PLANE_K_MEANS, counts=False),
    Pipeline("k-means", Clustering.K_MEANS, counts=False),
    Pipeline("Ward", Clustering.WARD, counts=False),
    Pipeline("whitened k-means", Clustering.K_MEANS, counts=False, whitening=0.5),
    Pipeline("whitened paper", Clustering.PLANE_K_MEANS, counts=False, whitening=0.5),
    Pipeline("paper", Clustering.PLANE_K_MEANS, counts=True),
    Pipeline("Ward", Clustering.WARD, counts=True),
    Pipeline("HDBSCAN", Clustering.HDBSCAN, counts=True),
)
