"""What a phase of a schedule comes to at each of its steps, and for inputs of each size."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from facetscope.domain.schedules import REFERENCE_SIZE, WEIGHTS, Phase

LEAST_WEIGHT, _ = WEIGHTS


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one step.

    Attributes:
        step_size: In grey levels.
        tv_weight: Of the denoising.
    """

    step_size: float
    tv_weight: float


def settings(phase: Phase, *, authors_ramps: bool = False) -> Iterator[Settings]:
    """The settings of the phase's steps, in order.

    Both ramp linearly from their first value at the first step to their second at the last.

    Args:
        phase: The phase.
        authors_ramps: Ramp as ``Schedule.authors_ramps`` says instead.
    """
    ramp = _authors_settings if authors_ramps else _linear_settings
    return (ramp(phase, step) for step in range(phase.steps))


def _linear_settings(phase: Phase, step: int) -> Settings:
    fraction = step / max(phase.steps - 1, 1)
    return Settings(_between(phase.step_size, fraction), _between(phase.tv_weight, fraction))


def _between(ends: tuple[float, float], fraction: float) -> float:
    start, end = ends
    return start + (end - start) * fraction


def _authors_settings(phase: Phase, step: int) -> Settings:
    """By ``act_max.tvd.mean.py``: whole numbers divide to whole ones, and / goes before -."""
    first, last = phase.step_size
    whole = float(first).is_integer() and float(last).is_integer()
    rise = (last - first) * step
    start, end = phase.tv_weight
    return Settings(
        step_size=first + (rise // phase.steps if whole else rise / phase.steps),
        tv_weight=max(start - (start - end * step) / phase.steps, LEAST_WEIGHT),
    )


def tv_weight_for(weight: float, height: int, width: int) -> float:
    """The weight of a schedule for an input of another size, such that it smooths alike.

    Halving a picture's sides halves its total variation and quarters the squares of its data term,
    so the same part of the picture is smoothed away by twice the weight.
    """
    return weight * REFERENCE_SIZE / sqrt(height * width)


def margin_pixels(phase: Phase, size: int) -> int:
    """The phase's margin for an input of ``size`` pixels; it leaves at least one to update."""
    return min(round(phase.margin * size / REFERENCE_SIZE), (size - 1) // 2)
