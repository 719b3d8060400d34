"""From measures to a verdict: the worst level decides, and what is not defined has no say."""

from collections.abc import Mapping
from typing import Final

from facetscope.domain.certificates import Certificate, Level, Measure, Reason, Threshold

SEVERITY: Final = (Level.RED, Level.AMBER, Level.GREEN)

SENTENCES: Final[Mapping[Measure, str]] = {
    Measure.PERCENTILE: "it excites the unit more than {value:.1f} % of the natural images do",
    Measure.ACTIVATION_MARGIN: "its activation is {value:+.2f} standard deviations from the mean "
    "of the unit's own natural images",
    Measure.ROBUST_MARGIN: "moved, cropped and blurred a little, its activation is {value:+.2f} "
    "standard deviations from the mean of the unit's own natural images",
    Measure.RETAINED: "moved, cropped and blurred a little, it keeps {value:.2f} of its activation",
    Measure.FACET_MARGIN: "its code is nearer to its own facet than to others by a "
    "margin of {value:+.3f}",
    Measure.OUTLYING: "its code is {value:.2f} times as far from the unit's own natural images as "
    "they usually are from each other",
    Measure.PATH: "layers on the way to the unit are in a state that is {value:.2f} of the way "
    "from natural images of other kinds to those of its facet",
    Measure.SPECTRUM: "the slope of its spectrum is {value:.1f} standard deviations from natural "
    "images'",
    Measure.START_SHORTFALL: "the same ascent from other starts misses {value:.2f} of its "
    "activation",
    Measure.START_EXCESS: "its correlation with its own start exceeds that with other starts by "
    "{value:.2f}",
    Measure.TRANSFER: "it excites the other model's unit more than {value:.1f} % of the natural "
    "images do",
}


def votes(measured: Certificate) -> Mapping[Measure, float]:
    """The numbers that have a say, as far as they are defined."""
    deviation = measured.spectrum_deviation
    numbers = {
        Measure.PERCENTILE: measured.percentile,
        Measure.ACTIVATION_MARGIN: measured.margin,
        Measure.ROBUST_MARGIN: measured.robust_margin,
        Measure.RETAINED: measured.retained,
        Measure.FACET_MARGIN: measured.facet_margin,
        Measure.OUTLYING: measured.outlying,
        Measure.PATH: measured.path_similarity,
        Measure.SPECTRUM: None if deviation is None else abs(deviation),
        Measure.START_SHORTFALL: measured.start_shortfall,
        Measure.START_EXCESS: measured.start_excess,
        Measure.TRANSFER: measured.transfer_percentile,
    }
    return {measure: number for measure, number in numbers.items() if number is not None}


def reasons(
    values: Mapping[Measure, float], thresholds: tuple[Threshold, ...]
) -> tuple[Reason, ...]:
    """What each measure says, the worst first; equal levels in the order of the thresholds."""
    said = [
        _reason(threshold, values[threshold.measure])
        for threshold in thresholds
        if threshold.measure in values
    ]
    return tuple(sorted(said, key=lambda reason: SEVERITY.index(reason.level)))


def verdict(said: tuple[Reason, ...]) -> Level | None:
    """The worst level of all; ``None`` where no measure is defined."""
    return said[0].level if said else None


def _reason(threshold: Threshold, value: float) -> Reason:
    level, measure = threshold.level(value), threshold.measure
    sentence = SENTENCES[measure].format(value=value)
    bound = threshold.green if level is not Level.RED else threshold.red
    return Reason(measure, level, f"{sentence} ({_limits(measure, level, bound)})")


def _limits(measure: Measure, level: Level, bound: float) -> str:
    """What it would take to be on the better side, or what it took."""
    side = "at least" if measure.larger_is_better else "at most"
    return f"{'RED unless' if level is Level.RED else 'GREEN is'} {side} {bound:g}"
