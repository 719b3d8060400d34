"""How facets are found: which images are a unit's own, and by what they are shared out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from operator import index
from typing import Final

from facetscope.domain.computing import Runtime
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.ranges import check_range

MOST_FACETS: Final = 100
"""Facets that the images of one unit may be shared out among."""


@dataclass(frozen=True, slots=True)
class AllImages:
    """Every image of the set is the unit's own."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images with this label are the unit's own."""

    label: str


@dataclass(frozen=True, slots=True)
class PredictedImages:
    """Images for which the unit has its layer's largest activation are its own."""


@dataclass(frozen=True, slots=True)
class TopImages:
    """The images that excite the unit most are its own, this many of them."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidFieldError("discovery.selection.top", f"{self.count} is less than 1")


@dataclass(frozen=True, slots=True)
class QuantileImages:
    """The images that excite the unit at least as much as a quantile of the set are its own."""

    quantile: float

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            problem = f"{self.quantile:g} is not in (0, 1)"
            raise InvalidFieldError("discovery.selection.quantile", problem)


Selection = AllImages | LabelledImages | PredictedImages | TopImages | QuantileImages


class CodePooling(Enum):
    """How activations with positions become codes, one number for each channel.

    Attributes:
        MEAN: Their mean; of attributions, the sum.
        MAX: The largest of each channel.
        AT_MAXIMUM: Those where the unit has its maximum; see ``engine.encoding``.
    """

    MEAN = "mean"
    MAX = "max"
    AT_MAXIMUM = "at maximum"


class CodeWeighting(Enum):
    """What activations are multiplied by before they are pooled.

    Attributes:
        NONE: Nothing.
        ATTRIBUTION: The gradient of the unit's activation with respect to them.
    """

    NONE = "none"
    ATTRIBUTION = "attribution"


class View(Enum):
    """What of an image a discovery is about.

    Attributes:
        WHOLE_IMAGE: All that the network sees.
        RECEPTIVE_FIELD: What the unit's strongest position sees.
    """

    WHOLE_IMAGE = "whole image"
    RECEPTIVE_FIELD = "receptive field"


class Clustering(Enum):
    """What shares out images among facets.

    Attributes:
        PLANE_K_MEANS: k-means in the plane that t-SNE embeds codes in.
        K_MEANS: k-means between codes.
        WARD: Merges the two sets of codes that lie least apart, by Ward's criterion, until as many
            are left as there shall be facets, or all are further apart than a threshold.
        HDBSCAN: Takes dense regions of code space, however many there are.
    """

    PLANE_K_MEANS = "plane k-means"
    K_MEANS = "k-means"
    WARD = "Ward"
    HDBSCAN = "HDBSCAN"


@dataclass(frozen=True, slots=True)
class FacetRange:
    """A number of facets that is to be found, at least ``minimum`` and at most ``maximum``."""

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        check_range("discovery.range.minimum", self.minimum, 1, MOST_FACETS)
        check_range("discovery.range.maximum", self.maximum, self.minimum, MOST_FACETS)


@dataclass(frozen=True, slots=True)
class LastHiddenLayer:
    """The last layer before the classifier, whatever the model calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """How facets are found.

    Attributes:
        selection: Which images are the unit's own.
        facets: Number of facets, k, or where to look for it; ``None`` where the clustering finds
            it: HDBSCAN, and Ward with a threshold.
        clustering: What shares out images among facets.
        ward_threshold: Distance, in units of the codes, beyond which Ward merges no more; 0 where
            the number of facets ends it.
        bootstraps: How many subsamples of the images tell how stable facets are.
        significance: The largest p-value at which there is more than one facet, where their number
            is to be found.
        code_layer: Layer whose activations are the codes; empty for the features, which are what
            the fully connected layers at the model's end read.
        components: Dimensions kept by PCA, where there are that many.
        whitening: Power of its standard deviation that each principal component is divided by: 0
            leaves them as they are, 1 makes all equally wide.
        perplexity: Of t-SNE, where there are images enough.
        averaged: How many images nearest the centroid make the mean image.
        thumbnails: How many thumbnails of nearest members a facet carries.
        farthest: How many thumbnails of farthest members a facet carries.
        seed: Of every random choice.
        code_pooling: How a code layer with positions becomes codes.
        code_weighting: Whether codes are weighted by what the unit makes of them.
        view: What of each image is compared, averaged and shown.
        runtime: What computes codes and activations.
        undecodable_limit: Part of the pictures that need not be decodable; one must be.
    """

    selection: Selection = TopImages(200)
    facets: int | FacetRange | None = 10
    clustering: Clustering = Clustering.PLANE_K_MEANS
    ward_threshold: float = 0.0
    bootstraps: int = 10
    significance: float = 0.05
    code_layer: str | LastHiddenLayer = ""
    components: int = 50
    whitening: float = 0.0
    perplexity: float = 30.0
    averaged: int = 15
    thumbnails: int = 8
    farthest: int = 4
    seed: int = 0
    code_pooling: CodePooling = CodePooling.MEAN
    code_weighting: CodeWeighting = CodeWeighting.NONE
    view: View = View.WHOLE_IMAGE
    runtime: Runtime = Runtime.AUTO
    undecodable_limit: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.facets, FacetRange | None):
            object.__setattr__(self, "facets", index(self.facets))  # numpy's are integers too
        self._check_number()
        check_range("discovery.bootstraps", self.bootstraps, 2, 1000)
        check_range("discovery.components", self.components, 2, 4096)
        check_range("discovery.whitening", self.whitening, 0, 1)
        check_range("discovery.averaged", self.averaged, 1, 1000)
        check_range("discovery.thumbnails", self.thumbnails, 0, 64)
        check_range("discovery.farthest", self.farthest, 0, 64)
        if not 0 < self.perplexity < inf:
            raise InvalidFieldError("discovery.perplexity", f"{self.perplexity} is not above 0")
        if not 0 < self.undecodable_limit <= 1:
            problem = f"{self.undecodable_limit:g} is not in (0, 1]"
            raise InvalidFieldError("discovery.undecodable_limit", problem)
        if not 0 < self.significance < 1:
            problem = f"{self.significance:g} is not between 0 and 1"
            raise InvalidFieldError("discovery.significance", problem)

    def _check_number(self) -> None:
        """Refuse numbers of facets that the clustering does not take, or lacks."""
        if not 0 <= self.ward_threshold < inf:
            problem = f"{self.ward_threshold:g} is not a distance"
            raise InvalidFieldError("discovery.ward_threshold", problem)
        if self.ward_threshold and self.clustering is not Clustering.WARD:
            problem = f"{self.clustering.value} has no threshold: choose WARD, or send none"
            raise InvalidFieldError("discovery.ward_threshold", problem)
        if self.finds_number and self.facets is not None:
            problem = f"{self.clustering.value} as requested finds the number itself: send none"
            raise InvalidFieldError("discovery.facets", problem)
        if not self.finds_number and self.facets is None:
            raise InvalidFieldError("discovery.facets", "is required for this clustering")
        if isinstance(self.facets, int):
            check_range("discovery.facets", self.facets, 1, MOST_FACETS)

    @property
    def finds_number(self) -> bool:
        """Whether the clustering finds the number of facets itself."""
        return self.clustering is Clustering.HDBSCAN or self.ward_threshold > 0

    @property
    def fewest(self) -> int:
        """The smallest number of facets that is an answer."""
        match self.facets:
            case FacetRange(minimum):
                return minimum
            case None:
                return 1
        return self.facets


PAPER: Final = Discovery(code_layer=LastHiddenLayer())
"""Algorithm 1 of Nguyen, Yosinski & Clune (2016)."""
