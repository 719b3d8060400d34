"""The ways to find facets that are compared."""

from dataclasses import dataclass
from typing import Any

from facetscope.algorithms.facets import discover
from facetscope.domain.discoveries import Clustering, Discovery, FacetRange

SOUGHT = FacetRange(1, 8)
"""Where the number of facets is looked for."""

SUBSAMPLES = 3
"""That tell how stable facets are, which has no part in choosing their number."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way to find facets.

    Attributes:
        name: In the table.
        discovery: How, but for the number of facets.
        counts: Whether the number of facets is sought, or given.
    """

    name: str
    discovery: dict[str, Any]
    counts: bool

    def __str__(self):
        return f"{self.name}, k {'sought' if self.counts else 'given'}"

    def find(self, codes, facets):
        """The facet of each image; ``facets`` is their true number, for those that do not count."""
        return discover(codes, Discovery(facets=self._asked(facets), **self.discovery)).labels

    def _asked(self, facets):
        if self.discovery.get("clustering") is Clustering.HDBSCAN:
            return None
        return SOUGHT if self.counts else facets


PAPER = {"bootstraps": SUBSAMPLES}
HALF_WHITENED = {**PAPER, "whitening": 0.5}

PIPELINES = (
    Pipeline("paper", PAPER, counts=False),
    Pipeline("half-whitened", HALF_WHITENED, counts=False),
    Pipeline(
        "half-whitened k-means", {**HALF_WHITENED, "clustering": Clustering.K_MEANS}, counts=False
    ),
    Pipeline("half-whitened Ward", {**HALF_WHITENED, "clustering": Clustering.WARD}, counts=False),
    Pipeline("paper", PAPER, counts=True),
    Pipeline("half-whitened", HALF_WHITENED, counts=True),
    Pipeline("half-whitened Ward", {**HALF_WHITENED, "clustering": Clustering.WARD}, counts=True),
    Pipeline("HDBSCAN", {"clustering": Clustering.HDBSCAN}, counts=True),
)
