"""What a job gives back while it runs: progress, previews, facets, images, and a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from facetscope.domain.certificates import Certificate
from facetscope.domain.computing import Runtime
from facetscope.domain.descriptions import Description
from facetscope.domain.inputs import Input
from facetscope.domain.units import Unit


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a file, or as a tensor.

    Attributes:
        data: The file, or the elements.
        media_type: What it is.
        width: In pixels.
        height: In pixels.
        shape: Channels, height and width of a tensor; empty for pictures.
        element_type: Of a tensor; empty for pictures.
        alpha: Whether the last channel is no colour, but how much each pixel matters.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    shape: tuple[int, ...] = ()
    element_type: str = ""
    alpha: bool = False


class Work(Enum):
    """A kind of work that progress is made in."""

    QUEUED = "queued"
    LOADING_MODEL = "loading model"
    ENCODING_IMAGES = "encoding images"
    CLUSTERING = "clustering"
    SYNTHESIZING = "synthesizing"
    CERTIFYING = "certifying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the work has come.

    Attributes:
        work: What is being done.
        unit: What it is done for, or ``None`` where it is done for all.
        done: How much of it is done.
        total: How much there is; 0 if not known.
        rate: How much of it is done in a second; 0 if not known.
        fraction: How much of the image set's bytes has been read, in [0, 1]; ``None`` where the
            total is known, and for other work.
        objective: Mean over the batch of what is maximized, while synthesizing.
        objectives: The same of each image of the batch.
    """

    work: Work
    unit: Unit | None = None
    done: int = 0
    total: int = 0
    rate: float = 0.0
    fraction: float | None = None
    objective: float | None = None
    objectives: tuple[ImageObjective, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageObjective:
    """What is maximized, of one image; see ``SynthesizedImage`` for the indices.

    The unit is ``None`` where it is that of the progress.
    """

    unit: Unit | None
    index: int
    seed_index: int
    objective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A synthesized image that is not finished, after ``step`` steps."""

    unit: Unit
    index: int
    seed_index: int
    step: int
    objective: float
    picture: Picture


class Verdict(Enum):
    """How a unit came to its number of facets.

    Attributes:
        GIVEN: The request names it.
        ONE_FACET: The images do not fall apart more than those of one kind would.
        SEVERAL_FACETS: They do, and this number of facets describes them best.
        TOO_FEW_IMAGES: There are too few unlike images to tell; the fewest that may be.
        CLUSTERING: The clustering finds it.
    """

    GIVEN = "given"
    ONE_FACET = "one facet"
    SEVERAL_FACETS = "several facets"
    TOO_FEW_IMAGES = "too few images"
    CLUSTERING = "clustering"


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetCandidate:
    """A number of facets that was tried.

    Attributes:
        facets: The number.
        silhouette: Mean over all images, in code space.
        stability: Mean adjusted Rand index between these facets and those of subsamples.
        separation: Depth of the shallowest valley between two of them, in [-1, 1].
    """

    facets: int
    silhouette: float
    stability: float
    separation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetCount:
    """How many facets a unit has, and how far the plane shows them.

    Attributes:
        unit: The unit.
        images: How many images are its own.
        facets: How many facets they are shared out among.
        verdict: How that number came about.
        candidates: The numbers that were tried, ascending; empty where it was given.
        p_value: How often images of one kind fall apart as far; ``None`` where it was not tested.
        agreement: Adjusted Rand index between k-means in the plane and in code space.
        trustworthiness: Of the plane, in [0, 1].
        noise: How many images belong to no dense region, and were given to the nearest facet.
    """

    unit: Unit
    images: int
    facets: int
    verdict: Verdict
    candidates: tuple[FacetCandidate, ...]
    p_value: float | None
    agreement: float
    trustworthiness: float
    noise: int


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in whole pixels of the network's input."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One image of a facet.

    Attributes:
        name: Of its file.
        label: Its class, or empty.
        activation: Of the unit, for it.
        embedding: Its place in the plane.
        distance: To the facet's centroid: in the plane where that was clustered, else between
            scaled codes.
        silhouette: Among all facets, in code space.
        crop: What of the image was compared; ``None`` for all of it.
    """

    name: str
    label: str
    activation: float
    embedding: tuple[float, float]
    distance: float
    silhouette: float
    crop: Box | None = None


class Sign(Enum):
    """A kind of sign that a facet is made by something else than what its images show.

    Attributes:
        FRAME: They agree along their borders, and not elsewhere.
        CORNER: They agree in one corner, and not elsewhere.
        NEAR_DUPLICATES: Many are repeated shots of the same.
        SOURCE: Most come from one source that is rare among the unit's other images.
    """

    FRAME = "frame"
    CORNER = "corner"
    NEAR_DUPLICATES = "near-duplicates"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class FacetFlag:
    """A sign, how strong it is in [0, 1], and a sentence that says what was seen."""

    sign: Sign
    strength: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetEvidence:
    """How far a facet can be relied on.

    Attributes:
        share: Part of the unit's own images that are its members, in (0, 1].
        activation_mean: Of the unit, over the members.
        activation_std: Of the unit, over the members: of all of them, not of a sample.
        activation_least: The smallest among the members.
        activation_most: The largest among the members.
        common_label: The most frequent label of the members; empty where none has one.
        purity: Part of the labelled members that have it; ``None`` where there are none.
        stability: How well the facet is found again in subsamples, in [0, 1]; ``None`` where the
            number of facets was not sought.
        flags: Signs to look at before the facet is relied on.
    """

    share: float
    activation_mean: float
    activation_std: float
    activation_least: float
    activation_most: float
    common_label: str
    purity: float | None
    stability: float | None
    flags: tuple[FacetFlag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One kind of image that excites a unit.

    Attributes:
        unit: The unit.
        index: Number of the facet, from 0, largest first.
        members: Its images, nearest to the centroid first.
        mean_image: Pixel mean of the nearest.
        thumbnails: The nearest members, as the network sees them.
        silhouette: Mean over its members.
        centroid: Its place in the plane.
        evidence: How far it can be relied on.
        farthest_thumbnails: The farthest members, from the last of ``members`` on.
    """

    unit: Unit
    index: int
    members: tuple[Member, ...]
    mean_image: Picture
    thumbnails: tuple[Picture, ...]
    silhouette: float
    centroid: tuple[float, float]
    evidence: FacetEvidence
    farthest_thumbnails: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class UnitSkipped:
    """A unit without facets, by the reason and the message of an error that ends no call."""

    unit: Unit
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NaturalComparison:
    """An activation among those of ``images`` natural images; the percentile is in [0, 100]."""

    images: int
    maximum: float
    percentile: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizedImage:
    """An image, and what the unit says of exactly these pixels.

    Attributes:
        unit: The unit.
        index: Facet that it is for, or index of its start.
        seed_index: Which of the images from this start it is.
        picture: The whole canvas, at the size of the network's input.
        activation: Of the unit.
        probability: Of the unit; ``None`` where it is no class.
        start_activation: Of the unit, for what the ascent started from.
        natural: How the activation compares; ``None`` without an image set.
        steps: How many were taken.
        stopped_early: Whether the time was up before the last one.
        field: What of the picture the unit depends on; ``None`` where that is all, or not known.
        certificate: How far it can be trusted, where that was asked.
    """

    unit: Unit
    index: int
    seed_index: int
    picture: Picture
    activation: float
    probability: float | None
    start_activation: float
    natural: NaturalComparison | None
    steps: int
    stopped_early: bool
    field: Box | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """What computes activations of many images, and on which provider or device."""

    runtime: Runtime
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the results are a function of.

    Attributes:
        forward: What computed codes and activations of the image set; ``None`` without one.
        largest_batch: Images that ascended together, at most.
        warnings: What an operator should know although the job went well.
    """

    model_digest: str
    image_set_digests: tuple[str, ...]
    input: Input
    code_layer: str
    device: str
    versions: Mapping[str, str]
    images_read: int
    undecodable_images: tuple[str, ...]
    undecodable_count: int
    job_digest: str
    forward: Forward | None
    largest_batch: int
    warnings: tuple[str, ...]


Event = (
    Progress
    | Preview
    | FacetCount
    | Facet
    | SynthesizedImage
    | UnitSkipped
    | Manifest
    | Description
)
