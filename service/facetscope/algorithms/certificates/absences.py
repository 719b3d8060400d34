"""Why a measure has no say: a reader is told, for silence would pass for approval."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from facetscope.algorithms.certificates.reference import Readings, Reference
from facetscope.domain.certificates import Certification, Measure, Undefined

NO_IMAGES: Final = "there are no natural images to compare with"
NO_VARIATIONS: Final = "no variations were asked for"
NO_SPREAD: Final = "the unit's own natural images are fewer than two, or excite it alike"
NO_STARTS: Final = "no other start is known: ask for controls, or for several facets"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What there was to measure with.

    Attributes:
        certification: What was asked for.
        readings: What the model says of pixels.
        reference: What natural images say; ``None`` without them.
        starts: Whether starts are known.
    """

    certification: Certification
    readings: Readings
    reference: Reference | None
    starts: bool


def absences(
    defined: Container[Measure], known: Known, *, has_facet: bool
) -> tuple[Undefined, ...]:
    """The measures that are not defined, and why, in the order of ``Measure``."""
    return tuple(
        Undefined(measure, _why(measure, known, has_facet=has_facet))
        for measure in Measure
        if measure not in defined
    )


def _why(measure: Measure, known: Known, *, has_facet: bool) -> str:
    """The first thing that is missing, of those that the measure needs."""
    asked = known.certification
    needs = (
        (measure in _OF_STARTS and not known.starts, NO_STARTS),
        (measure in _OF_VARIATIONS and not asked.variations, NO_VARIATIONS),
        (measure is Measure.TRANSFER, "no other model was asked"),
        (measure is not Measure.START_EXCESS and known.reference is None, NO_IMAGES),
        (measure is Measure.FACET_MARGIN and not has_facet, "the image is for no facet"),
        (measure is Measure.PATH, _why_no_path(known)),
    )
    return next((why for is_missing, why in needs if is_missing), _REASONS.get(measure, ""))


def _why_no_path(known: Known) -> str:
    if not known.certification.layers:
        return "no layers were asked for"
    if not known.readings.layers:
        return "no layer on the way to the unit has channels enough"
    return "the facet has fewer than 3 images, or the set has none but the unit's own: add others"


_OF_STARTS: Final = {Measure.START_EXCESS, Measure.START_SHORTFALL}
_OF_VARIATIONS: Final = {Measure.ROBUST_MARGIN, Measure.RETAINED}
_REASONS: Final = {
    Measure.ACTIVATION_MARGIN: NO_SPREAD,
    Measure.ROBUST_MARGIN: NO_SPREAD,
    Measure.RETAINED: "its activation is not above the median of natural images",
    Measure.FACET_MARGIN: "the unit has one facet",
    Measure.OUTLYING: "the unit's own natural images are 5 or fewer, or alike",
    Measure.SPECTRUM: "it is too small or of one grey level, or natural images do not differ",
    Measure.START_SHORTFALL: "there is one start, or the activation is not above the median of "
    "natural images",
    Measure.START_EXCESS: "there is one start, or one is of one grey level",
}
