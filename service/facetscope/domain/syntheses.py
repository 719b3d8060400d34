"""How images are synthesized, and what they are sent as."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Final

from facetscope.domain.certificates import Certification
from facetscope.domain.computing import Precision
from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.inputs import InputSpec
from facetscope.domain.ranges import check_range
from facetscope.domain.recipes import Parameterization, Recipe
from facetscope.domain.schedules import MEAN_IMAGE, Schedule
from facetscope.domain.units import Unit

MOST_IMAGES: Final = 256
"""Images that one ascent may make at once."""


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
        check_range("synthesis.noise_mean", self.noise_mean, 0, 255)
        check_range("synthesis.noise_std", self.noise_std, 0, 255)
        check_range("synthesis.images_per_start", self.images_per_start, 1, 64)
        check_range("synthesis.time_limit_s", self.time_limit_s, 0, inf)
        check_range("synthesis.largest_batch", self.largest_batch, 1, MOST_IMAGES)
        if self.encoding is Encoding.JPEG and self.alpha is not Alpha.NONE:
            problem = "JPEG has no alpha channel: choose PNG, WEBP, FLOAT32 or NPY, or no alpha"
            raise InvalidFieldError("synthesis.alpha", problem)
        check_range("synthesis.diversity", self.diversity, 0, 1e6)
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
