"""The certificate of a synthesized image: how far what it shows can be trusted, and why.

Definitions of all measures, with formulas and sources, are in ``certificate.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite, isnan
from typing import Final

from facetscope.domain.errors import InvalidFieldError
from facetscope.domain.ranges import check_range

MOST_VARIATIONS: Final = 64
MOST_WITNESSES: Final = 64
FEWEST_WITNESSES: Final = 3
MOST_LAYERS: Final = 64


class Level(Enum):
    """How far an image can be trusted, by one measure or by all.

    Attributes:
        GREEN: As far as a natural image.
        AMBER: It has to be looked at beside natural images.
        RED: It must not be taken for what excites the unit in natural images.
    """

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Measure(Enum):
    """A number of a certificate that has a say in its verdict.

    Attributes:
        PERCENTILE: Of the activation among those of natural images, in [0, 100].
        ACTIVATION_MARGIN: Of the activation above the unit's own natural images', in standard
            deviations.
        ROBUST_MARGIN: The same for the mean activation over variations of the image.
        RETAINED: Part of the activation that is left in the mean over variations.
        FACET_MARGIN: How much nearer the code is to the image's own facet than to another.
        OUTLYING: Distance of the code to the unit's own images, in units of what is usual.
        PATH: Similarity of the layers' states to those of natural images, in the mean over layers.
        SPECTRUM: Magnitude of the deviation of the spectrum's slope, in standard deviations.
        START_SHORTFALL: Part of the activation that other starts do not reach.
        START_EXCESS: How much more the image is like its own start than like any other.
        TRANSFER: Percentile of its activation in another model, in [0, 100].
    """

    PERCENTILE = "percentile"
    ACTIVATION_MARGIN = "activation margin"
    ROBUST_MARGIN = "robust margin"
    RETAINED = "retained"
    FACET_MARGIN = "facet margin"
    OUTLYING = "outlying"
    PATH = "path similarity"
    SPECTRUM = "spectrum"
    START_SHORTFALL = "start shortfall"
    START_EXCESS = "start excess"
    TRANSFER = "transfer"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value speaks for the image."""
        return self not in _SMALLER_IS_BETTER


