"""What a call asks for, free of wire and tensor types.

Jobs are canonical: equal jobs ask for the same bytes, so they name artifacts by digest, and every
default is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from operator import index
from typing import Final

from facetscope.domain.certificates import Certification
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import InputSpec
from facetscope.domain.recipes import Parameterization, Recipe
from facetscope.domain.schedules import MEAN_IMAGE, Schedule
from facetscope.domain.units import Unit

MOST_IMAGES: Final = 256
"""Images that one ascent may make at once."""


MOST_FACETS: Final = 100
"""Facets that the images of one unit may be shared out among."""


class Precision(Enum):
    """What a model computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"


@dataclass(frozen=True, slots=True)
class InlineImage:
    """A picture that came with the request.

    Attributes:
        name: What replies call it.
        label: Its class, or empty.
        data: The file.
    """

    name: str
    label: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images to find facets in: archives by digest, and inline images."""

    digests: tuple[str, ...] = ()
    inline: tuple[InlineImage, ...] = ()

    def __post_init__(self) -> None:
        if not self.digests and not self.inline:
            raise InvalidFieldError("images", "name at least one archive, or send images inline")


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


class Runtime(Enum):
    """What computes activations of many images.

    Attributes:
        AUTO: The faster one, by a rule: see ``engine.forward``.
        TORCH: The differentiable graph, in PyTorch.
        ONNX_RUNTIME: The file as it is, in ONNX Runtime.
    """

    AUTO = "auto"
    TORCH = "torch"
    ONNX_RUNTIME = "onnx runtime"


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
        _check("discovery.range.minimum", self.minimum, 1, MOST_FACETS)
        _check("discovery.range.maximum", self.maximum, self.minimum, MOST_FACETS)


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
        _check("discovery.bootstraps", self.bootstraps, 2, 1000)
        _check("discovery.components", self.components, 2, 4096)
        _check("discovery.whitening", self.whitening, 0, 1)
        _check("discovery.averaged", self.averaged, 1, 1000)
        _check("discovery.thumbnails", self.thumbnails, 0, 64)
        _check("discovery.farthest", self.farthest, 0, 64)
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
            _check("discovery.facets", self.facets, 1, MOST_FACETS)

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


class Start(Enum):
    """Where an ascent begins."""

    FACET_MEAN = "facet mean"
    NOISE = "noise"
    GIVEN = "given"


class Encoding(Enum):
    """What synthesized images are sent as.

    Attributes:
        PNG: Whole grey levels.
        JPEG: Grey levels, some of them off by a few.
        WEBP: The same, smaller, with colours at half resolution.
        FLOAT32: A tensor of little-endian floats, [channel, height, width], in [0, 255].
        NPY: The same tensor as a file of NumPy.
    """

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WebP"
    FLOAT32 = "float32"
    NPY = "NPY"


class Alpha(Enum):
    """What the alpha channel of a synthesized image is made of.

    Attributes:
        NONE: There is no alpha channel.
        ATTRIBUTION: What the unit's activation for the finished image owes to each pixel.
        TRANSPARENCY: The gradients of all steps of the ascent.
    """

    NONE = "none"
    ATTRIBUTION = "attribution"
    TRANSPARENCY = "transparency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A unit of another model, which images for the one should excite too.

    Attributes:
        model: Digest of its file.
        unit: The unit.
        input: How pictures become the model's input.
        precision: What it computes in.
    """

    model: str
    unit: Unit
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """How images are synthesized.

    Attributes:
        method: How an image is changed: the paper's way by phases, or a recipe beside it.
        start: Where it begins.
        noise_mean: Of a start from noise, in grey levels.
        noise_std: Of a start from noise, in grey levels.
        seed: Of every random choice.
        preview_interval: Steps between two previews, or 0 for none.
        images_per_start: Images made from each start, with randomness of their own; in [1, 64].
        progress_interval: Steps between two progresses, from 1 on.
        time_limit_s: Seconds that all ascents of the job may take together, or 0 for no limit.
        largest_batch: Images that may ascend together, in [1, 256].
        encoding: What images and previews are sent as.
        alpha: What the alpha channel of finished images is made of.
        certification: What the certificate of each image holds; ``None`` for no certificates.
        transfer: The unit's counterpart in another model, for certificates.
        diversity: Weight of what images of a unit have in common, which is subtracted from what is
            maximized, in the unit's own scale; at least 0. Images then depend on their company.
        diversity_layer: Where that is read; by default the code layer.
    """

    method: Schedule | Recipe = MEAN_IMAGE
    start: Start = Start.FACET_MEAN
    noise_mean: float = 175.0
    noise_std: float = 8.0
    seed: int = 0
    preview_interval: int = 0
    images_per_start: int = 1
    progress_interval: int = 1
    time_limit_s: float = 0.0
    largest_batch: int = 32
    encoding: Encoding = Encoding.PNG
    alpha: Alpha = Alpha.NONE
    certification: Certification | None = None
    transfer: Transfer | None = None
    diversity: float = 0.0
    diversity_layer: str = ""

    def __post_init__(self) -> None:
        _check("synthesis.noise_mean", self.noise_mean, 0, 255)
        _check("synthesis.noise_std", self.noise_std, 0, 255)
        _check("synthesis.images_per_start", self.images_per_start, 1, 64)
        _check("synthesis.time_limit_s", self.time_limit_s, 0, inf)
        _check("synthesis.largest_batch", self.largest_batch, 1, MOST_IMAGES)
        if self.encoding is Encoding.JPEG and self.alpha is not Alpha.NONE:
            problem = "JPEG has no alpha channel: choose PNG, WEBP, FLOAT32 or NPY, or no alpha"
            raise InvalidFieldError("synthesis.alpha", problem)
        _check("synthesis.diversity", self.diversity, 0, 1e6)
        if self.transfer is not None and self.certification is None:
            problem = "is for certificates: ask for a certification"
            raise InvalidFieldError("synthesis.transfer", problem)

    @property
    def has_control(self) -> bool:
        """Whether each unit has one image more, from noise, to compare the others with."""
        return self.certification is not None and self.certification.start_controls

    @property
    def keeps_magnitudes(self) -> bool:
        """Whether only phases are varied, so that magnitudes must come from natural images."""
        method = self.method
        return isinstance(method, Recipe) and method.parameterization is Parameterization.MACO


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeModel:
    """A job: describe the model."""

    model: str
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverFacets:
    """A job: find the kinds of image that excite ``unit``."""

    model: str
    unit: Unit
    images: ImageSet
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    discovery: Discovery = field(default_factory=Discovery)

    def __post_init__(self) -> None:
        _check_predictable(self.discovery.selection, (self.unit,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximizeActivation:
    """A job: synthesize images that excite ``unit``, from ``starts`` or ``count`` times noise.

    Where only phases are varied, magnitudes are those of ``spectrum``.
    """

    model: str
    unit: Unit
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    synthesis: Synthesis = field(default_factory=lambda: Synthesis(start=Start.NOISE))
    starts: tuple[InlineImage, ...] = ()
    count: int = 1
    spectrum: tuple[InlineImage, ...] = ()

    def __post_init__(self) -> None:
        _check("count", self.count, 1, MOST_IMAGES)
        _check("starts", len(self.starts), 0, MOST_IMAGES)
        _check("spectrum", len(self.spectrum), 0, MOST_IMAGES)
        if self.synthesis.start is Start.FACET_MEAN:
            raise InvalidFieldError(
                "synthesis.start",
                "FACET_MEAN is for InspectUnits: send the mean images of facets as starts",
            )
        if (self.synthesis.start is Start.GIVEN) != bool(self.starts):
            raise InvalidFieldError("starts", "send pictures if and only if the start is GIVEN")
        if self.synthesis.transfer is not None:
            problem = "is for InspectUnits: without an image set there is nothing to compare with"
            raise InvalidFieldError("synthesis.transfer", problem)
        if self.synthesis.keeps_magnitudes != bool(self.spectrum):
            problem = "send pictures if and only if the parameterization is MACO, ten at best"
            raise InvalidFieldError("spectrum", problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectUnits:
    """A job: find the facets of each unit, and synthesize an image for each facet."""

    model: str
    units: tuple[Unit, ...]
    images: ImageSet
    input: InputSpec = field(default_factory=InputSpec)
    precision: Precision = Precision.FLOAT32
    discovery: Discovery = field(default_factory=Discovery)
    synthesis: Synthesis = field(default_factory=Synthesis)

    def __post_init__(self) -> None:
        _check("units", len(self.units), 1, 10_000)
        if self.synthesis.start is Start.GIVEN:
            raise InvalidFieldError("synthesis.start", "GIVEN is for MaximizeActivation")
        _check_predictable(self.discovery.selection, self.units)


Job = DescribeModel | DiscoverFacets | MaximizeActivation | InspectUnits


def artifacts(job: Job) -> tuple[str, ...]:
    """Digests of everything that ``job`` needs from the store, the model first."""
    images = job.images.digests if isinstance(job, DiscoverFacets | InspectUnits) else ()
    synthesis = job.synthesis if isinstance(job, MaximizeActivation | InspectUnits) else None
    other = synthesis.transfer if synthesis else None
    return (job.model, *images, *([other.model] if other else []))


def _check_predictable(selection: Selection, units: tuple[Unit, ...]) -> None:
    """Refuse to ask which images are predicted to be a direction: only channels can be."""
    directions = [unit for unit in units if unit.is_direction]
    if directions and isinstance(selection, PredictedImages):
        problem = (
            f"unit {directions[0]} is a direction of its layer, and the model predicts channels "
            "alone: select by top, quantile, label or all"
        )
        raise InvalidFieldError("discovery.selection.predicted", problem)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidFieldError(name, f"{value:g} is not in [{low}, {high}]")


PAPER: Final = Discovery(code_layer=LastHiddenLayer())
"""Algorithm 1 of Nguyen, Yosinski & Clune (2016)."""