_SMALLER_IS_BETTER: Final = frozenset(
    {Measure.OUTLYING, Measure.SPECTRUM, Measure.START_SHORTFALL, Measure.START_EXCESS}
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a measure is GREEN, and where it is RED; AMBER is between.

    Attributes:
        measure: The measure.
        green: The worst value that is GREEN.
        red: The worst value that is not RED; infinite where none is.
    """

    measure: Measure
    green: float
    red: float

    def __post_init__(self) -> None:
        """Refuse thresholds that leave no order.

        Raises:
            InvalidFieldError: Green is not finite, red is NaN, or red is on the better side.
        """
        field = f"synthesis.certification.thresholds.{self.measure.name}"
        if not isfinite(self.green) or isnan(self.red):
            raise InvalidFieldError(field, f"{self.green:g} and {self.red:g} must be numbers")
        if self._better(self.red, self.green):
            side = "below" if self.measure.larger_is_better else "above"
            problem = f"red, {self.red:g}, must be {side} green, {self.green:g}, or equal to it"
            raise InvalidFieldError(field, problem)

    def level(self, value: float) -> Level:
        """What a value of the measure says."""
        if not self._better(self.green, value):
            return Level.GREEN
        return Level.RED if self._better(self.red, value) else Level.AMBER

    def _better(self, left: float, right: float) -> bool:
        return left > right if self.measure.larger_is_better else left < right


THRESHOLDS: Final = (
    Threshold(Measure.PERCENTILE, green=95.0, red=-inf),
    Threshold(Measure.ACTIVATION_MARGIN, green=0.0, red=-4.5),
    Threshold(Measure.ROBUST_MARGIN, green=-1.0, red=-4.5),
    Threshold(Measure.RETAINED, green=0.5, red=-inf),
    Threshold(Measure.FACET_MARGIN, green=0.0, red=-0.1),
    Threshold(Measure.OUTLYING, green=1.0, red=1.15),
    Threshold(Measure.PATH, green=0.3, red=-0.2),
    Threshold(Measure.SPECTRUM, green=4.0, red=8.0),
    Threshold(Measure.START_SHORTFALL, green=0.5, red=inf),
    Threshold(Measure.START_EXCESS, green=0.5, red=inf),
    Threshold(Measure.TRANSFER, green=50.0, red=-inf),
)
"""Defaults; ``docs/certificate.md`` has the figures that they rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification:
    """What a certificate shall hold.

    Attributes:
        variations: How many variations of an image tell whether its activation is robust; 0 to
            leave that out.
        witnesses: How many natural images of each facet, those nearest to its centroid, an image's
            path is compared with.
        layers: How many layers on the way to the unit are compared, at most; 0 to leave that out.
        start_controls: Whether to ascend once more for each unit, from noise, as a control.
        thresholds: For every measure, in the order of ``Measure``.
    """

    variations: int = 8
    witnesses: int = 8
    layers: int = 8
    start_controls: bool = False
    thresholds: tuple[Threshold, ...] = THRESHOLDS

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            InvalidFieldError: A number is not in its range.
        """
        check_range("synthesis.certification.variations", self.variations, 0, MOST_VARIATIONS)
        check_range(
            "synthesis.certification.witnesses", self.witnesses, FEWEST_WITNESSES, MOST_WITNESSES
        )
        check_range("synthesis.certification.layers", self.layers, 0, MOST_LAYERS)
        if [threshold.measure for threshold in self.thresholds] != list(Measure):
            problem = "give each measure once at most"
            raise InvalidFieldError("synthesis.certification.thresholds", problem)


@dataclass(frozen=True, slots=True)
class Reason:
    """What one measure says of an image.

    Attributes:
        measure: The measure.
        level: What it says.
        sentence: The same with the numbers, for a reader.
    """

    measure: Measure
    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Undefined:
    """A measure that has no say, and why."""

    measure: Measure
    why: str


@dataclass(frozen=True, slots=True)
class LayerSimilarity:
    """Path similarity at one layer, in [-1, 1]."""

    layer: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How far an image can be trusted. Each number is ``None`` where it is not defined.

    Attributes:
        verdict: The worst level of any measure; ``None`` where none is defined.
        reasons: What each measure says that is defined, worst first.
        undefined: Measures that have no say.
        activation: Of the unit, for exactly these pixels.
        percentile: Of the activation among natural ones, in [0, 100].
        ratio: The activation in units of the largest natural one.
        margin: Of the activation above the unit's own natural images', in standard deviations.
        robust_activation: Mean over variations.
        worst_activation: Smallest over variations.
        robust_margin: Of the mean over variations above the unit's own natural images'.
        retained: What is left of the activation in that mean, counted from the natural median.
        nearest_facet: Index of the facet that the code is nearest to.
        facet_margin: How much nearer it is to the image's own facet than to another, in [-1, 1].
        outlying: Distance of the code to the unit's own images, in units of what is usual.
        path: Path similarity of each layer, from the first to the last.
        path_similarity: Their mean.
        least_path_similarity: The smallest of them.
        spectrum_slope: Slope of the logarithm of power over that of frequency.
        spectrum_deviation: Of the slope from natural images', in standard deviations.
        start_shortfall: Part of the activation that other starts do not reach, in the mean.
        start_likeness: Correlation of the image with its own start, in [-1, 1].
        start_excess: That less its largest correlation with another of the unit's starts.
        transfer_percentile: Percentile of the activation in another model, in [0, 100].
    """

    verdict: Level | None
    reasons: tuple[Reason, ...]
    undefined: tuple[Undefined, ...]
    activation: float
    percentile: float | None = None
    ratio: float | None = None
    margin: float | None = None
    robust_activation: float | None = None
    worst_activation: float | None = None
    robust_margin: float | None = None
    retained: float | None = None
    nearest_facet: int | None = None
    facet_margin: float | None = None
    outlying: float | None = None
    path: tuple[LayerSimilarity, ...] = ()
    path_similarity: float | None = None
    least_path_similarity: float | None = None
    spectrum_slope: float | None = None
    spectrum_deviation: float | None = None
    start_shortfall: float | None = None
    start_likeness: float | None = None
    start_excess: float | None = None
    transfer_percentile: float | None = None
